"""Maintenance windows and freezes: when a host may change, and when nothing may.

A window recurs on the wall clock of a zone and stays open for an elapsed time. A start that
daylight saving skips opens at the end of the gap; a repeated one opens once, at the first of the
two. A window has no first day, so its rule counts from a fixed one: `EPOCH`, a Monday. Every
second week (``INTERVAL=2``) therefore means the weeks that are an even number away from it, for
every window alike, and a rule that does not name an hour opens at midnight.

Source: RFC 5545, 3.3.10 (recurrence rules); PEP 495 (gaps and folds).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from dateutil.rrule import rrule, rrulestr

from patchmgr.errors import InputError

EPOCH = datetime(2020, 1, 6)  # noqa: DTZ001 -- a wall clock, of whichever zone the window is in
LONGEST = timedelta(days=7)
HORIZON_YEARS = 10  # a rule that does not open within them never opens (29 February)

_PERIODS = ("YEARLY", "MONTHLY", "WEEKLY", "DAILY", "HOURLY")
_DAYS = {  # a rule of this frequency must have one of these, since there is no first day to ask
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

Opening = tuple[datetime, datetime]  # UTC: from, until (exclusive)


@dataclass(frozen=True, slots=True)
class Window:
    """A recurrence on the wall clock of ``zone``, and how long it stays open each time."""

    name: str
    rrule: str  # RFC 5545 rule without DTSTART, such as "FREQ=WEEKLY;BYDAY=SA;BYHOUR=22"
    duration: timedelta  # elapsed time, also on days that daylight saving makes longer or shorter
    zone: str  # IANA name

    def __post_init__(self) -> None:
        problems = {
            "name": not (0 < len(self.name) <= 64 and self.name.isprintable())
            and "1 to 64 printable characters",
            "duration": not timedelta(0) < self.duration < LONGEST
            and "longer than nothing and shorter than 7 days",
            "zone": not zone_exists(self.zone)
            and f"{self.zone!r} is no IANA time zone, such as Europe/Berlin or UTC",
            "rrule": _complaint(self.rrule),
        }
        if found := {field: why for field, why in problems.items() if why}:
            raise InputError(found)
        if next(_starts(self, datetime(2024, 1, 1, tzinfo=UTC)), None) is None:
            raise InputError({"rrule": f"{self.rrule!r} never opens"})

    def to_json(self) -> dict[str, object]:
        """Return the canonical form, as it enters a plan's content hash."""
        return {
            "name": self.name,
            "rrule": self.rrule,
            "duration": self.duration // timedelta(seconds=1),  # seconds
            "zone": self.zone,
        }


@dataclass(frozen=True, slots=True)
class Freeze:
    """A time in which nothing may change; ``ends`` is exclusive."""

    name: str
    starts: datetime
    ends: datetime
    reason: str

    def __post_init__(self) -> None:
        problems = {
            "name": not (0 < len(self.name) <= 200) and "1 to 200 characters",
            "reason": not self.reason.strip() and "say why, people will ask",
            "until": self.ends <= self.starts and "later than the start",
        }
        if found := {field: why for field, why in problems.items() if why}:
            raise InputError(found)

    def covers(self, at: datetime) -> bool:
        return self.starts <= at < self.ends


def openings(window: Window, after: datetime, before: datetime) -> tuple[Opening, ...]:
    """Return the openings that lie at least in part between ``after`` and ``before``, in order."""
    found = []
    for start in _starts(window, after - window.duration):
        if start >= before:
            break
        if start + window.duration > after:
            found.append((start, start + window.duration))
    return tuple(found)


def open_until(window: Window, at: datetime) -> datetime | None:
    """Return when ``window``, open at ``at``, closes; None when it is closed.

    Of two openings that overlap the later end counts.
    """
    covering = [
        end for start, end in openings(window, at, at + timedelta(seconds=1)) if start <= at
    ]
    return max(covering, default=None)


def next_opening(window: Window, after: datetime) -> Opening | None:
    """Return the first opening that starts at or after ``after``; None when the rule has ended."""
    start = next(_starts(window, after), None)
    return None if start is None else (start, start + window.duration)


