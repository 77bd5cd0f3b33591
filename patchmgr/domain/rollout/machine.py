"""(state, event) -> (state, effects): the one way in which a rollout changes."""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from patchmgr.domain.rollout import commands, overrides, probing, results, ticking, witness
from patchmgr.domain.rollout.events import (
    Acknowledge,
    AcknowledgeHosts,
    Approve,
    Barred,
    BreakGlass,
    Cancel,
    Edited,
    Event,
    HaltSignal,
    Held,
    InventorySeen,
    NeverBegun,
    Pause,
    ProbeAnswered,
    Propose,
    Reject,
    Resume,
    Retry,
    RollBack,
    SkipRing,
    Start,
    Supersede,
    TaskReported,
    Tick,
    WayBackSeen,
    Withdrawn,
    WithdrawRollBack,
)
from patchmgr.domain.rollout.model import Rollout, Task
from patchmgr.domain.rollout.states import (
    OPEN_PLANS,
    OVER_RINGS,
    WAITING_TASKS,
    PlanState,
)
from patchmgr.domain.rollout.work import Step, Work

_HANDLERS: dict[type, Callable[[Work, Any], None]] = {
    Propose: commands.propose,
    Approve: commands.approve,
    BreakGlass: commands.break_glass,
    Supersede: commands.supersede,
    Held: commands.held,
    Reject: commands.reject,
    Edited: commands.edited,
    Barred: commands.barred,
    Start: commands.start,
    Pause: commands.pause,
    Resume: commands.resume,
    Cancel: commands.cancel,
    Acknowledge: commands.acknowledge,
    Retry: overrides.retry,
    AcknowledgeHosts: overrides.acknowledge_hosts,
    RollBack: overrides.roll_back,
    WithdrawRollBack: overrides.withdraw_roll_back,
    SkipRing: overrides.skip_ring,
    ProbeAnswered: probing.answered,
    HaltSignal: commands.halt,
    Withdrawn: commands.withdrawn,
    Tick: ticking.tick,
    TaskReported: results.reported,
    NeverBegun: results.never_begun,
    InventorySeen: results.seen,
    WayBackSeen: witness.seen,
}


def advance(rollout: Rollout, event: Event) -> Step:
    """Return the rollout after ``event``, and what it asks of the world, in order.

    Raises `IllegalTransitionError` when the state does not allow the event, `ForbiddenError` when
    who asks may not, `ConflictError` and `NotFoundError` when it does not fit what is known.
    """
    return advance_all(rollout, (event,))


def advance_all(rollout: Rollout, events: Iterable[Event]) -> Step:
    """Return the rollout after all ``events``; as `advance` one by one, at the cost of one copy."""
    work = Work(rollout)
    for event in events:
        _HANDLERS[type(event)](work, event)
    return work.done()


def deadline_of(rollout: Rollout, task: Task) -> datetime | None:
    """Return when the server stops waiting for the next step of a live task.

    A task that waits for its turn goes by its ring, and before that ring's turn by the ones
    before it.
    """
    if task.deadline is not None or task.state not in WAITING_TASKS:
        return task.deadline
    if rollout.rings[task.ring].deadline is not None:
        return rollout.rings[task.ring].deadline
    return next((ring.deadline for ring in rollout.rings if ring.deadline is not None), None)


def awaited_person(rollout: Rollout) -> str:
    """Return who must act before the plan goes on: a role in words; empty when nobody must."""
    match rollout.state:
        case PlanState.DRAFT:
            return "its author, to propose it"
        case PlanState.PROPOSED:
            return "an approver who is not an author"
        case PlanState.APPROVED:
            return "an operator, to start it"
        case PlanState.PAUSED:
            return "an operator, to resume it"
        case PlanState.HALTED:
            return "an operator, to look at the signal and acknowledge it"
    return ""


def is_open(rollout: Rollout) -> bool:
    """Return whether anything can still happen: the plan is not over, or a host is at work."""
    return rollout.state in OPEN_PLANS or rollout.live > 0


def current_ring(rollout: Rollout) -> int | None:
    """Return the position of the first ring that is not over; None when all are."""
    return next((i for i, ring in enumerate(rollout.rings) if ring.state not in OVER_RINGS), None)
