"""What a compliance report reads, all of it as of an instant.

Only history is read: rows that say since when and until when, or when they were made. What a
later import, sync or scan changes is not looked at, so the same instant gives the same answer.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, func, or_, select, type_coerce
from sqlalchemy.orm import Session, aliased

from patchmgr.db import models
from patchmgr.db.base import Utc, from_micros
from patchmgr.db.queries import flaws, lifecycle
from patchmgr.db.queries.report_exceptions import Labels
from patchmgr.domain.advisories import Severity, Status
from patchmgr.domain.compliance import (
    PERIODS,
    Contact,
    FeedState,
    Host,
    Judged,
    Open,
    PlatformState,
    Standing,
)
from patchmgr.domain.lifecycle import Support, ending_of, endings
from patchmgr.domain.matching import platforms_of
from patchmgr.domain.packages import ECOSYSTEMS

CHUNK = 500  # hosts asked for at a time
TREND = timedelta(days=30 * PERIODS)  # the longest that a trend looks back


def scanned_at(session: Session, at: datetime) -> datetime | None:
    """Return when the last scan until ``at`` was; None before the first."""
    return session.scalar(select(func.max(models.ScanRun.at)).where(models.ScanRun.at <= at))


def hosts(
    session: Session,
    at: datetime,
    *,
    scanned: datetime | None,
    silent_days: int,
    told: Sequence[Support] = (),
) -> list[Host]:
    """Return the hosts in scope at ``at``, by name, as the scan at ``scanned`` knew them.

    Where no scan ran for ``silent_days``, no host's state is known any more. ``told`` is what was
    said of support then. At most five queries.
    """
    unsupported = lifecycle.by_host(session, told, at)
    current = scanned is not None and at - scanned <= timedelta(days=silent_days)
    sets = models.HostPackageSet
    changed = dict(
        session.execute(
            select(sets.host_id, func.max(sets.since))
            .where(sets.since <= at)
            .group_by(sets.host_id)
        ).all()
    )
    fact = models.HostFact
    rows = session.scalars(select(fact).where(*held(fact, at)))
    return [
        Host(
            id=row.host_id,
            hostname=row.hostname,
            platform=row.platform,
            environment=row.environment,
            site=row.site,
            owner=row.owner,
            criticality=row.criticality,
            exposure=row.exposure,
            reboot_pending=row.reboot_pending,
            contact=_contact(row, changed.get(row.host_id), scanned, current=current),
            last_report=row.silent_since,
            unsupported=unsupported.get(row.host_id, ()),
        )
        for row in sorted(rows, key=lambda row: row.hostname)  # alike in every database's locale
    ]


def _contact(
    fact: models.HostFact, changed: datetime | None, scanned: datetime | None, *, current: bool
) -> Contact:
    """Return what the inventory that came or changed at ``changed`` is worth."""
    if changed is None:
        return Contact.NEVER
    if scanned is None or changed > scanned or not current:
        return Contact.UNSCANNED
    return Contact.REPORTING if fact.silent_since is None else Contact.SILENT


def packages(session: Session, at: datetime) -> int:
    """Return how many package installations the inventories in use at ``at`` list."""
    sets, fact = models.HostPackageSet, models.HostFact
    query = (
        select(func.sum(models.PackageSet.size))
        .join(sets, sets.package_set_id == models.PackageSet.id)
        .join(fact, fact.host_id == sets.host_id)
        .where(*held(sets, at), *held(fact, at))
    )
    return int(session.scalar(query) or 0)


def findings(
    session: Session, at: datetime, fleet: Sequence[Host]
) -> Iterator[tuple[Host, list[Open]]]:
    """Yield each host of ``fleet`` with its open findings, by package, version and advisory.

    Judgements are read once for the fleet; exposures a few hundred hosts at a time.
    """
    judged = _judged(session, at)
    exceptions = Labels(session, at, judged)
    place = {number: place for place, number in enumerate(judged)}
    exposure = models.Exposure
    instants = _Instants()
    for start in range(0, len(fleet), CHUNK):
        part = fleet[start : start + CHUNK]
        rows = session.execute(
            select(
                exposure.host_id,
                exposure.package_version_id,
                type_coerce(exposure.first_seen, BigInteger),
            ).where(exposure.host_id.in_([host.id for host in part]), *held(exposure, at))
        )
        exposed: dict[int, list[tuple[int, int, int]]] = defaultdict(list)
        for host_id, version_id, first_seen in rows:
            if version_id in place:
                exposed[host_id].append((place[version_id], version_id, first_seen))
        for host in part:
            yield (
                host,
                [
                    Open(judgement, instants[first_seen], exceptions.of(host, judgement))
                    for _, version_id, first_seen in sorted(exposed.get(host.id, ()))
                    for judgement in judged[version_id]
                ],
            )


class _Instants(dict[int, datetime]):
    """Microseconds to instants; a fleet has few distinct ones, and many of each."""

    def __missing__(self, micros: int) -> datetime:
        instant = self[micros] = from_micros(micros)
        return instant


def _judged(session: Session, at: datetime) -> dict[int, list[Judged]]:
    """Return the judgements open at ``at``, by package version; both in the report's order."""
    judgement, version = models.Judgement, models.PackageVersion
    advisory, fix = models.Advisory, models.Fix
    listed = flaws.listed(session, at)
    rows = session.execute(
        select(
            version.id,
            version.manager,
            version.name,
            version.arch,
            version.version,
            fix.fixed,
            judgement.status,
            advisory.ref,
            advisory.cves,
            judgement.severity,
            judgement.first_seen,
            judgement.published,
            judgement.reason,
            *flaws.CLASS,
        )
        .join(judgement, judgement.package_version_id == version.id)
        .join(advisory, advisory.id == judgement.advisory_id)
        .join(fix, fix.id == judgement.fix_id)
        .outerjoin(models.UrgencyClass, models.UrgencyClass.id == judgement.class_id)
        .where(*held(judgement, at))
    ).all()
    found: dict[int, list[Judged]] = defaultdict(list)
    for number, *columns in sorted(rows, key=lambda r: (r.name, r.arch, r.version, r.id, r.ref)):
        manager, name, arch, installed, fixed, status, ref, cves, severity, *rest = columns
        found[number].append(
            Judged(
                manager=manager,
                package=name,
                arch=arch,
                installed=installed,
                fixed=fixed if status == Status.AFFECTED else "",
                status=Status(status),
                advisory=ref,
                cves=cves,
                severity=Severity(severity),
                danger=flaws.danger_of(rest[3:]),
                exploited=tuple(listed[cve] for cve in cves.split() if cve in listed),
                first_seen=rest[0],
                published=rest[1],
                reason=rest[2],
            )
        )
    return found


