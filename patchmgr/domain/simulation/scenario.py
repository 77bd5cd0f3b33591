"""A scenario: a virtual fleet, a plan for it, and what people and probes will say."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from patchmgr.domain.groups import GroupSettings, gather, memberships
from patchmgr.domain.probes import Health
from patchmgr.domain.rings import ANY_TIME, OWN_WINDOW, HostFacts, RingSettings, assign
from patchmgr.domain.rollout.model import Ring, Rollout, Tally, Task
from patchmgr.domain.rollout.states import TaskState
from patchmgr.domain.simulation.behaviour import Behaviour
from patchmgr.domain.simulation.ledger import budgets_of
from patchmgr.domain.windows import Freeze, Window

AUTHOR, APPROVER, OPERATOR = "author", "approver", "operator"
CONTENT = "simulated"  # the hash of what is approved
LONGEST = timedelta(days=366)  # a simulation that has not ended by then ends there


class Act(StrEnum):
    """What a person does."""

    PAUSE = "pause"
    RESUME = "resume"
    HALT = "halt"
    ACKNOWLEDGE = "acknowledge"
    ACCEPT = "accept"  # hosts that ended without success
    RETRY = "retry"
    SKIP = "skip"  # a ring
    APPROVE = "approve"  # a ring
    CANCEL = "cancel"
    WITHDRAW = "withdraw"  # the vendor takes an advisory back
    TAMPER = "tamper"  # somebody changes the stored content


@dataclass(frozen=True, slots=True)
class PersonActs:
    at: datetime
    act: Act
    reason: str = ""
    ring: str = ""
    hosts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ProbeSays:
    """What a probe answers from ``since`` until ``until``; otherwise it passes."""

    probe: str
    health: Health
    since: datetime
    until: datetime
    ring: str = ""  # empty: in every ring
    detail: str = ""


@dataclass(frozen=True, slots=True)
class VirtualHost:
    facts: HostFacts
    behaviour: Behaviour
    window: str | None = None  # key of `Scenario.windows`; None: any time
    group: str = ""  # as the log names it


@dataclass(frozen=True, slots=True)
class Scenario:
    """Everything that a simulation depends on."""

    hosts: tuple[VirtualHost, ...]
    rings: tuple[RingSettings, ...]
    start: datetime
    windows: Mapping[str, Window] = field(default_factory=dict)
    freezes: tuple[Freeze, ...] = ()
    groups: tuple[GroupSettings, ...] = ()
    people: tuple[PersonActs, ...] = ()
    answers: tuple[ProbeSays, ...] = ()
    plan: str = "1"
    seed: int = 0
    due: datetime | None = None
    until: timedelta = LONGEST
    acknowledge_after: timedelta | None = None  # somebody always does, so long after a halt
    resume_after: timedelta | None = None


def draft(scenario: Scenario) -> Rollout:
    """Return the scenario's plan as a draft, with every task."""
    facts = [host.facts for host in scenario.hosts]
    rings = assign(facts, scenario.rings, scenario.plan)
    groups = gather(facts, scenario.groups)
    members = memberships(groups, rings)
    tasks = {}
    sizes = [0] * len(scenario.rings)
    for host in scenario.hosts:
        number = host.facts.id
        position = rings[number]
        sizes[position] += 1
        member = members.get(number)
        tasks[number] = Task(
            number,
            position,
            _window(scenario.rings[position], host),
            since=scenario.start,
            groups=member.groups if member else (),
            after=member.after if member else (),
        )
    return Rollout(
        rings=tuple(
            Ring(settings, Tally({TaskState.QUEUED: size} if size else {}))
            for settings, size in zip(scenario.rings, sizes, strict=True)
        ),
        tasks=tasks,
        authors=frozenset({AUTHOR}),
        content_hash=CONTENT,
        due=scenario.due,
        groups=budgets_of({group.key: group.limit for group in groups}),
    )


def group_names(scenario: Scenario, rollout: Rollout) -> dict[int, str]:
    """Return the group that the log names for each host: its own, else all that it is in."""
    return {
        host.facts.id: host.group or ", ".join(rollout.tasks[host.facts.id].groups)
        for host in scenario.hosts
    }


def _window(ring: RingSettings, host: VirtualHost) -> str | None:
    if ring.window == ANY_TIME:
        return None
    return host.window if ring.window == OWN_WINDOW else ring.window
