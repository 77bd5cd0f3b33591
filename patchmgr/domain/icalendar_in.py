"""Windows and freezes from iCalendar events.

A time without a zone, and a day, is on the wall clock of the zone that the reader names, else the
file, else UTC. COUNT becomes UNTIL. A changed instance (RECURRENCE-ID) is excluded from its event,
and an event of its own unless it is cancelled. What cannot be kept exactly is refused with its
line: single dates beside a rule (RDATE), a change of all later instances, a first day that its own
rule does not name, zones that only the file knows.

Source: RFC 5545, 3.8.2 (times), 3.8.4.4 (changed instances), 3.8.5 (recurrences).
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from typing import TypeVar
from zoneinfo import ZoneInfo

from dateutil.rrule import rrulestr
from icalendar import vDuration

from patchmgr.domain import rules
from patchmgr.domain.freezes import RecurringFreeze, Times
from patchmgr.domain.icalendar_lines import Property, RawEvent, read
from patchmgr.domain.icalendar_zones import Zones
from patchmgr.domain.rules import Recurrence, rule_parts, zone_exists
from patchmgr.domain.windows import Freeze, Window, united
from patchmgr.errors import BadFileError, BadRow, InputError

MOST_COUNT = 10_000  # instances that a rule may count
_DAY = timedelta(days=1)
_REFUSED = {
    "RDATE": "single dates beside a rule cannot be kept; make an event of each",
    "EXRULE": "a rule of exceptions cannot be kept; exclude each start (EXDATE)",
}

T = TypeVar("T")
Value = datetime | date


class _Refusal(Exception):  # noqa: N818 -- it never leaves this module
    """Why an event cannot be kept, at one of its lines."""

    def __init__(self, row: int, column: str, value: str, remedy: str) -> None:
        super().__init__(remedy)
        self.bad = BadRow(row, column, value, remedy)


@dataclass(frozen=True, slots=True)
class _Event:
    """What an event says, on a wall clock."""

    name: str
    first: datetime
    zone: str
    duration: timedelta
    rule: str  # "" for an event that comes once
    exdates: tuple[str, ...]
    reason: str


def windows(file: str, body: bytes, zone: str = "") -> list[Window]:
    """Return the windows that a file's events say; events of one name are one window.

    ``zone`` is that of times without one. Raises `BadFileError` naming every line it refuses.
    """

    def made(event: _Event) -> Window:
        rule = event.rule or f"FREQ=DAILY;UNTIL={event.first:%Y%m%dT%H%M%S}"
        window = Window(
            event.name,
            rule,
            event.duration,
            event.zone,
            event.exdates,
            event.first.isoformat(),
        )
        return _without_first(window)

    by_name: dict[str, list[Window]] = {}
    for one in _read(file, body, zone, made):
        by_name.setdefault(one.name, []).append(one)
    return [each[0] if len(each) == 1 else united(name, each) for name, each in by_name.items()]


def freezes(file: str, body: bytes, zone: str = "") -> list[Freeze | RecurringFreeze]:
    """Return the freezes that a file's events say. Raises `BadFileError` as `windows` does."""

    def made(event: _Event) -> Freeze | RecurringFreeze:
        reason = event.reason or f"imported from {file}"
        if not event.rule:
            there = ZoneInfo(event.zone)
            days, rest = divmod(event.duration, _DAY)
            starts = rules.instant(event.first, there)
            ends = rules.instant(event.first + days * _DAY, there) + rest if days else starts + rest
            return Freeze(event.name, starts, ends, reason)
        first = event.first.isoformat()
        times = Times(event.name, event.rule, event.duration, event.zone, event.exdates, first)
        return RecurringFreeze(_without_first(times), reason)

    return _read(file, body, zone, made)


