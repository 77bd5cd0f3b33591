"""A rollout in few words: how it begins, and what happens to its hosts."""

from datetime import UTC, datetime, timedelta

from patchmgr.domain.rings import RingSettings
from patchmgr.domain.rollout.events import (
    Approve,
    InventorySeen,
    Outcome,
    Propose,
    Start,
    TaskReported,
    Tick,
)
from patchmgr.domain.rollout.machine import advance
from patchmgr.domain.rollout.model import Ring, Rollout, Tally, Task
from patchmgr.domain.rollout.states import RingState, TaskState

T0 = datetime(2026, 3, 2, 20, tzinfo=UTC)
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
HASH = "a" * 64

CANARY = RingSettings(
    "canary", percent=5, max_failures=0, soak=24 * HOUR, min_soak=6 * HOUR, window="any"
)
BROAD = RingSettings("broad", window="any")


def plan(*sizes: int, rings=(CANARY, BROAD), window=None, **values) -> Rollout:
    """Return a draft by "ann" whose rings have ``sizes`` hosts, numbered through from 1."""
    tasks: dict[int, Task] = {}
    made = []
    for position, (settings, size) in enumerate(zip(rings, sizes, strict=True)):
        for _ in range(size):
            host = len(tasks) + 1
            tasks[host] = Task(host, position, window, since=T0)
        made.append(Ring(settings, Tally({TaskState.QUEUED: size} if size else {})))
    return Rollout(tuple(made), tasks, frozenset({"ann"}), HASH, **values)


def play(rollout: Rollout, *events):
    """Return the rollout after ``events`` and the effects of the last one."""
    effects = ()
    for event in events:
        rollout, effects = advance(rollout, event)
    return rollout, effects


def after(rollout: Rollout, *events) -> Rollout:
    return play(rollout, *events)[0]


def tick_at(at, windows=None, **more) -> Tick:
    """A tick at which the stored content is what was approved."""
    return Tick(at, windows or {}, content_hash=HASH, **more)


APPROVED = (Propose("ann", T0), Approve("bob", T0, HASH))
STARTED = (*APPROVED, Start("ann", T0, HASH), tick_at(T0))


def started(*sizes: int, **values) -> Rollout:
    return after(plan(*sizes, **values), *STARTED)


def result(host: int, outcome=Outcome.INSTALLED, at=T0 + 10 * MINUTE, **more) -> TaskReported:
    return TaskReported(host, at, outcome, "ann", **more)


def inventory(host: int, at=T0 + HOUR, *, verified=True, reboot=False) -> InventorySeen:
    return InventorySeen(host, at, verified, reboot)


def failed(*hosts, at=T0 + 10 * MINUTE):
    return [result(host, Outcome.FAILED, at) for host in hosts]


def of(effects, kind) -> list:
    return [effect for effect in effects if isinstance(effect, kind)]


def states(rollout: Rollout) -> list[RingState]:
    return [ring.state for ring in rollout.rings]
