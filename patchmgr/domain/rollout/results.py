"""What hosts report and what their inventories show. Late results count; repeated ones do not."""

from datetime import datetime

from patchmgr.domain.rollout import rolling_back
from patchmgr.domain.rollout.entering import enter
from patchmgr.domain.rollout.events import (
    MACHINE,
    UNHEARD,
    InventorySeen,
    NeverBegun,
    Outcome,
    Recall,
    TaskReported,
)
from patchmgr.domain.rollout.model import Task, revised
from patchmgr.domain.rollout.states import (
    ACTIVE_PLANS,
    AT_WORK,
    LIVE_TASKS,
    UNVERIFIED,
    WAITING_TASKS,
    PlanState,
    TaskState,
)
from patchmgr.domain.rollout.work import Work
from patchmgr.errors import ConflictError, IllegalTransitionError, NotFoundError

_T = TaskState

# From which states an outcome moves a task; from all others it says nothing new. A task that waits
# was handed out before, and its result comes late.
_MOVES: dict[Outcome, frozenset[TaskState]] = {
    Outcome.RUNNING: frozenset(
        {_T.QUEUED, _T.DEFERRED, _T.LEASED, _T.TIMED_OUT, _T.CANCELLED},
    ),
    Outcome.INSTALLED: frozenset(set(_T) - {_T.VERIFIED, _T.INSTALLED, _T.REBOOT_PENDING}),
    Outcome.FAILED: frozenset(set(_T) - {_T.VERIFIED, _T.FAILED, _T.ROLLED_BACK, _T.SKIPPED}),
    Outcome.ROLLED_BACK: frozenset(set(_T) - {_T.ROLLED_BACK, _T.SKIPPED}),
    Outcome.SKIPPED: frozenset({_T.QUEUED, _T.DEFERRED, _T.LEASED, _T.RUNNING}),
}
_OF_EARLIER_ATTEMPTS = (Outcome.INSTALLED,)  # what an outdated order may still have brought about


def refusal(task: Task, outcome: Outcome, attempt: int | None = None) -> str | None:
    """Return why ``outcome`` cannot be true of ``task``; None when it can be."""
    if task.attempt == 0 and outcome is not Outcome.SKIPPED:
        return "it was never handed out; its turn has not come"
    if attempt is not None and not 0 < attempt <= task.attempt:
        return f"attempt {attempt} was never handed out"
    if outcome is Outcome.SKIPPED and task.state not in (*_MOVES[outcome], _T.SKIPPED):
        return f"it cannot be skipped any more, it is {task.state}"
    return None


def reported(work: Work, event: TaskReported) -> None:
    """Take a result. Raises `ConflictError` for one that no order asked for, `NotFoundError`."""
    task = work.tasks.get(event.host)
    if task is None:
        raise NotFoundError("task of host", event.host)
    if task.attempt == 0 and work.plan.state not in ACTIVE_PLANS:
        raise IllegalTransitionError(work.plan.state, "reporting a result")
    if event.is_way_back:
        rolling_back.reported(work, task, event)
        return
    if why := refusal(task, event.outcome, event.attempt):
        raise ConflictError(f"host {event.host}: {why}")
    is_outdated = event.attempt is not None and event.attempt < task.attempt
    if is_outdated and (event.outcome not in _OF_EARLIER_ATTEMPTS or task.state is _T.ROLLED_BACK):
        return
    if task.state in _MOVES[event.outcome]:
        _move(work, task, event)
    elif event.outcome is Outcome.INSTALLED:
        _again_installed(work, task, event)


def never_begun(work: Work, event: NeverBegun) -> None:
    """Take an order back as one that was not begun: nobody is to blame, another turn comes.

    After the end of the plan none does. Raises `NotFoundError`.
    """
    task = work.tasks.get(event.host)
    if task is None:
        raise NotFoundError("task of host", event.host)
    if event.is_way_back:
        rolling_back.never_begun(work, task, event)
    elif task.state is _T.RUNNING and task.attempt == event.attempt:
        work.effects.append(Recall(task.host, task.attempt, UNHEARD))
        comes_again = work.plan.state in ACTIVE_PLANS
        state, finished = (_T.DEFERRED, None) if comes_again else (_T.CANCELLED, event.at)
        enter(work, task, state, event.at, UNHEARD, actor=event.by, begun=None, finished=finished)


def seen(work: Work, event: InventorySeen) -> None:
    """Hold an inventory against what was ordered; one from before the order is no news."""
    task = work.tasks.get(event.host)
    if task is None:
        raise NotFoundError("task of host", event.host)
    if task.state in WAITING_TASKS:
        runs = work.plan.state is PlanState.RUNNING
        if runs and event.verified and not event.reboot_pending:
            why = "it has every target version already"
            enter(work, task, _T.SKIPPED, event.at, why, finished=event.at, by=MACHINE)
        return
    if task.state not in (*LIVE_TASKS, _T.LOST, _T.TIMED_OUT) or not _is_news(task, event.at):
        return
    if not event.verified:
        work.put(revised(task, seen=event.at))
        return
    begun = task.begun or event.at
    if event.reboot_pending:
        if task.state is _T.REBOOT_PENDING:
            work.put(revised(task, seen=event.at))
            return
        why = "the new versions are there, a reboot is not"
        enter(work, task, _T.REBOOT_PENDING, event.at, why, begun=begun, seen=event.at)
        return
    reported_before = task.state in (_T.INSTALLED, _T.REBOOT_PENDING)
    why = "" if reported_before else "seen in the inventory; no result was reported"
    enter(
        work,
        task,
        _T.VERIFIED,
        event.at,
        why,
        begun=begun,
        seen=event.at,
        finished=event.at,
        not_back=False,
    )


def _is_news(task: Task, at: datetime) -> bool:
    ordered = task.dispatched or task.since
    since = task.since if task.state is _T.REBOOT_PENDING else ordered
    earlier = [one for one in (since, task.seen) if one is not None]
    return not earlier or at > max(earlier)


def _move(work: Work, task: Task, event: TaskReported) -> None:
    state = TaskState(event.outcome.value)
    if event.outcome is Outcome.INSTALLED and event.reboot_pending:
        state = _T.REBOOT_PENDING
    is_over = state not in LIVE_TASKS
    is_expected = task.state in (*AT_WORK, *UNVERIFIED) or state is _T.SKIPPED
    if state is _T.ROLLED_BACK and task.undo is not None and not task.undo.over:
        is_expected = True  # a person asked for it, whatever became of the host before
    late = "" if is_expected else "late: "
    said = event.output.strip().splitlines()[-1][:300] if event.output.strip() else ""
    why = f"{event.package}: {said}" if event.package and said else event.package or said
    if state is _T.SKIPPED and not why:
        why = "no reason was given"
    enter(
        work,
        task,
        state,
        event.at,
        late + why if why or late else "",
        actor=event.by,
        begun=None if state is _T.SKIPPED else task.begun or event.at,
        finished=event.at if is_over else None,
        package=event.package if state is _T.FAILED else "",
        output=event.output or task.output,
        not_back=False,
        by=event.by,
    )


def _again_installed(work: Work, task: Task, event: TaskReported) -> None:
    """Take the news about the reboot from a host that had said before that it is done."""
    if task.state is _T.INSTALLED and event.reboot_pending:
        enter(work, task, _T.REBOOT_PENDING, event.at, "a reboot is pending", actor=event.by)
    elif task.state is _T.REBOOT_PENDING and not event.reboot_pending:
        enter(work, task, _T.INSTALLED, event.at, "rebooted", actor=event.by)
