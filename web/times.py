"""Times that people type: on the wall clock of the viewer's zone, as browsers send them."""

from datetime import UTC, datetime, time, timedelta

from patchmgr.errors import InputError
from web.context import zone


def read(text: str, field: str, *, of_day: time = time.min) -> datetime:
    """Return the instant of ``2026-03-02T14:30`` (or a day alone: its ``of_day``) in UTC.

    A time that carries its own offset keeps it. Raises `InputError` naming ``field``.
    """
    try:
        local = datetime.fromisoformat(text.strip())
        if not any(sign in text.strip() for sign in "T :"):
            local = datetime.combine(local, of_day)
    except ValueError as error:
        raise InputError({field: f"{text!r} is no time; write it as 2026-03-02 14:30"}) from error
    try:
        return (local if local.tzinfo else local.replace(tzinfo=zone())).astimezone(UTC)
    except OverflowError as error:
        raise InputError({field: f"{text!r} is out of range"}) from error


def as_of(text: str, field: str) -> datetime:
    """Return the instant that a question about the past names; a day alone means its end."""
    return read(text, field, of_day=time.max)


def typed(at: datetime) -> str:
    """Return ``at`` as a ``datetime-local`` field holds it, in the viewer's zone."""
    return f"{at.astimezone(zone()):%Y-%m-%dT%H:%M}"


def typed_as_of(at: datetime) -> str:
    """Return ``at`` likewise, to the second that it is in or begins with.

    What was learnt within that second is known at its end, so a question asked again from the
    field still sees it. The last of a day stays in its day.
    """
    there = at.astimezone(zone())
    whole = there if not there.microsecond else there.replace(microsecond=0) + timedelta(seconds=1)
    return f"{whole if whole.date() == there.date() else there:%Y-%m-%dT%H:%M:%S}"
