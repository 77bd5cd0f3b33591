"""The weeks of the calendar as pictures: a column a day, a lane a window or plan.

Each is an SVG; colours and hatching are the stylesheet's. Columns are as wide as their days are
long, so a day of 23 or 25 hours shows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

from patchmgr.domain.agenda import Entry, Week, change_words

WIDTH, LEFT, LANE, HEAD, THINNEST = 1080, 150, 26, 34, 3.0
MOST_LANES = 14  # of a week; more are counted


@dataclass(frozen=True, slots=True)
class Column:
    x: float
    width: float
    label: str
    change: str  # what clocks do on that day
    is_today: bool


@dataclass(frozen=True, slots=True)
class Bar:
    x: float
    width: float
    words: str
    plan: int | None
    is_expected: bool


@dataclass(frozen=True, slots=True)
class Lane:
    y: float
    label: str
    kind: str
    bars: tuple[Bar, ...]


@dataclass(frozen=True, slots=True)
class Grid:
    """A week's picture; coordinates are those of its own view box."""

    title: str
    columns: tuple[Column, ...]
    lanes: tuple[Lane, ...]
    frozen: tuple[Bar, ...]
    left_out: int  # lanes
    now_x: float | None
    height: float
    summary: str
    width: int = WIDTH
    left: int = LEFT
    head: int = HEAD
    lane: int = LANE


def draw(week: Week, zone: str, now: datetime) -> Grid:
    """Return the picture of ``week``, its times said in ``zone``."""
    length = (week.ends - week.starts) / (WIDTH - LEFT)
    there = ZoneInfo(zone)

    def x(at: datetime) -> float:
        return round(LEFT + min(max((at - week.starts) / length, 0), WIDTH - LEFT), 1)

    def bar(one: Entry) -> Bar:
        width = max(round(x(one.ends) - x(one.starts), 1), THINNEST)
        return Bar(x(one.starts), width, words(one, there), one.plan, one.is_expected)

    columns = tuple(
        Column(
            x(day.starts),
            round(x(day.ends) - x(day.starts), 1),
            f"{day.date:%a} {day.date.day} {day.date:%b}",
            change_words(day),
            day.starts <= now < day.ends,
        )
        for day in week.days
    )
    lanes = _lanes(week.entries)
    shown = lanes[:MOST_LANES]
    return Grid(
        title=f"{_day(week.days[0].date)} to {_day(week.days[-1].date)} {week.days[-1].date.year}",
        columns=columns,
        lanes=tuple(
            Lane(HEAD + number * LANE, label, kind, tuple(bar(one) for one in entries))
            for number, (label, kind, entries) in enumerate(shown)
        ),
        frozen=tuple(bar(one) for one in week.entries if one.kind == "freeze"),
        left_out=len(lanes) - len(shown),
        now_x=x(now) if week.starts <= now < week.ends else None,
        height=HEAD + max(len(shown), 1) * LANE + 6,
        summary=_summary(week, there),
    )


def words(one: Entry, zone: ZoneInfo) -> str:
    """Return an entry for people: its kind, name and times."""
    since, until = (f"{at.astimezone(zone):%a %d %b %H:%M}" for at in (one.starts, one.ends))
    expected = "expected " if one.is_expected else ""
    return f"{one.kind.capitalize()} {one.name}, {expected}{since} to {until}; {one.detail}"


def _day(date: date) -> str:
    return f"{date.day} {date:%B}"


def _lanes(entries: Sequence[Entry]) -> list[tuple[str, str, list[Entry]]]:
    """Return lanes in the order rings, freezes, windows: what is rare first."""
    found: dict[tuple[int, str], list[Entry]] = {}
    order = {"ring": 0, "freeze": 1, "window": 2}
    for one in entries:
        label = f"plan {one.plan}" if one.kind == "ring" else one.name
        found.setdefault((order[one.kind], label), []).append(one)
    return [
        (label, each[0].kind, each)
        for (_, label), each in sorted(found.items(), key=lambda item: item[0])
    ]


def _summary(week: Week, zone: ZoneInfo) -> str:
    if not week.entries:
        return "nothing opens, nothing is planned"
    said = [words(one, zone) for one in week.entries[:10]]
    more = len(week.entries) - len(said)
    return "; ".join(said) + (f"; and {more} more" if more > 0 else "")
