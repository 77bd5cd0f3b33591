"""The time zones of iCalendar files: what IANA calls them, and their rules as VTIMEZONE.

Outlook and Exchange write the names of Windows (``W. Europe Standard Time``), others put the name
into a path (``/example.org/Tzfile/Europe/Berlin``), or beside the zone's rules (X-LIC-LOCATION).
A zone that is known by its rules alone has no name here: many places share them.

Source: CLDR's windowsZones, as the package ``icalendar`` has them; RFC 5545, 3.6.5 (VTIMEZONE).
"""

from calendar import monthrange
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from icalendar import Component, Timezone, TimezoneDaylight, TimezoneStandard, vRecur
from icalendar.timezone.windows_to_olson import WINDOWS_TO_OLSON

from patchmgr.domain.rules import zone_exists

TOLD = range(1970, 2051)  # years whose changes of the clock a file has
_STEP = timedelta(days=7)  # no zone changes its clock twice within a week
_SECOND = timedelta(seconds=1)
_FEW_YEARS = 5  # fewer are no rule
_WEEKDAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")

_Change = tuple[timedelta, timedelta, str, bool]  # offset from, to; what it is called; daylight

_OTHERS = {"tzone://Microsoft/Utc": "UTC"}
_LONGEST = 3  # parts of a name: America/Argentina/Salta


@dataclass(frozen=True, slots=True)
class Zones:
    """The zones of one file; ``places`` are those that it gives for names of its own."""

    places: Mapping[str, str]

    def name(self, said: str) -> str:
        """Return the IANA name of the zone that a file calls ``said``; "" when it is not known."""
        for text in (said, self.places.get(said, "")):
            found = _OTHERS.get(text) or WINDOWS_TO_OLSON.get(text) or _in_path(text)
            if found and zone_exists(found):
                return found
        return ""


def _in_path(text: str) -> str:
    """Return the longest end of a path that is a zone; a plain name is its own."""
    parts = text.split("/")
    if text and text[0] != "/":
        return text
    ends = ("/".join(parts[-count:]) for count in range(min(_LONGEST, len(parts) - 1), 0, -1))
    return next((end for end in ends if zone_exists(end)), "")


@lru_cache(maxsize=256)
def definition(name: str) -> Timezone:
    """Return the rules of a zone, which a file must have of each that it names."""
    zone, told = ZoneInfo(name), Timezone()
    told.add("tzid", name)
    since = datetime(TOLD.start, 1, 1, tzinfo=UTC)
    offset = _offset(since, zone)
    onsets: dict[_Change, list[datetime]] = {
        (offset, offset, "", False): [datetime(TOLD.start, 1, 1)]  # noqa: DTZ001 -- wall clock
    }
    for before, at in _changes(zone, since):
        local = at.astimezone(zone)
        key = before, _offset(at, zone), local.tzname() or "", bool(local.dst())
        onsets.setdefault(key, []).append((at + before).replace(tzinfo=None))
    for change, starts in onsets.items():
        single, rule = _yearly(starts)
        if single:
            told.add_component(_part(change, starts[:single], ""))
        if rule:
            told.add_component(_part(change, starts[single:], rule))
    return told


def _part(change: _Change, starts: Sequence[datetime], rule: str) -> Component:
    """Return one change of the clock, on single days or each year; ``starts`` as it was before."""
    before, after, called, is_daylight = change
    part = TimezoneDaylight() if is_daylight else TimezoneStandard()
    part.add("dtstart", starts[0])
    part.add("tzoffsetfrom", before)
    part.add("tzoffsetto", after)
    if called:
        part.add("tzname", called)
    if rule:
        part["RRULE"] = vRecur.from_ical(rule)
    elif starts[1:]:
        part.add("rdate", starts[1:])
    return part


def _yearly(starts: Sequence[datetime]) -> tuple[int, str]:
    """Return how many of ``starts`` come before those of each year to the end, and their rule."""
    found = len(starts), ""
    if starts[-1].year != TOLD[-1]:
        return found
    for is_from_end in (True, False):
        rule, first = _rule(starts[-1], is_from_end=is_from_end), len(starts) - 1
        while (
            first
            and _follows(starts[first - 1], starts[first])
            and rule == _rule(starts[first - 1], is_from_end=is_from_end)
        ):
            first -= 1
        if first < found[0] and len(starts) - first >= _FEW_YEARS:
            found = first, rule
    return found


def _follows(one: datetime, other: datetime) -> bool:
    return one.year + 1 == other.year and one.time() == other.time()


def _rule(at: datetime, *, is_from_end: bool) -> str:
    days = monthrange(at.year, at.month)[1]
    nth = -((days - at.day) // 7 + 1) if is_from_end else (at.day - 1) // 7 + 1
    return f"FREQ=YEARLY;BYDAY={nth}{_WEEKDAYS[at.weekday()]};BYMONTH={at.month}"


def _changes(zone: ZoneInfo, since: datetime) -> Iterator[tuple[timedelta, datetime]]:
    """Yield each change of the clock in the years `TOLD`: the offset before, and when."""
    early, before = since, _offset(since, zone)
    while early.year in TOLD:
        late = early + _STEP
        if _offset(late, zone) != before:
            first, last = early, late
            while last - first > _SECOND:
                middle = (first + (last - first) / 2).replace(microsecond=0)
                if _offset(middle, zone) == before:
                    first = middle
                else:
                    last = middle
            yield before, last
            before = _offset(last, zone)
        early = late


def _offset(at: datetime, zone: ZoneInfo) -> timedelta:
    return at.astimezone(zone).utcoffset() or timedelta(0)
