"""Exceptions: decisions not to act yet, the tags that they name, and how many findings they cover.

Revision ID: 0006
Revises: 0005
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def text_of(length: int) -> sa.types.TypeEngine[str]:
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


NAME, WORD = text_of(200), text_of(64)


def upgrade() -> None:
    op.create_table(
        "finding_exception",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("type", WORD, nullable=False),
        sa.Column("cve", WORD, nullable=False),
        sa.Column("advisory", NAME, nullable=False),
        sa.Column("package", NAME, nullable=False),
        sa.Column("host_id", sa.Integer(), nullable=True),
        sa.Column("tag", NAME, nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("owner", NAME, nullable=False),
        sa.Column("created_by", NAME, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("approved_by", NAME, nullable=False),
        sa.Column("approved_at", sa.BigInteger(), nullable=True),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("revoked_by", NAME, nullable=False),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.Column("revoke_reason", sa.Text(), nullable=False),
        sa.Column("counted", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["host_id"], ["host.id"], name=op.f("fk_finding_exception_host_id_host")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_finding_exception")),
    )
    op.create_index(
        "ix_finding_exception_scope", "finding_exception", ["advisory", "package", "cve"]
    )
    op.create_index("ix_finding_exception_expires", "finding_exception", ["expires_at"])
    op.create_index(op.f("ix_finding_exception_host_id"), "finding_exception", ["host_id"])
    op.create_table(
        "host_tag",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("host_id", sa.Integer(), nullable=False),
        sa.Column("tag", NAME, nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["host_id"], ["host.id"], name=op.f("fk_host_tag_host_id_host")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_host_tag")),
    )
    op.create_index("ix_host_tag_host_tag", "host_tag", ["host_id", "tag"])
    op.add_column(
        "host_count",
        sa.Column("excepted", sa.Integer(), nullable=False, server_default=sa.text("0")),
    )


def downgrade() -> None:
    op.drop_column("host_count", "excepted")
    op.drop_table("host_tag")
    op.drop_table("finding_exception")
