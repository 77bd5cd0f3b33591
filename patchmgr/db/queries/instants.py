"""What holds as it is now, or held as of an instant."""

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, or_


def held(table: Any, at: datetime | None) -> ColumnElement[bool]:
    """Return the condition for rows that held at ``at``."""
    if at is None:
        return table.until.is_(None)  # type: ignore[no-any-return] # a mapped class
    return and_(table.since <= at, or_(table.until.is_(None), table.until > at))
