"""When something recurring is due: weekly, monthly, or so long after Patch Tuesday.

Patch Tuesday is the second Tuesday of a month, on which the largest vendors publish. Times are on
the wall clock of a zone; one that daylight saving skips comes as much later, a repeated one is the
first of the two. A day that a month does not have is its last.
"""

from calendar import monthrange
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo

from patchmgr.domain.rules import zone_exists
from patchmgr.errors import InputError

DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_TUESDAY = 1


class Every(StrEnum):
    WEEK = "week"
    MONTH = "month"
    PATCH_TUESDAY = "patch-tuesday"


@dataclass(frozen=True, slots=True)
class Schedule:
    """Raises `InputError` for a time, zone or day that cannot be."""

    every: Every
    weekday: str = "monday"  # of a week; after Patch Tuesday the ``nth`` such day that follows it
    nth: int = 1
    day: int = 1  # of a month
    at: time = time(8)
    zone: str = "UTC"

    def __post_init__(self) -> None:
        problems = {
            "weekday": self.weekday not in DAYS and f"one of {', '.join(DAYS)}",
            "nth": not 1 <= self.nth <= 4 and "from 1 to 4",
            "day": not 1 <= self.day <= 31 and "from 1 to 31",
            "zone": not zone_exists(self.zone) and f"{self.zone!r} is no IANA time zone",
        }
        if found := {f"schedule, {name}": why for name, why in problems.items() if why}:
            raise InputError(found)

    @property
    def words(self) -> str:
        """Return it for people: "every Monday at 08:00 (UTC)"."""
        match self.every:
            case Every.WEEK:
                when = f"every {self.weekday.capitalize()}"
            case Every.MONTH:
                when = f"on day {self.day} of each month"
            case Every.PATCH_TUESDAY:
                count = ("first", "second", "third", "fourth")[self.nth - 1]
                when = f"on the {count} {self.weekday.capitalize()} after Patch Tuesday"
        return f"{when} at {self.at:%H:%M} ({self.zone})"

    def to_json(self) -> dict[str, Any]:
        named: dict[str, Any] = {"every": self.every.value}
        if self.every is not Every.MONTH:
            named["weekday"] = self.weekday
        if self.every is Every.PATCH_TUESDAY:
            named["nth"] = self.nth
        if self.every is Every.MONTH:
            named["day"] = self.day
        return {**named, "at": f"{self.at:%H:%M}", "zone": self.zone}


def next_due(schedule: Schedule, last: datetime, now: datetime) -> datetime:
    """Return the occasion to see to next; it is due when that is not after ``now``.

    ``last`` is the occasion that was seen to last, or when the schedule began. Of occasions that
    were missed since then only the latest is made up.
    """
    # Two months before now there was an occasion of any schedule: no need to walk from ``last``.
    start = max(last, now - timedelta(days=62))
    latest = None
    for occasion in _occasions(schedule, start - timedelta(days=2)):
        if occasion <= last:
            continue
        if occasion > now:
            return latest or occasion
        latest = occasion
    raise AssertionError("occasions do not end")


def _occasions(schedule: Schedule, after: datetime) -> Iterator[datetime]:
    """Yield occasions in order, from before or soon after ``after``, for ever."""
    zone = ZoneInfo(schedule.zone)
    first = after.astimezone(zone).date()
    for day in _days(schedule, first):
        local = datetime.combine(day, schedule.at, tzinfo=zone)
        yield local.astimezone(UTC)


def _days(schedule: Schedule, first: date) -> Iterator[date]:
    weekday = DAYS.index(schedule.weekday)
    if schedule.every is Every.WEEK:
        day = first + timedelta(days=(weekday - first.weekday()) % 7)
        while True:
            yield day
            day += timedelta(days=7)
    # What follows the Patch Tuesday of a month may fall into the month after it.
    year, month = (first.year, first.month - 1) if first.month > 1 else (first.year - 1, 12)
    while True:
        if schedule.every is Every.MONTH:
            yield date(year, month, min(schedule.day, monthrange(year, month)[1]))
        else:
            tuesday = patch_tuesday(year, month)
            days = (weekday - _TUESDAY - 1) % 7 + 1
            yield tuesday + timedelta(days=days + 7 * (schedule.nth - 1))
        year, month = (year, month + 1) if month < 12 else (year + 1, 1)


def patch_tuesday(year: int, month: int) -> date:
    """Return the second Tuesday of a month."""
    first = date(year, month, 1)
    return first + timedelta(days=(_TUESDAY - first.weekday()) % 7 + 7)


def from_json(document: object) -> Schedule:
    """Return the schedule that `Schedule.to_json` wrote, or a person. Raises `InputError`."""
    names = ("every", "weekday", "nth", "day", "at", "zone")
    if not isinstance(document, Mapping):
        raise InputError({"schedule": "a table with at least `every`"})
    if unknown := sorted(set(document) - set(names)):
        raise InputError({f"schedule, {unknown[0]}": f"there are {', '.join(names)}"})
    if document.get("every") not in set(Every):
        raise InputError({"schedule, every": f"one of {', '.join(Every)}"})
    values: dict[str, Any] = {**document, "every": Every(document["every"])}
    for name in ("nth", "day"):
        if name in values and (not isinstance(values[name], int) or isinstance(values[name], bool)):
            raise InputError({f"schedule, {name}": "a whole number"})
    for name in ("weekday", "zone"):
        if name in values and not isinstance(values[name], str):
            raise InputError({f"schedule, {name}": "a word"})
    if "at" in values:
        values["at"] = _clock(values["at"])
    return Schedule(**values)


def _clock(value: object) -> time:
    if isinstance(value, time):  # TOML has times of its own
        return value.replace(second=0, microsecond=0, tzinfo=None)
    try:
        return datetime.strptime(str(value), "%H:%M").time()  # noqa: DTZ007 -- a wall clock
    except ValueError as error:
        raise InputError({"schedule, at": 'a time of day such as "08:00"'}) from error
