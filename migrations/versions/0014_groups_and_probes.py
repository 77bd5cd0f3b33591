"""Groups of a plan's hosts, what health probes say, and what people decide about single hosts.

Revision ID: 0014
Revises: 0013
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"

COLUMNS: dict[tuple[str, str], tuple[sa.types.TypeEngine[Any], str]] = {
    ("plan", "groups"): (sa.JSON(), "'[]'"),
    ("plan_ring", "probes"): (sa.JSON(), "'{}'"),
    ("task", "acknowledged"): (sa.Boolean(), "false"),
    ("task", "undo"): (sa.Text(), "''"),
}


def name() -> sa.types.TypeEngine[str]:
    return sa.String(200).with_variant(sa.String(200, collation="C"), "postgresql")


def upgrade() -> None:
    for (table, column), (kind, default) in COLUMNS.items():
        op.add_column(
            table, sa.Column(column, kind, nullable=False, server_default=sa.text(default))
        )
    op.create_table(
        "plan_group",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("plan_id", sa.Integer(), nullable=False),
        sa.Column("key", name(), nullable=False),
        sa.Column("limit", sa.Integer(), nullable=False),
        sa.Column("is_ordered", sa.Boolean(), nullable=False),
        sa.Column("unavailable", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["plan_id"], ["plan.id"], name=op.f("fk_plan_group_plan_id_plan")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_plan_group")),
        sa.UniqueConstraint("plan_id", "key", name=op.f("uq_plan_group_plan_id_key")),
    )
    op.create_table(
        "plan_group_host",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("plan_id", sa.Integer(), nullable=False),
        sa.Column("group_id", sa.Integer(), nullable=False),
        sa.Column("host_id", sa.Integer(), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("after_id", sa.Integer(), nullable=True),
        *(
            sa.ForeignKeyConstraint(
                [column],
                [f"{table}.id"],
                name=op.f(f"fk_plan_group_host_{column}_{table}"),
            )
            for column, table in (
                ("plan_id", "plan"),
                ("group_id", "plan_group"),
                ("host_id", "host"),
                ("after_id", "host"),
            )
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_plan_group_host")),
        sa.UniqueConstraint(
            "group_id", "host_id", name=op.f("uq_plan_group_host_group_id_host_id")
        ),
    )
    op.create_index("ix_plan_group_host_plan_host", "plan_group_host", ["plan_id", "host_id"])


def downgrade() -> None:
    op.drop_table("plan_group_host")
    op.drop_table("plan_group")
    for table, column in COLUMNS:
        op.drop_column(table, column)
