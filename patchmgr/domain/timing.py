"""When the rings of a plan run: an estimate from windows, freezes and soaks.

It takes every host to succeed at its first turn: it says how soon things can be, not how they will
be. It costs what a plan has rings and windows, whatever the number of its hosts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from patchmgr.domain.rings import RingSettings
from patchmgr.domain.rollout.gates import soak_length
from patchmgr.domain.rollout.model import Rollout
from patchmgr.domain.rollout.states import OVER_RINGS, RingState
from patchmgr.domain.windows import Freeze, Opening, Window, openings

HORIZON = timedelta(days=60)

Placement = Sequence[tuple[int, str | None, int]]  # ring, window, hosts


@dataclass(frozen=True, slots=True)
class Stage:
    """When a ring works, and until when it soaks; None: not within the horizon."""

    position: int
    name: str
    hosts: int
    starts: datetime | None
    works_until: datetime | None
    ends: datetime | None
    is_real: bool  # it has begun, so the start is what happened


def estimate(
    rollout: Rollout,
    placement: Placement,
    windows: Mapping[str, Window],
    freezes: Sequence[Freeze],
    now: datetime,
) -> tuple[Stage, ...]:
    """Return when each ring runs, those that have begun from when they did."""
    stages = []
    free: datetime | None = now
    for position, ring in enumerate(rollout.rings):
        parts = [(window, count) for at, window, count in placement if at == position]
        hosts = sum(count for _, count in parts)
        begun = ring.started
        if ring.state in OVER_RINGS:
            ended = ring.finished or ring.since
            works_until = ring.soak_until - ring.settings.soak if ring.soak_until else ended
            stages.append(Stage(position, ring.name, hosts, begun, works_until, ended, True))
            continue
        if hosts == 0:
            stages.append(Stage(position, ring.name, 0, None, None, None, False))
            continue
        if ring.state is RingState.SOAKING:
            since, until = ring.since, ring.soak_until
            stages.append(Stage(position, ring.name, hosts, begun, since, until, True))
            free = max(now, until) if until else None
            continue
        turns = (
            [_turn(ring.settings, windows.get(w or ""), n, freezes, free) for w, n in parts]
            if free
            else [None]
        )
        if free is None or any(turn is None for turn in turns):
            stages.append(Stage(position, ring.name, hosts, begun, None, None, begun is not None))
            free = None
            continue
        done = [turn for turn in turns if turn is not None]
        works_until = max(end for _, end in done)
        free = works_until + soak_length(rollout, position, works_until)
        starts = begun or min(start for start, _ in done)
        stages.append(
            Stage(position, ring.name, hosts, starts, works_until, free, begun is not None)
        )
    return tuple(stages)


def _turn(
    ring: RingSettings,
    window: Window | None,
    hosts: int,
    freezes: Sequence[Freeze],
    after: datetime,
) -> Opening | None:
    """Return from when until when ``hosts`` of one window work, at the earliest."""
    rounds = -(-hosts // ring.max_concurrent)
    for start, end in _chances(window, after):
        begin = max(start, after)
        for freeze in freezes:
            if freeze.starts < begin + ring.needed_time and begin < freeze.ends:
                begin = freeze.ends
        fit = (end - begin) // ring.needed_time if end > begin else 0
        if fit >= rounds:
            return begin, begin + rounds * ring.needed_time
        rounds -= max(fit, 0)
    return None


def _chances(window: Window | None, after: datetime) -> Sequence[Opening]:
    if window is None:
        return [(after, after + HORIZON)]
    return openings(window, after, after + HORIZON)
