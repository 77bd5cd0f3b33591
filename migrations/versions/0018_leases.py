"""Leases: who holds the order of a task that a host or a runner carries out.

Revision ID: 0018
Revises: 0017
"""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    name = sa.String(200).with_variant(sa.String(200, collation="C"), "postgresql")
    word = sa.String(64).with_variant(sa.String(64, collation="C"), "postgresql")
    op.create_table(
        "lease",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("key", word, nullable=False),
        sa.Column("task_id", sa.Integer(), nullable=False),
        sa.Column("plan_id", sa.Integer(), nullable=False),
        sa.Column("host_id", sa.Integer(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("turn", sa.Integer(), nullable=False),
        sa.Column("holder", name, nullable=False),
        sa.Column("content_hash", word, nullable=False),
        sa.Column("work_hash", word, nullable=False),
        sa.Column("run", word, nullable=False),
        sa.Column("made_at", sa.BigInteger(), nullable=False),
        sa.Column("begin_by", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("renewed_at", sa.BigInteger(), nullable=True),
        sa.Column("begun_at", sa.BigInteger(), nullable=True),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("said_hash", word, nullable=False),
        sa.Column("said", sa.JSON(), nullable=False),
        sa.Column("answer", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["task_id"], ["task.id"], name="fk_lease_task_id_task"),
        sa.ForeignKeyConstraint(["plan_id"], ["plan.id"], name="fk_lease_plan_id_plan"),
        sa.ForeignKeyConstraint(["host_id"], ["host.id"], name="fk_lease_host_id_host"),
        sa.PrimaryKeyConstraint("id", name="pk_lease"),
        sa.UniqueConstraint("key", name="uq_lease_key"),
        sa.UniqueConstraint("task_id", "attempt", "turn", name="uq_lease_task_id_attempt_turn"),
    )
    op.create_index("ix_lease_plan_id", "lease", ["plan_id"])


def downgrade() -> None:
    op.drop_table("lease")
