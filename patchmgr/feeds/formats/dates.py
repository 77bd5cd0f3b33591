"""Dates as vendors write them."""

from datetime import UTC, datetime


def instant(text: str) -> datetime | None:
    """Return the UTC instant of an ISO 8601 date or time, midnight for a date; else None."""
    try:
        at = datetime.fromisoformat(text.strip())
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
