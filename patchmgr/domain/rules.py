"""Recurrence rules on the wall clock of a zone: when they begin.

A start that daylight saving skips begins at the end of the gap; a repeated one begins once, at the
first of the two. A rule without a first day counts from a fixed one: `EPOCH`, a Monday. Every
second week (``INTERVAL=2``) therefore means the weeks that are an even number away from it, for
every rule alike, and a rule that does not name an hour begins at midnight. A first day (DTSTART)
fixes what is counted from, and says what the rule leaves out.

Source: RFC 5545, 3.3.10 (recurrence rules), 3.8.5.1 (EXDATE); PEP 495 (gaps and folds).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from math import prod
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from dateutil.rrule import rrule, rrulestr

EPOCH = datetime(2020, 1, 6)  # noqa: DTZ001 -- a wall clock, of whichever zone the rule is in
HORIZON_YEARS = 10  # looked ahead: 29 February is 8 away at most, on a Saturday up to 40
MOST_EXDATES = 500
YEARS = range(1970, 2201)  # of a first day and of excluded ones

# A rule whose parts contradict each other is run through until the year 9999. The calendar, with
# its weekdays, repeats every 400 years: so late, there is little left to run through.
_CYCLE, _LATEST = 400, 9899

_PERIODS = ("YEARLY", "MONTHLY", "WEEKLY", "DAILY", "HOURLY")
_DAYS = {  # a rule of this frequency must have one of these when there is no first day to ask
    "YEARLY": ("BYYEARDAY", "BYWEEKNO", "BYMONTHDAY", "BYDAY"),
    "MONTHLY": ("BYMONTHDAY", "BYDAY"),
    "WEEKLY": ("BYDAY",),
}
_PARTS = frozenset(
    (
        "FREQ",
        "INTERVAL",
        "UNTIL",
        "BYMONTH",
        "BYWEEKNO",
        "BYYEARDAY",
        "BYMONTHDAY",
        "BYDAY",
        "BYHOUR",
        "BYMINUTE",
        "BYSECOND",
        "BYSETPOS",
        "WKST",
    )
)
_WEEKDAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
_LENGTHS = {"WEEKLY": timedelta(weeks=1), "DAILY": timedelta(days=1), "HOURLY": timedelta(hours=1)}


@dataclass(frozen=True, slots=True)
class Recurrence:
    """A valid rule and what it is counted with; `complaints` says whether it is one."""

    rrule: str
    zone: str
    first: str = ""  # wall clock, ISO 8601; "": counted from `EPOCH`
    exdates: tuple[str, ...] = ()  # wall clock: days, or starts as the rule says them


def starts(recurrence: Recurrence, after: datetime) -> Iterator[tuple[datetime, datetime]]:
    """Yield (instant in UTC, wall clock as the rule says it) at or after ``after``, ascending.

    Each instant comes once. Raises `ValueError` if ``after`` is naive.
    """
    if after.tzinfo is None:
        raise ValueError(f"naive datetime: {after}")
    zone = ZoneInfo(recurrence.zone)
    parts = filled(recurrence.rrule, recurrence.first)
    until = until_of(parts.pop("UNTIL", None), zone)
    excluded = frozenset(recurrence.exdates)
    # A start that the gap moves may lie on the wall clock before ``after``, hence the day's margin.
    wall = after.astimezone(zone).replace(tzinfo=None) - timedelta(days=1)
    if recurrence.first:
        wall = max(wall, datetime.fromisoformat(recurrence.first))
    last = None
    horizon = datetime(wall.year + HORIZON_YEARS, 1, 1)  # noqa: DTZ001 -- wall clock
    anchor = _anchor(parts, wall, recurrence.first)
    late_by = (_LATEST - horizon.year) // _CYCLE * _CYCLE
    rule = _rule(_text(parts), _years_on(anchor, late_by), _years_on(horizon, late_by))
    for found in rule.xafter(_years_on(wall, late_by), inc=True):
        local = _years_on(found, -late_by)
        start = instant(local, zone)
        if until is not None and start > until:
            return
        if excluded and (f"{local:%Y-%m-%d}" in excluded or local.isoformat() in excluded):
            continue
        if start >= after and start != last:
            last = start
            yield start, local


def instant(local: datetime, zone: ZoneInfo) -> datetime:
    """Return when ``zone`` first shows ``local``, or the end of the gap that ``local`` is in."""
    first = local.replace(tzinfo=zone).astimezone(UTC)
    if first.astimezone(zone).replace(tzinfo=None) == local:
        return first
    # In a gap: read with the offset after it, the time lies before the change; halve in between.
    before = local.replace(tzinfo=zone, fold=1).astimezone(UTC)
    old = before.astimezone(zone).utcoffset()
    while first - before > timedelta(seconds=1):
        middle = before + (first - before) // 2
        middle = middle.replace(microsecond=0)
        if middle.astimezone(zone).utcoffset() == old:
            before = middle
        else:
            first = middle
    return first


def rule_parts(text: str) -> dict[str, str]:
    """Return the parts of a recurrence rule by their names, both in capitals."""
    parts = {}
    for part in text.strip().upper().removeprefix("RRULE:").split(";"):
        name, _, value = part.partition("=")
        parts[name.strip()] = value.strip()
    return parts


def filled(text: str, first: str) -> dict[str, str]:
    """Return the parts of a rule, and those that it leaves to its first day."""
    parts = rule_parts(text)
    if not first:
        return parts
    start, freq = datetime.fromisoformat(first), parts.get("FREQ", "")
    if not any(name in parts for name in _DAYS["YEARLY"]):
        if freq == "YEARLY":
            parts.setdefault("BYMONTH", str(start.month))
        if freq in ("YEARLY", "MONTHLY"):
            parts["BYMONTHDAY"] = str(start.day)
        if freq == "WEEKLY":
            parts["BYDAY"] = _WEEKDAYS[start.weekday()]
    if freq != "HOURLY":
        parts.setdefault("BYHOUR", str(start.hour))
    parts.setdefault("BYMINUTE", str(start.minute))
    parts.setdefault("BYSECOND", str(start.second))
    return parts


def complaints(recurrence: Recurrence) -> dict[str, str]:
    """Return what is wrong with each part of a recurrence; empty when nothing is."""
    found = {
        "zone": ""
        if zone_exists(recurrence.zone)
        else f"{recurrence.zone!r} is no IANA time zone, such as Europe/Berlin or UTC",
        "first": _wall_complaint(recurrence.first, days=False) if recurrence.first else "",
        "exdates": _exdates_complaint(recurrence.exdates),
    }
    # A first day that is none cannot say what the rule leaves out.
    found["rrule"] = "" if found["first"] else _rule_complaint(recurrence.rrule, recurrence.first)
    problems = {name: why for name, why in found.items() if why}
    if not problems:
        begins = datetime(2024, 1, 1, tzinfo=UTC)
        if recurrence.first:
            begins = instant(datetime.fromisoformat(recurrence.first), ZoneInfo(recurrence.zone))
        if next(starts(recurrence, begins), None) is None:
            return {"rrule": f"{recurrence.rrule!r} does not open within {HORIZON_YEARS} years"}
    return problems


def wall_text(text: str) -> str:
    """Return a day or a time on a wall clock as it is kept: ``2026-12-25``, or with the seconds.

    Raises `ValueError`.
    """
    text = text.strip()
    if len(text) == len("2026-12-25"):
        return date.fromisoformat(text).isoformat()
    at = datetime.fromisoformat(text)
    if at.tzinfo is not None or at.microsecond:
        raise ValueError("a time on the wall clock has no offset and no fractions of a second")
    return at.isoformat()


def zone_exists(name: str) -> bool:
    """Return whether ``name`` is an IANA time zone that this machine knows."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def _anchor(parts: Mapping[str, str], wall: datetime, first: str) -> datetime:
    """Return a start for the rule before ``wall``, whole intervals away from what it counts from.

    The rule then need not be run through from its first day on, and still falls on the same days.
    """
    epoch = _count_from(parts, first)
    interval = int(parts.get("INTERVAL", "1"))
    freq = parts["FREQ"]
    if freq in ("YEARLY", "MONTHLY"):
        months = interval * (12 if freq == "YEARLY" else 1)
        passed = (wall.year - epoch.year) * 12 + wall.month - epoch.month
        total = epoch.month - 1 + (passed // months - 1) * months
        return epoch.replace(year=epoch.year + total // 12, month=total % 12 + 1)
    period = _LENGTHS[freq]
    return epoch + ((wall - epoch) // (period * interval) - 1) * period * interval


def _count_from(parts: Mapping[str, str], first: str) -> datetime:
    """Return the beginning of the period that a rule counts its intervals from."""
    if not first:
        return EPOCH
    start = datetime.fromisoformat(first).replace(minute=0, second=0)
    match parts["FREQ"]:
        case "HOURLY":
            return start
        case "MONTHLY":
            return start.replace(day=1, hour=0)
        case "YEARLY":
            return start.replace(month=1, day=1, hour=0)
        case "WEEKLY":
            since = (start.weekday() - _WEEKDAYS.index(parts.get("WKST", "MO"))) % 7
            return start.replace(hour=0) - timedelta(days=since)
    return start.replace(hour=0)


def _years_on(at: datetime, years: int) -> datetime:
    return at.replace(year=at.year + years)


@lru_cache(maxsize=512)
def _rule(text: str, anchor: datetime, horizon: datetime) -> rrule:
    rule = rrulestr(text, dtstart=anchor)
    assert isinstance(rule, rrule)  # noqa: S101 -- rrulestr gives a set only for several rules
    return rule.replace(until=horizon)


def _text(parts: Mapping[str, str]) -> str:
    return ";".join(f"{name}={value}" for name, value in parts.items() if name != "UNTIL")


def until_of(value: str | None, zone: ZoneInfo) -> datetime | None:
    """Return until when a rule begins; None when that is for ever, as past all `YEARS`."""
    if not value:
        return None
    if "T" in value:
        wall = datetime.strptime(value.removesuffix("Z"), "%Y%m%dT%H%M%S")  # noqa: DTZ007 -- it gets one
    else:
        day = date(int(value[:4]), int(value[4:6]), int(value[6:]))
        wall = datetime(day.year, day.month, day.day, 23, 59, 59)  # noqa: DTZ001 -- it gets one
    if wall.year >= YEARS.stop:
        return None
    if value.endswith("Z") or wall.year < YEARS.start:
        return wall.replace(tzinfo=UTC)
    return wall.replace(tzinfo=zone).astimezone(UTC)


def _rule_complaint(text: str, first: str) -> str:
    """Return what is wrong with a rule, "" when nothing is."""
    if "\n" in text or len(text) > 500:
        return "one rule on one line, without DTSTART"
    parts = filled(text, first)
    if problem := _parts_complaint(parts, text):
        return problem
    try:
        until_of(parts.get("UNTIL"), ZoneInfo("UTC"))
        _rule(_text(parts), _count_from(parts, first), EPOCH)
    except (ValueError, TypeError, KeyError, OverflowError) as error:
        return f"{text!r} is no RFC 5545 recurrence rule: {error}"
    return f"{text!r} never opens" if _has_no_such_time(parts) else ""


def _has_no_such_time(parts: Mapping[str, str]) -> bool:
    """Return whether ``BYSETPOS`` asks for a later time than an hour or a day has.

    Looking for the first start would run through every hour until the year 9999.
    """
    times = {"HOURLY": ("BYMINUTE", "BYSECOND"), "DAILY": ("BYHOUR", "BYMINUTE", "BYSECOND")}
    if "BYSETPOS" not in parts or parts["FREQ"] not in times:
        return False
    most = prod(len(parts.get(name, "0").split(",")) for name in times[parts["FREQ"]])
    return all(abs(int(place)) > most for place in parts["BYSETPOS"].split(","))


def _parts_complaint(parts: Mapping[str, str], text: str) -> str:
    freq = parts.get("FREQ", "")
    if "COUNT" in parts:
        return "COUNT has no meaning here, a window has no first day; use UNTIL"
    if freq not in _PERIODS:
        return f"{text!r} needs FREQ=HOURLY, DAILY, WEEKLY, MONTHLY or YEARLY"
    if unknown := sorted(name for name in parts if name not in _PARTS):
        return f"{unknown[0]!r} is no part of an RFC 5545 recurrence rule that a window can have"
    if freq in _DAYS and not any(name in parts for name in _DAYS[freq]):
        return f"FREQ={freq} must name the day, for example with BYDAY=SA"
    interval = parts.get("INTERVAL", "1")
    if not (interval.isascii() and interval.isdigit() and 1 <= int(interval) <= 1000):
        return f"INTERVAL={interval} is not a whole number from 1 to 1000"
    return ""


def _exdates_complaint(exdates: tuple[str, ...]) -> str:
    if len(exdates) > MOST_EXDATES:
        return f"at most {MOST_EXDATES} excluded starts"
    return next((why for text in exdates if (why := _wall_complaint(text, days=True))), "")


def _wall_complaint(text: str, *, days: bool) -> str:
    """Return why ``text`` is no time on a wall clock as `wall_text` gives it; "" when it is."""
    example = "2026-12-25 or 2026-12-25T22:00" if days else "2026-12-25T22:00"
    try:
        good = wall_text(text) == text and int(text[:4]) in YEARS and (days or "T" in text)
    except ValueError:
        good = False
    return "" if good else f"{text!r} is no time on a wall clock; write it as {example}"
