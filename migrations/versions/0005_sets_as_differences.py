"""A package set may be stored by what it differs in from another, which is stored whole.

Sets that are stored already stay whole; they have no sketch, so none is a base for new ones.

Revision ID: 0005
Revises: 0004
"""

from array import array

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    with op.batch_alter_table("package_set") as batch:
        batch.add_column(sa.Column("base_id", sa.Integer(), nullable=True))
        for name in ("lacks", "sketch"):
            empty = sa.text("x''" if op.get_bind().dialect.name == "sqlite" else "''")
            column = sa.Column(name, sa.LargeBinary(), nullable=False, server_default=empty)
            batch.add_column(column)
        batch.create_foreign_key(
            "fk_package_set_base_id_package_set", "package_set", ["base_id"], ["id"]
        )
        batch.create_index("ix_package_set_base_id", ["base_id"])


def downgrade() -> None:
    _make_whole(op.get_bind())
    with op.batch_alter_table("package_set") as batch:
        batch.drop_index("ix_package_set_base_id")
        batch.drop_constraint("fk_package_set_base_id_package_set", type_="foreignkey")
        for name in ("sketch", "lacks", "base_id"):
            batch.drop_column(name)


def _make_whole(connection: sa.Connection) -> None:
    """Give each set that is stored as a difference all its members again."""
    table = sa.table(
        "package_set",
        *(sa.column(name, sa.Integer) for name in ("id", "base_id")),
        *(sa.column(name, sa.LargeBinary) for name in ("members", "lacks")),
    )
    base = table.alias()
    rows = connection.execute(
        sa.select(table.c.id, table.c.members, table.c.lacks, base.c.members).join(
            base, base.c.id == table.c.base_id
        )
    ).all()
    for number, more, lacks, whole in rows:
        ids = sorted(set(array("I", whole)) - set(array("I", lacks)) | set(array("I", more)))
        members = array("I", ids).tobytes()
        connection.execute(
            table.update().where(table.c.id == number).values(members=members, lacks=b"")
        )
