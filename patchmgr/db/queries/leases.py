"""Orders that wait to be fetched, and who holds those that were."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, and_, exists, func, or_, select
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
    """Return (plan, task) of orders that ``holder`` could get. Two queries."""
    running = select(_plan.id, _plan.terms).where(_plan.state == PlanState.RUNNING.value)
    if host_id is not None:
        running = running.join(_task, _task.plan_id == _plan.id).where(
            _task.host_id == host_id, _task.state == TaskState.LEASED.value
        )
    plans = [
        number
        for number, terms in session.execute(running)
        if plan_terms.from_json(terms).execution is execution and plan_id in (None, number)
    ]
    if not plans:
        return []
    conditions: list[ColumnElement[bool]] = [
        _task.plan_id.in_(plans),
        _task.state == TaskState.LEASED.value,
        _task.deadline > now,
        ~_is_held_by_another(holder, now),
    ]
    if host_id is not None:
        conditions.append(_task.host_id == host_id)
    rows = session.execute(
        select(_task.plan_id, _task.id)
        .where(*conditions)
        .order_by(_task.plan_id, _task.deadline, _task.id)
        .limit(limit)
    )
    return [(plan, task) for plan, task in rows]


def work_of(session: Session, plan_id: int, host_id: int) -> tuple[WorkItem, ...]:
    """Return what a plan changes on one host."""
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
    return tuple(WorkItem(*row) for row in rows)


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
