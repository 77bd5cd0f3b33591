"""The end of a plan for the hosts whose turn never came."""

from dataclasses import replace
from datetime import datetime

from patchmgr.domain.rollout.states import OVER_RINGS, WAITING_TASKS, RingState, TaskState
from patchmgr.domain.rollout.work import Work


def end_waiting(work: Work, at: datetime, by: str, reason: str) -> None:
    """Cancel every task that waits, and skip every ring that is not over."""
    for task in list(work.tasks.values()):
        if task.state in WAITING_TASKS:
            work.put(
                replace(
                    task,
                    state=TaskState.CANCELLED,
                    since=at,
                    finished=at,
                    deadline=None,
                    reason=reason,
                    by=by,
                )
            )
    for position, ring in enumerate(work.rings):
        if ring.state not in OVER_RINGS:
            work.move_ring(position, RingState.SKIPPED, at, reason, by=by)
