"""Orders that wait to be fetched, and who holds those that were."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Select, and_, exists, func, or_, select
from sqlalchemy.orm import Session

from patchmgr.db import models
from patchmgr.domain import terms as plan_terms
from patchmgr.domain.leases import WorkItem
from patchmgr.domain.rollout.states import PlanState, TaskState
from patchmgr.domain.terms import Execution

_task, _plan, _lease = models.Task, models.Plan, models.Lease


@dataclass(frozen=True, slots=True)
class Holding:
    """Who has the order of a host's part."""

    holder: str
    made_at: datetime
    expires_at: datetime
    begun_at: datetime | None
    renewed_at: datetime | None
    ended_at: datetime | None


def waiting(
    session: Session,
    execution: Execution,
    holder: str,
    *,
    now: datetime,
    limit: int,
    host_id: int | None = None,
    plan_id: int | None = None,
) -> list[tuple[int, int]]:
    """Return (plan, task) of orders that ``holder`` could get, those to go back first.

    Four queries at most.
    """
    found: list[tuple[int, int]] = []
    for which, is_out, until in (
        (_plan.id.in_(_going_back()), is_order_to_go_back(), _task.undo_until),
        (
            _plan.state == PlanState.RUNNING.value,
            _task.state == TaskState.LEASED.value,
            _task.deadline,
        ),
    ):
        plans = select(_plan.id, _plan.terms).where(which)
        if host_id is not None:
            plans = plans.join(_task, _task.plan_id == _plan.id).where(
                _task.host_id == host_id, is_out
            )
        numbers = [
            number
            for number, terms in session.execute(plans)
            if plan_terms.from_json(terms).execution is execution and plan_id in (None, number)
        ]
        if not numbers:
            continue
        conditions = [_task.plan_id.in_(numbers), is_out, until > now]
        if host_id is not None:
            conditions.append(_task.host_id == host_id)
        rows = session.execute(
            select(_task.plan_id, _task.id)
            .where(*conditions, ~_is_held_by_another(holder, now))
            .order_by(_task.plan_id, until, _task.id)
            .limit(limit - len(found))
        )
        found += [(plan, task) for plan, task in rows]
    return found


def is_order_to_go_back() -> ColumnElement[bool]:
    """An order to go back is out and has not begun."""
    return and_(
        _task.undo_until.is_not(None),
        _task.undo_given_at.is_not(None),
        _task.undo_begun_at.is_(None),
    )


def _going_back() -> Select[int]:
    return select(_task.plan_id).where(is_order_to_go_back())


def work_of(
    session: Session, plan_id: int, host_id: int, *, is_way_back: bool = False
) -> tuple[WorkItem, ...]:
    """Return what a plan changes on one host, or what takes that back."""
    item, change = models.PlanItem, models.PlanChange
    rows = session.execute(
        select(
            change.package,
            change.arch,
            change.from_version,
            change.to_version,
            change.match,
            change.source,
            change.manager,
        )
        .join(item, item.change_id == change.id)
        .where(item.plan_id == plan_id, item.host_id == host_id)
        .order_by(change.package, change.arch)
    )
    items = [WorkItem(*row) for row in rows]
    return tuple(one.way_back() if is_way_back else one for one in items)


def holdings(session: Session, task_ids: Collection[int]) -> dict[int, Holding]:
    """Return who holds, or held last, the present attempt of each task."""
    latest = (
        select(_lease.task_id, func.max(_lease.id).label("number"))
        .join(_task, and_(_task.id == _lease.task_id, _task.attempt == _lease.attempt))
        .where(_lease.task_id.in_(task_ids))
        .group_by(_lease.task_id)
        .subquery()
    )
    rows = session.scalars(select(_lease).join(latest, latest.c.number == _lease.id))
    return {
        row.task_id: Holding(
            row.holder, row.made_at, row.expires_at, row.begun_at, row.renewed_at, row.ended_at
        )
        for row in rows
    }


def _is_held_by_another(holder: str, now: datetime) -> ColumnElement[bool]:
    return exists().where(
        _lease.task_id == _task.id,
        _lease.attempt == _task.attempt,
        _lease.holder != holder,
        or_(_lease.expires_at > now, _lease.begun_at.is_not(None)),
    )
