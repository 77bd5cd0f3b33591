"""Times that people type: on the wall clock of the viewer's zone, as browsers send them."""

from datetime import UTC, datetime

from patchmgr.errors import InputError
from web.context import zone


def read(text: str, field: str) -> datetime:
    """Return the instant of ``2026-03-02T14:30`` (or a day alone: its start) in UTC.

    A time that carries its own offset keeps it. Raises `InputError` naming ``field``.
    """
    try:
        local = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise InputError({field: f"{text!r} is no time; write it as 2026-03-02 14:30"}) from error
    try:
        return (local if local.tzinfo else local.replace(tzinfo=zone())).astimezone(UTC)
    except OverflowError as error:
        raise InputError({field: f"{text!r} is out of range"}) from error


def typed(at: datetime) -> str:
    """Return ``at`` as a ``datetime-local`` field holds it, in the viewer's zone."""
    return f"{at.astimezone(zone()):%Y-%m-%dT%H:%M}"