def feeds(
    session: Session, at: datetime, names: Iterable[str], *, stale_hours: int
) -> tuple[FeedState, ...]:
    """Return each feed's revision in use at ``at``, by name. One query.

    A sync that brings nothing new makes no revision, and keeps the feed from being stale. What
    came in a bundle is as fresh as it was where that was made. A feed that speaks only of
    platforms that are none of ``names`` is idle: nobody syncs it, and nobody misses it.
    """
    needed = {each for name in names for each in platforms_of(name)}
    revision, feed, sync = models.FeedRevision, models.Feed, models.FeedSync
    synced = (
        select(func.max(func.coalesce(sync.as_of, sync.at)))
        .where(sync.feed_id == feed.id, sync.at <= at)
        .scalar_subquery()
    )
    rows = session.execute(
        select(feed.name, revision, type_coerce(func.coalesce(synced, revision.made_at), Utc))
        .join(revision, revision.feed_id == feed.id)
        .where(revision.made_at <= at)
        .order_by(revision.made_at, revision.id)
    )
    last = {name: (row, synced_at) for name, row, synced_at in rows}
    old = at - timedelta(hours=stale_hours)
    return tuple(
        FeedState(
            name=name,
            revision=row.id,
            digest=row.digest,
            made_at=row.made_at,
            synced_at=synced_at,
            advisories=int(row.counts.get("advisories", 0)),
            fixes=int(row.counts.get("fixes", 0)),
            stale=synced_at < old and _is_needed(row.counts, needed),
            notes=int(row.counts.get("notes", 0)),
        )
        for name, (row, synced_at) in sorted(last.items())
    )


def _is_needed(counts: Mapping[str, Any], needed: Collection[str]) -> bool:
    """Return whether a feed has statements about ``needed``, or about no platform at all.

    Languages count as needed: hosts of any platform may have packages of theirs.
    """
    spoken_of = counts.get("platforms") or ()
    return not spoken_of or any(each in needed or each in ECOSYSTEMS for each in spoken_of)


def platforms(
    session: Session, at: datetime, names: Iterable[str], told: Sequence[Support] = ()
) -> tuple[PlatformState, ...]:
    """Return, for each platform, the feeds that had statements about it at ``at``, and its end.

    ``told`` is what was said of support then.
    """
    ended = endings(told, at.date())
    found = []
    for name in sorted(set(names)):
        speaking = [_speaking(session, at, part) for part in platforms_of(name) if part]
        feeds_of = tuple(sorted(set().union(*speaking)))
        found.append(PlatformState(name, feeds_of, ending_of(name, ended)))
    return tuple(found)


def _speaking(session: Session, at: datetime, platform: str) -> set[str]:
    fix, revision, feed = models.Fix, models.FeedRevision, models.Feed
    until = aliased(revision)
    said = (
        select(fix.id)
        .join(models.Advisory, models.Advisory.id == fix.advisory_id)
        .join(revision, revision.id == fix.since_revision_id)
        .outerjoin(until, until.id == fix.until_revision_id)
        .where(
            models.Advisory.feed_id == feed.id,
            fix.platform == platform,
            revision.made_at <= at,
            or_(until.id.is_(None), until.made_at > at),
        )
        .exists()
    )
    return set(session.scalars(select(feed.name).where(said)))


def standings(session: Session, at: datetime) -> tuple[Standing, ...]:
    """Return how the fleet stood after each scan that a trend until ``at`` can show, by time."""
    row = models.Snapshot
    rows = session.execute(
        select(row.at, row.hosts, row.judged, row.compliant, row.open_findings, row.overdue)
        .where(row.at <= at, row.at > at - TREND)
        .order_by(row.at, row.id)
    )
    return tuple(Standing(*columns) for columns in rows)


def held(table: Any, at: datetime) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    """Return the conditions under which a row of a history table held at ``at``."""
    return table.since <= at, or_(table.until.is_(None), table.until > at)


def platform_names(session: Session, at: datetime) -> list[str]:
    """Return the platforms of the hosts in scope at ``at``."""
    fact = models.HostFact
    return list(session.scalars(select(fact.platform).where(*held(fact, at)).distinct()))
