"""What repositories offer, and until when vendors support what.

A feed remembers until when what it said is true, and which package versions it knew of: one that
keeps only what some host has reads an unchanged repository again when the inventory has more.

Revision ID: 0007
Revises: 0006
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def text(length: int) -> sa.types.TypeEngine[str]:
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def columns(table: str) -> tuple[sa.schema.SchemaItem, ...]:
    """Return what a row has that is valid from one revision of a feed until another."""
    return (
        sa.Column("since_revision_id", sa.Integer(), nullable=False),
        sa.Column("until_revision_id", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["feed_id"], ["feed.id"], name=op.f(f"fk_{table}_feed_id_feed")),
        sa.ForeignKeyConstraint(
            ["since_revision_id"],
            ["feed_revision.id"],
            name=op.f(f"fk_{table}_since_revision_id_feed_revision"),
        ),
        sa.ForeignKeyConstraint(
            ["until_revision_id"],
            ["feed_revision.id"],
            name=op.f(f"fk_{table}_until_revision_id_feed_revision"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{table}")),
    )


def index(table: str) -> None:
    op.create_index(f"ix_{table}_feed", table, ["feed_id", "until_revision_id"])
    op.create_index(f"ix_{table}_since_revision", table, ["since_revision_id"])
    op.create_index(f"ix_{table}_until_revision", table, ["until_revision_id"])


def upgrade() -> None:
    op.create_table(
        "offer",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("feed_id", sa.Integer(), nullable=False),
        sa.Column("platform", text(200), nullable=False),
        sa.Column("suite", text(200), nullable=False),
        sa.Column("manager", text(64), nullable=False),
        sa.Column("name", text(200), nullable=False),
        sa.Column("arch", text(64), nullable=False),
        sa.Column("version", text(200), nullable=False),
        sa.Column("version_key", sa.LargeBinary(), nullable=True),
        sa.Column("source", text(200), nullable=False),
        sa.Column("source_version", text(200), nullable=False),
        sa.Column("module", text(200), nullable=False),
        *columns("offer"),
    )
    op.create_index("ix_offer_package", "offer", ["name", "platform", "until_revision_id"])
    index("offer")
    op.create_table(
        "support",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("feed_id", sa.Integer(), nullable=False),
        sa.Column("platform", text(200), nullable=False),
        sa.Column("package", text(200), nullable=False),
        sa.Column("level", text(64), nullable=False),
        sa.Column("until", sa.Date(), nullable=True),
        sa.Column("note", sa.Text(), nullable=False),
        *columns("support"),
    )
    index("support")
    with op.batch_alter_table("feed") as feed:
        feed.add_column(sa.Column("expires_at", sa.BigInteger(), nullable=True))
        feed.add_column(
            sa.Column("known_version_id", sa.Integer(), nullable=False, server_default="0")
        )


def downgrade() -> None:
    with op.batch_alter_table("feed") as feed:
        feed.drop_column("known_version_id")
        feed.drop_column("expires_at")
    op.drop_table("support")
    op.drop_table("offer")
