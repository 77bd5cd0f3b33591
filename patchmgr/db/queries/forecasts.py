"""Forecasts as they were last made, for pages and calendars that cannot wait for a simulation."""

import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from patchmgr.db import models
from patchmgr.domain.rollout.states import OPEN_PLANS
from patchmgr.domain.simulation.outlook import PlanForecast, from_json

plan, row = models.Plan, models.PlanForecast


@dataclass(frozen=True, slots=True)
class KeptForecast:
    """A forecast, when it was made, and whether the plan has moved on since."""

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
        select(row, plan.changed_at)
        .join(plan, plan.id == row.plan_id)
        .where(row.plan_id.in_(plans), row.content_hash == plan.content_hash)
    )
    return {
        one.plan_id: KeptForecast(
            one.plan_id,
            one.made_at,
            one.took_ms,
            one.plan_changed_at == changed_at,
            from_json(one.document),
        )
        for one, changed_at in found
    }


def bases(session: Session, freezes: str) -> list[Basis]:
    """Return how current the forecast of each open plan is. One query."""
    found = session.execute(
        select(
            plan.id,
            plan.content_hash,
            plan.changed_at,
            row.content_hash,
            row.plan_changed_at,
            row.freezes,
            row.made_at,
            row.took_ms,
        )
        .outerjoin(row, row.plan_id == plan.id)
        .where(plan.state.in_([state.value for state in OPEN_PLANS]))
        .order_by(plan.id)
    )
    return [
        Basis(number, (now_hash, changed, freezes) == tuple(then), made_at, took_ms or 0)
        for number, now_hash, changed, *then, made_at, took_ms in found
    ]


def freezes_digest(session: Session, now: datetime) -> str:
    """Return what tells whether the freezes that are not over are still the same. One query."""
    freeze = models.Freeze
    known = session.execute(
        select(freeze.id, freeze.revision).where(freeze.ends > now).order_by(freeze.id)
    )
    return hashlib.sha256(repr([tuple(one) for one in known]).encode()).hexdigest()
