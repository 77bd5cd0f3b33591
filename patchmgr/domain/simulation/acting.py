"""What a virtual person's act is as an event of the machine."""

from collections.abc import Collection
from datetime import datetime

from patchmgr.domain.rollout.events import (
    Acknowledge,
    AcknowledgeHosts,
    Approve,
    Cancel,
    Event,
    HaltSignal,
    Pause,
    Resume,
    Retry,
    SkipRing,
    Withdrawn,
)
from patchmgr.domain.rollout.model import Rollout
from patchmgr.domain.simulation.scenario import APPROVER, OPERATOR, Act, PersonActs

NO_REASON = "no reason given"


def needs_all_tasks(act: Act) -> bool:
    """Return whether the act can end the turn of hosts that wait."""
    return act in (Act.CANCEL, Act.SKIP)


def event_of(act: PersonActs, at: datetime, hosts: Collection[int], rollout: Rollout) -> Event:
    """Return the event; ``hosts`` are the numbers of those that the act names."""
    reason = act.reason or NO_REASON
    numbers = tuple(sorted(hosts))
    match act.act:
        case Act.PAUSE:
            return Pause(OPERATOR, at, reason)
        case Act.RESUME:
            return Resume(OPERATOR, at, act.reason)
        case Act.HALT:
            return HaltSignal(at, "person", reason, OPERATOR)
        case Act.ACKNOWLEDGE:
            return Acknowledge(OPERATOR, at, reason)
        case Act.ACCEPT:
            return AcknowledgeHosts(OPERATOR, at, numbers, reason)
        case Act.RETRY:
            return Retry(OPERATOR, at, numbers, reason)
        case Act.SKIP:
            return SkipRing(APPROVER, at, act.ring, reason)
        case Act.APPROVE:
            return Approve(APPROVER, at, rollout.content_hash, act.ring)
        case Act.CANCEL:
            return Cancel(OPERATOR, at, reason)
        case _:
            return Withdrawn(at, act.reason or "an advisory")
