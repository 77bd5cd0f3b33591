"""Freezes: add them, once or recurring, and end them."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from patchmgr.db import models
from patchmgr.db.queries.freezes import FOR_EVER
from patchmgr.db.session import Database
from patchmgr.domain.accounts import Role
from patchmgr.domain.freezes import RecurringFreeze
from patchmgr.domain.rules import YEARS
from patchmgr.domain.windows import Freeze
from patchmgr.errors import ConflictError, InputError, NotFoundError
from patchmgr.services import audit
from patchmgr.services.roles import require

row = models.Freeze


def add(
    db: Database, freeze: Freeze | RecurringFreeze, *, actor: str, role: Role, now: datetime
) -> int:
    """Add a freeze and return its id; it holds for running plans at their next tick.

    Raises `InputError` for one that recurs and never holds again.
    """
    require(role, Role.OPERATOR, "adding a freeze")
    with db.writing() as session:
        return put_new(session, freeze, actor=actor, now=now)


def put_new(
    session: Session, freeze: Freeze | RecurringFreeze, *, actor: str, now: datetime
) -> int:
    """Add a freeze in the caller's transaction. Raises `InputError`.

    One in a year that no calendar here has would be in the way of everybody who reads them.
    """
    starts, ends, recurrence = _times(freeze, now)
    new = row(
        name=freeze.name,
        starts=starts,
        ends=ends,
        recurrence=recurrence,
        reason=freeze.reason,
        created_by=actor,
        created_at=now,
        changed_at=now,
        revision=0,
    )
    session.add(new)
    session.flush()
    details: dict[str, Any] = {"from": starts.isoformat(), "reason": freeze.reason}
    details |= {"recurrence": recurrence} if recurrence else {"until": ends.isoformat()}
    _record(session, "freeze.add", freeze.name, details, actor=actor, now=now)
    return new.id


def end(db: Database, which: str, *, actor: str, role: Role, now: datetime) -> str:
    """End a freeze, by name or number; return what was done: "ended" or "removed".

    One that has not begun is removed; one that recurs does not come again. Raises `NotFoundError`,
    and `ConflictError` when more than one that is not over has that name.
    """
    require(role, Role.OPERATOR, "ending a freeze")
    with db.writing() as session:
        found = _not_over(session, which, now)
        done = "removed" if found.starts >= now else "ended"
        details: dict[str, Any] = {
            "from": found.starts.isoformat(),
            "reason": found.reason,
            "done": done,
        }
        if found.recurrence:
            details["recurrence"] = found.recurrence
        else:
            details["until"] = found.ends.isoformat()
        name = found.name
        if done == "removed":
            session.delete(found)
        else:
            found.ends, found.changed_at, found.revision = now, now, found.revision + 1
        session.flush()
        _record(session, "freeze.end", name, details, actor=actor, now=now)
        return done


def _times(
    freeze: Freeze | RecurringFreeze, now: datetime
) -> tuple[datetime, datetime, dict[str, Any] | None]:
    """Return when a freeze begins and ends, and how it recurs."""
    if isinstance(freeze, Freeze):
        times = {"from": freeze.starts, "until": freeze.ends}
        if odd := [name for name, at in times.items() if at.year not in YEARS]:
            raise InputError(dict.fromkeys(odd, f"from {YEARS[0]} to {YEARS[-1]}"))
        return freeze.starts, freeze.ends, None
    first = next(freeze.occurrences(now, FOR_EVER), None)
    if first is None:
        raise InputError({"rrule": f"{freeze.times.rrule!r} does not come any more"})
    return first.starts, FOR_EVER, freeze.times.to_json()


def _not_over(session: Session, which: str, now: datetime) -> models.Freeze:
    open_ones = select(row).where(row.ends > now)
    found = session.scalars(open_ones.where(row.name == which).order_by(row.id)).all()
    if not found and which.isascii() and which.isdigit() and len(which) < 10:
        found = session.scalars(open_ones.where(row.id == int(which))).all()
    if not found:
        raise NotFoundError("freeze that is not over", which)
    if len(found) > 1:
        numbers = ", ".join(str(one.id) for one in found)
        raise ConflictError(f"{len(found)} freezes are called {which!r}; say which: {numbers}")
    return found[0]


def _record(
    session: Session, action: str, name: str, details: Mapping[str, Any], *, actor: str,
    now: datetime,
) -> None:  # fmt: skip
    audit.record(
        session, at=now, actor=actor, action=action, subject=f"freeze {name}", details=details
    )
