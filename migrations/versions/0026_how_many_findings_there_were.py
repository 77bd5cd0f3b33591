"""How many findings there were at an instant is counted from indexes alone.

Exposures are counted by package version: with when each began in the index, none of the hundreds of
thousands is looked up. Which have ended since a scan said how many there are, mostly those of hosts
that retired, is found in an index of what has ended, which is little.

Revision ID: 0026
Revises: 0025
"""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"

NAME = "ix_exposure_package_version"
COLUMNS = ["package_version_id", "until", "candidate_id", "host_id"]
ENDED = sa.text("until IS NOT NULL")


def upgrade() -> None:
    op.drop_index(NAME, "exposure")
    op.create_index(NAME, "exposure", [*COLUMNS, "since"])
    op.create_index(
        "ix_exposure_ended", "exposure", ["until"], sqlite_where=ENDED, postgresql_where=ENDED
    )


def downgrade() -> None:
    op.drop_index("ix_exposure_ended", "exposure")
    op.drop_index(NAME, "exposure")
    op.create_index(NAME, "exposure", COLUMNS)
