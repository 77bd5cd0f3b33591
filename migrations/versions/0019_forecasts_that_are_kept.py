"""Forecasts that are kept: pages and calendars read them, the service makes them anew.

Revision ID: 0019
Revises: 0018
"""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    word = sa.String(64).with_variant(sa.String(64, collation="C"), "postgresql")
    op.create_table(
        "plan_forecast",
        sa.Column("plan_id", sa.Integer(), nullable=False),
        sa.Column("made_at", sa.BigInteger(), nullable=False),
        sa.Column("took_ms", sa.Integer(), nullable=False),
        sa.Column("content_hash", word, nullable=False),
        sa.Column("plan_changed_at", sa.BigInteger(), nullable=False),
        sa.Column("freezes", word, nullable=False),
        sa.Column("document", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["plan_id"], ["plan.id"], name="fk_plan_forecast_plan_id_plan"),
        sa.PrimaryKeyConstraint("plan_id", name="pk_plan_forecast"),
    )


def downgrade() -> None:
    op.drop_table("plan_forecast")
