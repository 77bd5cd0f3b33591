"""Holds: say that a package version is known to be bad, by hand or by what hosts failed on."""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import and_, select
from sqlalchemy.orm import Session

from patchmgr.db import models
from patchmgr.db.locks import Lock, wait_for
from patchmgr.db.queries import holds as queries
from patchmgr.db.session import Database
from patchmgr.domain.accounts import Role
from patchmgr.domain.holds import LONGEST, USUAL, Hold, State, state_of
from patchmgr.domain.rollout.events import MACHINE, Held
from patchmgr.domain.rollout.model import Rollout
from patchmgr.domain.rollout.states import OPEN_PLANS, RingState, TaskState
from patchmgr.errors import ConflictError, InputError, NotFoundError
from patchmgr.services import audit
from patchmgr.services.roles import require

REASON_LONGEST = 2000


def add(
    db: Database,
    hold: Hold,
    *,
    expires_at: datetime,
    owner: str = "",
    actor: str,
    role: Role,
    now: datetime,
) -> int:
    """Put a hold in force until ``expires_at``; return its id.

    Every later plan leaves out what it covers, and open plans that have it stop. Raises
    `InputError`, `ForbiddenError`.
    """
    require(role, Role.OPERATOR, "holding a package version")
    if not hold.reason.strip() or len(hold.reason) > REASON_LONGEST:
        raise InputError({"reason": f"say why, in at most {REASON_LONGEST} characters"})
    if not now < expires_at <= now + LONGEST:
        raise InputError({"expires": f"after now, and within {LONGEST.days} days"})
    with db.writing() as session:
        row = _row(hold, owner=owner.strip() or actor, by=actor, now=now, expires_at=expires_at)
        row.confirmed_by, row.confirmed_at = actor, now
        return _stored(session, row, "add")


def confirm(db: Database, number: int, *, actor: str, role: Role, now: datetime) -> None:
    """Put a hold in force that failures of hosts proposed. Raises `ConflictError`."""
    require(role, Role.OPERATOR, "holding a package version")
    with db.writing() as session:
        row = _get(session, number)
        state = _state(row, now)
        if state is not State.PROPOSED:
            raise ConflictError(f"hold {number} is {state.value.replace('_', ' ')} already")
        row.confirmed_by, row.confirmed_at = actor, now
        _audit(session, row, "confirm", actor, now)


def revoke(
    db: Database, number: int, *, reason: str, actor: str, role: Role, now: datetime
) -> None:
    """End a hold, or set aside a proposed one. Raises `ConflictError` when it is over."""
    require(role, Role.OPERATOR, "revoking a hold")
    with db.writing() as session:
        row = _get(session, number)
        state = _state(row, now)
        if state in (State.EXPIRED, State.REVOKED):
            raise ConflictError(f"hold {number} is {state.value} already")
        row.revoked_by, row.revoked_at = actor, now
        row.revoke_reason = reason.strip()[:REASON_LONGEST]
        _audit(session, row, "revoke", actor, now)


def stops(session: Session, plan: models.Plan, now: datetime) -> list[Held]:
    """Return what in an open plan is held and some host has yet to begin: it must stop."""
    if plan.state not in OPEN_PLANS:
        return []
    first: dict[int, Held] = {}
    for change, hold in queries.of_plan(session, plan.id, now, waiting=True):
        why = f"{change.package} {change.to_version} is {hold.words}"
        first.setdefault(hold.id, Held(now, hold.id, why))
    return list(first.values())


def learn(
    session: Session, plan: models.Plan, before: Rollout, after: Rollout, now: datetime
) -> None:
    """Hold what a ring failed on, and propose to hold what several hosts failed on."""
    known = {one.key for one in before.signals}
    agreed = {
        one.subject for one in after.signals if one.kind == "package" and one.key not in known
    }
    if agreed:
        _from_failures(session, plan, agreed, "", now)
    for was, ring in zip(before.rings, after.rings, strict=True):
        if ring.state is RingState.FAILED and was.state is not RingState.FAILED:
            _from_failures(session, plan, set(ring.tally.packages), ring.name, now)


