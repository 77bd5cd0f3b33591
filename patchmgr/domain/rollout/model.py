"""What is known of a rollout: frozen values, and counters so that finished tasks need not be kept.

A `Rollout` carries only the tasks that a step may touch. All others are in their ring's counters,
which every step keeps in line, so a tick costs what can change and not what the plan is large.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Any

from patchmgr.domain.probes import Standing
from patchmgr.domain.rings import RingSettings
from patchmgr.domain.rollout.states import (
    LIVE_TASKS,
    UNAVAILABLE,
    PlanState,
    RingState,
    TaskState,
    WentBack,
)
from patchmgr.domain.terms import VALID


@dataclass(frozen=True, slots=True)
class WayBack:
    """That a person wants the new versions of a host taken back, and how far that has come.

    It is no state of the host's part: that stays what it is until the host says that it went back.
    Where orders are handed out, one to go back is one of its task's attempts.
    """

    why: str
    asked: datetime | None = None
    attempt: int = 0  # the last order to go back; 0: none was handed out
    misses: int = 0  # orders that nobody began
    until: datetime | None = None  # for its next step; None: it is over, or people carry it out
    given: datetime | None = None  # when the order that is out was handed out; None: none is
    begun: datetime | None = None
    over: str = ""  # why it ended without the host having gone back; empty: it has not
    withdrawn: datetime | None = None  # since when nobody wants it any more

    @property
    def is_in_hand(self) -> bool:
        """Whether an order is out: the host may be changed at any moment."""
        return self.given is not None

    @property
    def waits(self) -> bool:
        """Whether its order is still to be handed out."""
        return self.until is not None and self.given is None

    @property
    def has_begun(self) -> bool:
        """Whether its host is going back at this moment: nobody can hold it any more."""
        return self.is_in_hand and self.begun is not None


@dataclass(frozen=True, slots=True)
class Task:
    """One host's part of a plan."""

    host: int
    ring: int  # position
    window: str | None = None  # None: any time
    state: TaskState = TaskState.QUEUED
    since: datetime | None = None
    attempt: int = 0  # how often it was handed out; names the order that a result answers
    misses: int = 0  # of those, how often nobody began
    deadline: datetime | None = None  # None: its ring's deadline counts
    dispatched: datetime | None = None
    begun: datetime | None = None  # of this attempt, as first heard of
    finished: datetime | None = None
    seen: datetime | None = None  # last inventory that was looked at since the dispatch
    package: str = ""  # the one that failed
    not_back: bool = False  # lost in its reboot: no inventory since
    reason: str = ""
    output: str = ""
    by: str = ""  # who reported
    groups: tuple[str, ...] = ()  # keys of `Rollout.groups`
    after: tuple[int, ...] = ()  # hosts that must have begun before it
    acknowledged: bool = False  # a person has seen that it ended without success
    undo: WayBack | None = None  # None: nobody wants it rolled back
    went_back: WentBack | None = None  # None: nobody said so of this attempt
    proof_after: datetime | None = None  # a later inventory is news of that; None: none is
    hosts: int = 1  # that it stands for: in a forecast those that are alike move as one

    @property
    def is_failure(self) -> bool:
        """Whether it counts among its ring's failures."""
        if self.state is TaskState.TIMED_OUT:
            return self.begun is not None
        return self.state in (TaskState.FAILED, TaskState.ROLLED_BACK)

    @property
    def is_unavailable(self) -> bool:
        """Whether its host counts against its groups.

        One that ended before it was ever asked, because no window opened, is as it was.
        """
        if self.undo is not None and self.undo.is_in_hand:
            return True
        if self.acknowledged or self.state not in UNAVAILABLE:
            return False
        was_asked = self.begun is not None or self.misses > 0
        return self.state is not TaskState.TIMED_OUT or was_asked


_NAMES = tuple(one.name for one in fields(Task))
_values = attrgetter(*_NAMES)
_SETTERS: Mapping[str, Any] = {name: getattr(Task, name).__set__ for name in _NAMES}


def revised(task: Task, **changes: Any) -> Task:
    """Return ``task`` with ``changes``: `dataclasses.replace` in less than half of its time.

    A plan for 100,000 hosts is half a million of these, and little else.
    """
    found = object.__new__(Task)
    for put, value in zip(_SETTERS.values(), _values(task), strict=True):
        put(found, value)
    for name, value in changes.items():
        _SETTERS[name](found, value)
    return found


