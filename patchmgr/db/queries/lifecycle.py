"""Releases past the end of their support, and installed packages that get none.

Where nothing was read of a release, nothing is known of its end, and nothing is said.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime

import numpy as np
from sqlalchemy import ColumnElement, Text, cast, func, or_, select
from sqlalchemy.orm import Session, aliased

from patchmgr.db import models, package_sets
from patchmgr.db.bulk import in_lists
from patchmgr.domain.lifecycle import ENDED, Ending, Support, ending_of, endings, without_support
from patchmgr.domain.packages import release_of

support, revision = models.Support, models.FeedRevision
host, version, package_set = models.Host, models.PackageVersion, models.PackageSet


@dataclass(frozen=True, slots=True)
class Hosts:
    """How many hosts are alike in what decides until when they get fixes."""

    platform: str
    entitlements: tuple[str, ...]
    count: int
    reporting: int


@dataclass(frozen=True, slots=True)
class ReleaseLine:
    """A release of the fleet whose standard support is over."""

    platform: str  # of the hosts
    ending: Ending
    hosts: int
    uncovered: int  # of those, hosts that get no fixes any more

    @property
    def extensions(self) -> str:
        """Return what still carries it on, for whom."""
        return "; ".join(one.words for one in self.ending.extensions)


@dataclass(frozen=True, slots=True)
class UnsupportedLine:
    """A source package without, or with limited, security support, that hosts have installed."""

    package: str  # the source
    platform: str  # of the release that says so
    why: str
    ended: bool  # False: limited
    hosts: int


def said(session: Session, at: datetime | None = None) -> tuple[Support, ...]:
    """Return what feeds say of support, now or as of ``at``. One query."""
    query = select(
        support.platform, support.package, support.level, support.until, support.note
    ).order_by(support.platform, support.package, support.level)
    if at is None:
        query = query.where(support.until_revision_id.is_(None))
    else:
        began, ended = aliased(revision), aliased(revision)
        query = (
            query.join(began, began.id == support.since_revision_id)
            .outerjoin(ended, ended.id == support.until_revision_id)
            .where(began.made_at <= at, or_(ended.id.is_(None), ended.made_at > at))
        )
    return tuple(Support(*row) for row in session.execute(query))


def releases(hosts: Iterable[Hosts], told: Iterable[Support], on: date) -> tuple[ReleaseLine, ...]:
    """Return the releases of ``hosts`` past their standard support, the least covered first."""
    ended = endings(told, on)
    counted, uncovered = Counter[str](), Counter[str]()
    for each in hosts:
        if ending := ending_of(each.platform, ended):
            counted[each.platform] += each.count
            uncovered[each.platform] += 0 if ending.cover(each.entitlements) else each.count
    lines = [
        ReleaseLine(platform, ending, count, uncovered[platform])
        for platform, count in counted.items()
        if (ending := ending_of(platform, ended))
    ]
    return tuple(sorted(lines, key=lambda line: (-line.uncovered, -line.hosts, line.platform)))


def fleet(session: Session, since: datetime) -> list[Hosts]:
    """Return how many hosts there are of each platform and entitlements. One query.

    Those count as reporting whose inventory is not older than ``since``.
    """
    entitled = cast(host.entitlements, Text)
    rows = session.execute(
        select(
            host.platform,
            entitled,
            func.count(),
            func.count().filter(host.reported_at >= since),
        )
        .where(host.retired_at.is_(None))
        .group_by(host.platform, entitled)
    )
    return [Hosts(platform, tuple(json.loads(words)), *counts) for platform, words, *counts in rows]


def packages(session: Session, told: Sequence[Support], on: date) -> tuple[UnsupportedLine, ...]:
    """Return the installed packages without full security support, the most widespread first.

    Three queries; none when nothing is said of packages.
    """
    against = _versions_against(session, told, on)
    if not against:
        return ()
    used = (host.package_set_id == package_set.id, host.retired_at.is_(None))
    count = select(func.count(host.id)).where(*used).scalar_subquery()
    in_use = package_set.id.in_(select(host.package_set_id).where(host.retired_at.is_(None)))
    stored = package_sets.Stored(session, in_use, count)
    hosts = Counter[tuple[str, Support]]()
    for place, facts in _by_place(stored, against):
        for fact in facts:
            hosts[fact] += stored.more[place][0]
    lines = [
        UnsupportedLine(source, each.platform, each.words, each.level == ENDED, number)
        for (source, each), number in hosts.items()
    ]
    return tuple(
        sorted(lines, key=lambda line: (not line.ended, -line.hosts, line.package, line.platform))
    )


def by_host(
    session: Session, told: Sequence[Support], at: datetime
) -> dict[int, tuple[tuple[str, str], ...]]:
    """Return (kind of blind spot, package and why) of each host that had such packages at ``at``.

    ``told`` is what was said then.
    """
    against = _versions_against(session, told, at.date())
    if not against:
        return {}
    history = models.HostPackageSet
    then = (history.since <= at, or_(history.until.is_(None), history.until > at))
    hosts: dict[int, list[int]] = defaultdict(list)
    for set_id, number in session.execute(
        select(history.package_set_id, history.host_id).where(*then)
    ):
        hosts[set_id].append(number)
    in_use = package_set.id.in_(select(history.package_set_id).where(*then))
    found: dict[int, tuple[tuple[str, str], ...]] = {}
    stored = package_sets.Stored(session, in_use)
    for place, facts in _by_place(stored, against):
        lines = [
            (each.kind, f"{source} on {each.platform}: {each.words}") for source, each in facts
        ]
        found |= dict.fromkeys(hosts[int(stored.ids[place])], tuple(sorted(lines)))
    return found


Against = dict[int, tuple[tuple[str, Support], ...]]  # by version: its source, what is said of it


def _versions_against(session: Session, told: Sequence[Support], on: date) -> Against:
    """Return the package versions of which something is said, with their source and that."""
    of_packages = [each for each in told if each.has_ended(on)]
    if not of_packages:
        return {}
    exact = sorted({each.package for each in of_packages if not each.package.endswith("*")})
    begun = sorted({each.package for each in of_packages if each.package.endswith("*")})
    conditions: list[ColumnElement[bool]] = [
        version.judged_source.in_(part) for part in in_lists(exact)
    ]
    conditions += [
        version.judged_source.startswith(each.rstrip("*").removesuffix("."), autoescape=True)
        for each in begun
    ]
    rows = session.execute(
        select(version.id, version.platform, version.judged_source).where(or_(*conditions))
    )
    known: dict[tuple[str, str], tuple[tuple[str, Support], ...]] = {}
    found: Against = {}
    for number, platform, source in rows:
        where = release_of(platform)
        if (where, source) not in known:
            hits = without_support(source, where, of_packages, on)
            known[where, source] = tuple((source, each) for each in hits)
        if known[where, source]:
            found[number] = known[where, source]
    return found


def _by_place(
    stored: package_sets.Stored, against: Against
) -> Iterable[tuple[int, set[tuple[str, Support]]]]:
    """Return what is said against the packages of each set that has such, by its place."""
    flags = np.zeros(max(against) + 1, bool)
    flags[list(against)] = True
    facts = defaultdict[int, set[tuple[str, Support]]](set)
    places, members = stored.having(flags)
    for place, member in zip(places.tolist(), members.tolist(), strict=True):
        facts[place].update(against[member])
    return facts.items()
