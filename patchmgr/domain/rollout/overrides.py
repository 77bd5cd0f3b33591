"""What people decide about single hosts and rings: once more, accepted, taken back, left out."""

from collections.abc import Sequence
from dataclasses import replace

from patchmgr.domain.rollout import rolling_back, signals
from patchmgr.domain.rollout.events import (
    AcknowledgeHosts,
    Retry,
    RollBack,
    SkipRing,
    WithdrawRollBack,
)
from patchmgr.domain.rollout.model import Task
from patchmgr.domain.rollout.rules import needs_reason, renew, require
from patchmgr.domain.rollout.states import (
    ACTIVE_PLANS,
    CHANGED,
    ENDED_PLANS,
    LIVE_TASKS,
    OVER_RINGS,
    STOPPED_RINGS,
    UNSUCCESSFUL,
    WAITING_TASKS,
    RingState,
    TaskState,
)
from patchmgr.domain.rollout.work import Work
from patchmgr.errors import ConflictError, HostConflictError, NotFoundError


def retry(work: Work, event: Retry) -> None:
    """Give hosts that ended without success another turn.

    Raises `ConflictError` for a host that did not, or whose ring is skipped, `NotFoundError` for
    one that is not in the plan, `InputError`.
    """
    require(work, "retry", *ACTIVE_PLANS)
    needs_reason(event.reason, "retried", "the hosts are")
    for task in _tasks(work, event.hosts):
        if task.state in LIVE_TASKS or task.state in (TaskState.VERIFIED, TaskState.CANCELLED):
            raise HostConflictError(task.host, f"is {task.state}; nothing to retry")
        if work.rings[task.ring].state is RingState.SKIPPED:
            where = work.rings[task.ring].name
            raise HostConflictError(task.host, f"is in ring {where}, which is skipped")
        if task.undo is not None and task.undo.has_begun:
            raise HostConflictError(task.host, "is going back; wait until it says that it has")
        rolling_back.recall(work, task, "it gets another turn")
        work.put(
            replace(
                task,
                state=TaskState.QUEUED,
                since=event.at,
                misses=0,
                begun=None,
                finished=None,
                package="",
                not_back=False,
                acknowledged=False,
                undo=None,
                went_back=None,
                proof_after=None,
                reason=f"another turn: {event.reason}",
            )
        )
        work.clamp_accepted(task.ring)
        ring = work.rings[task.ring]
        work.record(event.at, "retried", event.reason, ring=ring.name, host=task.host, by=event.by)
        if ring.state in (*STOPPED_RINGS, RingState.SOAKING):
            work.move_ring(task.ring, RingState.ROLLING, event.at, "hosts get another turn")
    renew(work, event.at)


def acknowledge_hosts(work: Work, event: AcknowledgeHosts) -> None:
    """Accept that hosts ended without success: they no longer count against gates and groups.

    Open halt signals stay: letting those pass is a decision of its own. Raises `ConflictError` for
    a host that did not end so or was acknowledged before, `NotFoundError`, `InputError`.
    """
    require(work, "acknowledge hosts", *ACTIVE_PLANS)
    needs_reason(event.reason, "acknowledged", "the hosts are")
    for task in _tasks(work, event.hosts):
        if task.state not in UNSUCCESSFUL:
            raise HostConflictError(task.host, f"is {task.state}; nothing to acknowledge")
        if task.acknowledged:
            raise HostConflictError(task.host, "was acknowledged already")
        if task.is_failure and not work.is_accepted(task):
            work.accept_failures(task.ring, 1)
        work.put(replace(task, acknowledged=True))
        message = f"{task.state}, accepted: {event.reason}"
        ring = work.rings[task.ring].name
        work.record(event.at, "host_acknowledged", message, ring=ring, host=task.host, by=event.by)
    renew(work, event.at)


def roll_back(work: Work, event: RollBack) -> None:
    """Note that hosts must go back to their old versions; a result says when they have.

    Where hosts or a runner take orders, they are handed out by the ticks that follow.

    Raises `ConflictError` for a host that has nothing new, `NotFoundError`, `InputError`.
    """
    require(work, "roll back", *ACTIVE_PLANS, *ENDED_PLANS)
    needs_reason(event.reason, "rolled back", "the hosts are")
    for task in _tasks(work, event.hosts):
        if task.state not in CHANGED or task.attempt == 0:
            raise HostConflictError(task.host, f"is {task.state}; nothing to roll back")
        if task.undo is not None and not task.undo.over:
            raise HostConflictError(task.host, "is asked to go back already")
        undo = rolling_back.asked(work, task, event.reason, event.at)
        work.put(replace(task, undo=undo))
        ring = work.rings[task.ring].name
        work.record(event.at, "roll_back", event.reason, ring=ring, host=task.host, by=event.by)
    count = len(set(event.hosts))
    said = f"{count} {'host' if count == 1 else 'hosts'} must be rolled back: {event.reason}"
    work.notify("roll_back", said)


def withdraw_roll_back(work: Work, event: WithdrawRollBack) -> None:
    """Let hosts keep what they have that were to go back; an order that is out is taken back.

    Raises `ConflictError` for a host that has begun, which nobody can hold any more, or that need
    not go back, `NotFoundError`, `InputError`.
    """
    require(work, "withdraw a roll-back", *ACTIVE_PLANS, *ENDED_PLANS)
    needs_reason(event.reason, "withdrawn", "the roll-back is")
    why = f"withdrawn by {event.by}: {event.reason}"
    tasks = _tasks(work, event.hosts)
    for task in tasks:
        if refused := rolling_back.cannot_withdraw(task):
            raise HostConflictError(task.host, refused)
        rolling_back.withdraw(work, task, why, event)
    count = len(tasks)
    said = f"{count} {'host is' if count == 1 else 'hosts are'} no longer to be rolled back"
    work.notify("roll_back_withdrawn", f"{said}: {event.reason}")


def skip_ring(work: Work, event: SkipRing) -> None:
    """Go on without a ring: what waits in it is skipped, what runs finishes.

    Raises `NotFoundError`, `ConflictError` for a ring that is over, `InputError`.
    """
    require(work, "skip a ring", *ACTIVE_PLANS)
    needs_reason(event.reason, "skipped", "the ring is")
    position = next((i for i, one in enumerate(work.rings) if one.name == event.ring), None)
    if position is None:
        raise NotFoundError("ring", event.ring)
    if work.rings[position].state in OVER_RINGS:
        raise ConflictError(f"ring {event.ring} is {work.rings[position].state} already")
    why = f"ring skipped by {event.by}: {event.reason}"
    signals.recall(work, event.at, why, by=event.by, ring=position)
    for task in [one for one in work.tasks.values() if one.ring == position]:
        if task.state in WAITING_TASKS:
            work.put(
                replace(
                    task,
                    state=TaskState.SKIPPED,
                    since=event.at,
                    finished=event.at,
                    deadline=None,
                    reason=why,
                    by=event.by,
                )
            )
    work.move_ring(position, RingState.SKIPPED, event.at, event.reason, by=event.by)
    work.accept_all_failures(position, event.at)


def _tasks(work: Work, hosts: Sequence[int]) -> list[Task]:
    for host in hosts:
        if host not in work.tasks:
            raise NotFoundError("task of host", host)
    return [work.tasks[host] for host in sorted(set(hosts))]
