"""``patchmgr demo``: a fleet to look at, made of real packages and real advisories."""

import secrets
import tempfile
from pathlib import Path

import click
from sqlalchemy import func, select

from patchmgr.cli.app import App, pass_app
from patchmgr.cli.demo import fleet, story
from patchmgr.cli.demo.story import Story
from patchmgr.db import migrate, models
from patchmgr.db.session import Database
from patchmgr.errors import ConflictError
from patchmgr.jobs import leader
from patchmgr.services import audit, drafts

PASSWORD_FILE = "demo-password"  # noqa: S105 -- the name of a file
DRAFT = "demo-draft.db"
LOADING, LOADED = "demo.begin", "demo.end"  # in the audit log


@click.command()
@pass_app
def demo(app: App) -> None:
    """Load the demo fleet, its feed, plans and reports; safe to repeat.

    Fills an empty database only: with hosts or people of your own in it, nothing is done.
    """
    if _was_cut_short(app.db):
        _begin_anew(app.db)
    elif _is_loaded(app):
        click.echo("the demo is loaded already")
        return
    _refuse_unless_empty(app.db)
    password = _password(app.settings.home / PASSWORD_FILE)
    with tempfile.TemporaryDirectory(prefix="patchmgr-demo-") as folder:
        if app.db.is_sqlite:
            _fill_aside(app, password, Path(folder))
        else:
            _fill_in_place(app, password, Path(folder))
    click.echo(f"the demo is loaded; the password of its users is in {_password_file(app)}")


def _is_loaded(app: App) -> bool:
    with app.db.reading() as session:
        hosts = session.scalar(select(func.count(models.Host.id)))
        people = set(session.scalars(select(models.User.name)))
    return bool(hosts) and people >= set(story.PEOPLE) and _password_file(app).exists()


def _was_cut_short(db: Database) -> bool:
    """Return whether an earlier loading of the demo ended before its end, with nothing beside it.

    On PostgreSQL alone it can: there the demo is loaded in place.
    """
    with db.reading() as session:
        entry = models.AuditEntry
        first = session.scalar(select(entry.action).order_by(entry.id).limit(1))
        ended = session.scalar(select(entry.id).where(entry.action == LOADED).limit(1))
        people = set(session.scalars(select(models.User.name)))
        hosts = set(session.scalars(select(models.Host.hostname)))
    ours = {machine.hostname for machine in fleet.machines()}
    return first == LOADING and ended is None and people <= set(story.PEOPLE) and hosts <= ours


def _begin_anew(db: Database) -> None:
    """Take half a demo out of the database. Raises `ConflictError` while somebody works on it."""
    lock = leader.scheduler_lock(db)
    if not lock.acquire():
        raise ConflictError(
            "the demo is being loaded, or was cut short and this database is being served since; "
            "wait, or stop the service and load it again"
        )
    try:
        click.echo("an earlier loading of the demo was cut short; it begins anew")
        migrate.anew(db)
    finally:
        lock.release()


def _refuse_unless_empty(db: Database) -> None:
    with db.reading() as session:
        for what, table in (("hosts", models.Host), ("users", models.User)):
            if session.scalar(select(table.id).limit(1)):
                raise ConflictError(
                    f"the database has {what} of its own, and the demo does not mix with them; "
                    "give it another PATCHMGR_HOME, or an empty database"
                )


def _fill_aside(app: App, password: str, folder: Path) -> None:
    """Fill a new file and put it in the database's place, so that a kill leaves no half demo."""
    draft = app.settings.home / DRAFT
    for leftover in app.settings.home.glob(f"{DRAFT}*"):
        leftover.unlink()
    db = Database(f"sqlite:///{draft}")
    migrate.upgrade(db)
    _fill(app, db, password, folder)
    with db.engine.connect() as connection:
        connection.connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()
    app.db.close()
    target = Path(app.db.engine.url.database or "")
    for suffix in ("-wal", "-shm"):
        target.with_name(target.name + suffix).unlink(missing_ok=True)
        draft.with_name(draft.name + suffix).unlink(missing_ok=True)
    draft.replace(target)


def _fill_in_place(app: App, password: str, folder: Path) -> None:
    """Fill the database itself, and note in it when that begins and when it has ended."""
    lock = leader.scheduler_lock(app.db)
    lock.acquire()  # so that nobody takes it for half a demo; who serves meanwhile has it already
    try:
        _note(app, LOADING)
        _fill(app, app.db, password, folder)
        _note(app, LOADED)
    finally:
        lock.release()


def _note(app: App, action: str) -> None:
    with app.db.writing() as session:
        audit.record(session, at=app.now, actor=app.actor, action=action, subject="demo")


def _fill(app: App, db: Database, password: str, folder: Path) -> None:
    with click.progressbar(length=100, label="Loading the demo") as bar:
        story.tell(
            Story(db, app.settings, app.now, folder, fleet.machines()),
            password,
            lambda done, total: bar.update(done * 100 // total - bar.pos),
        )
        bar.update(100 - bar.pos)


def _password_file(app: App) -> Path:
    return app.settings.home / PASSWORD_FILE


def _password(path: Path) -> str:
    """Return the password of the demo's users, made and kept (mode 0600) on first use."""
    if not path.exists():
        with drafts.draft(path, mode=drafts.PRIVATE) as begun:
            begun.write_text(secrets.token_urlsafe(12), encoding="ascii")
    return path.read_text(encoding="ascii").strip()
