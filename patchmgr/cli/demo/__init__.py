"""``patchmgr demo``: a fleet to look at, made of real packages and real advisories."""

import os
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

PASSWORD_FILE = "demo-password"  # noqa: S105 -- the name of a file
DRAFT = "demo-draft.db"


@click.command()
@pass_app
def demo(app: App) -> None:
    """Load the demo fleet, its feed, plans and reports; safe to repeat.

    Fills an empty database only: with hosts or people of your own in it, nothing is done.
    """
    if _is_loaded(app):
        click.echo("the demo is loaded already")
        return
    _refuse_unless_empty(app.db)
    password = _password(app.settings.home / PASSWORD_FILE)
    with tempfile.TemporaryDirectory(prefix="patchmgr-demo-") as folder:
        if app.db.is_sqlite:
            _fill_aside(app, password, Path(folder))
        else:
            _fill(app, app.db, password, Path(folder))
    click.echo(f"the demo is loaded; the password of its users is in {_password_file(app)}")


def _is_loaded(app: App) -> bool:
    with app.db.reading() as session:
        hosts = session.scalar(select(func.count(models.Host.id)))
        people = set(session.scalars(select(models.User.name)))
    return bool(hosts) and people >= set(story.PEOPLE) and _password_file(app).exists()


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
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(12))
    return path.read_text(encoding="ascii").strip()
