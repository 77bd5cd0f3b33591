"""When a plan's rings will run: a simulation in which every host does what is expected.

No second model: it is played by the same `Player`, from where the plan stands.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from patchmgr.domain.rings import ANY_TIME
from patchmgr.domain.rollout.model import Rollout, revised
from patchmgr.domain.rollout.states import LIVE_TASKS
from patchmgr.domain.rules import YEARS
from patchmgr.domain.simulation.behaviour import Behaviour
from patchmgr.domain.simulation.lines import Line
from patchmgr.domain.simulation.player import Played, Setting, played
from patchmgr.domain.windows import Freeze, Window, openings
from patchmgr.errors import InputError

LOOK_AHEAD = timedelta(days=366)  # for a window that a host fits into
MOST_LATE = 1000  # hosts that are named; all are counted
OVERDUE = "the due date has passed"
NO_WINDOW = "no window before the due date"
FROZEN = "freezes leave no time before the due date"
TOO_LATE = "its ring comes too late"
TOLD = frozenset(("verified",))  # lines of hosts that a forecast needs


@dataclass(frozen=True, slots=True)
class WhatIf:
    """What to change for a forecast, and nowhere else."""

    start: datetime | None = None  # of a plan that has not started
    soak: timedelta | None = None  # of every ring
    max_concurrent: int | None = None  # of every ring
    window: str | None = None  # of every host; "any" for any time


@dataclass(slots=True)
class RingForecast:
    """When a ring runs; None: not in sight."""

    name: str
    hosts: int
    starts: datetime | None = None
    soaks_from: datetime | None = None
    ends: datetime | None = None  # passed
    last_host: datetime | None = None  # verified


@dataclass(frozen=True, slots=True)
class LateHost:
    """A host that will not be done when it is due."""

    host: int
    name: str
    ring: str
    window: str | None
    expected: datetime | None  # when it will be done; None: not in sight
    earliest: datetime | None  # when it could begin at the earliest, if it came first
    reason: str


@dataclass(frozen=True, slots=True)
class LateHosts:
    """How many hosts of a ring are late for one reason, and when the last of them can begin."""

    ring: str
    reason: str
    hosts: int
    earliest: datetime | None  # None: not in sight for one of them


@dataclass(frozen=True, slots=True)
class Forecast:
    """The expected course of a plan."""

    rings: tuple[RingForecast, ...]
    starts: datetime | None
    ends: datetime | None
    outcome: str  # why the forecast ends where it does
    late: tuple[LateHost, ...] = ()
    late_hosts: int = 0
    done: Mapping[str, datetime] = field(default_factory=dict)  # hostname -> verified
    late_by: tuple[LateHosts, ...] = ()  # all of them, by ring and reason


def changed(rollout: Rollout, windows: Mapping[str, Window], what_if: WhatIf) -> Rollout:
    """Return ``rollout`` with other settings. Raises `InputError`."""
    if what_if.window is not None and what_if.window not in (ANY_TIME, *windows):
        raise InputError({"window": f"there is no maintenance window {what_if.window!r}"})
    if what_if.start is not None and what_if.start.year not in YEARS:
        raise InputError({"start": f"from {YEARS[0]} to {YEARS[-1]}"})
    rings = []
    for ring in rollout.rings:
        values: dict[str, object] = {}
        if what_if.soak is not None:
            values |= {"soak": what_if.soak, "min_soak": min(what_if.soak, ring.settings.min_soak)}
        if what_if.max_concurrent is not None:
            values["max_concurrent"] = what_if.max_concurrent
        settings = replace(ring.settings, **values)  # type: ignore[arg-type] # of their fields
        rings.append(replace(ring, settings=settings))
    tasks = rollout.tasks
    if what_if.window is not None:
        name = None if what_if.window == ANY_TIME else what_if.window
        tasks = {host: revised(task, window=name) for host, task in tasks.items()}
    return replace(rollout, rings=tuple(rings), tasks=tasks)


def expecting_success(
    rollout: Rollout,
    *,
    now: datetime,
    windows: Mapping[str, Window],
    freezes: Sequence[Freeze],
    names: Mapping[int, str],
    plan: str,
    seed: int = 0,
    told: frozenset[str] | None = None,
) -> Played:
    """Return the simulation from ``now`` on in which every host does what is expected.

    ``rollout`` has every task that is not over. What people must decide is decided at once:
    approvals are given, a pause and a halt end. ``told`` are the kinds of lines that hosts have,
    all by default.
    """
    usual = [
        Behaviour(duration=(ring.settings.expected, ring.settings.expected))
        for ring in rollout.rings
    ]
    setting = Setting(
        now,
        windows,
        freezes,
        {host: usual[task.ring] for host, task in rollout.tasks.items()},
        seed,
        acknowledge_after=timedelta(0),
        resume_after=timedelta(0),
        plan=plan,
        names=names,
        groups={host: ", ".join(task.groups) for host, task in rollout.tasks.items()},
        alike=True,
        told=told,
    )
    return played(
        replace(rollout, signals=() if rollout.since is None else rollout.signals), setting
    )


def forecast(
    rollout: Rollout,
    played: Played,
    *,
    now: datetime,
    windows: Mapping[str, Window],
    freezes: Sequence[Freeze],
    names: Mapping[int, str],
) -> Forecast:
    """Return what the lines of ``played`` come to; ``rollout`` is what it began with."""
    rings = {
        ring.name: RingForecast(
            ring.name,
            played.sizes[ring.name],
            ring.started,
            ring.since if ring.soak_until and not ring.finished else None,
            ring.finished,
        )
        for ring in rollout.rings
    }
    done: dict[str, datetime] = {}
    outcome = ""
    ends = None
    for line in played.lines:
        _follow(rings, done, line)
        if line.kind in ("completed", "completed_with_failures"):
            ends = line.time
        outcome = line.reason if line.kind == "ended" else outcome
    starts = min((one.starts for one in rings.values() if one.starts), default=None)
    late = _late(rollout, done, now=now, windows=windows, freezes=freezes, names=names)
    return Forecast(
        tuple(rings.values()),
        starts,
        ends,
        outcome,
        late[:MOST_LATE],
        len(late),
        done,
        _late_by(rollout, late),
    )


def earliest(
    window: Window | None,
    needed: timedelta,
    freezes: Iterable[Freeze],
    now: datetime,
) -> datetime | None:
    """Return when a task that takes ``needed`` can begin first; None: not within a year."""
    frozen = sorted((freeze.starts, freeze.ends) for freeze in freezes if freeze.ends > now)
    last = now + LOOK_AHEAD
    chances = [(now, last)] if window is None else openings(window, now, last)
    for opens, closes in chances:
        begin = max(opens, now)
        for since, until in frozen:
            if since < begin + needed and begin < until:
                begin = until
        if begin + needed <= closes:
            return begin
    return None


def _follow(rings: Mapping[str, RingForecast], done: dict[str, datetime], line: Line) -> None:
    if not line.ring:
        return
    ring = rings[line.ring]
    match line.kind:
        case "verified":  # nearly all of them
            ring.last_host = line.time
            done[line.host] = line.time
        case "ring_started":
            ring.starts = ring.starts or line.time
        case "ring_soaking":
            ring.soaks_from = line.time
        case "ring_passed":
            ring.ends = line.time


def _late(
    rollout: Rollout,
    done: Mapping[str, datetime],
    *,
    now: datetime,
    windows: Mapping[str, Window],
    freezes: Sequence[Freeze],
    names: Mapping[int, str],
) -> tuple[LateHost, ...]:
    """Return the hosts that are not done by the due date, those without any window first."""
    if rollout.due is None:
        return ()
    found = []
    firsts: dict[tuple[int, str | None], tuple[datetime | None, str]] = {}
    for task in rollout.tasks.values():
        name = names.get(task.host, str(task.host))
        expected = done.get(name)
        is_done = task.state not in LIVE_TASKS
        if is_done or (expected is not None and expected <= rollout.due):
            continue
        settings = rollout.rings[task.ring].settings
        key = task.ring, task.window
        if key not in firsts:
            window = windows.get(task.window) if task.window else None
            needed = settings.needed_time
            first, unfrozen = (earliest(window, needed, some, now) for some in (freezes, ()))
            why = _why(task.window, needed, first, unfrozen, rollout.due, now)
            firsts[key] = first, why
        found.append(
            LateHost(
                task.host,
                name,
                settings.name,
                task.window,
                expected,
                *firsts[key],
            )
        )
    return tuple(sorted(found, key=lambda one: (one.reason, one.name)))


def _late_by(rollout: Rollout, late: Sequence[LateHost]) -> tuple[LateHosts, ...]:
    """Return ``late`` counted, ring by ring."""
    found: dict[tuple[str, str], list[datetime | None]] = {}
    for one in late:
        found.setdefault((one.ring, one.reason), []).append(one.earliest)
    order = {ring.name: position for position, ring in enumerate(rollout.rings)}
    return tuple(
        LateHosts(ring, reason, len(firsts), _last(firsts))
        for (ring, reason), firsts in sorted(found.items(), key=lambda one: order[one[0][0]])
    )


def _last(firsts: Sequence[datetime | None]) -> datetime | None:
    known = [first for first in firsts if first is not None]
    return max(known) if known and len(known) == len(firsts) else None


def _why(
    window: str | None,
    needed: timedelta,
    first: datetime | None,
    unfrozen: datetime | None,
    due: datetime,
    now: datetime,
) -> str:
    """Return why a host is late that can begin ``first``, and ``unfrozen`` without any freeze."""
    if due <= now:
        return OVERDUE
    if unfrozen is None:
        return f"no opening of its window {window} is long enough"
    if first is not None and first + needed <= due:
        return TOO_LATE
    return FROZEN if unfrozen + needed <= due else NO_WINDOW
