"""Reads the windows and freezes of a scenario (docs/simulation.md)."""

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any

from patchmgr.domain import rules
from patchmgr.domain.freezes import RecurringFreeze, Times
from patchmgr.domain.rings import ANY_TIME, OWN_WINDOW
from patchmgr.domain.simulation.fields import (
    each_of,
    located,
    read_instant,
    read_length,
    read_table,
    read_word,
    read_words,
)
from patchmgr.domain.windows import Freeze, Window
from patchmgr.errors import InputError

MOST_WINDOWS = 2000
DEFAULT_ZONE = "UTC"
_TIMES = ("rrule", "duration", "zone", "exdates", "first")


def read_windows(documents: object) -> dict[str, Window]:
    """Return the windows by name. Raises `InputError`."""
    found: dict[str, Window] = {}
    for at, one in each_of(documents, "windows", MOST_WINDOWS):
        row = read_table(one, at, ("name", *_TIMES))
        _need(row, ("name", "rrule", "duration"), at, "a window")
        name = read_word(row["name"], f"{at}.name")
        if name in found or name in (OWN_WINDOW, ANY_TIME):
            raise InputError({f"{at}.name": f"{name!r} is taken already"})
        times = _times(row, at)
        with located(at, is_table=True):
            found[name] = Window(name, *times)
    return found


def read_freezes(documents: object, start: datetime, end: datetime) -> tuple[Freeze, ...]:
    """Return the freezes, those that recur each time that they hold until ``end``.

    Raises `InputError`.
    """
    found: list[Freeze] = []
    for at, one in each_of(documents, "freezes", MOST_WINDOWS):
        row = read_table(one, at, ("name", "from", "until", "reason", *_TIMES))
        name = read_word(row.get("name", "freeze"), f"{at}.name")
        reason = read_word(row.get("reason", name), f"{at}.reason")
        if "rrule" in row:
            if both := [key for key in ("from", "until") if key in row]:
                why = "a freeze is once, from and until, or recurs: rrule and duration"
                raise InputError({f"{at}.{both[0]}": why})
            _need(row, ("duration",), at, "a freeze that recurs")
            times = _times(row, at)
            with located(at, is_table=True):
                again = RecurringFreeze(Times(name, *times), reason)
            found += again.occurrences(start, end)
            continue
        _need(row, ("from", "until"), at, "a freeze")
        starts = read_instant(row["from"], f"{at}.from")
        ends = read_instant(row["until"], f"{at}.until")
        with located(at, is_table=True):
            found.append(Freeze(name, starts, ends, reason))
    return tuple(found)


def _need(row: Mapping[str, Any], keys: tuple[str, ...], at: str, what: str) -> None:
    for key in keys:
        if key not in row:
            raise InputError({f"{at}.{key}": f"{what} needs it"})


def _times(row: Mapping[str, Any], at: str) -> tuple[str, timedelta, str, tuple[str, ...], str]:
    """Return rule, duration, zone, excluded starts and first one."""
    rule = read_word(row["rrule"], f"{at}.rrule")
    zone = read_word(row.get("zone", DEFAULT_ZONE), f"{at}.zone")
    duration = read_length(row["duration"], f"{at}.duration")
    named = read_words(_written(row.get("exdates", [])), f"{at}.exdates")
    excluded = [_wall(text, f"{at}.exdates") for text in named]
    first = read_word(_written(row.get("first", "")), f"{at}.first")
    since = _wall(first, f"{at}.first") if first else ""
    return rule, duration, zone, tuple(sorted(set(excluded))), since


def _written(value: object) -> object:
    """Return days and times as text: TOML has values of their own for them."""
    if isinstance(value, list):
        return [_written(one) for one in value]
    return value.isoformat() if isinstance(value, date) else value


def _wall(text: str, at: str) -> str:
    try:
        return rules.wall_text(text)
    except ValueError as error:
        raise InputError({at: f"{text!r} is no time on a wall clock"}) from error
