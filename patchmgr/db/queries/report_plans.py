"""Changes that a compliance report lists: plans, who approved them, what came of their tasks."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from patchmgr.db import models
from patchmgr.domain.compliance import Approval, PlanDone
from patchmgr.domain.windows import from_json, open_until

UNFINISHED = "unfinished"  # of a task that had not ended


def plans(session: Session, after: datetime, at: datetime) -> tuple[PlanDone, ...]:
    """Return the plans at work after ``after`` and until ``at``, by start. Three queries."""
    plan = models.Plan
    rows = session.scalars(
        select(plan)
        .where(plan.started_at <= at, or_(plan.finished_at.is_(None), plan.finished_at > after))
        .order_by(plan.started_at, plan.id)
    ).all()
    numbers = [row.id for row in rows]
    approvals = _approvals(session, numbers, at)
    tallies = _tallies(session, rows, at)
    found = []
    for row in rows:
        if row.started_at is None:
            continue
        finished = row.finished_at if row.finished_at and row.finished_at <= at else None
        tally = tallies[row.id]
        found.append(
            PlanDone(
                id=row.id,
                title=row.title,
                author=row.author,
                state=row.state if finished else "started",
                content_hash=row.content_hash,
                started=row.started_at,
                finished=finished,
                approvals=tuple(approvals[row.id]),
                tasks=tally.outcomes.total(),
                outcomes=dict(sorted(tally.outcomes.items())),
                in_window=tally.in_window,
                out_of_window=tally.out_of_window,
                no_window=tally.no_window,
                break_glass=_break_glass(row, at),
            )
        )
    return tuple(found)


def _break_glass(row: models.Plan, at: datetime) -> str:
    """Return how a plan was started without its approvals, as it was known at ``at``."""
    if row.broken_at is None or row.broken_at > at:
        return ""
    said = f"started without its approvals by {row.broken_by}: {row.broken_reason}"
    if row.reviewed_at is None or row.reviewed_at > at:
        return f"{said}; not reviewed"
    return f"{said}; reviewed by {row.reviewed_by}: {row.review_comment}"


def _approvals(
    session: Session, numbers: Iterable[int], at: datetime
) -> Mapping[int, list[Approval]]:
    """Return each plan's decisions that stood at ``at``, by time."""
    row = models.Approval
    found: dict[int, list[Approval]] = defaultdict(list)
    for approval in session.scalars(
        select(row)
        .where(row.plan_id.in_(numbers), row.at <= at)
        .where(or_(row.void_at.is_(None), row.void_at > at))
        .order_by(row.at, row.id)
    ):
        found[approval.plan_id].append(
            Approval(approval.by, approval.at, approval.ring, approval.decision)
        )
    return found


@dataclass(slots=True)
class _Tally:
    outcomes: Counter[str] = field(default_factory=Counter)
    in_window: int = 0
    out_of_window: int = 0
    no_window: int = 0


def _tallies(session: Session, plans: Sequence[models.Plan], at: datetime) -> Mapping[int, _Tally]:
    """Return each plan's tasks by outcome, and the dispatched ones by whether a window was open."""
    openness = {plan.id: _Openness(plan.windows) for plan in plans}
    task = models.Task
    rows = session.execute(
        select(task.plan_id, task.state, task.window, task.dispatched_at, task.finished_at).where(
            task.plan_id.in_(openness)
        )
    )
    found: dict[int, _Tally] = defaultdict(_Tally)
    for plan_id, state, window, dispatched, finished in rows:
        tally = found[plan_id]
        ended = finished is not None and finished <= at
        tally.outcomes[state if ended else UNFINISHED] += 1
        if not ended or dispatched is None:
            continue
        opened = None if window is None else openness[plan_id][window, dispatched]
        tally.in_window += opened is True
        tally.out_of_window += opened is False
        tally.no_window += opened is None
    return found


class _Openness(dict[tuple[str, datetime], bool]):
    """Whether a window of a plan, as it was approved, was open; each instant is looked up once."""

    def __init__(self, windows: Mapping[str, Mapping[str, Any]]) -> None:
        super().__init__()
        self._windows = {name: from_json(form) for name, form in windows.items()}

    def __missing__(self, key: tuple[str, datetime]) -> bool:
        name, at = key
        self[key] = open_until(self._windows[name], at) is not None
        return self[key]
