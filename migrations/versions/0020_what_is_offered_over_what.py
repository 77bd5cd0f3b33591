"""Which hosts are offered what over a package version is counted from an index alone.

Revision ID: 0020
Revises: 0019
"""

from alembic import op

revision = "0020"
down_revision = "0019"

NAME, COLUMNS = "ix_exposure_package_version", ["package_version_id", "until"]


def upgrade() -> None:
    op.drop_index(NAME, table_name="exposure")
    op.create_index(NAME, "exposure", [*COLUMNS, "candidate_id"])


def downgrade() -> None:
    op.drop_index(NAME, table_name="exposure")
    op.create_index(NAME, "exposure", COLUMNS)
