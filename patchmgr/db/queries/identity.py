"""Who hosts are: refused machines, what a host's machine was before, and tokens of machines."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from patchmgr.db import models
from patchmgr.errors import NotFoundError

SHOWN = 200  # conflicts; more of them than that are not looked at one by one
PAST = 50  # changes of a host's machine


@dataclass(frozen=True, slots=True)
class ConflictLine:
    """A machine that was refused, because it may be another one than the host it looks like."""

    id: int
    kind: str
    state: str
    host: str
    says: str
    machine_id: str
    product_uuid: str
    boot_id: str
    address: str
    why: str
    times: int
    first_at: datetime
    last_at: datetime
    new_name: str
    resolved_by: str
    resolved_at: datetime | None
    host_id: int


@dataclass(frozen=True, slots=True)
class MachineLine:
    """What a host's machine is, as it said last."""

    machine_id: str
    product_uuid: str
    boot_id: str
    reported_name: str
    first_address: str
    last_address: str
    has_token: bool
    conflicts: int  # open ones, of machines that may be this host
    changed_at: datetime | None  # when it last said something else of itself; None: never
    changes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class IdentityLine:
    """A change of a host's machine."""

    since: datetime
    hostname: str
    machine_id: str
    product_uuid: str
    changes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EnrolmentLine:
    """An enrolment token."""

    id: int
    name: str
    host: str  # that it is for; "" for any machine
    uses_left: int | None
    expires_at: datetime | None
    created_by: str
    created_at: datetime
    used_at: datetime | None
    revoked_at: datetime | None

    def state(self, now: datetime) -> str:
        """Return whether a machine could still enrol with it, and if not, why."""
        if self.revoked_at is not None:
            return "revoked"
        if self.uses_left == 0:
            return "used up"
        return "expired" if self.expires_at is not None and now >= self.expires_at else "active"


def _machine_columns() -> tuple[Any, ...]:
    host, token, conflict = models.Host, models.ApiToken, models.IdentityConflict
    has_token = select(token.id).where(
        token.host_id == host.id, token.kind == "host", token.revoked_at.is_(None)
    )
    open_ones = select(func.count(conflict.id)).where(
        conflict.host_id == host.id, conflict.state == "open"
    )
    each = models.HostIdentity
    last = [
        select(column)
        .where(each.host_id == host.id)
        .order_by(each.id.desc())
        .limit(1)
        .correlate(host)
        .scalar_subquery()
        for column in (each.since, each.changes)
    ]
    return (
        host.machine_id,
        host.product_uuid,
        host.boot_id,
        host.reported_name,
        host.first_address,
        host.last_address,
        has_token.correlate(host).exists(),
        open_ones.correlate(host).scalar_subquery(),
        *last,
    )


MACHINE = _machine_columns()
"""Columns of a `MachineLine`, for a query of hosts that has others beside them."""


def conflicts(
    session: Session, *, host_id: int | None = None, only_open: bool = True
) -> list[ConflictLine]:
    """Return refused machines, the open ones first, then the latest; at most `SHOWN`."""
    row = models.IdentityConflict
    query = _conflicts().order_by(row.state != "open", row.last_at.desc(), row.id).limit(SHOWN)
    if only_open:
        query = query.where(row.state == "open")
    if host_id is not None:
        query = query.where(row.host_id == host_id)
    return [ConflictLine(*columns) for columns in session.execute(query)]


def conflict(session: Session, conflict_id: int) -> ConflictLine:
    """Return one refused machine. Raises `NotFoundError`."""
    found = session.execute(
        _conflicts().where(models.IdentityConflict.id == conflict_id)
    ).one_or_none()
    if found is None:
        raise NotFoundError("conflict", conflict_id)
    return ConflictLine(*found)


def machine(session: Session, host_id: int) -> MachineLine:
    """Return what a host's machine says it is, and what else there is to it. One query."""
    query: Select[*tuple[Any, ...]] = select(*MACHINE).where(models.Host.id == host_id)
    return machine_of(list(session.execute(query).one()))


def machine_of(columns: Sequence[Any]) -> MachineLine:
    """Return the machine of the columns `MACHINE`."""
    *said, changes = columns
    line: list[Any] = [*said, tuple(changes or ())]
    return MachineLine(*line)


def past(session: Session, host_id: int) -> list[IdentityLine]:
    """Return how a host's machine changed beside its boots, the latest first."""
    row = models.HostIdentity
    found = session.execute(
        select(row.since, row.hostname, row.machine_id, row.product_uuid, row.changes)
        .where(row.host_id == host_id)
        .order_by(row.id.desc())
        .limit(PAST)
    )
    lines = [
        IdentityLine(since, name, machine_id, product_uuid, tuple(changes))
        for since, name, machine_id, product_uuid, changes in found
    ]
    return [line for line in lines if line.changes != ("rebooted",)]


def enrolment_tokens(session: Session) -> list[EnrolmentLine]:
    """Return enrolment tokens, usable ones first, then the latest. One query."""
    token = models.ApiToken
    rows = session.execute(
        select(
            token.id,
            token.name,
            func.coalesce(models.Host.hostname, ""),
            token.uses_left,
            token.expires_at,
            token.created_by,
            token.created_at,
            token.used_at,
            token.revoked_at,
        )
        .outerjoin(models.Host, models.Host.id == token.host_id)
        .where(token.kind == "enrol")
        .order_by(token.revoked_at.is_not(None), token.id.desc())
        .limit(SHOWN)
    )
    return [EnrolmentLine(*columns) for columns in rows]


def _conflicts() -> Select[*tuple[Any, ...]]:
    row = models.IdentityConflict
    return select(
        row.id,
        row.kind,
        row.state,
        models.Host.hostname,
        row.hostname,
        row.machine_id,
        row.product_uuid,
        row.boot_id,
        row.address,
        row.why,
        row.times,
        row.first_at,
        row.last_at,
        row.new_name,
        row.resolved_by,
        row.resolved_at,
        row.host_id,
    ).join(models.Host, models.Host.id == row.host_id)
