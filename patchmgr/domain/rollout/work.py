"""A rollout in the hands of one step: changed in place, frozen again at its end."""

from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import datetime

from patchmgr.domain.rings import RingSettings
from patchmgr.domain.rollout.events import MACHINE, Effect, Notify, Record
from patchmgr.domain.rollout.model import Budget, Ring, Rollout, Signal, Tally, Task, revised
from patchmgr.domain.rollout.states import (
    NOT_BEGUN,
    OVER_RINGS,
    WAITING_RINGS,
    PlanState,
    RingState,
    TaskState,
)

Step = tuple[Rollout, tuple[Effect, ...]]


@dataclass(slots=True)
class _Counts:
    """A `Tally` that can change."""

    states: Counter[str]
    packages: Counter[str]
    unreached: int
    reboots_lost: int
    accepted: int
    lost_accepted: int
    accepted_at: datetime | None
    changed: bool = False
    _frozen: Tally | None = None  # of the present counts

    def add(self, task: Task, by: int) -> None:
        self.touch()
        self.states[task.state] += by
        if task.state is TaskState.TIMED_OUT and task.begun is None:
            self.unreached += by
        if task.state is TaskState.LOST and task.acknowledged:
            self.lost_accepted += by
        elif task.state is TaskState.LOST and task.not_back:
            self.reboots_lost += by
        if task.state is TaskState.FAILED and task.package:
            self.packages[task.package] += by

    def accept(self, failures: int) -> None:
        if failures != self.accepted:
            self.accepted = failures
            self.touch()

    def touch(self) -> None:
        self.changed, self._frozen = True, None

    def frozen(self) -> Tally:
        if self._frozen is None:
            self._frozen = Tally(
                dict(+self.states),
                self.unreached,
                self.reboots_lost,
                dict(+self.packages),
                self.accepted,
                self.lost_accepted,
                self.accepted_at,
            )
        return self._frozen


@dataclass(slots=True)
class Work:
    """What the handlers of one event change. ``plan`` holds all but rings and tasks."""

    plan: Rollout
    rings: list[Ring] = field(init=False)
    tasks: dict[int, Task] = field(init=False)
    groups: dict[str, Budget] = field(init=False)
    effects: list[Effect] = field(default_factory=list)
    _counts: list[_Counts] = field(init=False)

    def __post_init__(self) -> None:
        self.rings = list(self.plan.rings)
        self.tasks = dict(self.plan.tasks)
        self.groups = dict(self.plan.groups)
        self._counts = [_counts(ring.tally) for ring in self.rings]

    def done(self) -> Step:
        for position in range(len(self.rings)):
            if self._counts[position].changed:
                self.rings[position] = replace(self.rings[position], tally=self.tally(position))
        plan = replace(self.plan, rings=tuple(self.rings), tasks=self.tasks, groups=self.groups)
        return plan, tuple(self.effects)

    # Tasks

    def settings(self, task: Task) -> RingSettings:
        return self.rings[task.ring].settings

    def tally(self, position: int) -> Tally:
        return self._counts[position].frozen()

    def put(self, task: Task) -> None:
        """Store ``task`` in place of what its host had, and keep the counters in line."""
        before = self.tasks[task.host]
        if before.is_failure and not task.is_failure and self.is_accepted(before):
            self.accept_failures(before.ring, -before.hosts)  # or it would cover for another one
        if task.acknowledged and _is_fresh(before, task):
            task = revised(task, acknowledged=False)
        self._counts[before.ring].add(before, -before.hosts)
        self._counts[task.ring].add(task, +task.hosts)
        self.tasks[task.host] = task
        if task.groups and task.is_unavailable != before.is_unavailable:
            step = 1 if task.is_unavailable else -1
            for key in task.groups:
                budget = self.groups[key]
                self.groups[key] = Budget(budget.limit, budget.unavailable + step)

    def spent_group(self, task: Task) -> str:
        """Return the first of the task's groups that can spare no host; empty when all can."""
        return next((key for key in task.groups if self.groups[key].is_spent), "")

    def is_its_turn(self, task: Task) -> bool:
        """Return whether its groups can spare its host, and those before it have begun."""
        return not self.spent_group(task) and all(
            host in self.tasks and self.tasks[host].state not in NOT_BEGUN for host in task.after
        )

    def is_accepted(self, task: Task) -> bool:
        """Return whether a person let the failure ``task`` pass, alone or with all of its ring."""
        at = self._counts[task.ring].accepted_at
        return task.acknowledged or (at is not None and task.since is not None and task.since <= at)

    def accept_all_failures(self, position: int, at: datetime) -> None:
        """Count every failure that there is at ``at`` as let pass."""
        counts = self._counts[position]
        counts.accepted_at = at
        counts.touch()
        counts.accept(counts.frozen().failures)

    def accept_failures(self, position: int, more: int) -> None:
        """Count ``more`` failures as let pass."""
        counts = self._counts[position]
        failures = counts.frozen().failures
        counts.accept(max(0, min(failures, counts.accepted + more)))

    def clamp_accepted(self, position: int) -> None:
        self.accept_failures(position, 0)

    # Rings

    def move_ring(
        self,
        position: int,
        state: RingState,
        at: datetime,
        message: str,
        *,
        deadline: datetime | None = None,
        by: str = MACHINE,
    ) -> None:
        """Bring a ring into ``state``; a deadline not given is none."""
        ring = self.rings[position]
        self.rings[position] = replace(
            ring,
            state=state,
            since=at,
            started=ring.started or (at if state is RingState.ROLLING else None),
            finished=at if state in OVER_RINGS else None,
            soak_until=ring.soak_until if state in (RingState.SOAKING, *OVER_RINGS) else None,
            deadline=deadline,
            reason=message,
        )
        self.record(at, f"ring_{state.value}", message, ring=ring.name, by=by)

    def set_ring(self, position: int, ring: Ring) -> None:
        self.rings[position] = ring

    def be_patient(self, position: int, at: datetime) -> None:
        """Let a ring wait its whole time again from ``at`` on: it got further."""
        ring = self.rings[position]
        if ring.deadline is not None and ring.state not in WAITING_RINGS:
            self.rings[position] = replace(ring, deadline=at + ring.settings.wait)

    # The plan

    def move(
        self,
        state: PlanState,
        at: datetime,
        by: str,
        reason: str = "",
        *,
        deadline: datetime | None = None,
    ) -> None:
        self.plan = replace(
            self.plan, state=state, since=at, by=by, reason=reason, deadline=deadline
        )
        self.record(at, state.value, reason, by=by)

    def set_signals(self, signals: tuple[Signal, ...]) -> None:
        self.plan = replace(self.plan, signals=signals)

    # What happened, and what must

    def record(
        self,
        at: datetime,
        kind: str,
        message: str,
        *,
        ring: str = "",
        host: int | None = None,
        by: str = MACHINE,
    ) -> None:
        self.effects.append(Record(at, by, kind, message, ring, host))

    def notify(self, kind: str, message: str) -> None:
        self.effects.append(Notify(kind, message))


def _is_fresh(before: Task, task: Task) -> bool:
    """Return whether ``task`` has ended without success in a way that nobody has looked at."""
    lost = TaskState.LOST
    failed = task.is_failure and not before.is_failure
    return failed or (task.state is lost and before.state is not lost)


def _counts(tally: Tally) -> _Counts:
    return _Counts(
        Counter(tally.states),
        Counter(tally.packages),
        tally.unreached,
        tally.reboots_lost,
        tally.accepted,
        tally.lost_accepted,
        tally.accepted_at,
    )
