"""The trend as a drawing: bars of compliant hosts over the periods, as inline SVG."""

from collections.abc import Sequence
from dataclasses import dataclass

from patchmgr.domain.compliance import Period

WIDTH, HEIGHT = 720, 190  # of the view box
LEFT, BASE, TOP = 40, 150, 18
_STEP = (WIDTH - LEFT) / 12


@dataclass(frozen=True, slots=True)
class Bar:
    """A period's bar, in the units of the view box; no height where no scan was."""

    x: str
    middle: str
    y: str
    width: str
    height: str
    label: str  # above it
    date: str  # below it


@dataclass(frozen=True, slots=True)
class Drawing:
    width: int
    height: int
    left: int
    base: int
    lines: tuple[tuple[str, str], ...]  # y and label of each grid line
    bars: tuple[Bar, ...]


def drawing(periods: Sequence[Period]) -> Drawing:
    """Return the bars of ``periods``: the share of judged hosts that were compliant at the end."""
    lines = tuple(
        (_text(_y(permille)), f"{permille // 10} %") for permille in (0, 250, 500, 750, 1000)
    )
    return Drawing(
        WIDTH, HEIGHT, LEFT, BASE, lines, tuple(_bar(n, period) for n, period in enumerate(periods))
    )


def _bar(n: int, period: Period) -> Bar:
    standing = period.standing
    permille, label = 0, "\N{EN DASH}"
    if standing is not None:
        permille = standing.compliant * 1000 // standing.judged if standing.judged else 0
        label = f"{standing.compliant}/{standing.judged}"
    x = LEFT + n * _STEP
    return Bar(
        x=_text(x + _STEP * 0.2),
        middle=_text(x + _STEP * 0.5),
        y=_text(_y(permille)),
        width=_text(_STEP * 0.6),
        height=_text(BASE - _y(permille)),
        label=label,
        date=f"{period.ends:%d %b}",
    )


def _y(permille: int) -> float:
    return BASE - (BASE - TOP) * permille / 1000


def _text(length: float) -> str:
    return f"{length:.1f}"
