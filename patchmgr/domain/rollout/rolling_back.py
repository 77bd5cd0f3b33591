"""Orders to go back: hosts that a person wants rolled back, where hosts or a runner take orders.

They keep every rule of an order that installs: the window, freezes, the ring's places, its groups,
one attempt carried out once. But they are a person's word about named hosts, so a plan that is
paused, halted or over hands them out; one whose content was changed does not, because nobody knows
what its old versions are.
"""

from dataclasses import replace
from datetime import datetime

from patchmgr.domain.durations import words
from patchmgr.domain.rollout import signals
from patchmgr.domain.rollout.entering import enter
from patchmgr.domain.rollout.events import (
    MACHINE,
    UNHEARD,
    Dispatch,
    NeverBegun,
    Outcome,
    Recall,
    TaskReported,
    Tick,
    WithdrawRollBack,
)
from patchmgr.domain.rollout.fitting import latest_start
from patchmgr.domain.rollout.model import Task, WayBack
from patchmgr.domain.rollout.states import ACTIVE_PLANS, AT_WORK, CHANGED, ENDED_PLANS, TaskState
from patchmgr.domain.rollout.work import Work
from patchmgr.errors import ConflictError

_T = TaskState
_HANDING_OUT = (*ACTIVE_PLANS, *ENDED_PLANS)
_ANSWERS = (Outcome.RUNNING, Outcome.ROLLED_BACK, Outcome.FAILED, Outcome.SKIPPED)


def asked(work: Work, task: Task, why: str, at: datetime) -> WayBack:
    """Return what a person asks for; where people carry it out, nobody waits for a turn."""
    until = at + work.settings(task).wait if work.plan.orders_ways_back else None
    return WayBack(why, at, until=until)


def pass_deadlines(work: Work, event: Tick) -> None:
    """Take back what was not begun in time, and give up what has no time left."""
    for task, undo in _open(work):
        is_late = undo.until is not None and event.at >= undo.until
        if undo.begun is not None and is_late:
            limit = words(work.settings(task).run)
            fail(work, task, event.at, f"no result within {limit}")
        elif undo.is_in_hand and undo.begun is None:
            _check_order(work, task, undo, event, is_late=is_late)
    for task, undo in _open(work):
        if undo.waits and undo.until is not None and event.at >= undo.until:
            wait = words(work.settings(task).wait)
            _give_up(work, task, event.at, f"it could not be handed out within {wait}")


def hand_out(work: Work, event: Tick) -> None:
    """Hand out the orders whose turn it is, by ring and host."""
    if work.plan.state not in _HANDING_OUT or signals.has_other_content(work):
        return
    for position in range(len(work.rings)):
        free = free_places(work, position)
        for task, undo in _open(work):
            if free < 1:
                break
            latest = latest_start(work, task, event)
            may_go = task.ring == position and undo.waits and task.state in CHANGED
            if not may_go or latest is None:
                continue
            if not task.is_unavailable and work.spent_group(task):
                continue
            _give(work, task, undo, event.at, latest)
            free -= 1


def free_places(work: Work, position: int) -> int:
    """Return how many more hosts of a ring may be at work."""
    going_back = sum(task.ring == position and undo.is_in_hand for task, undo in _open(work))
    at_work = work.tally(position).of(*AT_WORK) + going_back
    return work.rings[position].settings.max_concurrent - at_work


def refusal(task: Task, outcome: Outcome, attempt: int | None) -> str | None:
    """Return why ``outcome`` cannot be true of an order to go back; None when it can be."""
    if attempt is None or not 0 < attempt <= task.attempt:
        return f"attempt {attempt} was never handed out"
    if outcome not in _ANSWERS:
        return f"an order to go back does not end as {outcome}"
    if outcome is Outcome.SKIPPED and not _is_out(task, attempt):
        return "it cannot be declined any more"
    return None


def reported(work: Work, task: Task, event: TaskReported) -> None:
    """Take what a host says of an order to go back. Raises `ConflictError`."""
    if why := refusal(task, event.outcome, event.attempt):
        raise ConflictError(f"host {event.host}: {why}")
    undo = task.undo
    if undo is None:  # it was given another turn since; its inventory will tell
        return
    is_out = _is_out(task, event.attempt)
    said = _said(event)
    match event.outcome:
        case Outcome.RUNNING if is_out and undo.begun is None:
            until = event.at + work.settings(task).run
            work.put(replace(task, undo=replace(undo, begun=event.at, until=until)))
            _record(work, task, event.at, "roll_back_begun", "", event.by)
        case Outcome.ROLLED_BACK if task.state not in (_T.ROLLED_BACK, _T.SKIPPED):
            late = "" if is_out else "late: it has gone back"
            enter(
                work,
                task,
                _T.ROLLED_BACK,
                event.at,
                late,
                actor=event.by,
                finished=event.at,
                package="",
                output=event.output or task.output,
                not_back=False,
                by=event.by,
            )
        case Outcome.FAILED if is_out:
            told = replace(task, output=event.output or task.output, by=event.by)
            fail(work, told, event.at, said or "it did not say why", event.by)
        case Outcome.SKIPPED if is_out:
            _give_up(work, task, event.at, f"declined: {said}" if said else "declined", event.by)


