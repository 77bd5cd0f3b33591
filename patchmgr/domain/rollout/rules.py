"""What the decisions of people have in common: when they are possible, and what they renew."""

from dataclasses import replace
from datetime import datetime

from patchmgr.domain.probes import Standing
from patchmgr.domain.rollout.states import WAITING_RINGS, WAITING_TASKS, PlanState, RingState
from patchmgr.domain.rollout.work import Work
from patchmgr.errors import IllegalTransitionError, InputError


def require(work: Work, verb: str, *states: PlanState) -> None:
    """Raise `IllegalTransitionError` unless the plan is in one of ``states``."""
    if work.plan.state not in states:
        raise IllegalTransitionError(work.plan.state, verb)


def needs_reason(reason: str, done: str, what: str = "the plan is") -> None:
    """Raise `InputError` unless there is a reason."""
    if not reason.strip():
        raise InputError({"reason": f"say why {what} {done}"})


def renew(work: Work, at: datetime) -> None:
    """Give waiting rings their whole time again, and probes a new count: nothing could happen."""
    for position, ring in enumerate(work.rings):
        waits = ring.state is not RingState.PENDING and work.tally(position).of(*WAITING_TASKS)
        if waits or ring.state in WAITING_RINGS:
            work.set_ring(position, replace(ring, deadline=at + ring.settings.wait))
        if ring.probes:
            fresh = {name: Standing(at) for name in ring.probes}
            work.set_ring(position, replace(work.rings[position], probes=fresh))
