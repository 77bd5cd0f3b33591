"""Exceptions: record them, approve them, revoke them.

An exception holds for lists from its approval on; counts heed it from the next scan, which each
change asks for.
"""

from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from patchmgr.config import Settings
from patchmgr.db import models
from patchmgr.db.queries.covering import exempting
from patchmgr.db.session import Database
from patchmgr.domain.accounts import Role
from patchmgr.domain.exceptions import (
    REASON_LENGTH,
    Scope,
    State,
    Type,
    approves_itself,
    check_approval,
    check_decision,
)
from patchmgr.errors import ConflictError, InputError, NotFoundError
from patchmgr.services import audit, host_tags, jobs
from patchmgr.services.roles import require


@dataclass(frozen=True, slots=True)
class Added:
    """An exception that was recorded, and whether somebody still has to approve it."""

    id: int
    needs_approval: bool


def add(
    db: Database,
    scope: Scope,
    type_: Type,
    *,
    reason: str,
    expires_at: datetime,
    owner: str = "",
    actor: str,
    role: Role,
    now: datetime,
    settings: Settings,
) -> Added:
    """Record an exception: in force at once if ``role`` may decide alone, else as a proposal.

    ``owner`` answers for it; by default who records it. Raises `InputError`, `NotFoundError` for a
    host, package, advisory, CVE or tag that nobody has heard of.
    """
    require(role, Role.OPERATOR, "recording an exception")
    check_decision(scope, type_, reason, expires_at, now, settings.exception_days)
    if len(owner) > 200:
        raise InputError({"owner": "use at most 200 characters"})
    alone = approves_itself(role, four_eyes=settings.exception_four_eyes)
    with db.writing() as session:
        host = _known(session, scope)
        scope = replace(scope, host=host.hostname if host else "")
        row = models.FindingException(
            type=type_.value,
            cve=scope.cve,
            advisory=scope.advisory,
            package=scope.package,
            host_id=host.id if host else None,
            tag=scope.tag,
            reason=reason.strip(),
            owner=owner.strip() or actor,
            created_by=actor,
            created_at=now,
            approved_by=actor if alone else "",
            approved_at=now if alone else None,
            expires_at=expires_at,
            revoked_by="",
            revoke_reason="",
            counted=False,
        )
        session.add(row)
        session.flush()
        _audit(
            session,
            "add",
            row.id,
            actor,
            now,
            scope=str(scope),
            type=row.type,
            reason=row.reason,
            owner=row.owner,
            expires=expires_at.isoformat(),
            approved=alone,
        )
        _take_effect(session, now)
        return Added(row.id, not alone)


def approve(db: Database, number: int, *, actor: str, role: Role, now: datetime) -> None:
    """Put a proposed exception in force.

    Raises `ForbiddenError` for who proposed it and for a role below approver, `ConflictError` when
    it is in force or over, `NotFoundError`.
    """
    require(role, Role.APPROVER, "approving an exception")
    with db.writing() as session:
        row, name = _get(session, number)
        check_approval(exempting(row, name), row.created_by, actor, now)
        row.approved_by, row.approved_at = actor, now
        _audit(session, "approve", number, actor, now)
        _take_effect(session, now)


def revoke(
    db: Database, number: int, *, actor: str, role: Role, now: datetime, reason: str = ""
) -> None:
    """End an exception, or withdraw a proposed one; what it covered is open again.

    Raises `ConflictError` when it is over already, `NotFoundError`, `ForbiddenError`.
    """
    require(role, Role.OPERATOR, "revoking an exception")
    if len(reason) > REASON_LENGTH:
        raise InputError({"reason": f"use at most {REASON_LENGTH} characters"})
    with db.writing() as session:
        row, name = _get(session, number)
        state = exempting(row, name).state(now)
        if state in (State.EXPIRED, State.REVOKED):
            raise ConflictError(f"exception {number} is {state.value} already")
        row.revoked_by, row.revoked_at, row.revoke_reason = actor, now, reason.strip()
        _audit(session, "revoke", number, actor, now, reason=row.revoke_reason)
        _take_effect(session, now)


def _take_effect(session: Session, now: datetime) -> None:
    session.flush()
    host_tags.bring_up_to_date(session, now)
    jobs.want(session, "scan", now=now)


def _get(session: Session, number: int) -> tuple[models.FindingException, str]:
    row = session.get(models.FindingException, number)
    if row is None:
        raise NotFoundError("exception", number)
    host = session.get(models.Host, row.host_id) if row.host_id is not None else None
    return row, host.hostname if host else ""


def _known(session: Session, scope: Scope) -> models.Host | None:
    """Return the host in ``scope``. Raises `NotFoundError` for what is not known.

    A misspelt scope would cover nothing, and look as if it did.
    """
    advisory, version = models.Advisory, models.PackageVersion
    asked = {
        ("advisory", scope.advisory): advisory.ref == scope.advisory,
        ("CVE", scope.cve): (" " + advisory.cves + " ").contains(f" {scope.cve} "),
    }
    for (kind, ref), named in asked.items():
        if ref and session.scalar(select(advisory.id).where(named).limit(1)) is None:
            raise NotFoundError(kind, ref)
    named = or_(version.name == scope.package, version.judged_source == scope.package)
    if scope.package and session.scalar(select(version.id).where(named).limit(1)) is None:
        raise NotFoundError("package", scope.package)
    if scope.tag and not host_tags.hosts_with(session, {scope.tag}):
        raise NotFoundError("host with the tag", scope.tag)
    if not scope.host:
        return None
    row = models.Host
    found = session.scalar(
        select(row).where(func.lower(row.hostname) == scope.host.lower(), row.retired_at.is_(None))
    )
    if found is None:
        raise NotFoundError("host", scope.host)
    return found


def _audit(
    session: Session, act: str, number: int, actor: str, now: datetime, **details: object
) -> None:
    audit.record(
        session,
        at=now,
        actor=actor,
        action=f"exception.{act}",
        subject=f"exception {number}",
        details=details,
    )