def _read(file: str, body: bytes, zone: str, made: Callable[[_Event], T]) -> list[T]:
    if zone and not zone_exists(zone):
        raise InputError({"zone": f"{zone!r} is no IANA time zone, such as Europe/Berlin or UTC"})
    calendar = read(file, body)
    zones = Zones(calendar.places)
    usual = zone or zones.name(calendar.zone) or "UTC"
    changed: dict[str, list[Property]] = defaultdict(list)  # UID -> instances of it
    found: list[T] = []
    bad: list[BadRow] = []
    for raw in calendar.events:
        for line in raw.all("RECURRENCE-ID"):
            changed[raw.text("UID")].append(line)
            if "RANGE" in line.parameters:
                remedy = "a change of all later instances cannot be kept; end the event before them"
                bad.append(BadRow(line.row, line.name, line.value, remedy))
    for raw in calendar.events:
        if raw.text("STATUS").upper() == "CANCELLED":
            continue
        instances = [] if raw.one("RECURRENCE-ID") else changed[raw.text("UID")]
        try:
            found.append(made(_Reader(raw, usual, zones).event(instances)))
        except _Refusal as error:
            bad.append(error.bad)
        except InputError as error:
            bad += [BadRow(raw.row, name, "", why) for name, why in error.problems.items()]
    if bad:
        raise BadFileError(file, bad)
    return found


@dataclass(frozen=True, slots=True)
class _Reader:
    """One event, and whose wall clock its times are on."""

    raw: RawEvent
    usual: str  # zone of times without one
    zones: Zones

    def event(self, instances: Sequence[Property]) -> _Event:
        """Return what the event says; ``instances`` of it are told by other events."""
        raw = self.raw
        for name, remedy in _REFUSED.items():
            for one in raw.all(name):
                raise _Refusal(one.row, name, one.value, remedy)
        begins = raw.one("DTSTART")
        if begins is None:
            raise _Refusal(raw.row, "DTSTART", "", "an event needs it")
        start, own = self._time(begins, begins.value, self.usual)
        is_day = not isinstance(start, datetime)
        first = datetime.combine(start, datetime.min.time()) if is_day else start
        assert isinstance(first, datetime)  # noqa: S101 -- a day was made one
        lines = [] if raw.one("RECURRENCE-ID") else raw.all("RRULE")
        if len(lines) > 1:
            raise _Refusal(lines[1].row, "RRULE", lines[1].value, "one rule for each event")
        exdates = {*self._starts(raw.all("EXDATE"), own), *self._starts(instances, own)}
        rule = _rule(lines[0], first, own) if lines else ""
        if lines:
            _check_first(begins, Recurrence(rule, own, first.isoformat()), first)
        return _Event(
            raw.text("SUMMARY") or raw.text("UID"),
            first,
            own,
            self._duration(start, first, ZoneInfo(own)),
            rule,
            tuple(sorted(exdates)),
            raw.text("DESCRIPTION"),
        )

    def _time(self, line: Property, text: str, zone: str) -> tuple[Value, str]:
        """Return a time on a wall clock, and whose it is; a day as it is."""
        text = text.strip()
        said = line.parameters.get("TZID", "")
        named = self.zones.name(said)
        if said and not named:
            remedy = f"the zone {said!r} is no IANA time zone; put one there, such as Europe/Berlin"
            raise _Refusal(line.row, line.name, text, remedy)
        try:
            if len(text) == len("20261125"):
                day = datetime.strptime(text, "%Y%m%d").date()  # noqa: DTZ007 -- wall
                return day, named or zone
            if text.endswith("Z"):
                return datetime.strptime(text, "%Y%m%dT%H%M%SZ"), "UTC"  # noqa: DTZ007 -- wall
            return datetime.strptime(text, "%Y%m%dT%H%M%S"), named or zone  # noqa: DTZ007 -- wall
        except ValueError as error:
            remedy = "is no time; write 20261125T220000, with Z for UTC"
            raise _Refusal(line.row, line.name, text, remedy) from error

    def _duration(self, start: Value, first: datetime, there: ZoneInfo) -> timedelta:
        ends, lasts = self.raw.one("DTEND"), self.raw.one("DURATION")
        if ends is not None:
            value, zone = self._time(ends, ends.value, there.key)
            if isinstance(value, datetime) is not isinstance(start, datetime):
                remedy = "is not of DTSTART's kind, day or time"
                raise _Refusal(ends.row, "DTEND", ends.value, remedy)
            if not isinstance(value, datetime):
                return datetime.combine(value, first.time()) - first
            if zone == there.key and (value - first) >= _DAY:
                return value - first  # whole days are those of the wall clock
            return rules.instant(value, ZoneInfo(zone)) - rules.instant(first, there)
        if lasts is not None:
            try:
                found = vDuration.from_ical(lasts.value)  # type: ignore[no-untyped-call] # a bare def
            except (ValueError, OverflowError) as error:
                remedy = "is no duration, such as PT4H"
                raise _Refusal(lasts.row, "DURATION", lasts.value, remedy) from error
            if isinstance(found, timedelta):
                return found
        if not isinstance(start, datetime):
            return _DAY
        raise _Refusal(self.raw.row, "DTEND", "", "an event needs an end or a duration")

    def _starts(self, lines: Iterable[Property], zone: str) -> Iterable[str]:
        """Yield the starts that ``lines`` name, on the wall clock of ``zone``."""
        for line in lines:
            for text in line.value.split(","):
                value, own = self._time(line, text, zone)
                if isinstance(value, datetime) and own != zone:
                    there = rules.instant(value, ZoneInfo(own)).astimezone(ZoneInfo(zone))
                    value = there.replace(tzinfo=None)
                yield value.isoformat()


