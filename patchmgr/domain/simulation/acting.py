"""What a virtual person's act is as an event of the machine."""

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime
from itertools import chain, count, islice

from patchmgr.domain.accounts import Role
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
from patchmgr.domain.terms import ROLE

NO_REASON = "no reason given"


def needs_all_tasks(act: Act) -> bool:
    """Return whether the act can end the turn of hosts that wait."""
    return act in (Act.CANCEL, Act.SKIP)


def consents(rollout: Rollout, at: datetime, ring: str = "") -> list[Approve]:
    """Return the approvals that a plan, or one of its rings, lacks, from people who are asked.

    There are none where all of those cannot give as many, as in the service.
    """
    asked, needed = rollout.approvers, rollout.approvals_needed
    if ring:
        (settings,) = (one.settings for one in rollout.rings if one.name == ring)
        asked, needed = settings.approvers, settings.approvals
    given = {one.by for one in rollout.approvals if one.ring == ring} - rollout.authors
    named = sorted(name for name in asked if not name.startswith(ROLE))
    others = (f"{APPROVER} {number}" for number in count(1))
    able = named if asked and len(named) == len(asked) else chain(named, others)
    missing = max(0, needed - len(given))
    people = list(islice((one for one in able if one not in rollout.authors | given), missing))
    if len(people) < missing:
        return []
    role = Role.ADMIN.value  # covers every role that can be asked for
    return [Approve(name, at, rollout.content_hash, ring, role=role) for name in people]


def renewed(rollout: Rollout, at: datetime) -> Rollout:
    """Return ``rollout`` with what was approved for its start given again at ``at``."""
    again = (one if one.ring else replace(one, at=at) for one in rollout.approvals)
    return replace(rollout, approvals=tuple(again))


def events_of(
    act: PersonActs, at: datetime, hosts: Collection[int], rollout: Rollout
) -> list[Event]:
    """Return the events; ``hosts`` are the numbers of those that the act names."""
    if act.act is Act.APPROVE and (given := consents(rollout, at, act.ring)):
        return list(given)
    return [_event_of(act, at, hosts, rollout)]


def _event_of(act: PersonActs, at: datetime, hosts: Collection[int], rollout: Rollout) -> Event:
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