def never_begun(work: Work, task: Task, event: NeverBegun) -> None:
    """Take back an order whose host heard too late that it may begin."""
    if task.undo is not None and task.undo.has_begun and _is_out(task, event.attempt):
        _take_back(work, task, task.undo, UNHEARD, event.at)


def cannot_withdraw(task: Task) -> str | None:
    """Return why the wish that a host goes back cannot be withdrawn; None when it can be."""
    undo = task.undo
    if task.state is _T.ROLLED_BACK:
        return "has gone back already; to have the new versions again, retry it"
    if undo is None:
        return "need not go back; there is nothing to withdraw"
    if undo.over:
        return f"need not go back any more, its roll-back ended: {undo.over}"
    if undo.has_begun:
        return "has begun to go back, and that cannot be withdrawn; wait for what it says"
    return None


def withdraw(work: Work, task: Task, why: str, event: WithdrawRollBack) -> None:
    """Let a host keep what it has; what was said of an earlier order still counts."""
    assert task.undo is not None  # noqa: S101 -- callers have looked
    recall(work, task, why)
    ended = replace(task.undo, until=None, given=None, over=why, withdrawn=event.at)
    work.put(replace(task, undo=ended))
    _record(work, task, event.at, "roll_back_withdrawn", event.reason, event.by)


def fail(work: Work, task: Task, at: datetime, why: str, by: str = MACHINE) -> None:
    """Note that a host began to go back and has not: what is on it nobody knows."""
    assert task.undo is not None  # noqa: S101 -- only an order that was begun can fail
    was_failure = task.is_failure
    ended = replace(
        task,
        undo=replace(task.undo, until=None, given=None, over=why),
        acknowledged=task.acknowledged and was_failure,
    )
    _record(work, task, at, "roll_back_failed", why, by)
    work.notify("roll_back_failed", f"a host could not be rolled back: {why}")
    if task.state is _T.FAILED:
        work.put(ended)
        return
    said = f"its roll-back failed: {why}"
    enter(work, ended, _T.FAILED, at, said, actor=by, finished=at, package="")


def recall(work: Work, task: Task, why: str) -> None:
    """Take back an order that is out; its host has not begun."""
    if task.undo is not None and task.undo.is_in_hand:
        work.effects.append(Recall(task.host, task.undo.attempt, why))


def _open(work: Work) -> list[tuple[Task, WayBack]]:
    """Return those that the machine waits for, by host."""
    if not work.plan.orders_ways_back:
        return []
    found = [(one, one.undo) for one in work.tasks.values() if one.undo and one.undo.until]
    return sorted(found, key=lambda pair: pair[0].host)


def _is_out(task: Task, attempt: int | None) -> bool:
    undo = task.undo
    return undo is not None and undo.is_in_hand and undo.attempt == attempt


def _check_order(work: Work, task: Task, undo: WayBack, event: Tick, *, is_late: bool) -> None:
    """Take back an order that was not begun in time, or that no longer fits into its window."""
    can_begin = latest_start(work, task, event) is not None and task.state in CHANGED
    if can_begin and not is_late:
        return
    why = f"not begun within {words(work.settings(task).lease)}"
    misses = undo.misses + 1
    if not can_begin:
        misses = undo.misses
        why = f"frozen: {event.frozen}" if event.frozen else "it closes too soon to begin"
    _take_back(work, task, replace(undo, misses=misses), why, event.at)
    if misses >= work.settings(task).max_attempts:
        _give_up(work, work.tasks[task.host], event.at, f"{why}, {misses} times")


def _take_back(work: Work, task: Task, undo: WayBack, why: str, at: datetime) -> None:
    """Let an order that was not begun wait for another turn."""
    recall(work, task, why)
    until = (undo.asked or at) + work.settings(task).wait
    work.put(replace(task, undo=replace(undo, given=None, begun=None, until=until)))
    _record(work, task, at, "roll_back_recalled", why)


def _give(work: Work, task: Task, undo: WayBack, at: datetime, latest: datetime) -> None:
    attempt = task.attempt + 1
    out = replace(undo, attempt=attempt, given=at, begun=None, until=latest)
    work.put(replace(task, attempt=attempt, undo=out))
    work.effects.append(Dispatch(task.host, attempt, latest, is_way_back=True))
    message = f"attempt {attempt}, to begin by {latest:%Y-%m-%d %H:%M} UTC"
    _record(work, task, at, "roll_back_dispatched", message)


def _give_up(work: Work, task: Task, at: datetime, why: str, by: str = MACHINE) -> None:
    """End what nobody began: the host has what it had."""
    assert task.undo is not None  # noqa: S101 -- callers have looked
    work.put(replace(task, undo=replace(task.undo, until=None, given=None, over=why)))
    _record(work, task, at, "roll_back_given_up", why, by)
    work.notify("roll_back_given_up", f"a host was not rolled back: {why}")


def _said(event: TaskReported) -> str:
    lines = event.output.strip().splitlines()
    return ": ".join(part for part in (event.package, lines[-1][:300] if lines else "") if part)


def _record(work: Work, task: Task, at: datetime, kind: str, why: str, by: str = MACHINE) -> None:
    work.record(at, kind, why, ring=work.rings[task.ring].name, host=task.host, by=by)
