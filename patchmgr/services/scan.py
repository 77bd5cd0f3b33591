"""The scan: what is wrong with which host, brought up to date.

Three steps, each over what changed since the last scan (design.md 4.4):

1. judge each distinct package version against the statements about it (`judging`);
2. intersect the package sets of hosts with the judged versions;
3. open and close exposures by difference, and count (`exposures`).

A full scan does the same over everything, and must come to the same rows: a property test holds
the two equal. It is one transaction; a scan that dies has not happened.
"""

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import case, func, or_, select
from sqlalchemy.orm import Session

from patchmgr.config import Settings
from patchmgr.db import models
from patchmgr.db.queries import feeds
from patchmgr.db.session import Database, refresh_statistics
from patchmgr.domain.advisories import Severity
from patchmgr.domain.matching import platforms_of
from patchmgr.services import excepted, exposures, history, judging, policies

SNAPSHOT_EVERY = timedelta(hours=1)  # at least; and whenever something changed


@dataclass(frozen=True, slots=True)
class ScanResult:
    """What a scan did."""

    full: bool
    versions: int  # package versions judged
    hosts: int  # hosts looked at
    opened: int  # exposures
    closed: int
    findings: int  # open in the whole fleet afterwards

    def summary(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def changed(self) -> bool:
        return bool(self.versions or self.hosts)


def scan(db: Database, *, now: datetime, settings: Settings, full: bool = False) -> ScanResult:
    """Bring findings up to date with inventory and advisories; return what that took."""
    policies.ensure_default(db, now=now)
    with db.writing(alone=True) as session:
        policy_id, policy = policies.active(session)
        last = session.scalar(select(models.ScanRun).order_by(models.ScanRun.id.desc()).limit(1))
        # Another policy means other due dates everywhere.
        full = full or last is None or last.counts["policy"] != policy_id
        seen = last.package_version_id if last is not None else 0
        judged = judging.bring_up_to_date(session, None if full else last, now, seen=seen)
        in_force = excepted.mark_hosts(session, last, now)
        since = None if full or last is None else last.package_version_id
        exposed = exposures.bring_up_to_date(session, judged, policy, in_force, now, since=since)
        findings = session.scalar(select(func.sum(models.HostCount.open_findings))) or 0
        result = ScanResult(
            full, judged.versions, exposed.hosts, exposed.opened, exposed.closed, int(findings)
        )
        session.add(_run(session, result, policy_id, now))
        if result.changed or _is_due(session, now):
            snapshot(session, now=now, settings=settings)
        history.remember_hosts(session, at=now, silent_days=settings.silent_days)
        if full:
            refresh_statistics(session)
    return result


def _run(session: Session, result: ScanResult, policy_id: int, now: datetime) -> models.ScanRun:
    return models.ScanRun(
        at=now,
        full=result.full,
        package_version_id=session.scalar(select(func.max(models.PackageVersion.id))) or 0,
        feed_revision_id=session.scalar(select(func.max(models.FeedRevision.id))) or 0,
        counts={**result.summary(), "policy": policy_id},
    )


def _is_due(session: Session, now: datetime) -> bool:
    last = session.scalar(select(func.max(models.Snapshot.at)))
    return last is None or now - last >= SNAPSHOT_EVERY


def snapshot(session: Session, *, now: datetime, settings: Settings) -> None:
    """Record how the fleet stands: the overview's tiles and a point of the trend."""
    host, count, due = models.Host, models.HostCount, models.HostDue
    present = host.retired_at.is_(None)
    columns = ("open_findings", "fixable", "undetermined", *(s.word for s in Severity))
    totals = session.execute(
        select(*(func.sum(getattr(count, name)) for name in columns))
        .join(host, host.id == count.host_id)
        .where(present)
    ).one()
    found = {name: int(total or 0) for name, total in zip(columns, totals, strict=True)}
    overdue = session.scalar(select(func.sum(due.findings)).where(due.due < now)) or 0
    hosts, reporting, judged, compliant = _standing(session, now, settings)
    session.add(
        models.Snapshot(
            at=now,
            hosts=hosts,
            reporting=reporting,
            judged=judged,
            compliant=compliant,
            open_findings=found["open_findings"],
            fixable=found["fixable"],
            overdue=int(overdue),
            undetermined=found["undetermined"],
            by_severity={s.word: found[s.word] for s in Severity if found[s.word]},
        )
    )


def _standing(session: Session, now: datetime, settings: Settings) -> tuple[int, int, int, int]:
    """Return how many hosts there are, report, can be judged, and of these are compliant."""
    host, count = models.Host, models.HostCount
    reports = host.reported_at >= now - timedelta(days=settings.silent_days)
    bad = or_(count.earliest_due < now, host.reboot_pending)
    good = case((reports & func.coalesce(bad, host.reboot_pending).is_(False), 1), else_=0)
    rows = session.execute(
        select(host.platform, func.count(), func.sum(case((reports, 1), else_=0)), func.sum(good))
        .outerjoin(count, count.host_id == host.id)
        .where(host.retired_at.is_(None))
        .group_by(host.platform)
    ).all()
    spoken_of = feeds.platforms_with_feed(session)
    seen = [row for row in rows if spoken_of.intersection(platforms_of(row[0]))]
    return (
        sum(row[1] for row in rows),
        sum(row[2] for row in rows),
        sum(row[2] for row in seen),
        sum(row[3] for row in seen),
    )
