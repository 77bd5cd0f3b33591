"""Cursor paging: a page goes on after the last row of the one before, however deep it is."""

import base64
import binascii
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import ColumnElement, Select, String, and_, or_

from patchmgr.domain.numbers import LARGEST_ID
from patchmgr.errors import InputError

Line = TypeVar("Line")
PAGE = 50  # rows
_INTEGERS = 2**63  # what a database's integer holds


@dataclass(frozen=True, slots=True)
class Page(Generic[Line]):
    """Some lines of a listing, the true number of all, and where the next page begins."""

    lines: tuple[Line, ...]
    total: int
    next: str | None = None  # cursor; None: this is the last page


def encode(values: Sequence[Any]) -> str:
    """Return an opaque cursor for the sort values of a row."""
    text = json.dumps(list(values), separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode(cursor: str, length: int) -> list[Any]:
    """Return the sort values of ``cursor``. Raises `InputError` unless they are ``length``."""
    try:
        values = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (binascii.Error, UnicodeDecodeError, ValueError) as error:
        raise InputError({"cursor": "is not one that a page gave"}) from error
    if not isinstance(values, list) or len(values) != length or not all(map(_sortable, values)):
        raise InputError({"cursor": "is not one that this listing gave"})
    return values


def decode_id(cursor: str) -> int:
    """Return the id that ``cursor`` goes on from. Raises `InputError`."""
    (value,) = decode(cursor, 1)
    return checked_id(value)


def checked_id(value: object) -> int:
    """Return ``value`` of a cursor if it can be an id. Raises `InputError`."""
    if not isinstance(value, int) or abs(value) > LARGEST_ID:
        raise InputError({"cursor": "is not one that this listing gave"})
    return value


def _sortable(value: object) -> bool:
    """Return whether a database can compare ``value``; a cursor comes from outside."""
    if isinstance(value, int):
        return not isinstance(value, bool) and abs(value) < _INTEGERS
    if not isinstance(value, str) or "\0" in value:
        return False
    return value == value.encode("utf-8", "ignore").decode("utf-8")  # no half of a surrogate pair


def any_of(rows: Select[Any]) -> ColumnElement[bool]:
    """Return the condition that there is one of ``rows``, asked for each line as it comes up.

    Other than `exists`, which a planner may answer by reading all there are for a page of few.
    """
    return rows.limit(1).scalar_subquery().is_not(None)


def after(
    columns: Sequence[Any],
    values: Sequence[Any],
    *,
    descending: Sequence[bool],
) -> ColumnElement[bool]:
    """Return the condition for rows that sort after ``values``; no column may be null.

    ``columns`` are mapped or computed. Raises `InputError` for a value that is none of its column:
    anyone can write a cursor.
    """
    for column, value in zip(columns, values, strict=True):
        if isinstance(value, str) is not isinstance(column.type, String):
            raise InputError({"cursor": "is not one that this listing gave"})
    alternatives = []
    for position, (column, value, down) in enumerate(zip(columns, values, descending, strict=True)):
        same = [c == v for c, v in zip(columns[:position], values[:position], strict=True)]
        alternatives.append(and_(*same, column < value if down else column > value))
    return or_(*alternatives)
