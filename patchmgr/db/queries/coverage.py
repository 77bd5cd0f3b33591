"""Blind spots: what the service cannot judge, and why (design.md, Words)."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from patchmgr.db import models
from patchmgr.db.queries import feeds, lifecycle, software
from patchmgr.db.queries.feeds import FeedStatus
from patchmgr.db.queries.lifecycle import Hosts, ReleaseLine, UnsupportedLine
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
    silent_since: datetime | None  # when its last report became too old; None: it never reported


@dataclass(frozen=True, slots=True)
class Unclear:
    """Package versions that an advisory cannot be held against, by reason."""

    package: str
    version: str
    platform: str
    reason: str
    advisories: int


@dataclass(frozen=True, slots=True)
class NotJudged:
    """A host with entries in its reports of which no package could be made."""

    hostname: str
    platform: str
    entries: int
    of: Mapping[str, int]  # format of the report -> how many of them
    why: tuple[str, ...]  # the first of them


@dataclass(frozen=True, slots=True)
class Coverage:
    platforms: tuple[PlatformLine, ...]  # those without a feed first
    silent: tuple[Silent, ...]  # at most `SHOWN`, the longest silent first
    stale: tuple[FeedStatus, ...]  # feeds failed, held, or without a good sync for too long
    unclear: tuple[Unclear, ...]  # at most `SHOWN`
    undetermined: int  # judgements without a verdict, all of them
    releases: tuple[ReleaseLine, ...]  # past their standard support, the least covered first
    unsupported: tuple[UnsupportedLine, ...]  # at most `SHOWN` packages, ended ones first
    unknown_support: int  # hosts of which nobody has said until when they get fixes
    never: int  # hosts that never reported, of the silent ones
    doubtful: Mapping[str, int]  # packages by `software.DOUBTS`
    refused: bool  # whether there are machines that were refused
    not_judged: int  # entries of reports of which no package could be made
    left: tuple[NotJudged, ...]  # at most `SHOWN` hosts that have such, most of them first

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

    @property
    def releases_without_feed(self) -> int:
        return sum(bool(line.platform) and not line.has_feed for line in self.platforms)

    @property
    def unknown_platform(self) -> int:
        """Hosts of which nobody said what they run."""
        return sum(line.hosts for line in self.platforms if not line.platform)

    @property
    def numbers(self) -> dict[str, int]:
        """Return every number of this, by its name."""
        silent = self.hosts - self.reporting
        return {
            "hosts": self.hosts,
            "reporting": self.reporting,
            "judged": self.judged,
            "silent": silent,
            "went_silent": silent - self.never,
            "never_reported": self.never,
            "unknown_platform": self.unknown_platform,
            "without_feed": self.without_feed,
            "releases_without_feed": self.releases_without_feed,
            "past_support": self.past_support,
            "unknown_support": self.unknown_support,
            "stale": len(self.stale),
            "undetermined": self.undetermined,
            "unknown_source": self.doubtful["no_source"],
            "foreign_origin": self.doubtful["foreign"],
            "not_judged": self.not_judged,
        }

    @property
    def past_support(self) -> int:
        """Hosts that get no fixes any more."""
        return sum(line.uncovered for line in self.releases)


def coverage(session: Session, *, now: datetime, silent_days: int, stale_hours: int) -> Coverage:
    """Return what the service can and cannot judge as of ``now``. At most ten queries."""
    since = now - timedelta(days=silent_days)
    statuses = feeds.listing(session, now=now, stale_hours=stale_hours)
    spoken_of = {platform for one in statuses for platform in one.counts.get("platforms", ())}
    unclear, undetermined = _unclear(session)
    hosts, told = lifecycle.fleet(session, since), lifecycle.said(session)
    all_report = all(each.reporting == each.count for each in hosts)
    not_judged = sum(each.not_judged for each in hosts)
    return Coverage(
        platforms(hosts, spoken_of),
        () if all_report else _silent(session, since, timedelta(days=silent_days)),
        tuple(one for one in statuses if one.standing in ("failed", "held") or one.is_stale),
        unclear,
        undetermined,
        lifecycle.releases(hosts, told, now.date()),
        lifecycle.packages(session, told, now.date())[:SHOWN],
        lifecycle.unknown(hosts, told),
        sum(each.never for each in hosts),
        software.doubtful(session),
        any(each.refused for each in hosts),
        not_judged,
        _left(session) if not_judged else (),
    )


def platforms(hosts: Iterable[Hosts], known: set[str]) -> tuple[PlatformLine, ...]:
    """Return the platforms of ``hosts``, those first that are not among the ``known`` ones."""
    counts, reporting = Counter[str](), Counter[str]()
    for each in hosts:
        counts[each.platform] += each.count
        reporting[each.platform] += each.reporting
    lines = [
        PlatformLine(
            platform, count, reporting[platform], bool(known.intersection(platforms_of(platform)))
        )
        for platform, count in counts.items()
    ]
    return tuple(sorted(lines, key=lambda line: (line.has_feed, -line.hosts, line.platform)))


def _silent(session: Session, since: datetime, longest: timedelta) -> tuple[Silent, ...]:
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
    return tuple(
        Silent(name, where, owner, at, at + longest if at else None)
        for name, where, owner, at in rows
    )


def _left(session: Session) -> tuple[NotJudged, ...]:
    host = models.Host
    rows = session.execute(
        select(host.hostname, host.platform, host.not_judged, host.not_judged_of)
        .where(host.retired_at.is_(None), host.not_judged > 0)
        .order_by(host.not_judged.desc(), host.hostname)
        .limit(SHOWN)
    )
    return tuple(
        NotJudged(
            name,
            where,
            entries,
            {each: count for each, (count, _) in of.items()},
            tuple(why for _, first in of.values() for why in first),
        )
        for name, where, entries, of in rows
    )


def _unclear(session: Session) -> tuple[tuple[Unclear, ...], int]:
    """Return package versions without a verdict, and how many verdicts lack in all."""
    version, judgement = models.PackageVersion, models.Judgement
    rows = session.execute(
        select(
            version.name,
            version.version,
            version.platform,
            func.min(judgement.reason),
            func.count(),
            func.sum(func.count()).over(),
        )
        .join(judgement, judgement.package_version_id == version.id)
        .where(judgement.until.is_(None), judgement.status == "undetermined")
        .group_by(version.id, version.name, version.version, version.platform)
        .order_by(func.count().desc(), version.name)
        .limit(SHOWN)
    )
    found = rows.all()
    return tuple(Unclear(*row[:5]) for row in found), int(found[0][5]) if found else 0
