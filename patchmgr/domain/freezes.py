"""Freezes that recur: month ends, weekends, the days of a release.

A freeze follows the wall clock: whole days of its length are counted there, so that one from Friday
16:00 to Monday 06:00 ends at 06:00 whatever daylight saving does in between. The rest is elapsed
time.

Source: RFC 5545, 3.3.6 (nominal and exact durations).
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar
from zoneinfo import ZoneInfo

from patchmgr.domain import rules
from patchmgr.domain.windows import Freeze, Window
from patchmgr.errors import InputError

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Times(Window):
    """When a freeze recurs: as a window does, but it may last for weeks, on the wall clock."""

    LONGEST: ClassVar[timedelta] = timedelta(days=62)
    LONGEST_NAME: ClassVar[int] = 200


@dataclass(frozen=True, slots=True)
class RecurringFreeze:
    """A freeze that comes again. Raises `InputError`."""

    times: Times
    reason: str
    ended: datetime | None = None  # from when on it holds no longer

    def __post_init__(self) -> None:
        if not self.reason.strip():
            raise InputError({"reason": "say why, people will ask"})

    @property
    def name(self) -> str:
        return self.times.name

    def occurrences(self, after: datetime, before: datetime) -> Iterator[Freeze]:
        """Yield the freezes that lie at least in part between ``after`` and ``before``, in order.

        One that is ended while it holds is cut short.
        """
        zone = ZoneInfo(self.times.zone)
        days, rest = divmod(self.times.duration, _DAY)
        # A day of the wall clock can be longer than one of 24 hours, by as much as a whole day.
        margin = self.times.duration + _DAY
        for starts, local in rules.starts(self.times.recurrence, after - margin):
            if starts >= before or (self.ended is not None and starts >= self.ended):
                return
            ends = rules.instant(local + days * _DAY, zone) + rest if days else starts + rest
            if self.ended is not None:
                ends = min(ends, self.ended)
            if ends > max(after, starts):
                yield Freeze(self.name, starts, ends, self.reason)


@dataclass(frozen=True, slots=True)
class Freezes:
    """What the freezes mean at an instant."""

    frozen: str = ""  # why nothing may change now; empty: it may
    frozen_from: datetime | None = None  # when the next one begins
    since: datetime | None = None  # of those in force the first
    name: str = ""  # of that one


def at_instant(freezes: Iterable[Freeze], at: datetime) -> Freezes:
    """Return what ``freezes`` mean at ``at``: those in force, and when the next one begins."""
    known = sorted(freezes, key=lambda one: (one.starts, one.name))
    in_force = [one for one in known if one.covers(at)]
    frozen = [f"{one.name} until {one.ends:%Y-%m-%d %H:%M} UTC ({one.reason})" for one in in_force]
    later = [one.starts for one in known if one.starts > at]
    first = in_force[0] if in_force else None
    return Freezes(
        "; ".join(frozen),
        min(later, default=None),
        first.starts if first else None,
        first.name if first else "",
    )


def merged(freezes: Sequence[Freeze]) -> list[tuple[datetime, datetime]]:
    """Return the times in which one of ``freezes`` holds at least, in order."""
    joined: list[tuple[datetime, datetime]] = []
    for one in sorted(freezes, key=lambda one: one.starts):
        if joined and one.starts <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(joined[-1][1], one.ends)
        else:
            joined.append((one.starts, one.ends))
    return joined
