"""All tasks of a virtual rollout, and the few of them that a step can change.

It stands in for the database: what `patchmgr.services.rollout_load` selects with SQL is selected
here with heaps, so that a step costs what changes and not what the plan is large.
"""

import heapq
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from patchmgr.domain.rollout import patience
from patchmgr.domain.rollout.events import Tick
from patchmgr.domain.rollout.model import Budget, Rollout, Task
from patchmgr.domain.rollout.states import (
    AT_WORK,
    DISPATCHING_RINGS,
    NOT_BEGUN,
    WAITING_TASKS,
    PlanState,
    RingState,
    TaskState,
)

_BEGINNING = (*DISPATCHING_RINGS, RingState.WAITING_WINDOW)
_Queue = tuple[int, str | None]  # ring, window


class Ledger:
    """Where every host stands. ``rollout`` is the plan without its tasks."""

    def __init__(self, rollout: Rollout) -> None:
        self.tasks = dict(rollout.tasks)
        self.budgets: dict[str, Budget] = dict(rollout.groups)
        self.rollout = replace(rollout, tasks={}, groups={})
        self.leased: set[int] = set()
        self._queues: dict[_Queue, list[int]] = defaultdict(list)
        self._deadlines: list[tuple[datetime, int]] = []
        # Hosts that cannot begin until a group can spare one, or until another host has begun.
        self._parked: dict[str, dict[_Queue, list[int]]] = defaultdict(lambda: defaultdict(list))
        self._behind: dict[int, list[int]] = defaultdict(list)
        self._after = {host: task.after for host, task in self.tasks.items() if task.after}
        self._picked: set[int] = set()  # taken out of the queues for the present tick
        for task in self.tasks.values():
            self._file(task)

    @property
    def next_deadline(self) -> datetime | None:
        """When the server stops waiting for a host, the next time."""
        while self._deadlines:
            at, host = self._deadlines[0]
            if self.tasks[host].deadline == at:
                return at
            heapq.heappop(self._deadlines)
        return None

    def members(self, host: int) -> Sequence[int]:
        """Return the hosts that the task of ``host`` stands for."""
        return (host,)

    def load(self, hosts: Iterable[int], *, leased: bool = False) -> Rollout:
        """Return the rollout with ``hosts`` and those before them; with ``leased`` all of these."""
        chosen = set(hosts)
        if leased:
            chosen |= self.leased
        chosen.update(*(self.tasks[host].after for host in chosen))
        tasks = {host: self.tasks[host] for host in sorted(chosen)}
        keys = {key for task in tasks.values() for key in task.groups}
        groups = {key: self.budgets[key] for key in keys}
        return replace(self.rollout, tasks=tasks, groups=groups)

    def can_change(self, tick: Tick) -> set[int]:
        """Return the hosts that ``tick`` may move: late ones, and those whose turn it can be."""
        hosts: set[int] = set()
        self._picked = set()
        while (at := self.next_deadline) is not None and at <= tick.at:
            hosts.add(heapq.heappop(self._deadlines)[1])
        plan = self.rollout
        if plan.deadline is not None and plan.deadline <= tick.at:
            return {*hosts, *self.waiting()}
        taken: Counter[str] = Counter()  # of each group, by those that are picked
        for position, ring in enumerate(plan.rings):
            if ring.state in DISPATCHING_RINGS and patience.is_over(ring, tick):
                hosts |= self.waiting(position)
            elif plan.state is PlanState.RUNNING and ring.state in _BEGINNING:
                self._picked |= self._turns(position, tick, taken)
        return hosts | self._picked

    def waiting(self, ring: int | None = None) -> set[int]:
        """Return every host that waits for its turn, in one ring or in all."""
        return {
            task.host
            for task in self.tasks.values()
            if task.state in WAITING_TASKS and ring in (None, task.ring)
        }

    def take(self, after: Rollout) -> bool:
        """Keep what a step made of the loaded part; return whether another host may have its turn.

        That is while a loaded one still waits, and where one is no longer at work.
        """
        may_follow = False
        for host, task in after.tasks.items():
            before = self.tasks[host]
            if task is not before:
                self.tasks.update(dict.fromkeys(self.members(host), task))
                if before.state is TaskState.LEASED:
                    self.leased.discard(host)
                if task.state not in NOT_BEGUN:
                    self._let_follow(host)
                self._picked.discard(host)
                self._file(task)
            left = before.state in AT_WORK and task.state not in AT_WORK
            may_follow = may_follow or left or task.state in WAITING_TASKS
        for key, budget in after.groups.items():
            known = self.budgets[key]
            self.budgets[key] = budget
            if budget.unavailable < known.unavailable:
                self._unpark(key)
        self.rollout = replace(after, tasks={}, groups={})
        return may_follow

    def give_back(self, hosts: Iterable[int]) -> None:
        """Put hosts that were taken out of their queues, and did not move, back into them."""
        for host in hosts:
            task = self.tasks[host]
            if task.state in WAITING_TASKS:
                heapq.heappush(self._queues[task.ring, task.window], host)
                for key in task.groups:
                    self._unpark(key)  # others stood back for it

    def _let_follow(self, first: int) -> None:
        """Put those back into their queues that waited for one to begin."""
        if not self._behind:
            return
        for host in self.members(first):
            for other in self._behind.pop(host, ()):
                self._file(self.tasks[other])

    def _file(self, task: Task) -> None:
        if task.state is TaskState.LEASED:
            self.leased.add(task.host)
        if task.state in WAITING_TASKS:
            heapq.heappush(self._queues[task.ring, task.window], task.host)
        elif task.deadline is not None:
            heapq.heappush(self._deadlines, (task.deadline, task.host))

    def _turns(self, position: int, tick: Tick, taken: Counter[str]) -> set[int]:
        """Take as many hosts out of the ring's queues as can be handed out now, lowest first."""
        ring = self.rollout.rings[position]
        latest = tick.at + ring.settings.needed_time
        room = ring.settings.max_concurrent - ring.tally.of(*AT_WORK)
        is_near = tick.frozen_from is not None and tick.frozen_from <= latest
        if room < 1 or tick.frozen or is_near:
            return set()
        names = [None, *(name for name, closes in tick.windows.items() if closes > latest)]
        keys = [(position, name) for name in names if self._queues.get((position, name))]
        found: set[int] = set()
        while keys and len(found) < room:
            key = keys[0] if len(keys) == 1 else min(keys, key=lambda one: self._queues[one][0])
            host = heapq.heappop(self._queues[key])
            if not self._queues[key]:
                keys.remove(key)
            task = self.tasks[host]
            is_free = task.state in WAITING_TASKS and host not in found
            if is_free and not self._park(task, key, taken):
                found.add(host)
                for group in task.groups:
                    taken[group] += 1
        return found

    def _park(self, task: Task, queue: _Queue, taken: Mapping[str, int]) -> bool:
        """Set aside a host that cannot begin for its groups; return whether it was."""
        for key in task.groups:
            if self._room(key, taken) < 1:
                heapq.heappush(self._parked[key][queue], task.host)
                break
        else:
            first = self._after.get(task.host, ())
            before = next((h for h in first if self.tasks[h].state in NOT_BEGUN), None)
            if before is None:
                return False
            self._behind[before].append(task.host)
        # It does not use the room that its other groups have: that is for the next one there.
        for key in task.groups:
            if self._room(key, taken) > 0:
                self._unpark(key)
        return True

    def _room(self, key: str, taken: Mapping[str, int]) -> int:
        budget = self.budgets[key]
        return budget.limit - budget.unavailable - taken.get(key, 0)

    def _unpark(self, key: str) -> None:
        """Put as many hosts back into each queue as the group can spare now."""
        budget = self.budgets[key]
        for queue, hosts in self._parked.get(key, {}).items():
            room = budget.limit - budget.unavailable
            while hosts and room > 0:
                host = heapq.heappop(hosts)
                if self.tasks[host].state in WAITING_TASKS:
                    heapq.heappush(self._queues[queue], host)
                    room -= 1


def rings_moved(before: Rollout, after: Rollout) -> bool:
    """Return whether the plan or one of its rings is in another state."""
    return before.state is not after.state or any(
        old.state is not new.state for old, new in zip(before.rings, after.rings, strict=True)
    )


def budgets_of(limits: Mapping[str, int]) -> dict[str, Budget]:
    """Return groups of which no host is unavailable."""
    return {key: Budget(limit) for key, limit in limits.items()}
