"""Feeds may come in bundles: then their content is as of an earlier day than it arrived.

Revision ID: 0009
Revises: 0008
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.add_column("feed", sa.Column("bundled_at", sa.BigInteger(), nullable=True))
    op.add_column("feed_sync", sa.Column("as_of", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    op.drop_column("feed_sync", "as_of")
    op.drop_column("feed", "bundled_at")
