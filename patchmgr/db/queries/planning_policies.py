"""Planning policies as stored: every version, the last of each, and what their schedules did."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import and_, func, select
from sqlalchemy.orm import Session

from patchmgr.db import models
from patchmgr.domain.planning_policies import PlanningPolicy, from_json
from patchmgr.errors import NotFoundError

_row, _done = models.PlanningPolicy, models.PlanningOccasion


@dataclass(frozen=True, slots=True)
class StoredPlanningPolicy:
    """A version of a policy: since when, by whom."""

    id: int
    policy: PlanningPolicy
    made_at: datetime
    made_by: str


@dataclass(frozen=True, slots=True)
class Occasion:
    """What came of a schedule at one of its times."""

    policy: str
    occasion: datetime
    at: datetime
    plan_id: int | None
    outcome: str


def latest(session: Session, name: str) -> StoredPlanningPolicy | None:
    """Return the last version of ``name``; None when there is none."""
    query = select(_row).where(_row.name == name).order_by(_row.version.desc()).limit(1)
    row = session.scalar(query)
    return None if row is None else _stored(row)


def get(session: Session, name: str, version: int | None = None) -> StoredPlanningPolicy:
    """Return a version of ``name``, without one the last. Raises `NotFoundError`."""
    query = select(_row).where(_row.name == name).order_by(_row.version.desc()).limit(1)
    row = session.scalar(query if version is None else query.where(_row.version == version))
    if row is None:
        wanted = name if version is None else f"{name} version {version}"
        raise NotFoundError("planning policy", wanted)
    return _stored(row)


def listing(session: Session) -> list[StoredPlanningPolicy]:
    """Return the last version of each policy, by name. One query."""
    newest = select(_row.name, func.max(_row.version).label("version")).group_by(_row.name)
    last = newest.subquery()
    rows = session.scalars(
        select(_row)
        .join(last, and_(last.c.name == _row.name, last.c.version == _row.version))
        .order_by(_row.name)
    )
    return [_stored(row) for row in rows]


def versions(session: Session, name: str) -> list[StoredPlanningPolicy]:
    """Return every version of ``name``, the newest first. One query."""
    rows = session.scalars(select(_row).where(_row.name == name).order_by(_row.version.desc()))
    return [_stored(row) for row in rows]


def last_occasions(session: Session) -> dict[str, datetime]:
    """Return the last occasion of each policy's schedule that was seen to. One query."""
    rows = session.execute(select(_done.policy, func.max(_done.occasion)).group_by(_done.policy))
    return dict(rows.all())


def occasions(session: Session, name: str, limit: int = 20) -> list[Occasion]:
    """Return what came of the schedule of ``name``, the last first. One query."""
    rows = session.scalars(
        select(_done).where(_done.policy == name).order_by(_done.occasion.desc()).limit(limit)
    )
    return [Occasion(one.policy, one.occasion, one.at, one.plan_id, one.outcome) for one in rows]


def _stored(row: models.PlanningPolicy) -> StoredPlanningPolicy:
    return StoredPlanningPolicy(row.id, from_json(row.document), row.made_at, row.made_by)
