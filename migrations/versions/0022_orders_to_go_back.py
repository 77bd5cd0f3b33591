"""Orders to go back: how far the roll-back of a host has come, and what a lease is about.

Revision ID: 0022
Revises: 0021
"""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"

_AT = ("undo_asked_at", "undo_until", "undo_given_at", "undo_begun_at")
_COUNTS = ("undo_attempt", "undo_misses")


def upgrade() -> None:
    for name in _AT:
        op.add_column("task", sa.Column(name, sa.BigInteger(), nullable=True))
    for name in _COUNTS:
        op.add_column("task", sa.Column(name, sa.Integer(), nullable=False, server_default="0"))
    op.add_column("task", sa.Column("undo_over", sa.Text(), nullable=False, server_default=""))
    is_open = sa.text("undo_until IS NOT NULL")
    op.create_index(
        "ix_task_undo", "task", ["plan_id"], sqlite_where=is_open, postgresql_where=is_open
    )
    op.add_column(
        "lease", sa.Column("is_way_back", sa.Boolean(), nullable=False, server_default=sa.false())
    )


def downgrade() -> None:
    op.drop_column("lease", "is_way_back")
    op.drop_index("ix_task_undo", "task")
    for name in ("undo_over", *_COUNTS, *_AT):
        op.drop_column("task", name)
