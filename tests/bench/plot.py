"""Small line charts beside each other, as one SVG that reads in light and in dark."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 470, 260  # of a panel
LEFT, RIGHT, TOP, BOTTOM = 60, 32, 34, 56
COLUMNS = 2
LEGEND = 135  # from one name to the next
COLOURS = ("#2563eb", "#c2410c", "#15803d")
DASHES = ("", "6 4", "2 3")  # colour is never the only sign
STYLE = (
    "text{font:12px system-ui,sans-serif;fill:#334155}"
    ".title{font-weight:600}.axis{stroke:#94a3b8}.grid{stroke:#94a3b833}"
    "@media(prefers-color-scheme:dark){text{fill:#cbd5e1}}"
)


@dataclass(frozen=True)
class Line:
    """What is drawn as one line."""

    name: str
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Panel:
    """One chart; both axes begin at nothing, so that linear growth is a straight line."""

    title: str
    lines: Sequence[Line]


def drawn(panels: Sequence[Panel]) -> str:
    rows = -(-len(panels) // COLUMNS)
    names = list(dict.fromkeys(line.name for panel in panels for line in panel.lines))
    size = f'width="{WIDTH * COLUMNS}" height="{HEIGHT * rows}"'
    box = f'viewBox="0 0 {WIDTH * COLUMNS} {HEIGHT * rows}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" {size} {box}>',
        "<title>CPU seconds by fleet size, versions, advisories and changes</title>",
        f"<style>{STYLE}</style>",
    ]
    for place, panel in enumerate(panels):
        x, y = place % COLUMNS * WIDTH, place // COLUMNS * HEIGHT
        parts += [f'<g transform="translate({x} {y})">', *_panel(panel, names), "</g>"]
    return "\n".join([*parts, "</svg>", ""])


def _panel(panel: Panel, names: Sequence[str]) -> list[str]:
    right = max(x for line in panel.lines for x, _ in line.points)
    high = max(y for line in panel.lines for _, y in line.points) * 1.1
    wide, tall = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM

    def at(x: float, y: float) -> tuple[float, float]:
        return LEFT + x / right * wide, TOP + tall - y / high * tall

    parts = [f'<text class="title" x="{LEFT}" y="18">{escape(panel.title)}</text>']
    for step in range(5):
        x, y = at(right * step / 4, high * step / 4)
        seconds, below = f"{high * step / 4:.2g} s", f"{right * step / 4:,.0f}"
        parts += [
            f'<line class="grid" x1="{LEFT}" x2="{LEFT + wide}" y1="{y:.1f}" y2="{y:.1f}"/>',
            f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{seconds}</text>',
            f'<text x="{x:.1f}" y="{TOP + tall + 16}" text-anchor="middle">{below}</text>',
        ]
    parts.append(f'<path class="axis" fill="none" d="M{LEFT} {TOP}v{tall}h{wide}"/>')
    for place, line in enumerate(panel.lines):
        which = names.index(line.name)
        points = " ".join("{:.1f},{:.1f}".format(*at(*point)) for point in line.points)
        look = f'stroke="{COLOURS[which]}" stroke-width="2" stroke-dasharray="{DASHES[which]}"'
        x = LEFT + place * LEGEND
        parts += [
            f'<polyline fill="none" {look} points="{points}"/>',
            f'<line {look} x1="{x}" x2="{x + 20}" y1="{HEIGHT - 16}" y2="{HEIGHT - 16}"/>',
            f'<text x="{x + 25}" y="{HEIGHT - 12}">{escape(line.name)}</text>',
        ]
    return parts
