"""The lines of an iCalendar file: events with the properties that windows and freezes have.

Lines are numbered, so that what is refused is named where it stands. What is inside an event
(alarms) and beside events (tasks) is passed over, and of a property that nothing is read from also
what is malformed or too long: programs write whole web pages and crooked names there.

Source: RFC 5545, 3.1 (content lines), 3.6.1 (events).
"""

import re
from codecs import BOM_UTF8
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NoReturn

from icalendar.parser import Contentline

from patchmgr.errors import BadFileError, BadRow

LARGEST = 2_000_000  # bytes of a file
MOST_EVENTS = 2_000
LONGEST_LINE = 20_000  # characters, unfolded
DEEPEST = 8  # components within one another
_WANTED = frozenset((
    "BEGIN", "END", "DTSTART", "DTEND", "DURATION", "RRULE", "EXDATE", "RDATE", "EXRULE",
    "RECURRENCE-ID", "SUMMARY", "DESCRIPTION", "UID", "STATUS", "TZID", "X-LIC-LOCATION",
    "X-WR-TIMEZONE",
))  # fmt: skip
_NAME = re.compile(r"[A-Za-z0-9-]+(?=[;:])")


@dataclass(frozen=True, slots=True)
class Property:
    """One line: its name and value, and its parameters by name in capitals."""

    row: int
    name: str
    value: str
    parameters: dict[str, str]


@dataclass(slots=True)
class RawEvent:
    """An event's properties in order."""

    row: int
    properties: list[Property] = field(default_factory=list)

    def all(self, name: str) -> list[Property]:
        return [one for one in self.properties if one.name == name]

    def one(self, name: str) -> Property | None:
        """Return the first property of that name."""
        return next(iter(self.all(name)), None)

    def text(self, name: str) -> str:
        """Return the text of a property without its escapes; "" when there is none."""
        found = self.one(name)
        return "" if found is None else _unescaped(found.value).strip()


@dataclass(frozen=True, slots=True)
class RawCalendar:
    """What a file has of events, and the zone that it names for times without one."""

    zone: str
    events: tuple[RawEvent, ...]
    places: Mapping[str, str]  # a zone of the file -> where it says that is (X-LIC-LOCATION)


def read(file: str, body: bytes) -> RawCalendar:
    """Return the events of ``body``. Raises `BadFileError` when it is no iCalendar file."""
    if len(body) > LARGEST:
        raise BadFileError(file, [BadRow(0, "", "", f"is larger than {LARGEST:,} bytes")])
    reading = _Reading(file)
    for row, line in _unfolded(body.removeprefix(BOM_UTF8)):
        if (one := _property(file, row, line)) is not None:
            reading.take(one)
    if reading.inside or not reading.is_begun:
        raise BadFileError(file, [BadRow(0, "", "", "is cut off, or no iCalendar file")])
    return RawCalendar(reading.zone, tuple(reading.events), reading.places)


@dataclass(slots=True)
class _Reading:
    """How far a file is read."""

    file: str
    zone: str = ""
    inside: list[str] = field(default_factory=list)  # components that are open
    events: list[RawEvent] = field(default_factory=list)
    places: dict[str, str] = field(default_factory=dict)
    is_begun: bool = False
    _place_of: str = ""  # the time zone that is being told of

    def take(self, one: Property) -> None:
        if one.name == "BEGIN":
            self._begin(one)
        elif not self.inside:
            self._refuse(one, "begins no VCALENDAR")
        elif one.name == "END":
            if self.inside.pop() != one.value.upper():
                self._refuse(one, "ends what did not begin")
        elif self.inside == ["VCALENDAR", "VEVENT"]:
            self.events[-1].properties.append(one)
        elif self.inside == ["VCALENDAR"] and one.name == "X-WR-TIMEZONE":
            self.zone = one.value.strip()
        elif self.inside == ["VCALENDAR", "VTIMEZONE"]:
            if one.name == "TZID":
                self._place_of = one.value.strip()
            elif one.name == "X-LIC-LOCATION":
                self.places[self._place_of] = one.value.strip()

    def _begin(self, one: Property) -> None:
        self.inside.append(one.value.upper())
        self.is_begun = True
        if self.inside[0] != "VCALENDAR" or len(self.inside) > DEEPEST:
            self._refuse(one, "begins no VCALENDAR, or too much within one another")
        if self.inside == ["VCALENDAR", "VEVENT"]:
            self.events.append(RawEvent(one.row))
            if len(self.events) > MOST_EVENTS:
                self._refuse(one, f"is one of more than {MOST_EVENTS:,} events")

    def _refuse(self, one: Property, why: str) -> NoReturn:
        raise BadFileError(self.file, [BadRow(one.row, one.name, one.value[:80], why)])


def _unfolded(body: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield (number of its first line, line) of a file whose long lines go on after a space.

    Before it is decoded: some programs fold in the middle of a character (RFC 5545, 3.1).
    """
    start, parts = 0, list[bytes]()
    for number, raw in enumerate(body.split(b"\n"), 1):
        line = raw.removesuffix(b"\r")
        if line[:1] in (b" ", b"\t") and parts:
            parts.append(line[1:])
            continue
        if parts:
            yield start, b"".join(parts)
        start, parts = number, [line] if line.strip() else []
    if parts:
        yield start, b"".join(parts)


def _property(file: str, row: int, raw: bytes) -> Property | None:
    """Return a line's property; None where nothing is read from it."""
    try:
        line = raw.decode()
    except UnicodeDecodeError as error:
        raise BadFileError(file, [BadRow(row, "", "", "is not UTF-8")]) from error
    if (named := _NAME.match(line)) and named[0].upper() not in _WANTED:
        return None
    if len(line) > LONGEST_LINE:
        raise BadFileError(file, [BadRow(row, "", line[:40], "is too long a line")])
    try:
        name, parameters, value = Contentline(line).parts()  # type: ignore[no-untyped-call] # a bare def
    except (ValueError, KeyError) as error:
        raise BadFileError(file, [BadRow(row, "", line[:80], "is no line of iCalendar")]) from error
    plain = {key.upper(): str(each) for key, each in parameters.items()}
    return Property(row, name.upper(), str(value), plain)


def _unescaped(value: str) -> str:
    found, escaped = [], False
    for sign in value:
        if escaped:
            found.append("\n" if sign in "nN" else sign)
        elif sign != "\\":
            found.append(sign)
        escaped = sign == "\\" and not escaped
    return "".join(found)
