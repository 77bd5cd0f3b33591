"""Where a database's schema stands, and bringing it to this program's.

Alembic is imported by those who migrate only: it takes longer to load than most commands to run,
and every command asks `state`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, inspect, text

from patchmgr.db.session import READ_ONLY, Database
from patchmgr.errors import ConflictError

if TYPE_CHECKING:
    from alembic.config import Config

_PACKAGE = Path(__file__).resolve().parents[1]
_CHECKOUT = _PACKAGE.parent / "migrations"
# Beside the package in a checkout, inside it in an installed wheel (pyproject.toml, force-include).
MIGRATIONS = _CHECKOUT if (_CHECKOUT / "env.py").exists() else _PACKAGE / "_migrations"


@dataclass(frozen=True, slots=True)
class SchemaState:
    current: str | None
    head: str
    is_empty: bool  # no table of ours

    @property
    def is_current(self) -> bool:
        return self.current == self.head


def state(db: Database) -> SchemaState:
    """Return where the schema of ``db`` stands."""
    with db.engine.connect().execution_options(**{READ_ONLY: True}) as connection:
        tables = inspect(connection).get_table_names()
        current = None
        if "alembic_version" in tables:
            current = connection.scalar(text("SELECT version_num FROM alembic_version"))
        # `alembic check` leaves its own empty table behind.
        is_empty = current is None and not set(tables) - {"alembic_version"}
        return SchemaState(current, head(), is_empty)


def head() -> str:
    """Return the newest revision: they are numbered, and the file names begin with the number."""
    return max(path.name.split("_")[0] for path in (MIGRATIONS / "versions").glob("[0-9]*_*.py"))


def refuse_unknown(revision: str | None) -> None:
    """Raise `ConflictError` for a schema that a later program made."""
    if revision is not None and revision not in revisions():
        raise ConflictError(
            f"the database is at schema {revision}, this program knows {head()} and older; "
            "install the patchmgr that wrote it"
        )


def upgrade(db: Database, revision: str = "head") -> None:
    """Bring the schema of ``db`` to ``revision``, in one transaction.

    Raises `ConflictError` for a schema that this program does not know.
    """
    from alembic import command

    settings = configuration()
    refuse_unknown(state(db).current)
    with changing(db) as connection:
        settings.attributes["connection"] = connection
        command.upgrade(settings, revision)


def anew(db: Database) -> None:
    """Take everything out of ``db``: its schema is made again, empty, in one transaction."""
    from alembic import command

    settings = configuration()
    with changing(db) as connection:
        settings.attributes["connection"] = connection
        command.downgrade(settings, "base")
        command.upgrade(settings, "head")


@contextmanager
def changing(db: Database) -> Iterator[Connection]:
    """Yield a connection whose transaction may change the schema.

    SQLite changes a column by making its table anew, which it allows for a table that others refer
    to only while it heeds no foreign key; whether they all hold is looked up at the end.
    """
    with db.engine.connect() as connection:
        direct = connection.connection.driver_connection
        assert direct is not None  # noqa: S101 -- it was opened just now
        if db.is_sqlite:
            direct.execute("PRAGMA foreign_keys=OFF")  # means nothing once a transaction began
        try:
            with connection.begin():
                yield connection
                if db.is_sqlite and (lost := list(direct.execute("PRAGMA foreign_key_check"))):
                    raise ConflictError(f"rows of {lost[0][0]} refer to what is not there")
        finally:
            if db.is_sqlite:
                direct.execute("PRAGMA foreign_keys=ON")


def revisions() -> list[str]:
    """Return every revision that this program knows, oldest first."""
    from alembic.script import ScriptDirectory

    scripts = ScriptDirectory.from_config(configuration()).walk_revisions()
    return [script.revision for script in scripts][::-1]


def configuration() -> "Config":
    """Return Alembic's configuration for the migrations that travel with this program."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    return config
