"""What of a host's reports cannot be judged: entries without a version, of unknown kinds, and so on.

Revision ID: 0021
Revises: 0020
"""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    op.add_column("host", sa.Column("not_judged", sa.Integer(), nullable=False, server_default="0"))
    op.add_column(
        "host", sa.Column("not_judged_of", sa.JSON(), nullable=False, server_default="{}")
    )


def downgrade() -> None:
    op.drop_column("host", "not_judged_of")
    op.drop_column("host", "not_judged")
