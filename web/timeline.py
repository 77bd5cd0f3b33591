"""The picture of when the rings of a plan run, as its forecast has them.

It is an SVG; colours and hatching are the stylesheet's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from patchmgr.db.queries.forecasts import KeptForecast
from patchmgr.db.queries.plans import PlanDetail
from patchmgr.domain.simulation.forecast import RingForecast
from patchmgr.domain.windows import Freeze, Window, openings
from web.show import plural

WIDTH, LEFT, ROW, TOP, BOTTOM = 960, 128, 46, 26, 26
HORIZON = timedelta(days=60)  # no picture is longer
SHORTEST = timedelta(hours=12)
THINNEST = 3.0  # a bar that can still be seen

Placement = Sequence[tuple[int, str | None, int]]  # ring, window, hosts


@dataclass(frozen=True, slots=True)
class Bar:
    x: float
    width: float
    words: str


@dataclass(frozen=True, slots=True)
class Row:
    """One ring of the picture; coordinates are those of its own view box."""

    y: float
    label: str
    detail: str
    state: str
    windows: tuple[Bar, ...]
    work: Bar | None
    soak: Bar | None


@dataclass(frozen=True, slots=True)
class Picture:
    rows: tuple[Row, ...]
    freezes: tuple[Bar, ...]
    ticks: tuple[tuple[float, str], ...]
    now_x: float
    due_x: float | None
    due_words: str
    height: float
    summary: str
    width: int = WIDTH
    left: int = LEFT
    row: int = ROW
    top: int = TOP


def course(
    plan: PlanDetail, kept: KeptForecast | None, soaked: Mapping[str, datetime]
) -> tuple[RingForecast, ...]:
    """Return when each ring of ``plan`` runs; what is not forecast yet only as far as it went.

    ``soaked`` has when rings last began to soak: a forecast no longer plays what is past.
    """
    known = {one.name: one for one in kept.made.forecast.rings} if kept else {}
    stages = []
    for ring in plan.rings:
        stage = known.get(ring.name) or RingForecast(
            ring.name, ring.hosts, ring.started_at, None, ring.finished_at
        )
        has_soaked = stage.soaks_from is None and ring.started_at and ring.finished_at
        stages.append(replace(stage, soaks_from=soaked.get(ring.name)) if has_soaked else stage)
    return tuple(stages)


def draw(
    stages: Sequence[RingForecast],
    plan: PlanDetail,
    *,
    placement: Placement,
    windows: Mapping[str, Window],
    freezes: Sequence[Freeze],
    now: datetime,
    days: "Days",
) -> Picture:
    """Return the picture of ``stages``, the rings of ``plan``."""
    known = [at for s in stages for at in (s.starts, s.ends) if at is not None]
    start = min([now, *known]) - timedelta(hours=1)
    marks = [*known, now + SHORTEST, *([plan.due] if plan.due else [])]
    end = min(max(marks), start + HORIZON)
    end += (end - start) / 30
    length = (end - start) / (WIDTH - LEFT)

    def x(at: datetime) -> float:
        return round(LEFT + min(max((at - start) / length, 0), WIDTH - LEFT), 1)

    def bar(since: datetime | None, until: datetime | None, words: str) -> Bar | None:
        if since is None or until is None or since >= end or until <= start:
            return None
        return Bar(x(since), max(round(x(until) - x(since), 1), THINNEST), words)

    rows = []
    for position, (stage, ring) in enumerate(zip(stages, plan.rings, strict=True)):
        names = sorted({w for at, w, _ in placement if at == position and w})
        shaded = [
            bar(since, until, f"window {name} is open {days.span(since, until)}")
            for name in names
            if name in windows
            for since, until in openings(windows[name], start, end)
        ]
        works_until = stage.soaks_from or stage.ends or stage.last_host
        work = bar(stage.starts, works_until, f"{stage.name} at work")
        soak = bar(stage.soaks_from, stage.ends, f"{stage.name} soaks")
        has_soak = soak is not None and stage.ends != works_until
        rows.append(
            Row(
                y=TOP + position * ROW,
                label=stage.name,
                detail=plural(stage.hosts, "host"),
                state=ring.state.value,
                windows=tuple(one for one in shaded if one),
                work=work,
                soak=soak if has_soak else None,
            )
        )
    frozen = [bar(one.starts, one.ends, f"freeze {one.name}: {one.reason}") for one in freezes]
    last = stages[-1].ends if stages else None
    due = plan.due
    return Picture(
        rows=tuple(rows),
        freezes=tuple(one for one in frozen if one),
        ticks=tuple((x(at), words) for at, words in days.ticks(start, end)),
        now_x=x(now),
        due_x=x(due) if due is not None and start <= due <= end else None,
        due_words="" if due is None else days.words(due),
        height=TOP + len(rows) * ROW + BOTTOM,
        summary="; ".join(days.sentence(stage) for stage in stages)
        + (f"; the last ring ends {days.words(last)}" if last else ""),
    )


class Days:
    """Words for instants, in the zone of who looks."""

    def __init__(self, zone: object) -> None:
        self.zone = zone

    def words(self, at: datetime) -> str:
        return f"{at.astimezone(self.zone):%a %d %b %H:%M}"  # type: ignore[arg-type] # a tzinfo

    def span(self, since: datetime, until: datetime) -> str:
        return f"{self.words(since)} to {self.words(until)}"

    def ticks(self, start: datetime, end: datetime) -> list[tuple[datetime, str]]:
        """Return midnights between ``start`` and ``end``, at most ten of them."""
        local = start.astimezone(self.zone)  # type: ignore[arg-type] # a tzinfo
        day = local.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
        every = max(1, -(-((end - start) // timedelta(days=1)) // 9))
        found = []
        while day < end:
            found.append(
                (day, f"{day:%a} {day.day} {day:%b}" if every == 1 else f"{day.day} {day:%b}")
            )
            day += timedelta(days=every)
        return found

    def sentence(self, stage: RingForecast) -> str:
        if stage.starts is None:
            return f"{stage.name}: {'no start in sight' if stage.hosts else 'no hosts'}"
        until = f", until {self.words(stage.ends)}" if stage.ends else ""
        return f"{stage.name}: {plural(stage.hosts, 'host')} from {self.words(stage.starts)}{until}"
