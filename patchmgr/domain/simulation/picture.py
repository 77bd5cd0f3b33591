"""How the rings of a simulation came along over time, as one SVG file.

A row for each ring: the light area is hosts that have begun, the dark one those that have ended,
the red one at its foot those of them that ended without success. Windows are shaded, freezes
hatched; halts and pauses are marked, with their reason, for as long as they last. A line below says
what is what. It stands alone: no stylesheet.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from html import escape

from patchmgr.domain.simulation.lines import Line
from patchmgr.domain.windows import Freeze, Window, openings

WIDTH, LEFT, RIGHT, TOP, ROW, BAR, BOTTOM = 1000, 150, 20, 52, 64, 46, 58
MOST_SAID = 90  # characters of a stop's reason
LETTER = 6.2  # pixels, about
MOST_SHADES = 400  # openings of one ring; more would be a grey wall
_BEGINS = ("started",)
_BAD = ("failed", "timed_out", "lost", "rolled_back")
_ENDS = ("verified", "skipped", *_BAD)
_GOES_ON = ("resumed", "cancelled", "completed", "completed_with_failures", "ended")
_STOPS = {"halted": "#b42318", "paused": "#b54708"}
_INK, _SOFT, _LINE = "#1d2939", "#667085", "#d0d5dd"
_BEGUN, _ENDED, _FAILED, _FROZEN = "#a6c8ff", "#1d5fd1", "#d92d20", "#98a2b3"
_OPEN, _STRIP = "#e4efda", "#7aa356"  # a window, and its strip below the row

Point = tuple[datetime, int, int, int]  # when, hosts begun, ended, ended without success


@dataclass(slots=True)
class _Course:
    """One ring so far."""

    begun: set[str] = field(default_factory=set)
    ended: set[str] = field(default_factory=set)
    bad: set[str] = field(default_factory=set)
    points: list[Point] = field(default_factory=list)
    states: list[tuple[datetime, str]] = field(default_factory=list)


@dataclass(slots=True)
class Progress:
    """What the picture needs of the lines of a simulation, gathered as they come."""

    sizes: Mapping[str, int]  # ring -> hosts
    start: datetime | None = None
    end: datetime | None = None
    stops: list[tuple[datetime, str, str]] = field(default_factory=list)
    spans: list[tuple[datetime, datetime, str]] = field(default_factory=list)  # that are over
    _stopped: tuple[datetime, str] | None = None
    _rings: dict[str, _Course] = field(default_factory=dict)

    def add(self, line: Line) -> None:
        self.start = self.start or line.time
        self.end = line.time
        if line.kind in _STOPS:
            self.stops.append((line.time, line.kind, line.reason))
            self._stopped = self._stopped or (line.time, line.kind)
        elif line.kind in _GOES_ON and not line.ring and self._stopped is not None:
            self.spans.append((self._stopped[0], line.time, self._stopped[1]))
            self._stopped = None
        if not line.ring:
            return
        ring = self._rings.setdefault(line.ring, _Course())
        if line.host and line.kind in _BEGINS:
            ring.begun.add(line.host)
            ring.ended.discard(line.host)
            ring.bad.discard(line.host)
        elif line.host and line.kind in _ENDS:
            ring.ended.add(line.host)
            (ring.bad.add if line.kind in _BAD else ring.bad.discard)(line.host)
        elif line.host == "" and line.kind.startswith("ring_"):
            ring.states.append((line.time, line.kind.removeprefix("ring_")))
            return
        else:
            return
        point = (line.time, len(ring.begun), len(ring.ended), len(ring.bad))
        if ring.points and ring.points[-1][0] == line.time:
            ring.points[-1] = point
        else:
            ring.points.append(point)

    def ring(self, name: str) -> tuple[Sequence[Point], Sequence[tuple[datetime, str]]]:
        """Return the ring's points and its states, both with their times."""
        course = self._rings.get(name, _Course())
        return course.points, course.states


