"""A ledger in which hosts that are alike move together: for forecasts of many of them.

Where every host does what its ring expects, those of one ring and window that get their turn at one
instant begin and end at one instant too. So one task goes through the machine for all of them, and
stands for as many. Who gets a turn is chosen host by host, as ever.
"""

from collections.abc import Iterable, Mapping, Sequence

from patchmgr.domain.rollout.events import Tick
from patchmgr.domain.rollout.model import Rollout, revised
from patchmgr.domain.rollout.states import WAITING_TASKS, TaskState
from patchmgr.domain.simulation.ledger import Ledger

_Likeness = tuple[int, str | None, TaskState, int, int]  # ring, window, state, attempt, misses


class AlikeLedger(Ledger):
    """Where every host stands; the task of a host under way may stand for several."""

    def __init__(self, rollout: Rollout) -> None:
        super().__init__(rollout)
        self._groups: Mapping[int, tuple[str, ...]] = {
            host: task.groups for host, task in rollout.tasks.items() if task.groups
        }
        # Who must have begun before a host is asked when it is picked, and never of a crowd.
        self.tasks.update((host, revised(self.tasks[host], after=())) for host in self._after)
        self._crowds: dict[int, tuple[int, ...]] = {}  # first host -> all that its task stands for

    def members(self, host: int) -> Sequence[int]:
        return self._crowds.get(host, (host,))

    def can_change(self, tick: Tick) -> set[int]:
        """Return as `Ledger`, of each crowd its first host."""
        found = super().can_change(tick)
        crowds: dict[_Likeness, list[int]] = {}
        for host in sorted(self._picked):
            task = self.tasks[host]
            likeness = task.ring, task.window, task.state, task.attempt, task.misses
            crowds.setdefault(likeness, []).append(host)
        for hosts in crowds.values():
            self._gather(hosts)
            found.difference_update(hosts[1:])
        return found

    def give_back(self, hosts: Iterable[int]) -> None:
        """Let crowds that did not move go back into their queues, each host by itself."""
        apart = [
            member
            for host in hosts
            for member in (self._part(host) if self.tasks[host].state in WAITING_TASKS else ())
        ]
        super().give_back(apart)

    def take(self, after: Rollout) -> bool:
        may_follow = super().take(after)
        for host, task in after.tasks.items():
            if host in self._crowds and task.state in WAITING_TASKS and host not in self._picked:
                super().give_back(self._part(host))  # it was taken back from them
        return may_follow

    def _gather(self, hosts: Sequence[int]) -> None:
        """Let one task stand for ``hosts``, whose groups can spare all of them."""
        groups = tuple(key for host in hosts for key in self._groups.get(host, ()))
        crowd = revised(self.tasks[hosts[0]], hosts=len(hosts), groups=groups)
        self._crowds[hosts[0]] = tuple(hosts)
        self.tasks.update(dict.fromkeys(hosts, crowd))

    def _part(self, first: int) -> Sequence[int]:
        hosts = self._crowds.pop(first, None)
        if hosts is None:
            return (first,)
        crowd = self.tasks[first]
        for host in hosts:
            groups = self._groups.get(host, ())
            self.tasks[host] = revised(crowd, host=host, hosts=1, groups=groups)
        return hosts