def _rule(line: Property, first: datetime, zone: str) -> str:
    """Return a rule that needs no counting of instances."""
    parts = rule_parts(line.value)
    count = parts.pop("COUNT", None)
    rule = ";".join(f"{name}={value}" for name, value in parts.items())
    problems = rules.complaints(Recurrence(rule, zone, first.isoformat()))
    if problems:
        raise _Refusal(line.row, "RRULE", line.value, "; ".join(problems.values()))
    if count is None:
        return rule
    if not (count.isascii() and count.isdigit() and 1 <= int(count) <= MOST_COUNT):
        remedy = f"COUNT={count} is not a whole number from 1 to {MOST_COUNT}"
        raise _Refusal(line.row, "RRULE", line.value, remedy)
    if "UNTIL" in parts:
        raise _Refusal(line.row, "RRULE", line.value, "has COUNT and UNTIL; only one can be")
    filled = rules.filled(rule, first.isoformat())
    text = ";".join(f"{name}={value}" for name, value in filled.items())
    last = first
    for last in islice(rrulestr(text, dtstart=first), int(count)):
        if last.year not in rules.YEARS:
            raise _Refusal(line.row, "RRULE", line.value, "counts too far")
    return f"{rule};UNTIL={last:%Y%m%dT%H%M%S}"


def _check_first(begins: Property, recurrence: Recurrence, first: datetime) -> None:
    """Refuse a first day that its own rule does not name: what it then means is not defined."""
    since = rules.instant(first, ZoneInfo(recurrence.zone))
    found = next(rules.starts(recurrence, since), None)
    if found is None or found[1] != first:
        remedy = "is not among the starts that its RRULE names; begin with one that is"
        raise _Refusal(begins.row, "DTSTART", begins.value, remedy)


W = TypeVar("W", bound=Window)


def _without_first(window: W) -> W:
    """Return ``window`` without its first day where the rule alone means the same.

    That is so when the rule says everything, and `rules.EPOCH` is counted from in any case.
    """
    bare = Recurrence(window.rrule, window.zone)
    if rules.complaints(bare):
        return window
    found = next(rules.starts(bare, rules.EPOCH.replace(tzinfo=UTC)), None)
    if found is None or found[1] != datetime.fromisoformat(window.first):
        return window
    return replace(window, first="")
