"""What a database says, without the numbers of its rows: equal for equal content."""

import hashlib
import re
from collections import Counter
from collections.abc import Collection
from typing import Any

from sqlalchemy import Column, Table, select
from sqlalchemy.orm import Session

from patchmgr.db import models  # noqa: F401 -- registers every table
from patchmgr.db.base import Base

# Numbers of rows that are no foreign keys, by what they number.
NUMBERS = {
    "judged_set_id": "package_set",
    "counted_set_id": "package_set",
    "fact_set_id": "fact_set",
    "offer_set_id": "offer_set",
    "candidate_id": "candidate",
}
FIRST = ("fact_set", "offer_set", "candidate")  # so that those who number them come later
# How the same is stored, in numbers, how far somebody has read, and hashes over numbers, which
# `patchmgr db check` looks at.
LEFT_OUT = {
    ("package_set", "members"),
    ("package_set", "base_id"),
    ("package_set", "lacks"),
    ("package_set", "sketch"),
    ("offer_set", "members"),
    ("feed", "revision_id"),
    ("feed", "known_version_id"),
    ("scan_run", "package_version_id"),
    ("scan_run", "feed_revision_id"),
    ("audit_entry", "previous"),
    ("audit_entry", "hash"),
}

REVISION = re.compile(r"'revision': \d+, ")  # in the audit log; a sequence leaves numbers out

Content = dict[str, Counter[str]]
Names = dict[str, dict[Any, str]]


def content(session: Session, without: Collection[str] = ()) -> Content:
    """Return the rows of each table, those they refer to named by their own content."""
    names: Names = {}
    found: Content = {}
    for table in sorted(Base.metadata.sorted_tables, key=lambda each: each.name not in FIRST):
        rows = dict(_rows(session, table, names))
        names[table.name] = {
            number: hashlib.sha256(row.encode()).hexdigest()[:12] for number, row in rows.items()
        }
        if table.name not in without:
            found[table.name] = Counter(rows.values())
    return found


def _rows(session: Session, table: Table, names: Names) -> list[tuple[Any, str]]:
    own = tuple(table.primary_key)
    number = own[0] if len(own) == 1 and not own[0].foreign_keys and own[0].name == "id" else None
    kept = [
        column
        for column in table.columns
        if column is not number and (table.name, column.name) not in LEFT_OUT
    ]
    referred = {column: _referred(column) for column in kept}
    found = []
    for row in session.execute(select(table)).mappings():
        parts = []
        for column in kept:
            value, other = row[column.name], referred[column]
            if other is not None and value is not None:
                value = "its own" if other == table.name else names[other].get(value, "nothing")
            parts.append(REVISION.sub("", f"{column.name}={value!r}"))
        found.append((tuple(row[each.name] for each in own), " ".join(parts)))
    return [(key[0] if len(key) == 1 else key, row) for key, row in found]


def _referred(column: Column[Any]) -> str | None:
    """Return the table whose rows ``column`` numbers."""
    for key in column.foreign_keys:
        return key.column.table.name
    return NUMBERS.get(column.name)


def difference(one: Content, other: Content) -> list[str]:
    """Return some of the rows that only one of both has, table by table."""
    lines = []
    for name in one:
        for sign, rows in (("-", one[name] - other[name]), ("+", other[name] - one[name])):
            lines += [f"{sign} {name}: {row[:400]}" for row in list(rows)[:2]]
    return lines
