"""Policies that make plans, holds on known-bad versions, terms of approval, break-glass.

Plans made before have no terms of their own: any version at or above the target is good for them,
which is what was approved then.

Revision ID: 0015
Revises: 0014
"""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    name = sa.String(200).with_variant(sa.String(200, collation="C"), "postgresql")
    word = sa.String(64).with_variant(sa.String(64, collation="C"), "postgresql")
    for column in (
        sa.Column("terms", sa.JSON(), nullable=False, server_default="{}"),
        sa.Column("policy", name, nullable=False, server_default=""),
        sa.Column("superseded_by", sa.Integer(), nullable=True),
        sa.Column("broken_by", name, nullable=False, server_default=""),
        sa.Column("broken_at", sa.BigInteger(), nullable=True),
        sa.Column("broken_reason", sa.Text(), nullable=False, server_default=""),
        sa.Column("reviewed_by", name, nullable=False, server_default=""),
        sa.Column("reviewed_at", sa.BigInteger(), nullable=True),
        sa.Column("review_comment", sa.Text(), nullable=False, server_default=""),
    ):
        op.add_column("plan", column)
    op.create_index("ix_plan_change_history", "plan_change", ["package", "platform", "to_version"])
    op.create_table(
        "package_hold",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("platform", name, nullable=False),
        sa.Column("package", name, nullable=False),
        sa.Column("versions", name, nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("owner", name, nullable=False),
        sa.Column("created_by", name, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("confirmed_by", name, nullable=False),
        sa.Column("confirmed_at", sa.BigInteger(), nullable=True),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("revoked_by", name, nullable=False),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.Column("revoke_reason", sa.Text(), nullable=False),
        sa.Column("plan_id", sa.Integer(), nullable=True),
        sa.Column("ring", word, nullable=False),
        sa.ForeignKeyConstraint(["plan_id"], ["plan.id"], name="fk_package_hold_plan_id_plan"),
        sa.PrimaryKeyConstraint("id", name="pk_package_hold"),
    )
    op.create_index("ix_package_hold_expires_at", "package_hold", ["expires_at"])
    op.create_table(
        "planning_policy",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", name, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("document", sa.JSON(), nullable=False),
        sa.Column("made_at", sa.BigInteger(), nullable=False),
        sa.Column("made_by", name, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_planning_policy"),
        sa.UniqueConstraint("name", "version", name="uq_planning_policy_name_version"),
    )
    op.create_table(
        "planning_occasion",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("policy", name, nullable=False),
        sa.Column("occasion", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("plan_id", sa.Integer(), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["plan_id"], ["plan.id"], name="fk_planning_occasion_plan_id_plan"),
        sa.PrimaryKeyConstraint("id", name="pk_planning_occasion"),
        sa.UniqueConstraint("policy", "occasion", name="uq_planning_occasion_policy_occasion"),
    )


def downgrade() -> None:
    op.drop_table("planning_occasion")
    op.drop_table("planning_policy")
    op.drop_table("package_hold")
    op.drop_index("ix_plan_change_history", "plan_change")
    for name in (
        "review_comment",
        "reviewed_at",
        "reviewed_by",
        "broken_reason",
        "broken_at",
        "broken_by",
        "superseded_by",
        "policy",
        "terms",
    ):
        op.drop_column("plan", name)
