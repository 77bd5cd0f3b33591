"""Who hosts are: refused machines, what a host's machine was before, and tokens of machines."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from patchmgr.db import models
from patchmgr.db.base import Utc, from_micros
from patchmgr.db.json_rows import rows_of
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

    @property
    def remedy(self) -> str:
        """What an admin does about it; "" once somebody has decided."""
        if self.state != "open":
            return ""
        return (
            f"patchmgr hosts resolve {self.id} --as same (it is {self.host}),"
            " --as new (a host of its own) or --as dismissed (it stays out)"
        )


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
    conflicts: tuple[ConflictLine, ...]  # open ones, of machines that may be this host
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


_COLUMNS = (
    models.IdentityConflict.id,
    models.IdentityConflict.kind,
    models.IdentityConflict.state,
    models.Host.hostname,
    models.IdentityConflict.hostname,
    models.IdentityConflict.machine_id,
    models.IdentityConflict.product_uuid,
    models.IdentityConflict.boot_id,
    models.IdentityConflict.address,
    models.IdentityConflict.why,
    models.IdentityConflict.times,
    models.IdentityConflict.first_at,
    models.IdentityConflict.last_at,
    models.IdentityConflict.new_name,
    models.IdentityConflict.resolved_by,
    models.IdentityConflict.resolved_at,
    models.IdentityConflict.host_id,
)
"""Columns of a `ConflictLine`, of a query of hosts and their conflicts."""


def _machine_columns() -> tuple[Any, ...]:
    host, token, conflict = models.Host, models.ApiToken, models.IdentityConflict
    has_token = select(token.id).where(
        token.host_id == host.id, token.kind == "host", token.revoked_at.is_(None)
    )
    open_ones = select(rows_of(*_COLUMNS)).where(
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
    *said, refused, changed_at, changes = columns
    found = [ConflictLine(*map(_plain, _COLUMNS, row)) for row in refused or ()]
    found.sort(key=lambda one: (one.last_at, one.id), reverse=True)
    line: list[Any] = [*said, tuple(found), changed_at, tuple(changes or ())]
    return MachineLine(*line)


def _plain(column: Any, value: Any) -> Any:
    """Return a value of a column as a query gives it, of how JSON has it."""
    return from_micros(value) if isinstance(column.type, Utc) and value is not None else value


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
    return select(*_COLUMNS).join(models.Host, models.Host.id == row.host_id)
