"""Imports as jobs, the sources that their files come from, and which source named a host last.

Revision ID: 0012
Revises: 0010
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0010"


def text(length: int) -> sa.types.TypeEngine[str]:
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def upgrade() -> None:
    op.add_column("host", sa.Column("source", text(64), nullable=False, server_default=""))
    op.create_index(op.f("ix_host_source"), "host", ["source"])
    columns: tuple[tuple[str, sa.types.TypeEngine[Any], str], ...] = (
        ("source", text(64), "''"),
        ("options", sa.JSON(), "'{}'"),
        ("size", sa.BigInteger(), "0"),
        ("progress", sa.Integer(), "0"),
        ("attempts", sa.Integer(), "0"),
        ("confirmed_by", text(200), "''"),
    )
    for name, kind, default in columns:
        op.add_column(
            "import", sa.Column(name, kind, nullable=False, server_default=sa.text(default))
        )
    op.create_table(
        "import_source",
        sa.Column("name", text(64), nullable=False),
        sa.Column("kind", text(64), nullable=False),
        sa.Column("mapping", sa.JSON(), nullable=False),
        sa.Column("preset", text(64), nullable=False),
        sa.Column("encoding", text(64), nullable=False),
        sa.Column("saved_by", text(200), nullable=False),
        sa.Column("saved_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_import_source")),
    )


def downgrade() -> None:
    op.drop_table("import_source")
    for name in ("confirmed_by", "attempts", "progress", "size", "options", "source"):
        op.drop_column("import", name)
    op.drop_index(op.f("ix_host_source"), table_name="host")
    op.drop_column("host", "source")
