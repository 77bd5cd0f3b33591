"""Migrations: one line of history, and its end is what the models say, on both databases."""

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect

from patchmgr.db import migrate
from patchmgr.db.base import Base
from patchmgr.db.session import Database

SCRIPTS = ScriptDirectory.from_config(migrate.configuration())
REVISIONS = [script.revision for script in reversed(list(SCRIPTS.walk_revisions()))]


@pytest.fixture(params=["sqlite", "postgresql"])
def empty(request, tmp_path):
    """A database without any table."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'empty.db'}"
    else:
        url = request.getfixturevalue("empty_postgresql_url")
    database = Database(url)
    yield database
    database.close()


def to(database, direction, revision):
    settings = migrate.configuration()
    with database.engine.begin() as connection:
        settings.attributes["connection"] = connection
        direction(settings, revision)


def schema(database):
    """Return everything that a migration can leave behind: tables, columns, indexes, triggers."""
    with database.engine.connect() as connection:
        found = inspect(connection)
        tables = {
            table: (
                sorted((each["name"], str(each["type"])) for each in found.get_columns(table)),
                sorted(map(_index, found.get_indexes(table))),
            )
            for table in found.get_table_names()
            if table != "alembic_version"
        }
        query = (
            "SELECT name FROM sqlite_master WHERE type = 'trigger' ORDER BY name"
            if database.is_sqlite
            else "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal ORDER BY tgname"
        )
        return tables, connection.exec_driver_sql(query).scalars().all()


def _index(found):
    """Return an index as text, and with it which rows it has where it has not all."""
    options = {name: str(value) for name, value in found.get("dialect_options", {}).items()}
    return str(found | {"dialect_options": options})


def test_history_is_one_line():
    assert SCRIPTS.get_heads() == [migrate.head()]
    assert sorted(REVISIONS) == REVISIONS == migrate.revisions()


def test_the_head_is_what_the_models_say(db):
    with db.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        difference = compare_metadata(context, Base.metadata)

    assert difference == []


def test_every_revision_can_be_undone_and_redone(empty):
    stood = [schema(empty)]
    for revision in REVISIONS:
        to(empty, command.upgrade, revision)
        stood.append(schema(empty))

    for before in reversed(stood[:-1]):
        to(empty, command.downgrade, "-1")
        assert schema(empty) == before
    to(empty, command.upgrade, "head")

    assert schema(empty) == stood[-1]


def test_a_database_says_where_it_stands(empty):
    before = migrate.state(empty)
    migrate.upgrade(empty)
    after = migrate.state(empty)

    assert (before.current, before.is_empty, before.is_current) == (None, True, False)
    assert (after.current, after.is_empty, after.is_current) == (REVISIONS[-1], False, True)


def test_a_migration_that_fails_leaves_the_database_as_it_was(empty):
    with empty.engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE task (id INTEGER)")  # in the way of ours
    before = schema(empty)

    with pytest.raises(Exception, match="already exists"):
        migrate.upgrade(empty)

    assert schema(empty) == before
