"""Make the forecasts that pages and calendars read: of each open plan, when its basis changed."""

import logging
import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import delete, select

from patchmgr.db import models
from patchmgr.db.queries import forecasts as queries
from patchmgr.db.queries.forecasts import Basis
from patchmgr.db.session import Database
from patchmgr.domain.rollout.states import OPEN_PLANS
from patchmgr.domain.simulation.outlook import to_json
from patchmgr.services import forecasts

_log = logging.getLogger(__name__)

OLDEST = timedelta(minutes=15)  # of a plan that has not changed: "if it started now" moves on
SHARE = 20  # a forecast that took a second is not made anew for so many: the rest is for others


@dataclass(slots=True)
class Refreshed:
    """What became of the forecasts that were due."""

    made: int = 0
    failed: dict[int, str] = field(default_factory=dict)  # plan -> why


def refresh(db: Database, *, now: datetime) -> Refreshed:
    """Make the forecasts that are missing or no longer hold, and forget those of plans over."""
    with db.reading() as session:
        due = [one.plan for one in queries.bases(session) if _is_due(one, now)]
    done = Refreshed()
    for plan_id in due:
        try:
            _make(db, plan_id, now)
            done.made += 1
        except Exception as error:  # noqa: BLE001 -- a fault in one plan must not stop all others
            _log.exception("plan %s cannot be forecast", plan_id)
            done.failed[plan_id] = str(error) or type(error).__name__
    _forget(db)
    return done


def _is_due(one: Basis, now: datetime) -> bool:
    if one.made_at is None:
        return True
    age = now - one.made_at
    if age < timedelta(milliseconds=one.took_ms) * SHARE:
        return False
    return not one.is_current or age >= OLDEST


def _make(db: Database, plan_id: int, now: datetime) -> None:
    with db.reading() as session:
        # Read together with what it is made from: a change in between makes it stale, not wrong.
        basis = session.execute(
            select(models.Plan.content_hash, models.Plan.changed_at).where(
                models.Plan.id == plan_id
            )
        ).one()
        freezes = queries.freezes_digest(session, now)
        before = time.thread_time()
        made = forecasts.forecast(session, plan_id, now=now)
        took = time.thread_time() - before
    with db.writing() as session:
        session.merge(
            models.PlanForecast(
                plan_id=plan_id,
                made_at=now,
                took_ms=int(took * 1000),
                content_hash=basis.content_hash,
                plan_changed_at=basis.changed_at,
                freezes=freezes,
                document=to_json(made),
            )
        )


def _forget(db: Database) -> None:
    over = select(models.Plan.id).where(models.Plan.state.not_in(OPEN_PLANS))
    kept = models.PlanForecast
    with db.reading() as session:
        stale = session.scalars(select(kept.plan_id).where(kept.plan_id.in_(over))).all()
    if stale:
        with db.writing() as session:
            session.execute(delete(kept).where(kept.plan_id.in_(stale)))
