"""The hosts of an exposure stand in the index by package version.

How many hosts an advisory concerns is counted over hundreds of thousands of exposures, which had to
be looked up one by one for their host.

Revision ID: 0025
Revises: 0024
"""

from alembic import op

revision = "0025"
down_revision = "0024"

NAME, COLUMNS = "ix_exposure_package_version", ["package_version_id", "until", "candidate_id"]


def upgrade() -> None:
    op.drop_index(NAME, "exposure")
    op.create_index(NAME, "exposure", [*COLUMNS, "host_id"])


def downgrade() -> None:
    op.drop_index(NAME, "exposure")
    op.create_index(NAME, "exposure", COLUMNS)
