"""How many hosts have a package, and each version of it, counted as they change.

Revision ID: 0013
Revises: 0012
"""

from collections import Counter

import numpy as np
import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"

BATCH = 5_000  # rows of a statement


def text(length: int) -> sa.types.TypeEngine[str]:
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def upgrade() -> None:
    op.add_column("host", sa.Column("counted_set_id", sa.Integer(), nullable=True))
    op.create_index("ix_package_version_source", "package_version", ["judged_source"])
    op.create_table(
        "software",
        sa.Column("platform", text(200), nullable=False),
        sa.Column("manager", text(64), nullable=False),
        sa.Column("name", text(200), nullable=False),
        sa.Column("hosts", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("platform", "manager", "name", name=op.f("pk_software")),
    )
    op.create_index("ix_software_name", "software", ["name", "manager"])
    op.create_table(
        "version_count",
        sa.Column("package_version_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("hosts", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["package_version_id"],
            ["package_version.id"],
            name=op.f("fk_version_count_package_version_id_package_version"),
        ),
        sa.PrimaryKeyConstraint("package_version_id", name=op.f("pk_version_count")),
    )
    _count(op.get_bind())


def downgrade() -> None:
    op.drop_table("version_count")
    op.drop_table("software")
    op.drop_index("ix_package_version_source", "package_version")
    op.drop_column("host", "counted_set_id")


def _count(connection: sa.Connection) -> None:
    """Count what the hosts have that are here already."""
    connection.execute(
        sa.text("UPDATE host SET counted_set_id = package_set_id WHERE retired_at IS NULL")
    )
    kinds = {
        number: tuple(kind)
        for number, *kind in connection.execute(
            sa.text("SELECT id, platform, manager, name FROM package_version")
        )
    }
    whole_sets = sa.text("SELECT id, members FROM package_set WHERE base_id IS NULL")
    bases: dict[int, bytes] = dict(connection.execute(whole_sets).all())
    versions: Counter[int] = Counter()
    software: Counter[tuple[str, ...]] = Counter()
    rows = connection.execute(
        sa.text(
            "SELECT base_id, members, lacks, count(*) FROM package_set"
            " JOIN host ON host.counted_set_id = package_set.id"
            " GROUP BY package_set.id, base_id, members, lacks"
        )
    )
    for base_id, more, lacks, hosts in rows:
        whole = np.setdiff1d(_ids(bases.get(base_id, b"")), _ids(lacks))
        members = np.union1d(whole, _ids(more)).tolist()
        for member in members:
            versions[member] += hosts
        for kind in {kinds[member] for member in members}:
            software[kind] += hosts
    for table, names, found in (
        ("version_count", ("package_version_id",), [(each,) for each in versions]),
        ("software", ("platform", "manager", "name"), list(software)),
    ):
        counts = versions.values() if table == "version_count" else software.values()
        filled = sa.table(table, *(sa.column(name) for name in (*names, "hosts")))
        listed = [
            {**dict(zip(names, key, strict=True)), "hosts": hosts}
            for key, hosts in zip(found, counts, strict=True)
        ]
        for start in range(0, len(listed), BATCH):
            connection.execute(filled.insert(), listed[start : start + BATCH])


def _ids(packed: bytes) -> "np.ndarray":
    return np.frombuffer(packed, "<u4")
