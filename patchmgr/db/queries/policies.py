"""Policies as stored: every version that gave findings their due dates, and from when."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from patchmgr.db import models
from patchmgr.domain.urgency import Policy, from_json
from patchmgr.errors import NotFoundError


@dataclass(frozen=True, slots=True)
class StoredPolicy:
    """A version of a policy: since when it applied, by whom."""

    id: int
    policy: Policy
    active: bool
    made_at: datetime
    made_by: str


def active(session: Session) -> StoredPolicy | None:
    """Return the policy that gives findings their due dates; None before the first one."""
    return _first(session, select(models.Policy).where(models.Policy.active))


def in_force(session: Session, at: datetime) -> StoredPolicy | None:
    """Return the policy that was active at ``at``; None when there was none yet.

    A version is made when it becomes active, so it is the last one made until then.
    """
    return _first(session, select(models.Policy).where(models.Policy.made_at <= at))


def latest(session: Session, name: str, at: datetime | None = None) -> StoredPolicy | None:
    """Return the last version of ``name``, as of ``at`` when given; None when there is none."""
    query = select(models.Policy).where(models.Policy.name == name)
    return _first(session, query if at is None else query.where(models.Policy.made_at <= at))


def version(session: Session, name: str, number: int | None) -> StoredPolicy | None:
    """Return a version of ``name``, without ``number`` the last; None when there is none."""
    query = select(models.Policy).where(models.Policy.name == name)
    return _first(
        session, query if number is None else query.where(models.Policy.version == number)
    )


def get(session: Session, policy_id: int) -> StoredPolicy:
    """Return one version. Raises `NotFoundError`."""
    row = session.get(models.Policy, policy_id)
    if row is None:
        raise NotFoundError("policy version", policy_id)
    return _stored(row)


def listing(session: Session) -> list[StoredPolicy]:
    """Return every version, the newest first. One query."""
    return [_stored(row) for row in session.scalars(_newest_first(select(models.Policy)))]


def _newest_first(query: Select[models.Policy]) -> Select[models.Policy]:
    return query.order_by(models.Policy.made_at.desc(), models.Policy.id.desc())


def _first(session: Session, query: Select[models.Policy]) -> StoredPolicy | None:
    row = session.scalar(_newest_first(query).limit(1))
    return None if row is None else _stored(row)


def _stored(row: models.Policy) -> StoredPolicy:
    return StoredPolicy(row.id, from_json(row.table), row.active, row.made_at, row.made_by)
