"""Windows with exceptions and several recurrences, windows by rule, freezes that recur.

Revision ID: 0017
Revises: 0016
"""

import sqlalchemy as sa
from alembic import op
from alembic.operations import BatchOperations

revision = "0017"
down_revision = "0016"

SHORT, LONG = 64, 200  # characters of the windows that a host names


def text(length: int) -> sa.types.TypeEngine[str]:
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def upgrade() -> None:
    _name(SHORT, LONG)
    with op.batch_alter_table("maintenance_window") as batch:
        for name in ("exdates", "also"):
            batch.add_column(sa.Column(name, sa.JSON(), nullable=False, server_default="[]"))
        batch.add_column(sa.Column("first", text(64), nullable=False, server_default=""))
        _add_versions(batch)
    with op.batch_alter_table("freeze") as batch:
        batch.add_column(sa.Column("recurrence", sa.JSON(), nullable=True))
        _add_versions(batch)
    for table in ("maintenance_window", "freeze"):
        row = sa.table(table, sa.column("created_at"), sa.column("changed_at"))
        op.execute(row.update().values(changed_at=row.c.created_at))
    # What there is from now on is written by the program, so no column keeps a default.
    for table, names in (
        ("maintenance_window", ("exdates", "also", "first", "changed_at", "revision")),
        ("freeze", ("changed_at", "revision")),
    ):
        with op.batch_alter_table(table) as batch:
            for name in names:
                batch.alter_column(name, server_default=None)
    op.create_table(
        "window_rule",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("window", text(200), nullable=False),
        sa.Column("fields", sa.JSON(), nullable=False),
        sa.Column("created_by", text(200), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_window_rule")),
    )


def downgrade() -> None:
    op.drop_table("window_rule")
    # A freeze that recurs cannot be said any more; it becomes one that holds as long as it would.
    with op.batch_alter_table("freeze") as batch:
        for name in ("recurrence", "changed_at", "revision"):
            batch.drop_column(name)
    with op.batch_alter_table("maintenance_window") as batch:
        for name in ("exdates", "also", "first", "changed_at", "revision"):
            batch.drop_column(name)
    for table in ("host", "task"):
        row = sa.table(table, sa.column("window", sa.String()))
        op.execute(row.update().values(window=sa.func.substr(row.c.window, 1, SHORT)))
    _name(LONG, SHORT)


def _name(before: int, after: int) -> None:
    with op.batch_alter_table("host") as batch:
        batch.alter_column("window", existing_type=text(before), type_=text(after))
    with op.batch_alter_table("task") as batch:
        batch.alter_column("window", existing_type=sa.String(before), type_=sa.String(after))


def _add_versions(batch: BatchOperations) -> None:
    batch.add_column(sa.Column("changed_at", sa.BigInteger(), nullable=False, server_default="0"))
    batch.add_column(sa.Column("revision", sa.Integer(), nullable=False, server_default="0"))
