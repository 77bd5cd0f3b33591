"""Hosts say more than their packages: facts, and what their own repositories offer.

Revision ID: 0011
Revises: 0010
"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def text(length: int) -> sa.types.TypeEngine[str]:
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


NAME, WORD = text(200), text(64)
OF_HOST = {
    "fact_set_id": sa.Integer(),
    "offer_set_id": sa.Integer(),
    "facts_at": sa.BigInteger(),
}


def content_addressed(table: str, *columns: sa.Column[object]) -> None:
    """Create a table whose rows are found by the digest of their content."""
    op.create_table(
        table,
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("digest", sa.LargeBinary(32), nullable=False),
        *columns,
        sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{table}")),
        sa.UniqueConstraint("digest", name=op.f(f"uq_{table}_digest")),
    )


def upgrade() -> None:
    content_addressed(
        "fact_set",
        sa.Column("content", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
    )
    content_addressed(
        "candidate",
        sa.Column("manager", WORD, nullable=False),
        sa.Column("name", NAME, nullable=False),
        sa.Column("arch", WORD, nullable=False),
        sa.Column("version", NAME, nullable=False),
        sa.Column("judged_version", NAME, nullable=False),
        sa.Column("version_key", sa.LargeBinary(), nullable=True),
        sa.Column("judged_key", sa.LargeBinary(), nullable=True),
        sa.Column("suites", sa.Text(), nullable=False),
        sa.Column("phased", sa.SmallInteger(), nullable=True),
        sa.Column("withheld", NAME, nullable=False),
        sa.Column("pin", NAME, nullable=False),
    )
    content_addressed(
        "offer_set",
        sa.Column("everything", sa.JSON(), nullable=False),
        sa.Column("named", sa.JSON(), nullable=False),
        sa.Column("members", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
    )
    op.add_column(
        "host",
        sa.Column("reboot_reported", sa.Boolean(), nullable=False, server_default=sa.false()),
    )
    for name, kind in OF_HOST.items():
        op.add_column("host", sa.Column(name, kind, nullable=True))
    op.add_column("exposure", sa.Column("candidate_id", sa.Integer(), nullable=True))


def downgrade() -> None:
    op.drop_column("exposure", "candidate_id")
    for name in (*reversed(OF_HOST), "reboot_reported"):
        op.drop_column("host", name)
    for table in ("offer_set", "candidate", "fact_set"):
        op.drop_table(table)