@dataclass(frozen=True, slots=True)
class Tally:
    """A ring's hosts by state. What a host was counted as is what it is taken away as."""

    states: Mapping[str, int] = field(default_factory=dict)  # TaskState -> hosts
    unreached: int = 0  # of the timed out, those that never began: neither tried nor failed
    reboots_lost: int = 0  # of the lost, those that did not come back from a reboot
    packages: Mapping[str, int] = field(default_factory=dict)  # package -> hosts on which it failed
    accepted: int = 0  # failures that a person has looked at and let pass
    lost_accepted: int = 0  # lost hosts that a person has acknowledged
    accepted_at: datetime | None = None  # when all failures were let pass, the last time

    def of(self, *states: TaskState) -> int:
        return sum(self.states.get(state, 0) for state in states)

    @property
    def hosts(self) -> int:
        """Hosts that count: all but the skipped and cancelled."""
        return sum(self.states.values()) - self.of(TaskState.SKIPPED, TaskState.CANCELLED)

    @property
    def failures(self) -> int:
        ended = self.of(TaskState.FAILED, TaskState.ROLLED_BACK, TaskState.TIMED_OUT)
        return ended - self.unreached

    @property
    def succeeded(self) -> int:
        return self.of(TaskState.VERIFIED, TaskState.INSTALLED, TaskState.REBOOT_PENDING)

    @property
    def unverified(self) -> int:
        shown_none = self.of(TaskState.INSTALLED, TaskState.REBOOT_PENDING, TaskState.LOST)
        return shown_none - self.lost_accepted

    @property
    def attempted(self) -> int:
        """Hosts with an outcome."""
        return self.succeeded + self.failures + self.of(TaskState.LOST)

    @property
    def live(self) -> int:
        return self.of(*LIVE_TASKS)


@dataclass(frozen=True, slots=True)
class Ring:
    """A stage of the plan: its settings, and where it stands."""

    settings: RingSettings
    tally: Tally = field(default_factory=Tally)
    state: RingState = RingState.PENDING
    since: datetime | None = None
    started: datetime | None = None
    soak_until: datetime | None = None
    finished: datetime | None = None
    deadline: datetime | None = None  # while it waits: when the machine stops and asks
    reason: str = ""
    probes: Mapping[str, Standing] = field(default_factory=dict)  # by name

    @property
    def name(self) -> str:
        return self.settings.name


@dataclass(frozen=True, slots=True)
class Approval:
    """A person's consent to exact content; ``ring`` is empty for the whole plan."""

    by: str
    at: datetime
    content_hash: str
    ring: str = ""


@dataclass(frozen=True, slots=True)
class Signal:
    """A reason to stop. One of the same kind and subject comes again only at a higher level."""

    kind: str  # "failures", "package", "reboot", "withdrawn", "gate", "waiting", "content", ...
    subject: str  # ring, package, advisory
    level: int  # how many
    why: str
    at: datetime

    @property
    def key(self) -> str:
        return f"{self.kind}:{self.subject}"


@dataclass(frozen=True, slots=True)
class Budget:
    """How many hosts of a group may be unavailable, and how many are."""

    limit: int
    unavailable: int = 0

    @property
    def is_spent(self) -> bool:
        return self.unavailable >= self.limit


@dataclass(frozen=True, slots=True)
class Rollout:
    """A plan under way, as far as a step may touch it."""

    rings: tuple[Ring, ...]
    tasks: Mapping[int, Task]  # by host
    authors: frozenset[str]  # who made, edited or proposed it: none of them may approve
    content_hash: str
    approvals_needed: int = 1
    state: PlanState = PlanState.DRAFT
    since: datetime | None = None
    by: str = ""  # who or what brought it into this state
    reason: str = ""
    deadline: datetime | None = None  # of this state, when it has one
    due: datetime | None = None  # earliest due date of what it closes
    approvals: tuple[Approval, ...] = ()
    signals: tuple[Signal, ...] = ()  # open ones
    acknowledged: Mapping[str, int] = field(default_factory=dict)  # signal key -> level let pass
    approvers: tuple[str, ...] = ()  # who must agree; empty: any approver
    approval_valid: timedelta = VALID
    groups: Mapping[str, Budget] = field(default_factory=dict)  # of the tasks it has, at least
    orders_ways_back: bool = False  # as orders to hosts or a runner; else people carry them out

    @property
    def live(self) -> int:
        """Tasks that are not over."""
        return sum(ring.tally.live for ring in self.rings)
