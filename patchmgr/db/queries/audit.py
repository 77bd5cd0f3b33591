"""The audit log as people read it: the newest entry first."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.orm import Session

from patchmgr.db import models
from patchmgr.db.queries import paging
from patchmgr.db.queries.paging import Page

entry = models.AuditEntry


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which entries; an empty field does not restrict."""

    actor: str = ""
    action: str = ""  # "plan.approve", or the noun alone
    search: str = ""  # part of actor, action or subject
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class AuditLine:
    id: int
    at: datetime
    actor: str
    action: str
    subject: str
    details: dict[str, Any]
    hash: str


def listing(
    session: Session,
    filters: AuditFilter | None = None,
    *,
    limit: int = paging.PAGE,
    cursor: str = "",
) -> Page[AuditLine]:
    """Return a page of entries. Two queries."""
    conditions = _conditions(filters or AuditFilter())
    total = session.scalar(select(func.count()).select_from(entry).where(*conditions))
    query = select(entry).where(*conditions).order_by(entry.id.desc()).limit(limit + 1)
    if cursor:
        query = query.where(entry.id < paging.decode_id(cursor))
    rows = session.scalars(query).all()
    lines = tuple(
        AuditLine(row.id, row.at, row.actor, row.action, row.subject, dict(row.details), row.hash)
        for row in rows[:limit]
    )
    following = paging.encode([lines[-1].id]) if len(rows) > limit else None
    return Page(lines, total or 0, following)


def actions(session: Session) -> list[str]:
    """Return the distinct actions that were ever recorded, by name. One query."""
    return list(session.scalars(select(entry.action).distinct().order_by(entry.action)))


def _conditions(filters: AuditFilter) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if filters.actor:
        found.append(entry.actor == filters.actor)
    if filters.action:
        found.append(
            or_(entry.action == filters.action, entry.action.startswith(f"{filters.action}."))
        )
    if filters.since:
        found.append(entry.at >= filters.since)
    if filters.search:
        text = filters.search.lower()
        for sign in ("\\", "%", "_"):
            text = text.replace(sign, f"\\{sign}")
        columns = (entry.actor, entry.action, entry.subject)
        found.append(or_(*(func.lower(c).like(f"%{text}%", escape="\\") for c in columns)))
    return found
