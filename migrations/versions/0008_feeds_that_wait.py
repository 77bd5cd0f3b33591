"""Feeds that no host needs, feeds that a person must confirm, and what each revision changed.

Revision ID: 0008
Revises: 0007
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

COLUMNS: dict[str, tuple[sa.types.TypeEngine[Any], str]] = {
    "idle": (sa.Boolean(), "false"),
    "addresses": (sa.JSON(), "'[]'"),
    "held": (sa.JSON(), "'{}'"),
    "smaller_accepted": (sa.Boolean(), "false"),
}


def word() -> sa.types.TypeEngine[str]:
    return sa.String(64).with_variant(sa.String(64, collation="C"), "postgresql")


def upgrade() -> None:
    for name, (kind, default) in COLUMNS.items():
        op.add_column(
            "feed", sa.Column(name, kind, nullable=False, server_default=sa.text(default))
        )
    op.create_table(
        "advisory_change",
        sa.Column("revision_id", sa.Integer(), nullable=False),
        sa.Column("advisory_id", sa.Integer(), nullable=False),
        sa.Column("change", word(), nullable=False),
        sa.ForeignKeyConstraint(
            ["revision_id"],
            ["feed_revision.id"],
            name=op.f("fk_advisory_change_revision_id_feed_revision"),
        ),
        sa.ForeignKeyConstraint(
            ["advisory_id"], ["advisory.id"], name=op.f("fk_advisory_change_advisory_id_advisory")
        ),
        sa.PrimaryKeyConstraint("revision_id", "advisory_id", name=op.f("pk_advisory_change")),
    )
    op.create_index("ix_package_version_manager", "package_version", ["manager"])


def downgrade() -> None:
    op.drop_index("ix_package_version_manager", table_name="package_version")
    op.drop_table("advisory_change")
    for name in COLUMNS:
        op.drop_column("feed", name)
