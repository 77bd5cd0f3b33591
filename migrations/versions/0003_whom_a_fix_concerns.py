"""Statements say whom they concern; packages and hosts say what that is compared with.

What vendors publish beside Debian narrows a fix by architecture, module stream and entitlement, and
two advisories may tell of one flaw.

Revision ID: 0003
Revises: 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def text_of(length: int) -> sa.types.TypeEngine[str]:
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


COLUMNS: dict[str, dict[str, tuple[sa.types.TypeEngine[str], str]]] = {
    "advisory": {"kind": (text_of(64), "security"), "aliases": (sa.Text(), "")},
    "fix": {
        "last_affected": (text_of(200), ""),
        "arch": (sa.Text(), ""),
        "module": (text_of(200), ""),
        "channel": (text_of(64), ""),
        "after": (text_of(64), ""),
    },
    "package_version": {"module": (text_of(200), ""), "origin": (text_of(200), "")},
    "judgement": {"folded": (sa.Text(), "")},
}


def upgrade() -> None:
    for table, columns in COLUMNS.items():
        for name, (kind, default) in columns.items():
            op.add_column(
                table, sa.Column(name, kind, nullable=False, server_default=sa.text(f"'{default}'"))
            )
    op.add_column(
        "host", sa.Column("entitlements", sa.JSON(), nullable=False, server_default=sa.text("'[]'"))
    )


def downgrade() -> None:
    op.drop_column("host", "entitlements")
    for table, columns in COLUMNS.items():
        for name in columns:
            op.drop_column(table, name)
