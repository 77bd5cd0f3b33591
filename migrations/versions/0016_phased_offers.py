"""An update may be offered to a part of the hosts only: how large a part, in percent.

What is stored already was read without asking, and is taken to be for every host until the next
sync of a repository that has changed.

Revision ID: 0016
Revises: 0015
"""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    with op.batch_alter_table("offer") as table:
        table.add_column(sa.Column("phased", sa.Integer(), nullable=False, server_default="100"))
    with op.batch_alter_table("offer") as table:
        table.alter_column("phased", server_default=None)


def downgrade() -> None:
    with op.batch_alter_table("offer") as table:
        table.drop_column("phased")
