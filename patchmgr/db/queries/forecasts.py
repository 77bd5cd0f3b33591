"""Forecasts as they were last made, for pages and calendars that cannot wait for a simulation."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    ScalarSelect,
    SQLColumnExpression,
    String,
    and_,
    cast,
    func,
    literal,
    or_,
    select,
    type_coerce,
    union_all,
)
from sqlalchemy.orm import Session, aliased

from patchmgr.db import models
from patchmgr.db.base import Utc
from patchmgr.domain.rollout.states import ACTIVE_PLANS, LIVE_TASKS, OPEN_PLANS, PlanState
from patchmgr.domain.simulation.outlook import Beside, PlanForecast, from_json

plan, row = models.Plan, models.PlanForecast


@dataclass(frozen=True, slots=True)
class KeptForecast:
    """A forecast, when it was made, and whether plan and freezes are still what they were."""

    plan: int
    made_at: datetime
    took_ms: int
    is_current: bool
    made: PlanForecast


@dataclass(frozen=True, slots=True)
class Basis:
    """What an open plan's forecast was made from and when; None where it has none yet."""

    plan: int
    is_current: bool
    made_at: datetime | None
    took_ms: int


def of_plan(session: Session, plan_id: int) -> KeptForecast | None:
    """Return a plan's last forecast. One query."""
    return of_plans(session, [plan_id]).get(plan_id)


def of_plans(session: Session, plans: Collection[int]) -> dict[int, KeptForecast]:
    """Return the last forecast of each plan that has one. One query.

    One of other content, of other rings for example, is none.
    """
    found = session.execute(
        select(row, plan.changed_at, _digest(row.made_at))
        .join(plan, plan.id == row.plan_id)
        .where(row.plan_id.in_(plans), row.content_hash == plan.content_hash)
    )
    return {
        one.plan_id: KeptForecast(
            one.plan_id,
            one.made_at,
            one.took_ms,
            (one.plan_changed_at, one.freezes) == (changed_at, freezes),
            from_json(one.document),
        )
        for one, changed_at, freezes in found
    }


def bases(session: Session) -> list[Basis]:
    """Return how current the forecast of each open plan is. One query."""
    found = session.execute(
        select(
            plan.id,
            plan.content_hash,
            plan.changed_at,
            row.content_hash,
            row.plan_changed_at,
            row.freezes,
            _digest(row.made_at),
            row.made_at,
            row.took_ms,
        )
        .outerjoin(row, row.plan_id == plan.id)
        .where(plan.state.in_([state.value for state in OPEN_PLANS]))
        .order_by(plan.id)
    )
    return [
        Basis(number, (now_hash, changed, freezes) == tuple(then), made_at, took_ms or 0)
        for number, now_hash, changed, *then, freezes, made_at, took_ms in found
    ]


def beside(session: Session, plan_id: int) -> tuple[Beside, ...]:
    """Return the plans to be carried out whose groups or hosts a plan has too. One query.

    A forecast plays its plan alone. In truth a group spares no more hosts for two plans than for
    one, and a host has one order at a time.
    """
    group, others = models.PlanGroup, aliased(models.PlanGroup)
    task, its = models.Task, aliased(models.Task)
    is_coming = or_(
        plan.state.in_([PlanState.APPROVED.value, *(state.value for state in ACTIVE_PLANS)]),
        and_(plan.state.not_in([state.value for state in OPEN_PLANS]), plan.live_tasks > 0),
    )
    in_groups = (
        select(plan.id, plan.title, plan.state, func.count(), func.min(group.key), literal(0))
        .join(others, others.plan_id == plan.id)
        .join(group, and_(group.key == others.key, group.plan_id == plan_id))
        .where(plan.id != plan_id, is_coming)
        .group_by(plan.id, plan.title, plan.state)
    )
    on_hosts = (
        select(plan.id, plan.title, plan.state, literal(0), literal(""), func.count())
        .join(its, its.plan_id == plan.id)
        .join(task, and_(task.host_id == its.host_id, task.plan_id == plan_id))
        .where(plan.id != plan_id, is_coming, its.state.in_(LIVE_TASKS))
        .group_by(plan.id, plan.title, plan.state)
    )
    found: dict[int, Beside] = {}
    for number, title, state, groups, key, hosts in session.execute(union_all(in_groups, on_hosts)):
        known = found.get(number, Beside(number, title, state, 0, "", 0))
        found[number] = replace(
            known,
            groups=known.groups + groups,
            group=known.group or key,
            hosts=known.hosts + hosts,
        )
    return tuple(found[number] for number in sorted(found))


def freezes_digest(session: Session, now: datetime) -> str:
    """Return what tells whether the freezes that are not over are still the same. One query."""
    return str(session.scalar(select(_digest(literal(now, Utc)))))


def _digest(at: SQLColumnExpression[datetime]) -> ScalarSelect[str]:
    """Return what tells whether the freezes that were not over ``at`` some time are still the same.

    One that has ended by itself since is among them: then nothing has changed.
    """
    freeze = models.Freeze
    counts = (
        func.count(),
        func.coalesce(func.sum(freeze.id), 0),
        func.coalesce(func.sum(freeze.revision), 0),
        func.coalesce(func.sum(type_coerce(freeze.changed_at, BigInteger)), 0),
    )
    parts = [cast(one, String) for one in counts]
    text: ColumnElement[str] = parts[0]
    for part in parts[1:]:
        text = text.concat(":").concat(part)
    return select(text).where(freeze.ends > at).scalar_subquery()