def draw(
    progress: Progress,
    *,
    title: str,
    windows: Mapping[str, Sequence[Window]],
    freezes: Sequence[Freeze],
    due: datetime | None = None,
) -> str:
    """Return the picture; ``windows`` are those that each ring's hosts have."""
    start = progress.start or datetime.min.replace(tzinfo=UTC)
    end = max(progress.end or start, start + timedelta(hours=1))
    scale = _Scale(start, end)
    height = TOP + len(progress.sizes) * ROW + BOTTOM
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img"',
        f'font-family="system-ui, sans-serif" font-size="12" fill="{_INK}">',
        f"<title>{escape(_summary(progress, title))}</title>",
        '<defs><pattern id="frozen" width="8" height="8" patternUnits="userSpaceOnUse"',
        'patternTransform="rotate(45)">',
        f'<path d="M0 0V8" stroke="{_FROZEN}" stroke-width="3"/></pattern></defs>',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="{LEFT}" y="20" font-weight="600">{escape(title)}</text>',
    ]
    for number, (name, hosts) in enumerate(progress.sizes.items()):
        parts += _row(progress, name, hosts, TOP + number * ROW, scale, windows.get(name, ()))
    bottom = TOP + len(progress.sizes) * ROW
    for freeze in freezes:
        if freeze.starts < end and freeze.ends > start:
            x, width = scale.span(freeze.starts, freeze.ends)
            parts.append(
                f'<rect x="{x}" y="{TOP}" width="{width}" height="{bottom - TOP}" '
                f'fill="url(#frozen)" opacity="0.5"><title>freeze {escape(freeze.name)}: '
                f"{escape(freeze.reason)}</title></rect>"
            )
    parts += list(_stops(progress, scale, bottom))
    if due is not None and start <= due <= end:
        parts.append(_mark(scale.x(due), bottom, _INK, f"due {due:%Y-%m-%d %H:%M} UTC"))
    parts += list(_axis(scale, bottom))
    parts += list(_legend(bottom + 46))
    return "\n".join([*parts, "</svg>", ""])


@dataclass(frozen=True, slots=True)
class _Scale:
    start: datetime
    end: datetime

    def x(self, at: datetime) -> float:
        inside = min(max(at, self.start), self.end) - self.start
        return round(LEFT + inside / (self.end - self.start) * (WIDTH - LEFT - RIGHT), 1)

    def span(self, since: datetime, until: datetime) -> tuple[float, float]:
        return self.x(since), round(max(self.x(until) - self.x(since), 0.5), 1)


def _row(
    progress: Progress,
    name: str,
    hosts: int,
    y: int,
    scale: _Scale,
    windows: Sequence[Window],
) -> Iterator[str]:
    points, states = progress.ring(name)
    label = name if len(name) <= 18 else f"{name[:17]}…"
    last = states[-1][1].replace("_", " ") if states else "pending"
    done, bad = points[-1][2:] if points else (0, 0)
    yield f'<text x="8" y="{y + 16}" font-weight="600">{escape(label)}</text>'
    yield f'<text x="8" y="{y + 30}" fill="{_SOFT}">{done:,} of {hosts:,} · {escape(last)}</text>'
    if bad:
        yield f'<text x="8" y="{y + 44}" fill="{_FAILED}">{bad:,} without success</text>'
    yield (
        f'<rect x="{LEFT}" y="{y}" width="{WIDTH - LEFT - RIGHT}" height="{BAR}" fill="#f9fafb" '
        f'stroke="{_LINE}"/>'
    )
    shades = [
        (since, until, window)
        for window in windows
        for since, until in openings(window, scale.start, scale.end)
    ]
    for since, until, window in shades if len(shades) <= MOST_SHADES else ():
        x, width = scale.span(since, until)
        yield (
            f'<rect x="{x}" y="{y}" width="{width}" height="{BAR}" fill="{_OPEN}">'
            f"<title>window {escape(window.name)}</title></rect>"
        )
    for place, colour in ((1, _BEGUN), (2, _ENDED), (3, _FAILED)):
        if points and hosts and points[-1][place]:
            path = _area(points, place, hosts, y, scale)
            yield f'<path d="{path}" fill="{colour}" fill-opacity="0.85"/>'
    for since, until, _ in shades if len(shades) <= MOST_SHADES else ():
        x, width = scale.span(since, until)
        yield f'<rect x="{x}" y="{y + BAR}" width="{width}" height="4" fill="{_STRIP}"/>'
    for at, state in states:
        if state in ("soaking", "passed", "failed", "inconclusive", "skipped"):
            yield (
                f'<path d="M{scale.x(at)} {y}v{BAR}" stroke="{_INK}" stroke-dasharray="2 2">'
                f"<title>{escape(name)} is {state} {at:%Y-%m-%d %H:%M} UTC</title></path>"
            )