def _starts(window: Window, after: datetime) -> Iterator[datetime]:
    """Yield the starts at or after ``after``, ascending, each once, as UTC.

    Raises `ValueError` if ``after`` is naive.
    """
    if after.tzinfo is None:
        raise ValueError(f"naive datetime: {after}")
    zone = ZoneInfo(window.zone)
    parts = rule_parts(window.rrule)
    until = _until(parts.get("UNTIL"), zone)
    # A start that the gap moves may lie on the wall clock before ``after``, hence the day's margin.
    wall = after.astimezone(zone).replace(tzinfo=None) - timedelta(days=1)
    last = None
    horizon = datetime(wall.year + HORIZON_YEARS, 1, 1)  # noqa: DTZ001 -- wall clock
    for local in _rule(window.rrule, _anchor(parts, wall), horizon).xafter(wall, inc=True):
        start = _instant(local, zone)
        if until is not None and start > until:
            return
        if start >= after and start != last:
            last = start
            yield start


def _instant(local: datetime, zone: ZoneInfo) -> datetime:
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


def _anchor(parts: dict[str, str], wall: datetime) -> datetime:
    """Return a start for the rule before ``wall`` that is whole intervals away from `EPOCH`.

    The rule then need not be run through from 2020 on, and still falls on the same days.
    """
    interval = int(parts.get("INTERVAL", "1"))
    freq = parts["FREQ"]
    if freq in ("YEARLY", "MONTHLY"):
        months = interval * (12 if freq == "YEARLY" else 1)
        passed = (wall.year - EPOCH.year) * 12 + wall.month - EPOCH.month
        total = EPOCH.month - 1 + (passed // months - 1) * months
        return EPOCH.replace(year=EPOCH.year + total // 12, month=total % 12 + 1)
    period = {"WEEKLY": timedelta(weeks=1), "DAILY": timedelta(days=1)}.get(
        freq, timedelta(hours=1)
    )
    return EPOCH + ((wall - EPOCH) // (period * interval) - 1) * period * interval


@lru_cache(maxsize=512)
def _rule(text: str, anchor: datetime, horizon: datetime) -> rrule:
    plain = ";".join(
        f"{name}={value}" for name, value in rule_parts(text).items() if name != "UNTIL"
    )
    rule = rrulestr(plain, dtstart=anchor)
    assert isinstance(rule, rrule)  # noqa: S101 -- rrulestr gives a set only for several rules
    return rule.replace(until=horizon)


def rule_parts(text: str) -> dict[str, str]:
    """Return the parts of a recurrence rule by their names, both in capitals."""
    parts = {}
    for part in text.strip().upper().removeprefix("RRULE:").split(";"):
        name, _, value = part.partition("=")
        parts[name.strip()] = value.strip()
    return parts


def _until(value: str | None, zone: ZoneInfo) -> datetime | None:
    if not value:
        return None
    if value.endswith("Z"):
        return datetime.strptime(value, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    if "T" in value:
        return datetime.strptime(value, "%Y%m%dT%H%M%S").replace(tzinfo=zone).astimezone(UTC)
    day = date(int(value[:4]), int(value[4:6]), int(value[6:]))
    return datetime(day.year, day.month, day.day, 23, 59, 59, tzinfo=zone).astimezone(UTC)


def _complaint(text: str) -> str | None:
    """Return what is wrong with a rule, None when nothing is."""
    if "\n" in text or len(text) > 500:
        return "one rule on one line, without DTSTART"
    parts = rule_parts(text)
    if problem := _parts_complaint(parts, text):
        return problem
    try:
        _until(parts.get("UNTIL"), ZoneInfo("UTC"))
        _rule(text, EPOCH, EPOCH)
    except (ValueError, TypeError, KeyError) as error:
        return f"{text!r} is no RFC 5545 recurrence rule: {error}"
    return None


def _parts_complaint(parts: dict[str, str], text: str) -> str | None:
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
    return None


def zone_exists(name: str) -> bool:
    """Return whether ``name`` is an IANA time zone that this machine knows."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True
