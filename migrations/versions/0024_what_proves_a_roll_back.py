"""Roll-backs that are withdrawn, and what inventories show of hosts that are said to be rolled back.

What was rolled back before this asks for no proof: nobody knows which reports came after it.

Revision ID: 0024
Revises: 0023
"""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"

_FEW = {"ix_task_proof": "proof_after IS NOT NULL", "ix_task_asked_back": "undo <> ''"}


def upgrade() -> None:
    op.add_column("task", sa.Column("undo_withdrawn_at", sa.BigInteger(), nullable=True))
    op.add_column("task", sa.Column("went_back", sa.String(64), nullable=False, server_default=""))
    op.add_column("task", sa.Column("proof_after", sa.BigInteger(), nullable=True))
    for name, condition in _FEW.items():
        few = sa.text(condition)
        op.create_index(name, "task", ["plan_id"], sqlite_where=few, postgresql_where=few)


def downgrade() -> None:
    for name in _FEW:
        op.drop_index(name, "task")
    for name in ("proof_after", "went_back", "undo_withdrawn_at"):
        op.drop_column("task", name)
