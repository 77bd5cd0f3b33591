"""Reports that were made and kept."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from patchmgr.db import models
from patchmgr.domain.compliance import Share
from patchmgr.errors import NotFoundError


@dataclass(frozen=True, slots=True)
class MadeReport:
    """A kept report: what it says first, and its files by name with their SHA-256, hex."""

    id: int
    kind: str
    as_of: datetime
    made_at: datetime
    made_by: str
    policy: str
    policy_version: int
    formats: tuple[str, ...]
    hosts: int
    compliant: Share
    unknown: Share
    overdue: Share
    files: Mapping[str, str]


def listing(session: Session, *, limit: int = 50, before: int | None = None) -> list[MadeReport]:
    """Return kept reports, the newest first; ``before`` is the id to go on from. One query."""
    query = select(models.Report).order_by(models.Report.id.desc()).limit(limit)
    if before is not None:
        query = query.where(models.Report.id < before)
    return [_made(row) for row in session.scalars(query)]


def count(session: Session) -> int:
    """Return how many reports are kept. One query."""
    return session.scalar(select(func.count(models.Report.id))) or 0


def get(session: Session, report_id: int) -> MadeReport:
    """Return one kept report. Raises `NotFoundError`."""
    row = session.get(models.Report, report_id)
    if row is None:
        raise NotFoundError("report", report_id)
    return _made(row)


def _made(row: models.Report) -> MadeReport:
    return MadeReport(
        id=row.id,
        kind=row.kind,
        as_of=row.as_of,
        made_at=row.made_at,
        made_by=row.made_by,
        policy=row.parameters["policy"],
        policy_version=row.parameters["policy_version"],
        formats=tuple(row.parameters["formats"]),
        hosts=row.headline["hosts"],
        compliant=_share(row.headline["compliant"]),
        unknown=_share(row.headline["unknown"]),
        overdue=_share(row.headline["overdue"]),
        files=row.files,
    )


def _share(document: Mapping[str, Any]) -> Share:
    return Share(document["n"], document["of"])
