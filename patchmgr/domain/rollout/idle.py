"""Why nothing begins in a plan that runs: what its ring waits for, and until when."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from patchmgr.domain.freezes import Freezes
from patchmgr.domain.rollout.gates import is_approved
from patchmgr.domain.rollout.machine import current_ring
from patchmgr.domain.rollout.model import Ring, Rollout
from patchmgr.domain.rollout.states import (
    AT_WORK,
    UNVERIFIED,
    WAITING_TASKS,
    RingState,
    TaskState,
)
from patchmgr.domain.rollout.stop import ACCEPT, RETRY, SKIP, Culprit, Step, Stop


@dataclass(frozen=True, slots=True)
class Around:
    """What stands around a plan, as far as it can hold its present ring."""

    freezes: Freezes = field(default_factory=Freezes)
    # Of the windows of hosts that wait: when each opens next for long enough; None: never again.
    opens: Mapping[str, datetime | None] = field(default_factory=dict)
    too_short: tuple[str, ...] = ()  # those that are never open for as long as a host needs
    is_open: bool = False  # some host that waits may begin now, as far as windows go
    is_grouped: bool = False  # only some of its hosts may be down at a time
    groups: tuple[str, ...] = ()  # that can spare no host, with their numbers
    others: tuple[int, ...] = ()  # plans at work on hosts that wait
    idle_since: datetime | None = None  # when the ring's last host at work ended; None: none was
    unreadable: str = ""  # rings whose settings cannot be read
    no_scheduler_since: datetime | None = None  # None: one runs


NOTHING_AROUND = Around()


def waiting(rollout: Rollout, culprits: Sequence[Culprit], around: Around) -> list[Stop]:
    """Return what holds the ring whose turn it is."""
    freezes = around.freezes
    if freezes.frozen:
        words = "It goes on by itself when the freeze ends."
        steps = (Step("wait", words), Step("end-freeze", "To go on before, end the freeze."))
        why = f"Frozen: {freezes.frozen}"
        return [Stop("frozen", why, freezes.since, steps, subject=freezes.name)]
    position = current_ring(rollout)
    if position is None:
        return []
    ring = rollout.rings[position]
    if ring.state is RingState.WAITING_GATE and not is_approved(rollout, position):
        return [_unapproved(ring)]
    if not ring.tally.of(*WAITING_TASKS) or ring.tally.of(*AT_WORK):
        return []
    if ring.state in (RingState.WAITING_WINDOW, RingState.ROLLING) and not around.is_open:
        return [_closed(ring, around)]
    hosts = tuple(one for one in culprits if one.ring == ring.name)
    if hosts:
        why = (
            f"Ring {ring.name}: {'; '.join(around.groups) or 'its groups can spare no other host'}"
        )
        since = _idle(ring, around)
        return [Stop("group", why, since, (RETRY, ACCEPT), ring.name, "", hosts, is_idle=True)]
    if around.others:
        return [_elsewhere(ring, around)]
    return _unverified(ring, around) if around.is_grouped else []


def _idle(ring: Ring, around: Around) -> datetime | None:
    """Return since when no host of ``ring`` has been at work: since its turn, where none was."""
    return around.idle_since or ring.since


def coming(around: Around) -> str:
    """Return a sentence about the next opening of the hosts' windows; empty where none is known."""
    known = [one for one in around.opens.values() if one is not None]
    if known:
        return f" The next opening is at {min(known):%Y-%m-%d %H:%M} UTC."
    if around.too_short:
        return f" {_short(around.too_short)} never open for as long as a host needs."
    return " No window of its hosts opens again." if around.opens else ""


def _short(names: Sequence[str]) -> str:
    return f"Window {names[0]} is" if len(names) == 1 else f"Windows {', '.join(names)} are"


def _closed(ring: Ring, around: Around) -> Stop:
    count = ring.tally.of(*WAITING_TASKS)
    waits = f"{count} {'host waits' if count == 1 else 'hosts wait'}"
    soon = around.freezes.frozen_from
    is_idle = ring.state is not RingState.WAITING_WINDOW
    since = _idle(ring, around) if is_idle else ring.since
    if around.opens and not any(around.opens.values()):
        why = f"Ring {ring.name}: {waits} for a window, and none will do"
        words = "Give the hosts a longer window, or one that comes, and make a new plan."
        steps = (Step("remake", words + coming(around)), SKIP)
        return Stop("window", why, since, steps, ring.name, is_idle=is_idle)
    why = f"Ring {ring.name}: {waits} for a window; none is open that is long enough"
    if not around.opens and soon is not None:
        why = f"Ring {ring.name}: {waits}; a freeze begins at {soon:%Y-%m-%d %H:%M} UTC, too soon"
    words = "It goes on by itself when a window of its hosts opens." + coming(around)
    return Stop("window", why, since, (Step("wait", words),), ring.name, is_idle=is_idle)


def _elsewhere(ring: Ring, around: Around) -> Stop:
    others, since = around.others, _idle(ring, around)
    numbers = " and ".join(map(str, others))
    plans = f"plan {numbers}" if len(others) == 1 else f"plans {numbers}"
    why = f"Ring {ring.name}: its hosts are at work in {plans}"
    words = f"It goes on by itself when {plans} has no more order out for them, or is done."
    steps = (Step("wait", words),)
    return Stop("busy", why, since, steps, ring.name, subject=str(others[0]), is_idle=True)


def _unverified(ring: Ring, around: Around) -> list[Stop]:
    """Return that hosts wait while others of their groups are not verified yet, if some are not."""
    reboots = ring.tally.of(TaskState.REBOOT_PENDING)
    installed = ring.tally.of(*UNVERIFIED)
    if not installed:
        return []
    count = f"{installed} {'host counts' if installed == 1 else 'hosts count'}"
    why = (
        f"Ring {ring.name}: {count} against the groups until an inventory has verified them, "
        f"{reboots} of them after a reboot"
    )
    if around.groups:
        why += f" ({'; '.join(around.groups)})"
    steps = (
        Step("wait", "It goes on by itself when they have reported; one that does not in time is "
             "lost, and named here."),
        Step("look", "To go on sooner, reboot those that wait for it and let them report."),
    )  # fmt: skip
    return [Stop("group", why, _idle(ring, around), steps, ring.name, is_idle=True)]


def _unapproved(ring: Ring) -> Stop:
    words = "An approver who is not an author approves the ring."
    if ring.deadline is not None:
        words += f" Without that the plan halts at {ring.deadline:%Y-%m-%d %H:%M} UTC."
    why = f"Ring {ring.name} waits for an approval of its own"
    return Stop("approval", why, ring.since, (Step("approve", words), SKIP), ring.name)
