"""``patchmgr db``: bring the schema up to date, check it, back it up, put a backup back."""

import contextlib
import os
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import click
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy.exc import DatabaseError

from inventory import soundness as packages
from patchmgr.cli.app import App, pass_app
from patchmgr.db import migrate, models  # noqa: F401 -- registers every table
from patchmgr.db.base import Base
from patchmgr.db.session import READ_ONLY, Database
from patchmgr.errors import ConflictError, InputError, NotFoundError
from patchmgr.jobs import leader
from patchmgr.services import audit, drafts, installations, soundness

PAGES = 4096  # pages copied at a time, so that writers get their turn


@click.group()
def db() -> None:
    """The database: its schema, its health, its backups."""


@db.command()
@pass_app
def upgrade(app: App) -> None:
    """Bring the schema to what this program needs; safe to repeat."""
    database = app.unchecked_db()
    before = migrate.state(database)
    migrate.upgrade(database)
    if before.is_current:
        click.echo(f"the database is at schema {before.head}, nothing to do")
    else:
        click.echo(f"the database went from schema {before.current or 'none'} to {before.head}")


@db.command()
@pass_app
def check(app: App) -> None:
    """Say whether the schema, the stored data and the audit log are as they should be."""
    problems = [*_damage(app.db), *_differences(app.db), *_broken_audit(app.db)]
    if not problems:
        with app.db.reading(snapshot=True) as session:
            problems = soundness.wrong(session, app.now) or [
                *packages.wrong(session),
                *installations.wrong(session),
            ]
    if problems:
        raise ConflictError("\n".join(problems))
    click.echo("the database is sound: schema, data, counts, audit log")


@db.command()
@pass_app
def recount(app: App) -> None:
    """Count anew how many hosts have each package, as `check` may ask for."""
    with app.db.writing(alone=True) as session:
        installations.rebuild(session)
    click.echo("counted anew how many hosts have each package")


@db.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@pass_app
def backup(app: App, file: Path) -> None:
    """Write a whole copy of the embedded database to FILE, also while it is being served."""
    source = _embedded(app)
    if file.exists():
        raise ConflictError(f"{file} exists; a backup is never written over")
    if not file.absolute().parent.is_dir():
        raise InputError({"FILE": f"{file.parent} is not a folder"})
    if not source.exists():
        raise NotFoundError("database", str(source))
    with drafts.draft(file, mode=drafts.PRIVATE) as draft:
        _copy(source, draft)
        _verify(draft, source)
    click.echo(f"{file}: {file.stat().st_size / 1e6:.1f} MB, checked")


@db.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@pass_app
def restore(app: App, file: Path) -> None:
    """Put the backup FILE in the place of the embedded database. Stop the service first.

    What was there stays beside it, with ".before-restore" added to its name. However this ends,
    there is the one database or the other.
    """
    target = _embedded(app)
    with (
        _nobody_at_work(app.unchecked_db()),
        drafts.draft(target, mode=drafts.PRIVATE) as draft,
    ):
        _copy(file, draft)
        _verify(draft, file)
        _upgrade(draft)  # a backup of an older program becomes one of this
        if target.exists():
            kept = target.with_name(f"{target.name}.before-restore")
            _fold_log(target)
            _keep(target, kept)
            click.echo(f"the database that was there is kept as {kept}")
        for leftover in ("-wal", "-shm"):
            target.with_name(target.name + leftover).unlink(missing_ok=True)
    click.echo(f"{target} is now what {file} holds")


def _embedded(app: App) -> Path:
    """Return the file of the embedded database. Raises `ConflictError` for PostgreSQL."""
    url = app.unchecked_db().engine.url
    if url.get_backend_name() != "sqlite":
        raise ConflictError("PostgreSQL has its own tools for this: pg_dump and pg_restore")
    return Path(str(url.database))


@contextlib.contextmanager
def _nobody_at_work(database: Database) -> Iterator[None]:
    """Hold both locks of a service, so that none can start meanwhile."""
    locks = [leader.scheduler_lock(database), leader.web_lock(database, shared=False)]
    try:
        for lock in locks:
            if lock is not None and not lock.acquire():
                raise ConflictError("patchmgr is serving this database; stop it first")
        yield
    finally:
        for lock in locks:
            if lock is not None:
                lock.release()


def _copy(source: Path, target: Path) -> None:
    """Copy a database as of one instant, whoever writes to it (SQLite's online backup).

    Raises `InputError` when ``source`` is not one.
    """
    try:
        with (
            contextlib.closing(
                sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True)
            ) as reading,
            contextlib.closing(sqlite3.connect(target)) as writing,
        ):
            reading.backup(writing, pages=PAGES)
    except sqlite3.DatabaseError as error:
        raise InputError({str(source): f"not a patchmgr backup: {error}"}) from error


def _upgrade(draft: Path) -> None:
    """Bring a draft to this program's schema, all of it in the one file."""
    with contextlib.closing(Database(f"sqlite:///{draft}")) as database:
        migrate.upgrade(database)
    _fold_log(draft)


def _keep(file: Path, kept: Path) -> None:
    """Have ``file`` under the name ``kept`` too, in the place of what that was."""
    beside = kept.with_name(f"{kept.name}.{os.getpid()}")
    try:
        os.link(file, beside)
    except OSError:  # a file system without links
        shutil.copy2(file, beside)
    beside.replace(kept)
    beside.unlink(missing_ok=True)  # two names of one file are left as they are by a rename


def _fold_log(file: Path) -> None:
    """Bring what is still in the write-ahead log into the file itself."""
    with contextlib.closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _verify(draft: Path, said: Path) -> None:
    """Raise `InputError`, naming ``said``, unless ``draft`` is a sound database of this program."""
    opened = Database(f"sqlite:///{draft}")
    try:
        revision = migrate.state(opened).current
        known = migrate.revisions()
        if revision is None:
            raise InputError({str(said): "a database, but not one of patchmgr"})
        if revision not in known:
            raise InputError({str(said): f"schema {revision}, this program knows {known[-1]}"})
        if problems := _damage(opened):
            raise InputError({str(said): problems[0]})
    except DatabaseError as error:
        raise InputError({str(said): f"damaged: {error.orig}"}) from error
    finally:
        opened.close()


def _damage(database: Database) -> list[str]:
    """Return what SQLite's own checks find; PostgreSQL watches over its files itself."""
    if not database.is_sqlite:
        return []
    with database.reading() as session:
        connection = session.connection()
        found = connection.exec_driver_sql("PRAGMA quick_check(5)").scalars().all()
        orphans = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
    problems = [f"damaged: {line}" for line in found if line != "ok"]
    problems += [f"{table} row {row} refers to a missing {to}" for table, row, to, _ in orphans]
    return problems


def _differences(database: Database) -> list[str]:
    """Return how the schema differs from the models."""
    with database.engine.connect().execution_options(**{READ_ONLY: True}) as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return [f"schema: {step}" for step in compare_metadata(context, Base.metadata)]


def _broken_audit(database: Database) -> list[str]:
    with database.reading() as session:
        entry = audit.first_broken(session)
    return [] if entry is None else [f"the audit log was changed at entry {entry}"]
