"""Alembic's entry: run migrations on the connection given, or on the one settings name."""

import os
from typing import Literal

from alembic import context
from sqlalchemy import Connection

from patchmgr.config import load
from patchmgr.db import (
    migrate,
    models,  # noqa: F401 -- registers every table
)
from patchmgr.db.base import Base, Utc
from patchmgr.db.session import Database


def plain_type(kind: str, value: object, _context: object) -> str | Literal[False]:
    """Write our own column types as what they are stored as: a migration outlives the class."""
    return "sa.BigInteger()" if kind == "type" and isinstance(value, Utc) else False


def run(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        render_as_batch=True,
        compare_type=True,
        render_item=plain_type,
    )
    with context.begin_transaction():
        context.run_migrations()


given = context.config.attributes.get("connection")
if given is not None:
    run(given)
else:
    database = Database(load(os.environ).database_url)
    with migrate.changing(database) as opened:
        run(opened)
    database.close()
