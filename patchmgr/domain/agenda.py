"""What the coming weeks bring, day by day on the wall clock of a zone."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from patchmgr.domain.rules import YEARS, instant
from patchmgr.errors import InputError

KINDS = ("window", "freeze", "ring")
MOST_WEEKS = 12
_DAY = timedelta(days=1)
_EVER = datetime(1970, 1, 1, tzinfo=UTC)  # stands for any instant


@dataclass(frozen=True, slots=True)
class Entry:
    """Something with a beginning and an end."""

    kind: str  # of `KINDS`
    name: str
    starts: datetime
    ends: datetime  # exclusive
    detail: str
    plan: int | None = None  # of a ring
    is_expected: bool = False  # estimated, not what happened


@dataclass(frozen=True, slots=True)
class Day:
    """A day of the wall clock, with its true length."""

    date: date
    starts: datetime
    ends: datetime

    @property
    def change(self) -> timedelta:
        """Return by how much the day is longer than 24 hours; not zero where clocks change."""
        return self.ends - self.starts - _DAY


@dataclass(frozen=True, slots=True)
class Week:
    """Seven days from a Monday, and what lies in them at least in part."""

    days: tuple[Day, ...]
    entries: tuple[Entry, ...]

    @property
    def starts(self) -> datetime:
        return self.days[0].starts

    @property
    def ends(self) -> datetime:
        return self.days[-1].ends


@dataclass(frozen=True, slots=True)
class Run:
    """An entry, and the last of the days after it on which one like it begins at the same time."""

    entry: Entry  # the first
    day: date
    last: date


@dataclass(frozen=True, slots=True)
class Stretch:
    """A day and what begins on it; or weeks like the one before, or days that begin nothing."""

    first: date
    last: date
    runs: tuple[Run, ...] = ()
    is_repeat: bool = False


def monday(of: date) -> date:
    """Return the Monday of the week that ``of`` is in."""
    return of - min(of.weekday(), of.toordinal() - 1) * _DAY


def span(first: date, weeks: int, zone: str) -> tuple[datetime, datetime]:
    """Return when ``weeks`` weeks from the day ``first`` on begin and end. Raises `InputError`."""
    if first.year not in YEARS:
        why = f"the weeks from {first} on are not all in the calendar"
        raise InputError({"from": f"{why}, which has the years {YEARS[0]} to {YEARS[-1]}"})
    return _midnight(first, zone), _midnight(first + weeks * 7 * _DAY, zone)


def weeks_of(entries: Iterable[Entry], first: date, weeks: int, zone: str) -> tuple[Week, ...]:
    """Return ``weeks`` weeks from the Monday ``first`` on, each with its entries in order."""
    known = sorted(entries, key=lambda one: (one.starts, one.kind, one.name))
    found = []
    for number in range(weeks):
        days = tuple(
            Day(day, _midnight(day, zone), _midnight(day + _DAY, zone))
            for day in (first + (number * 7 + place) * _DAY for place in range(7))
        )
        inside = [one for one in known if one.starts < days[-1].ends and one.ends > days[0].starts]
        found.append(Week(days, tuple(inside)))
    return tuple(found)


def stretches(entries: Iterable[Entry], first: date, weeks: int, zone: str) -> tuple[Stretch, ...]:
    """Return ``weeks`` weeks from the Monday ``first`` on as a list of few lines.

    What begins alike on days of a week that follow each other is said once, on the first of them;
    weeks that begin all that the one before does, and nothing else, are one stretch, and so are
    days on which nothing begins.
    """
    there = ZoneInfo(zone)
    known = [
        (one.starts.astimezone(there), one)
        for one in sorted(entries, key=lambda one: (one.starts, one.kind, one.name))
    ]
    begun = [(local, one) for local, one in known if local.date() < first]
    found = _listed(begun, [])
    before: set[tuple[object, ...]] = set()
    for number in range(weeks):
        days = [first + (number * 7 + place) * _DAY for place in range(7)]
        inside = [(local, one) for local, one in known if days[0] <= local.date() <= days[-1]]
        like = {(local.weekday(), *_alike(local, one)) for local, one in inside}
        is_repeat = bool(like) and like == before and len(like) == len(inside)
        before = like
        for one in [Stretch(days[0], days[-1], (), True)] if is_repeat else _listed(inside, days):
            _append(found, one)
    return tuple(found)


def _append(found: list[Stretch], one: Stretch) -> None:
    """Put ``one`` at the end of ``found``, as one with the last where both say the same."""
    last = found[-1] if found else None
    if last and not last.runs and not one.runs and last.is_repeat is one.is_repeat:
        found[-1] = replace(last, last=one.last)
    else:
        found.append(one)


def _listed(entries: Sequence[tuple[datetime, Entry]], days: Sequence[date]) -> list[Stretch]:
    """Return what begins on each of ``days``, and on days before them."""
    runs: list[Run] = []
    latest: dict[tuple[object, ...], int] = {}  # of those that are alike, the place in `runs`
    for local, one in entries:
        alike, day = _alike(local, one), local.date()
        at = latest.get(alike)
        if at is not None and runs[at].last == day - _DAY:
            runs[at] = replace(runs[at], last=day)
        else:
            latest[alike] = len(runs)
            runs.append(Run(one, day, day))
    begin: dict[date, list[Run]] = {}
    for run in runs:
        begin.setdefault(run.day, []).append(run)
    idle = {*days} - {local.date() for local, _ in entries}
    return [Stretch(day, day, tuple(begin.get(day, ()))) for day in sorted({*begin, *idle})]


def _alike(local: datetime, one: Entry) -> tuple[object, ...]:
    """Return what entries have in common that differ in their day alone."""
    return (replace(one, starts=_EVER, ends=_EVER), local.time(), one.ends - one.starts)


def change_words(day: Day) -> str:
    """Return what daylight saving does to a day: "clocks go forward 1 h"; "" when nothing."""
    minutes = abs(day.change) // timedelta(minutes=1)
    if not minutes:
        return ""
    length = f"{minutes // 60} h" if minutes % 60 == 0 else f"{minutes} min"
    return f"clocks go {'back' if day.change > timedelta(0) else 'forward'} {length}"


def _midnight(day: date, zone: str) -> datetime:
    local = datetime.combine(day, datetime.min.time())
    return local.replace(tzinfo=UTC) if zone == "UTC" else instant(local, ZoneInfo(zone))


def chosen(entries: Sequence[Entry], kinds: Sequence[str], name: str) -> list[Entry]:
    """Return the entries of some kinds; ``name`` is that of a window, "" for all."""
    return [
        one
        for one in entries
        if one.kind in kinds and (not name or one.kind != "window" or one.name == name)
    ]
