"""Maintenance windows and freezes: when a host may change, and when nothing may.

A window recurs on the wall clock of a zone (`patchmgr.domain.rules`) and stays open for an elapsed
time. It may have further recurrences beside its own, each with a zone and a length of its own: it
is open when one of them is. A host that names several windows has them united in one.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, ClassVar

from patchmgr.domain import rules
from patchmgr.domain.rules import Recurrence
from patchmgr.errors import InputError

LONGEST = timedelta(days=7)
MOST_PARTS = 50  # recurrences of one window
LONGEST_NAMES = 200  # characters of all that a host has
SEPARATOR = ";"  # between the names of windows that a host has

Opening = tuple[datetime, datetime]  # UTC: from, until (exclusive)


@dataclass(frozen=True, slots=True)
class Window:
    """A recurrence on the wall clock of ``zone``, and how long it stays open each time.

    Raises `InputError`.
    """

    name: str
    rrule: str  # RFC 5545 rule without DTSTART, such as "FREQ=WEEKLY;BYDAY=SA;BYHOUR=22"
    duration: timedelta  # elapsed time, also on days that daylight saving makes longer or shorter
    zone: str  # IANA name
    exdates: tuple[str, ...] = ()  # days, or starts, on the wall clock, that do not open it
    first: str = ""  # DTSTART on the wall clock: what the rule counts from; nothing opens before it
    also: "tuple[Window, ...]" = ()  # further recurrences, which have none of their own

    LONGEST: ClassVar[timedelta] = LONGEST
    LONGEST_NAME: ClassVar[int] = 64  # characters

    def __post_init__(self) -> None:
        longest_name = LONGEST_NAMES if self.also else self.LONGEST_NAME
        problems = {
            "name": not (0 < len(self.name) <= longest_name and self.name.isprintable())
            and f"1 to {longest_name} printable characters",
            "duration": not timedelta(0) < self.duration < self.LONGEST
            and f"longer than nothing and shorter than {self.LONGEST.days} days",
            "also": (len(self.also) >= MOST_PARTS or any(one.also for one in self.also))
            and f"at most {MOST_PARTS} recurrences, and none within another",
            **rules.complaints(self.recurrence),
        }
        if found := {field: why for field, why in problems.items() if why}:
            raise InputError(found)

    @property
    def recurrence(self) -> Recurrence:
        return Recurrence(self.rrule, self.zone, self.first, self.exdates)

    @property
    def parts(self) -> "tuple[Window, ...]":
        """Return each recurrence as a window of its own."""
        return (replace(self, also=(), name=self.name[:64]), *self.also) if self.also else (self,)

    @property
    def longest(self) -> timedelta:
        """Return how long the longest of its recurrences stays open."""
        return max(one.duration for one in (self, *self.also))

    def to_json(self) -> dict[str, Any]:
        """Return the canonical form, as it enters a plan's content hash."""
        document: dict[str, Any] = {
            "name": self.name,
            "rrule": self.rrule,
            "duration": self.duration // timedelta(seconds=1),  # seconds
            "zone": self.zone,
        }
        # Left out where there are none: plans made before there were any keep their hash.
        if self.exdates:
            document["exdates"] = list(self.exdates)
        if self.first:
            document["first"] = self.first
        if self.also:
            document["also"] = [one.to_json() for one in self.also]
        return document


def from_json(document: Mapping[str, Any]) -> Window:
    """Return the window whose canonical form is ``document``."""
    return Window(
        document["name"],
        document["rrule"],
        timedelta(seconds=document["duration"]),
        document["zone"],
        tuple(document.get("exdates", ())),
        document.get("first", ""),
        tuple(from_json(one) for one in document.get("also", ())),
    )


def united(name: str, windows: Sequence[Window]) -> Window:
    """Return the window that is open when one of ``windows`` is. Raises `InputError`."""
    first, *others = [part for window in windows for part in window.parts]
    return replace(first, name=name, also=tuple(others))


def canonical(names: str) -> str:
    """Return the names of windows, separated by semicolons, in order and each once."""
    return SEPARATOR.join(sorted({name.strip() for name in names.split(SEPARATOR) if name.strip()}))


class Windows(Mapping[str, Window]):
    """Windows by name; several names, separated by semicolons, give the union of theirs."""

    def __init__(self, windows: Mapping[str, Window]) -> None:
        self._windows = dict(windows)
        self._united: dict[str, Window] = {}

    def __getitem__(self, key: str) -> Window:
        if key in self._windows:
            return self._windows[key]
        if len(key) > LONGEST_NAMES:
            raise KeyError(key)
        if key not in self._united:
            windows = [self._windows[name] for name in canonical(key).split(SEPARATOR)]
            if sum(len(one.parts) for one in windows) > MOST_PARTS:
                raise KeyError(key)
            self._united[key] = united(key, windows)
        return self._united[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._windows)

    def __len__(self) -> int:
        return len(self._windows)

    def complaint(self, names: str) -> str:
        """Return why ``names`` have no window; "" when they have one."""
        if names in self:
            return ""
        missing = [name for name in canonical(names).split(SEPARATOR) if name not in self._windows]
        if not missing and len(names) > LONGEST_NAMES:
            return f"the names of its windows are longer than {LONGEST_NAMES} characters"
        if not missing:
            return f"its maintenance windows have more than {MOST_PARTS} recurrences together"
        said = " and ".join(map(repr, missing))
        if len(missing) > 1:
            return f"its maintenance windows {said} do not exist"
        return f"its maintenance window {said} does not exist"


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
            "until": self.ends <= self.starts and "must be later than the start",
        }
        if found := {field: why for field, why in problems.items() if why}:
            raise InputError(found)

    def covers(self, at: datetime) -> bool:
        return self.starts <= at < self.ends


def openings(window: Window, after: datetime, before: datetime) -> tuple[Opening, ...]:
    """Return the openings that lie at least in part between ``after`` and ``before``, in order.

    Those that overlap or touch are one.
    """
    found = sorted(
        opening for one in (window, *window.also) for opening in _openings_of(one, after, before)
    )
    joined: list[Opening] = []
    for start, end in found:
        if joined and start <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(end, joined[-1][1])
        else:
            joined.append((start, end))
    return tuple(joined)


def open_until(window: Window, at: datetime) -> datetime | None:
    """Return when ``window``, open at ``at``, closes; None when it is closed.

    An opening that begins before another ends goes on with it. No more than `LONGEST` is looked
    ahead, so a window that never closes is open at least so long.
    """
    end = _covered_until(window, at)
    while end is not None and end < at + LONGEST:
        further = _covered_until(window, end)
        if further is None:
            break
        end = further
    return end


def next_opening(window: Window, after: datetime) -> Opening | None:
    """Return the first opening that starts at or after ``after``; None when the rule has ended."""
    found = [
        (start, start + one.duration)
        for one in (window, *window.also)
        for start, _ in islice(rules.starts(one.recurrence, after), 1)
    ]
    if not found:
        return None
    start, end = min(found)
    return start, open_until(window, start) or end


def _openings_of(window: Window, after: datetime, before: datetime) -> Iterator[Opening]:
    for start, _ in rules.starts(window.recurrence, after - window.duration):
        if start >= before:
            return
        if start + window.duration > after:
            yield start, start + window.duration


def _covered_until(window: Window, at: datetime) -> datetime | None:
    """Return the last end of the openings that ``at`` is in; None when it is in none."""
    found = openings(window, at, at + timedelta(seconds=1))
    return next((end for start, end in reversed(found) if start <= at), None)
