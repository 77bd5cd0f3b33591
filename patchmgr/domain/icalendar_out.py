"""Windows, freezes and planned rings as iCalendar.

The same input gives the same bytes: an event's stamp is when it was last changed. Times of windows
and recurring freezes are on the wall clock of their zone (TZID is the IANA name, and the file has
its rules); a single freeze and a ring are in UTC.

Source: RFC 5545, 3.6.1 (events), 3.8.7.4 (SEQUENCE).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from icalendar import Calendar, Event, vRecur
from icalendar.prop import vDuration, vText

from patchmgr.domain import rules
from patchmgr.domain.freezes import RecurringFreeze
from patchmgr.domain.icalendar_zones import definition
from patchmgr.domain.rules import Recurrence, rule_parts
from patchmgr.domain.windows import Freeze, Window

PRODUCT = "-//patchmgr//calendar//EN"
MEDIA = "text/calendar"
NAME = "patchmgr.ics"
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Version:
    """Which event it is, and how new: its UID stays the same as long as the thing exists."""

    uid: str
    changed: datetime
    sequence: int


@dataclass(frozen=True, slots=True)
class Happening:
    """Something that comes once, such as a ring of a plan."""

    title: str
    starts: datetime
    ends: datetime
    words: str
    is_certain: bool = True  # else its times are expected


def uid(kind: str, number: int | str, created: datetime) -> str:
    """Return an identity that no other installation's thing has either, as far as can be."""
    return f"{kind}-{number}-{created:%Y%m%dT%H%M%S%f}@patchmgr"


def window_events(window: Window, version: Version) -> list[Event]:
    """Return an event for each recurrence of ``window``, all with its name."""
    return [
        _recurring(
            one,
            Version(f"{number or ''}{version.uid}", version.changed, version.sequence),
            window.name,
            _exact(one.duration),
        )
        for number, one in enumerate(window.parts)
    ]


def freeze_event(freeze: Freeze | RecurringFreeze, version: Version) -> Event:
    """Return the event of a freeze."""
    if isinstance(freeze, Freeze):
        happening = Happening(freeze.name, freeze.starts, freeze.ends, freeze.reason)
        event = happening_event(happening, version)
    else:
        times = freeze.times
        event = _recurring(times, version, freeze.name, _nominal(times.duration))
        event.add("description", freeze.reason)
    event["TRANSP"] = vText("OPAQUE")
    return event


def happening_event(one: Happening, version: Version) -> Event:
    """Return the event of something that comes once."""
    event = _event(version, one.title)
    event.add("dtstart", one.starts.astimezone(UTC).replace(microsecond=0))
    event.add("dtend", one.ends.astimezone(UTC).replace(microsecond=0))
    event.add("description", one.words)
    event.add("status", "CONFIRMED" if one.is_certain else "TENTATIVE")
    return event


def written(events: Iterable[Event], name: str) -> bytes:
    """Return a whole iCalendar file.

    One without events has the definition of UTC: RFC 5545, 3.6, wants one component at least.
    """
    calendar = Calendar()
    calendar.add("prodid", PRODUCT)
    calendar.add("version", "2.0")
    calendar.add("x-wr-calname", name)
    listed = list(events)
    zones = {str(one["DTSTART"].params.get("TZID", "")) for one in listed} - {""}
    for zone in sorted(zones if listed else {"UTC"}):
        calendar.add_component(definition(zone))
    for event in listed:
        calendar.add_component(event)
    return bytes(calendar.to_ical())


def _event(version: Version, title: str) -> Event:
    event = Event()
    event.add("uid", version.uid)
    event.add("summary", title)
    for name in ("dtstamp", "last-modified"):
        event.add(name, version.changed.astimezone(UTC).replace(microsecond=0))
    event.add("sequence", version.sequence)
    return event


def _recurring(window: Window, version: Version, title: str, duration: str) -> Event:
    event = _event(version, title)
    zone = ZoneInfo(window.zone)
    first = first_start(window)
    event.add("dtstart", first.replace(tzinfo=UTC if window.zone == "UTC" else zone))
    event["DURATION"] = vText(duration)
    event["RRULE"] = vRecur.from_ical(_rule(window, zone))
    excluded = _excluded(window, first)
    if excluded:
        event.add("exdate", [each.replace(tzinfo=UTC if window.zone == "UTC" else zone)
                             for each in excluded])  # fmt: skip
    return event


def first_start(window: Window) -> datetime:
    """Return the first start of a window on its wall clock, one that is excluded too."""
    bare = Recurrence(window.rrule, window.zone, window.first)
    since = rules.EPOCH.replace(tzinfo=UTC)
    if window.first:
        since = rules.instant(datetime.fromisoformat(window.first), ZoneInfo(window.zone))
    return next(rules.starts(bare, since))[1]


def _rule(window: Window, zone: ZoneInfo) -> str:
    """Return the rule as iCalendar has it: UNTIL in UTC, and nothing left to the first day.

    A rule without a first day begins at midnight; its first start need not say so of itself.
    """
    parts: dict[str, Any] = rule_parts(window.rrule)
    if at := rules.until_of(parts.get("UNTIL"), zone):
        parts["UNTIL"] = f"{at:%Y%m%dT%H%M%SZ}"
    else:
        parts.pop("UNTIL", None)
    return ";".join(f"{name}={value}" for name, value in parts.items())


def _excluded(window: Window, first: datetime) -> Sequence[datetime]:
    """Return the excluded starts: for a day all that the rule has on it."""
    bare = Recurrence(window.rrule, window.zone, window.first)
    zone = ZoneInfo(window.zone)
    found: list[datetime] = []
    for text in window.exdates:
        if "T" in text:
            found.append(datetime.fromisoformat(text))
            continue
        begin = datetime.combine(date.fromisoformat(text), datetime.min.time())
        # A start that daylight saving moves belongs to the day that its rule says.
        for _, local in rules.starts(bare, rules.instant(begin, zone) - _DAY):
            if local >= begin + _DAY:
                break
            if local >= begin:
                found.append(local)
    return sorted({each for each in found if each >= first})


def _exact(duration: timedelta) -> str:
    """Return elapsed time: in hours and less, which no calendar counts on the wall clock."""
    seconds = duration // timedelta(seconds=1)
    parts = ((seconds // 3600, "H"), (seconds // 60 % 60, "M"), (seconds % 60, "S"))
    return "PT" + "".join(f"{count}{unit}" for count, unit in parts if count)


def _nominal(duration: timedelta) -> str:
    return vDuration(duration).to_ical().decode()  # type: ignore[no-untyped-call, no-any-return]
