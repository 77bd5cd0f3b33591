"""Forgetting what is older than the settings keep: history, closed findings, reports, old sets.

What a kept report was made from stays, so that it can be made again: everything that held at some
time in the period that it speaks of. What hosts have now and what is open now is never old.
"""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, delete, not_, select
from sqlalchemy.orm import Session, aliased

from patchmgr.config import Settings
from patchmgr.db import models
from patchmgr.db.queries.reports import TREND
from patchmgr.db.session import Database
from patchmgr.domain.compliance import PERIOD
from patchmgr.domain.spans import Span, merged
from patchmgr.services import audit

ACTOR = "housekeeping"


@dataclass(frozen=True, slots=True)
class Forgotten:
    """How many of each went."""

    history: int  # times in which a host had a package set, or was known so
    findings: int  # closed exposures and judgements, and states of the fleet
    sets: int  # package sets that nothing refers to
    reports: int


def forget(db: Database, *, settings: Settings, now: datetime) -> Forgotten:
    """Delete what is older than it is kept; package sets that nothing refers to go in any case."""
    with db.writing(alone=True) as session:
        folders = _reports(session, before(now, settings.keep_reports_days), now)
        kept = list(session.scalars(select(models.Report.as_of).distinct()))
        history = _held(
            session,
            (models.HostPackageSet, models.HostFact),
            settings.history_since(now),
            kept,
        )
        oldest = settings.findings_since(now)
        findings = _held(session, (models.Exposure, models.Judgement), oldest, kept)
        findings += _snapshots(session, oldest, kept)
        sets = _unused_sets(session)
    for folder in folders:  # only once the rows that name them are gone for good
        shutil.rmtree(settings.reports / folder, ignore_errors=True)
    return Forgotten(history, findings, sets, len(folders))


def before(now: datetime, days: int) -> datetime | None:
    """Return the instant before which things are old; None: nothing ever is."""
    return now - timedelta(days=days) if days else None


def _reports(session: Session, oldest: datetime | None, now: datetime) -> list[str]:
    """Delete the reports made before ``oldest``; return the folders that held them."""
    if oldest is None:
        return []
    report = models.Report
    rows = session.execute(select(report.id, report.stored).where(report.made_at < oldest)).all()
    if rows:
        session.execute(delete(report).where(report.made_at < oldest))
        audit.record(
            session,
            at=now,
            actor=ACTOR,
            action="reports.forget",
            subject=f"{len(rows)} reports",
            details={"ids": [row.id for row in rows], "made_before": oldest.isoformat()},
        )
    return [row.stored for row in rows]


def _held(
    session: Session, tables: Sequence[Any], oldest: datetime | None, kept: Sequence[datetime]
) -> int:
    """Delete rows that ended before ``oldest``, unless a report of a ``kept`` instant read them."""
    if oldest is None:
        return 0
    spans = merged(Span(at - PERIOD, at) for at in kept)
    return sum(
        _deleted(
            session,
            table,
            table.until < oldest,
            *(
                not_((table.since <= span.end) & (table.until > span.start))
                for span in spans
                if span.start < oldest
            ),
        )
        for table in tables
    )


def _snapshots(session: Session, oldest: datetime | None, kept: Sequence[datetime]) -> int:
    if oldest is None:
        return 0
    row = models.Snapshot
    spans = merged(Span(at - TREND, at) for at in kept)
    needed = [not_((row.at > span.start) & (row.at <= span.end)) for span in spans]
    return _deleted(session, row, row.at < oldest, *needed)


def _unused_sets(session: Session) -> int:
    """Delete the sets that nothing refers to: differences first, then what they differed from."""
    stored, other, host = models.PackageSet, aliased(models.PackageSet), models.Host
    history = models.HostPackageSet
    referring: tuple[Any, ...] = (
        history.package_set_id,
        host.package_set_id,
        host.judged_set_id,
        host.counted_set_id,
        other.base_id,
    )
    unused = [~select(column).where(column == stored.id).exists() for column in referring]
    gone = 0
    for kind in (stored.base_id.is_not(None), stored.base_id.is_(None)):
        gone += _deleted(session, stored, kind, *unused)
    return gone


def _deleted(session: Session, table: Any, *conditions: ColumnElement[bool]) -> int:
    statement = delete(table).where(*conditions).execution_options(synchronize_session=False)
    return int(session.execute(statement).rowcount)  # type: ignore[attr-defined] # a delete's result has one
