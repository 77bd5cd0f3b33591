"""Holds on package versions: those in force, the list of all, and what an open plan has of them."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, and_, exists, func, or_, select
from sqlalchemy.orm import Session

from patchmgr.db import models
from patchmgr.db.queries import paging
from patchmgr.db.queries.paging import Page
from patchmgr.db.queries.plan_content import change_of
from patchmgr.domain import terms as plan_terms
from patchmgr.domain.holds import Hold, State, state_of
from patchmgr.domain.plans import Change
from patchmgr.domain.rollout.states import WAITING_TASKS, TaskState
from patchmgr.domain.terms import Targets
from patchmgr.errors import InputError, NotFoundError

_hold = models.PackageHold
STATES = ("current", *(state.value for state in State), "all")


@dataclass(frozen=True, slots=True)
class HoldLine:
    """A hold as pages, the API and the command line show it."""

    id: int
    state: State
    package: str
    versions: str
    platform: str
    reason: str
    owner: str
    created_by: str
    created_at: datetime
    confirmed_by: str
    confirmed_at: datetime | None
    expires_at: datetime
    revoked_by: str
    revoked_at: datetime | None
    revoke_reason: str
    plan_id: int | None  # whose hosts failed on it
    ring: str

    @property
    def what(self) -> str:
        return _value(self).what

    @property
    def is_over(self) -> bool:
        return self.state in (State.EXPIRED, State.REVOKED)


def in_force(session: Session, now: datetime) -> list[Hold]:
    """Return the holds that plans must heed now. One query."""
    rows = session.scalars(
        select(_hold)
        .where(_hold.expires_at > now, _hold.revoked_at.is_(None), _hold.confirmed_at.is_not(None))
        .order_by(_hold.id)
    )
    return [_value(row) for row in rows]


def listing(
    session: Session,
    *,
    now: datetime,
    state: str = "current",
    search: str = "",
    limit: int = paging.PAGE,
    cursor: str = "",
) -> Page[HoldLine]:
    """Return holds, the newest first. Two queries. Raises `InputError`.

    ``state`` is "current" (proposed or in force), one of `State`, or "all".
    """
    conditions = _in_state(state, now)
    if search.strip():
        wanted = search.strip().lower()
        columns = (_hold.package, _hold.versions, _hold.reason, _hold.owner)
        conditions.append(
            or_(*(func.lower(one).contains(wanted, autoescape=True) for one in columns))
        )
    total = session.scalar(select(func.count()).select_from(_hold).where(*conditions)) or 0
    if cursor:
        conditions.append(_hold.id < paging.decode_id(cursor))
    rows = session.scalars(
        select(_hold).where(*conditions).order_by(_hold.id.desc()).limit(limit + 1)
    ).all()
    lines = tuple(_line(row, now) for row in rows[:limit])
    follows = paging.encode([lines[-1].id]) if len(rows) > limit else None
    return Page(lines, total, follows)


def get(session: Session, number: int, *, now: datetime) -> HoldLine:
    """Return one hold. Raises `NotFoundError`."""
    row = session.get(_hold, number)
    if row is None:
        raise NotFoundError("hold", number)
    return _line(row, now)


def of_plan(
    session: Session,
    plan_id: int,
    now: datetime,
    *,
    waiting: bool = False,
    proposed: bool = False,
) -> list[tuple[Change, Hold]]:
    """Return what an open plan would install that is held, with the hold that says so.

    With ``waiting`` only what some host has yet to begin; with ``proposed`` also what hosts failed
    on and nobody has confirmed yet. One query.
    """
    change, item, task = models.PlanChange, models.PlanItem, models.Task
    query = (
        select(change, _hold, models.Plan.terms)
        .join(models.Plan, models.Plan.id == change.plan_id)
        .join(_hold, or_(_hold.package == change.package, _hold.package == change.source))
        .where(change.plan_id == plan_id, _hold.platform.in_(["", change.platform]))
        .where(_hold.expires_at > now, _hold.revoked_at.is_(None))
    )
    if not proposed:
        query = query.where(_hold.confirmed_at.is_not(None))
    if waiting:
        left = [*WAITING_TASKS, TaskState.LEASED]
        query = query.where(
            exists().where(
                item.change_id == change.id,
                and_(task.plan_id == item.plan_id, task.host_id == item.host_id),
                task.state.in_(left),
            )
        )
    found: dict[int, tuple[Change, Hold]] = {}
    rows = session.execute(
        query.order_by(change.package, change.id, _hold.confirmed_at.is_(None), _hold.id)
    )
    for row, hold, terms in rows:
        or_newer = plan_terms.from_json(terms).targets is Targets.AT_LEAST
        one = change_of(row)
        value = _value(hold).against(one, or_newer=or_newer)
        if row.id not in found and value is not None:
            found[row.id] = (one, value)
    return list(found.values())


def _in_state(state: str, now: datetime) -> list[ColumnElement[bool]]:
    if state not in STATES:
        raise InputError({"state": f"{state!r} is not one of {', '.join(STATES)}"})
    stands: list[ColumnElement[bool]] = [_hold.revoked_at.is_(None), _hold.expires_at > now]
    match state:
        case "all":
            return []
        case "current":
            return stands
        case State.PROPOSED:
            return [*stands, _hold.confirmed_at.is_(None)]
        case State.IN_FORCE:
            return [*stands, _hold.confirmed_at.is_not(None)]
        case State.EXPIRED:
            return [_hold.revoked_at.is_(None), _hold.expires_at <= now]
    return [_hold.revoked_at.is_not(None)]


def _value(row: "models.PackageHold | HoldLine") -> Hold:
    is_proposed = row.confirmed_at is None
    return Hold(
        row.package, row.versions, row.platform, row.reason, row.id, is_proposed=is_proposed
    )


def _line(row: models.PackageHold, now: datetime) -> HoldLine:
    return HoldLine(
        id=row.id,
        state=state_of(row.confirmed_at, row.revoked_at, row.expires_at, now),
        package=row.package,
        versions=row.versions,
        platform=row.platform,
        reason=row.reason,
        owner=row.owner,
        created_by=row.created_by,
        created_at=row.created_at,
        confirmed_by=row.confirmed_by,
        confirmed_at=row.confirmed_at,
        expires_at=row.expires_at,
        revoked_by=row.revoked_by,
        revoked_at=row.revoked_at,
        revoke_reason=row.revoke_reason,
        plan_id=row.plan_id,
        ring=row.ring,
    )
