"""The list of exceptions, and how each stands."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Select,
    func,
    or_,
    select,
    type_coerce,
)
from sqlalchemy.orm import Session

from patchmgr.db import models
from patchmgr.db.base import to_micros
from patchmgr.db.queries import paging
from patchmgr.db.queries.covering import exempting, findings_of, with_hostname
from patchmgr.db.queries.paging import Page
from patchmgr.domain.exceptions import Scope, State, Type
from patchmgr.errors import NotFoundError

row, host = models.FindingException, models.Host

STATES = ("current", *(state.value for state in State), "over", "all")
SOON = 14  # days before its end in which an exception is said to expire soon


@dataclass(frozen=True, slots=True)
class ExceptionLine:
    """An exception in a list, how it stands, and how many open findings its scope covers."""

    id: int
    type: Type
    scope: Scope
    state: State
    reason: str
    owner: str
    created_by: str
    created_at: datetime
    approved_by: str
    approved_at: datetime | None
    expires_at: datetime
    revoked_by: str
    revoked_at: datetime | None
    revoke_reason: str
    findings: int

    @property
    def is_over(self) -> bool:
        return self.state in (State.EXPIRED, State.REVOKED)

    @property
    def is_own(self) -> bool:
        """Whether nobody but its author approved it."""
        return bool(self.approved_by) and self.approved_by == self.created_by

    @property
    def cve(self) -> str:
        return self.scope.cve

    @property
    def advisory(self) -> str:
        return self.scope.advisory

    @property
    def package(self) -> str:
        return self.scope.package

    @property
    def host(self) -> str:
        return self.scope.host

    @property
    def tag(self) -> str:
        return self.scope.tag


def plain(line: ExceptionLine) -> dict[str, Any]:
    """Return an exception as the command line and the API write it; instants stay instants."""
    names = [each.name for each in fields(line) if each.name not in ("type", "scope", "state")]
    return {
        "type": line.type.value,
        "state": line.state.value,
        "scope": str(line.scope),
        **{each.name: getattr(line.scope, each.name) for each in fields(line.scope)},
        **{name: getattr(line, name) for name in names},
    }


def listing(
    session: Session,
    *,
    now: datetime,
    state: str = "current",
    type_: str = "",
    search: str = "",
    limit: int = paging.PAGE,
    cursor: str = "",
) -> Page[ExceptionLine]:
    """Return exceptions, the next to expire first. Four queries at most.

    ``state`` is one of `STATES`: ``current`` are those proposed or in force, ``over`` the others.
    """
    conditions = _in_state(state, now)
    if type_:
        conditions.append(row.type == type_)
    if search.strip():
        conditions.append(_says(search))
    query = with_hostname()
    counted = query.where(*conditions).with_only_columns(func.count(), maintain_column_froms=True)
    total = session.scalar(counted) or 0
    order: tuple[Any, ...] = (type_coerce(row.expires_at, BigInteger), row.id)
    if cursor:
        values = paging.decode(cursor, len(order))
        conditions.append(paging.after(order, values, descending=[False, False]))
    query = query.where(*conditions).order_by(*order).limit(limit + 1)
    rows = session.execute(query).all()
    lines = _lines(session, rows[:limit], now)
    follows = None
    if len(rows) > limit:
        last = lines[-1]
        follows = paging.encode([to_micros(last.expires_at), last.id])
    return Page(tuple(lines), total, follows)


def awaiting(approver: str, *, now: datetime) -> Select[int]:
    """Return the query for how many proposed exceptions ``approver`` may approve: of others."""
    proposed = _in_state(State.PROPOSED.value, now)
    return select(func.count()).select_from(row).where(*proposed, row.created_by != approver)


def get(session: Session, number: int, *, now: datetime) -> ExceptionLine:
    """Return one exception. Raises `NotFoundError`."""
    query = with_hostname()
    found = session.execute(query.where(row.id == number)).all()
    if not found:
        raise NotFoundError("exception", number)
    (line,) = _lines(session, found, now)
    return line


def _in_state(state: str, now: datetime) -> list[ColumnElement[bool]]:
    revoked = row.revoked_at.is_not(None)
    over = or_(revoked, row.expires_at <= now)
    approved = row.approved_at.is_not(None)
    found: dict[str, list[ColumnElement[bool]]] = {
        "current": [~over],
        State.PROPOSED.value: [~over, ~approved],
        State.IN_FORCE.value: [~over, approved],
        State.EXPIRED.value: [~revoked, row.expires_at <= now],
        State.REVOKED.value: [revoked],
        "over": [over],
        "all": [],
    }
    return found[state]


def _says(search: str) -> ColumnElement[bool]:
    wanted = search.strip().lower()
    columns = (
        row.cve, row.advisory, row.package, row.tag, row.reason, row.owner, row.created_by,
        host.hostname,
    )  # fmt: skip
    return or_(*(func.lower(each).contains(wanted, autoescape=True) for each in columns))


def _lines(session: Session, rows: Sequence[Any], now: datetime) -> list[ExceptionLine]:
    found = {each.id: exempting(each, name or "") for each, name in rows}
    counts = findings_of(session, {number: each.scope for number, each in found.items()}, now)
    return [
        ExceptionLine(
            id=each.id,
            type=Type(each.type),
            scope=found[each.id].scope,
            state=found[each.id].state(now),
            reason=each.reason,
            owner=each.owner,
            created_by=each.created_by,
            created_at=each.created_at,
            approved_by=each.approved_by,
            approved_at=each.approved_at,
            expires_at=each.expires_at,
            revoked_by=each.revoked_by,
            revoked_at=each.revoked_at,
            revoke_reason=each.revoke_reason,
            findings=counts.get(each.id, 0),
        )
        for each, _ in rows
    ]
