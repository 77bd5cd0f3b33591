"""Hosts report by themselves: what a machine says it is, its token, and when two machines clash.

Revision ID: 0010
Revises: 0009
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def text_of(length: int) -> sa.types.TypeEngine[str]:
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


HOSTNAME, NAME, WORD = text_of(253), text_of(200), text_of(64)
OF_HOST = {  # columns that say what the machine said of itself last
    "machine_id": WORD,
    "product_uuid": WORD,
    "boot_id": WORD,
    "reported_name": HOSTNAME,
    "first_address": WORD,
    "last_address": WORD,
}


def upgrade() -> None:
    for name, kind in OF_HOST.items():
        column = sa.Column(name, kind, nullable=False, server_default=sa.text("''"))
        op.add_column("host", column)
    op.add_column("host", sa.Column("report_digest", sa.LargeBinary(32), nullable=True))
    op.create_index(op.f("ix_host_machine_id"), "host", ["machine_id"])
    op.create_index(op.f("ix_host_product_uuid"), "host", ["product_uuid"])
    with op.batch_alter_table("api_token") as batch:
        batch.add_column(sa.Column("kind", WORD, nullable=False, server_default=sa.text("'api'")))
        batch.add_column(sa.Column("host_id", sa.Integer(), nullable=True))
        batch.add_column(sa.Column("uses_left", sa.Integer(), nullable=True))
        batch.add_column(sa.Column("expires_at", sa.BigInteger(), nullable=True))
        batch.create_foreign_key("fk_api_token_host_id_host", "host", ["host_id"], ["id"])
        batch.create_index("ix_api_token_host_id", ["host_id"])
        batch.create_index("ix_api_token_kind", ["kind"])
    op.create_table(
        "host_identity",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("host_id", sa.Integer(), nullable=False),
        sa.Column("hostname", HOSTNAME, nullable=False),
        sa.Column("machine_id", WORD, nullable=False),
        sa.Column("product_uuid", WORD, nullable=False),
        sa.Column("boot_id", WORD, nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("changes", sa.JSON(), nullable=False),
        sa.Column("settled", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["host_id"], ["host.id"], name=op.f("fk_host_identity_host_id_host")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_host_identity")),
    )
    op.create_index(op.f("ix_host_identity_host_id"), "host_identity", ["host_id"])
    op.create_table(
        "identity_conflict",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("key", sa.LargeBinary(32), nullable=False),
        sa.Column("kind", WORD, nullable=False),
        sa.Column("host_id", sa.Integer(), nullable=False),
        sa.Column("hostname", HOSTNAME, nullable=False),
        sa.Column("machine_id", WORD, nullable=False),
        sa.Column("product_uuid", WORD, nullable=False),
        sa.Column("boot_id", WORD, nullable=False),
        sa.Column("address", WORD, nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("state", WORD, nullable=False),
        sa.Column("times", sa.Integer(), nullable=False),
        sa.Column("first_at", sa.BigInteger(), nullable=False),
        sa.Column("last_at", sa.BigInteger(), nullable=False),
        sa.Column("new_name", HOSTNAME, nullable=False),
        sa.Column("resolved_by", NAME, nullable=False),
        sa.Column("resolved_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["host_id"], ["host.id"], name=op.f("fk_identity_conflict_host_id_host")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_identity_conflict")),
    )
    op.create_index(op.f("ix_identity_conflict_key"), "identity_conflict", ["key"])
    op.create_index(op.f("ix_identity_conflict_host_id"), "identity_conflict", ["host_id"])
    op.create_index(op.f("ix_identity_conflict_state"), "identity_conflict", ["state"])


def downgrade() -> None:
    op.drop_table("identity_conflict")
    op.drop_table("host_identity")
    op.execute(sa.text("DELETE FROM api_token WHERE kind <> 'api'"))
    with op.batch_alter_table("api_token") as batch:
        batch.drop_index("ix_api_token_kind")
        batch.drop_index("ix_api_token_host_id")
        batch.drop_constraint("fk_api_token_host_id_host", type_="foreignkey")
        for name in ("expires_at", "uses_left", "host_id", "kind"):
            batch.drop_column(name)
    op.drop_index(op.f("ix_host_product_uuid"), "host")
    op.drop_index(op.f("ix_host_machine_id"), "host")
    for name in ("report_digest", *reversed(OF_HOST)):
        op.drop_column("host", name)
