"""Pictures of numbers over time, as SVG paths; their colours are the stylesheet's."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate

WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 760, 220, 44, 24, 10
SPARK_WIDTH, SPARK_HEIGHT = 120, 28
TICKS = 6  # parts of the time axis
STEPS = (1, 1.2, 1.6, 2, 2.4, 3.2, 4, 6, 8, 10)  # each divides by four into round numbers


@dataclass(frozen=True, slots=True)
class Band:
    """One series of a stacked area."""

    name: str
    path: str
    last: int


@dataclass(frozen=True, slots=True)
class Chart:
    """A stacked area over time; coordinates are those of its own view box."""

    series: tuple[Band, ...]
    rows: tuple[tuple[float, str], ...]  # y of a grid line, its label
    days: tuple[tuple[float, str], ...]  # x of a tick, its label
    summary: str  # what the picture says, for those who do not see it
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT


@dataclass(frozen=True, slots=True)
class Spark:
    line: str
    area: str


def stacked(
    points: Sequence[tuple[datetime, Mapping[str, int]]], names: Sequence[str], what: str
) -> Chart | None:
    """Return the areas of ``names``, the first at the bottom; None for fewer than two points."""
    if len(points) < 2:
        return None
    totals = [sum(values.get(name, 0) for name in names) for _, values in points]
    top = _top(max(totals))
    start, end = points[0][0], points[-1][0]
    length = (end - start).total_seconds() or 1

    def x(at: datetime) -> float:
        return round(LEFT + (at - start).total_seconds() / length * (WIDTH - LEFT), 1)

    def y(value: float) -> float:
        return round(TOP + (1 - value / top) * (HEIGHT - BOTTOM - TOP), 1)

    columns = [
        (x(at), [0, *accumulate(values.get(name, 0) for name in names)]) for at, values in points
    ]
    bands = []
    for index, name in enumerate(names):
        last = points[-1][1].get(name, 0)
        if not any(values.get(name, 0) for _, values in points):
            continue
        upper = [f"{px},{y(levels[index + 1])}" for px, levels in columns]
        lower = [f"{px},{y(levels[index])}" for px, levels in reversed(columns)]
        bands.append(Band(name, f"M{' L'.join([*upper, *lower])}Z", last))
    step = (end - start) / TICKS
    ticks = [start + step * index for index in range(TICKS + 1)]
    return Chart(
        series=tuple(bands),
        rows=tuple((y(top * part / 4), _short(top * part / 4)) for part in range(5)),
        days=tuple((min(max(x(at), LEFT + 18), WIDTH - 22), f"{at:%b} {at.day}") for at in ticks),
        summary=(
            f"{what}: {totals[0]:,} on {start:%Y-%m-%d}, {totals[-1]:,} on {end:%Y-%m-%d}, "
            f"at most {max(totals):,}"
        ),
    )


def spark(values: Sequence[float]) -> Spark | None:
    """Return a small line over ``values``; None for fewer than two or when nothing changes."""
    if len(values) < 2 or min(values) == max(values):
        return None
    low, high = min(values), max(values)
    step = SPARK_WIDTH / (len(values) - 1)
    path = [
        f"{round(i * step, 1)},{round(2 + (high - value) / (high - low) * (SPARK_HEIGHT - 4), 1)}"
        for i, value in enumerate(values)
    ]
    line = f"M{' L'.join(path)}"
    return Spark(line, f"{line} L{SPARK_WIDTH},{SPARK_HEIGHT} L0,{SPARK_HEIGHT}Z")


def _top(highest: int) -> float:
    """Return the round number at or above ``highest`` that the axis ends with."""
    if highest <= 4:
        return 4
    size = float(f"1e{len(str(highest)) - 1}")
    return next(step * size for step in STEPS if step * size >= highest)


def _short(value: float) -> str:
    if value >= 10_000:
        return f"{value / 1000:g}k"
    return f"{value:g}" if value < 1000 else f"{value:,.0f}"