def _area(points: Sequence[Point], place: int, hosts: int, y: int, scale: _Scale) -> str:
    """Return the steps of one count, at most one for each half pixel."""
    floor = y + BAR
    path = [f"M{scale.x(points[0][0])} {floor}"]
    last_x = -1.0
    for point in points:
        at, *counts = point
        x, level = scale.x(at), round(floor - counts[place - 1] / hosts * BAR, 1)
        if x - last_x < 0.5 and point is not points[-1]:
            continue
        path.append(f"H{x}V{level}")
        last_x = x
    return f"{''.join(path)}H{scale.x(scale.end)}V{floor}Z"


def _stops(progress: Progress, scale: _Scale, bottom: int) -> Iterator[str]:
    """Yield a line for each stop, a veil for as long as it lasted, and what the first ones say."""
    for since, until, kind in progress.spans[:MOST_SHADES]:
        x, width = scale.span(since, until)
        yield (
            f'<rect x="{x}" y="{TOP}" width="{width}" height="{bottom - TOP}" '
            f'fill="{_STOPS[kind]}" opacity="0.12"/>'
        )
    free = 0.0  # up to where words stand already
    for at, kind, why in progress.stops[:MOST_SHADES]:
        x = scale.x(at)
        words = f"{kind} {at:%Y-%m-%d %H:%M}: {why}"
        yield _mark(x, bottom, _STOPS[kind], words)
        said = words if len(words) <= MOST_SAID else f"{words[: MOST_SAID - 1]}…"
        length = len(said) * LETTER
        begins = min(x, WIDTH - RIGHT - length)
        if begins >= free:
            colour = _STOPS[kind]
            yield f'<text x="{begins:.1f}" y="{TOP - 10}" fill="{colour}">{escape(said)}</text>'
            free = begins + length


def _legend(y: int) -> Iterator[str]:
    x = float(LEFT)
    for colour, words in (
        (_BEGUN, "hosts begun"),
        (_ENDED, "ended"),
        (_FAILED, "without success"),
        (_STRIP, "window"),
        ("url(#frozen)", "freeze"),
        (_STOPS["halted"], "halted"),
        (_STOPS["paused"], "paused"),
    ):
        yield f'<rect x="{x:.1f}" y="{y - 9}" width="14" height="10" fill="{colour}"/>'
        yield f'<text x="{x + 19:.1f}" y="{y}" fill="{_SOFT}">{words}</text>'
        x += 19 + len(words) * LETTER + 18
    yield f'<path d="M{x:.1f} {y - 10}v12" stroke="{_INK}" stroke-dasharray="2 2"/>'
    yield f'<text x="{x + 7:.1f}" y="{y}" fill="{_SOFT}">a ring soaks or passes</text>'


def _mark(x: float, bottom: int, colour: str, words: str) -> str:
    return (
        f'<path d="M{x} {TOP - 6}V{bottom}" stroke="{colour}" stroke-width="1.5">'
        f"<title>{escape(words)}</title></path>"
    )


def _axis(scale: _Scale, bottom: int) -> Iterator[str]:
    days = (scale.end - scale.start) / timedelta(days=1)
    step = timedelta(hours=6) if days <= 2 else timedelta(days=max(1, -(-int(days) // 9)))
    at = scale.start.replace(hour=0, minute=0, second=0, microsecond=0)
    while at <= scale.end:
        if at >= scale.start:
            x = scale.x(at)
            words = f"{at:%H:%M}" if step < timedelta(days=1) and at.hour else f"{at:%d %b}"
            yield f'<path d="M{x} {bottom}v5" stroke="{_SOFT}"/>'
            yield (
                f'<text x="{x}" y="{bottom + 18}" text-anchor="middle" fill="{_SOFT}">'
                f"{words}</text>"
            )
        at += step
    yield f'<text x="8" y="{bottom + 18}" fill="{_SOFT}">UTC</text>'


def _summary(progress: Progress, title: str) -> str:
    said = []
    for name, hosts in progress.sizes.items():
        points, states = progress.ring(name)
        last = states[-1][1].replace("_", " ") if states else "pending"
        said.append(f"{name}: {points[-1][2] if points else 0} of {hosts} hosts done, {last}")
    return f"{title}. {'; '.join(said)}"