def _from_failures(
    session: Session, plan: models.Plan, packages: Collection[str], ring: str, now: datetime
) -> None:
    """Hold each version of ``packages`` that hosts failed on; without a ring, only propose it.

    Of other platforms, where no host failed, nothing is known.
    """
    wait_for(session, Lock.AUDIT)
    change, item, task, of = models.PlanChange, models.PlanItem, models.Task, models.Ring
    rows = session.execute(
        select(change.package, change.platform, change.to_version)
        .join(item, item.change_id == change.id)
        .join(task, and_(task.plan_id == item.plan_id, task.host_id == item.host_id))
        .join(of, of.id == task.ring_id)
        .where(change.plan_id == plan.id, change.package.in_(packages))
        .where(task.state == TaskState.FAILED.value, task.package == change.package)
        .where(*([of.name == ring] if ring else []))
        .distinct()
        .order_by(change.package, change.platform, change.to_version)
    )
    for package, platform, version in rows:
        row = _standing(session, package, platform, version, now)
        where = f"ring {ring} of plan {plan.id}" if ring else f"hosts of plan {plan.id}"
        if row is None:
            hold = Hold(package, version, platform, f"{where} failed on it")
            row = _row(hold, owner=plan.author, by=MACHINE, now=now, expires_at=now + USUAL)
            row.plan_id, row.ring = plan.id, ring
            _stored(session, row, "propose")
        if ring and row.confirmed_at is None:
            row.confirmed_by, row.confirmed_at, row.ring = MACHINE, now, ring
            _audit(session, row, "confirm", MACHINE, now)


def _standing(
    session: Session, package: str, platform: str, version: str, now: datetime
) -> models.PackageHold | None:
    """Return the hold on exactly this that is not over, if there is one; under the audit's lock."""
    row = models.PackageHold
    return session.scalar(
        select(row)
        .where(
            row.package == package,
            row.platform == platform,
            row.versions == version,
            row.expires_at > now,
            row.revoked_at.is_(None),
        )
        .limit(1)
        .execution_options(populate_existing=True)
    )


def _row(
    hold: Hold, *, owner: str, by: str, now: datetime, expires_at: datetime
) -> models.PackageHold:
    return models.PackageHold(
        platform=hold.platform,
        package=hold.package,
        versions=hold.versions,
        reason=hold.reason.strip(),
        owner=owner[:200],
        created_by=by,
        created_at=now,
        confirmed_by="",
        confirmed_at=None,
        expires_at=expires_at,
        revoked_by="",
        revoked_at=None,
        revoke_reason="",
        plan_id=None,
        ring="",
    )


def _stored(session: Session, row: models.PackageHold, verb: str) -> int:
    session.add(row)
    session.flush()
    _audit(session, row, verb, row.created_by, row.created_at)
    return row.id


def _get(session: Session, number: int) -> models.PackageHold:
    # A rollout learns after it has audited something: holds are changed by who has that lock only.
    wait_for(session, Lock.AUDIT)
    row = session.get(models.PackageHold, number, with_for_update=True)
    if row is None:
        raise NotFoundError("hold", number)
    return row


def _state(row: models.PackageHold, now: datetime) -> State:
    return state_of(row.confirmed_at, row.revoked_at, row.expires_at, now)


def _audit(session: Session, row: models.PackageHold, verb: str, actor: str, now: datetime) -> None:
    audit.record(
        session,
        at=now,
        actor=actor,
        action=f"hold.{verb}",
        subject=f"hold {row.id}",
        details={
            "package": row.package,
            "versions": row.versions,
            "platform": row.platform,
            "reason": row.revoke_reason or row.reason,
        },
    )
