"""How a host's part comes into a state: its deadline, its line of the timeline, what that stops."""

from dataclasses import replace
from datetime import datetime
from typing import Any

from patchmgr.domain.rollout import signals
from patchmgr.domain.rollout.events import MACHINE, Recall
from patchmgr.domain.rollout.model import Task, revised
from patchmgr.domain.rollout.states import UNSUCCESSFUL, TaskState, WentBack
from patchmgr.domain.rollout.work import Work

_T = TaskState


def enter(
    work: Work,
    task: Task,
    state: TaskState,
    at: datetime,
    why: str,
    *,
    actor: str = MACHINE,
    **news: Any,
) -> None:
    """Bring ``task`` into ``state``; ``news`` is what else is known of it now."""
    settings = work.settings(task)
    wait = {
        _T.RUNNING: settings.run,
        _T.INSTALLED: settings.verify,
        _T.REBOOT_PENDING: settings.reboot,
    }.get(state)
    deadline = None if wait is None else at + wait
    news = {"went_back": None, "proof_after": None, **news}
    if state is _T.ROLLED_BACK:
        task = _went_back(work, task)
        news["went_back"] = news["went_back"] or WentBack.AWAITED
        if news["went_back"] is not WentBack.CONFIRMED:
            news["proof_after"] = at
    moved = revised(task, state=state, since=at, deadline=deadline, reason=why, **news)
    work.put(moved)
    if moved.begun is not None and task.begun is None:
        work.be_patient(task.ring, at)
    ring = work.rings[task.ring].name
    work.record(at, f"task_{state.value}", why, ring=ring, host=task.host, by=actor)
    signals.watch_groups(work, work.tasks[task.host], at)
    # Signals come of hosts without success: where one is neither left nor reached, none can be new.
    if task.state in UNSUCCESSFUL or state in UNSUCCESSFUL:
        signals.review(work, at)


def _went_back(work: Work, task: Task) -> Task:
    """End what was still to be done for the host to go back; an order not begun is taken back."""
    if task.undo is None:
        return task
    if task.undo.is_in_hand and task.undo.begun is None:
        work.effects.append(Recall(task.host, task.undo.attempt, "it has gone back"))
    return revised(task, undo=replace(task.undo, until=None, given=None, over=""))
