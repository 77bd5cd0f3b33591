"""Blind spots: what the service cannot judge, and why (design.md, Words)."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from patchmgr.db import models
from patchmgr.db.queries import feeds
from patchmgr.db.queries.feeds import FeedStatus
from patchmgr.domain.matching import platforms_of

SHOWN = 50


@dataclass(frozen=True, slots=True)
class PlatformLine:
    """A platform of the fleet, and whether any feed speaks of it."""

    platform: str  # "" when hosts do not say
    hosts: int
    reporting: int  # of those, with an inventory that is recent enough
    has_feed: bool


@dataclass(frozen=True, slots=True)
class Silent:
    """A host whose inventory is missing or too old."""

    hostname: str
    platform: str
    owner: str
    reported_at: datetime | None


@dataclass(frozen=True, slots=True)
class Unclear:
    """Package versions that an advisory cannot be held against, by reason."""

    package: str
    version: str
    platform: str
    reason: str
    advisories: int


@dataclass(frozen=True, slots=True)
class Coverage:
    platforms: tuple[PlatformLine, ...]  # those without a feed first
    silent: tuple[Silent, ...]  # at most `SHOWN`, the longest silent first
    stale: tuple[FeedStatus, ...]  # feeds failed, held, or without a good sync for too long
    unclear: tuple[Unclear, ...]  # at most `SHOWN`
    undetermined: int  # judgements without a verdict, all of them

    @property
    def hosts(self) -> int:
        return sum(line.hosts for line in self.platforms)

    @property
    def reporting(self) -> int:
        return sum(line.reporting for line in self.platforms)

    @property
    def judged(self) -> int:
        """Hosts that report and whose platform has a feed."""
        return sum(line.reporting for line in self.platforms if line.has_feed)

    @property
    def without_feed(self) -> int:
        return sum(line.hosts for line in self.platforms if not line.has_feed)


def coverage(session: Session, *, now: datetime, silent_days: int, stale_hours: int) -> Coverage:
    """Return what the service can and cannot judge as of ``now``. Six queries."""
    since = now - timedelta(days=silent_days)
    statuses = feeds.listing(session, now=now, stale_hours=stale_hours)
    undetermined = session.scalar(
        select(func.count())
        .select_from(models.Judgement)
        .where(models.Judgement.until.is_(None), models.Judgement.status == "undetermined")
    )
    return Coverage(
        platforms(session, since),
        _silent(session, since),
        tuple(one for one in statuses if one.standing in ("failed", "held") or one.is_stale),
        _unclear(session),
        undetermined or 0,
    )


def platforms(session: Session, since: datetime) -> tuple[PlatformLine, ...]:
    """Return the platforms of the fleet, those of which no feed speaks first. Two queries."""
    known = feeds.platforms_with_feed(session)
    rows = session.execute(
        select(
            models.Host.platform,
            func.count(),
            func.count().filter(models.Host.reported_at >= since),
        )
        .where(models.Host.retired_at.is_(None))
        .group_by(models.Host.platform)
    )
    lines = [
        PlatformLine(platform, hosts, reporting, bool(known.intersection(platforms_of(platform))))
        for platform, hosts, reporting in rows
    ]
    return tuple(sorted(lines, key=lambda line: (line.has_feed, -line.hosts, line.platform)))


def _silent(session: Session, since: datetime) -> tuple[Silent, ...]:
    rows = session.execute(
        select(
            models.Host.hostname, models.Host.platform, models.Host.owner, models.Host.reported_at
        )
        .where(
            models.Host.retired_at.is_(None),
            or_(models.Host.reported_at.is_(None), models.Host.reported_at < since),
        )
        .order_by(
            models.Host.reported_at.is_not(None), models.Host.reported_at, models.Host.hostname
        )
        .limit(SHOWN)
    )
    return tuple(Silent(*row) for row in rows)


def _unclear(session: Session) -> tuple[Unclear, ...]:
    version, judgement = models.PackageVersion, models.Judgement
    rows = session.execute(
        select(
            version.name,
            version.version,
            version.platform,
            func.min(judgement.reason),
            func.count(),
        )
        .join(judgement, judgement.package_version_id == version.id)
        .where(judgement.until.is_(None), judgement.status == "undetermined")
        .group_by(version.id, version.name, version.version, version.platform)
        .order_by(func.count().desc(), version.name)
        .limit(SHOWN)
    )
    return tuple(Unclear(*row) for row in rows)
