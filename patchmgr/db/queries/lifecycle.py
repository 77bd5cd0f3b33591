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
from patchmgr.domain.offers import repositories_of
from patchmgr.domain.packages import release_of

support, revision = models.Support, models.FeedRevision
host, version, package_set = models.Host, models.PackageVersion, models.PackageSet
conflict = models.IdentityConflict


@dataclass(frozen=True, slots=True)
class Hosts:
    """How many hosts are alike in what decides until when they get fixes."""

    platform: str
    entitlements: tuple[str, ...]
    count: int
    reporting: int
    never: int  # that never reported
    refused: bool  # whether the fleet has machines that were refused, of whatever host
    not_judged: int = 0  # entries of their reports of which no package could be made


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


def unknown(hosts: Iterable[Hosts], told: Iterable[Support]) -> int:
    """Return how many hosts run a release of which nobody has said until when it gets fixes."""
    spoken_of = {each.platform for each in told if not each.package}
    return sum(
        each.count
        for each in hosts
        if each.platform and spoken_of.isdisjoint(repositories_of(each.platform))
    )


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
            func.count().filter(host.reported_at.is_(None)),
            select(conflict.id).where(conflict.state == "open").exists(),
            func.sum(host.not_judged),
        )
        .where(host.retired_at.is_(None))
        .group_by(host.platform, entitled)
    )
    return [
        Hosts(platform, tuple(json.loads(words)), count, reporting, never, bool(refused), int(left))
        for platform, words, count, reporting, never, refused, left in rows
    ]


def packages(session: Session, told: Sequence[Support], on: date) -> tuple[UnsupportedLine, ...]:
    """Return the installed packages without full security support, the most widespread first.

    Two queries; none when nothing is said of packages.
    """
    against = _versions_against(session, told, on)
    if not against.versions:
        return ()
    used = (host.package_set_id == package_set.id, host.retired_at.is_(None))
    count = select(func.count(host.id)).where(*used).scalar_subquery()
    of_hosts = select(host.package_set_id).where(host.retired_at.is_(None))
    differing = aliased(package_set)  # with the sets that those in use differ from, of no host
    of_sets = select(differing.base_id).where(differing.id.in_(of_hosts))
    in_use = or_(package_set.id.in_(of_hosts), package_set.id.in_(of_sets))
    stored = package_sets.Stored(session, in_use, count)
    places, kinds = _found(stored, against)
    weights = np.array([number for (number,) in stored.more], np.int64)[places]
    hosts = np.bincount(kinds, weights, len(against.kinds)).astype(int).tolist()
    lines = [
        UnsupportedLine(kind.source, each.platform, each.words, each.level == ENDED, number)
        for kind, number in zip(against.kinds, hosts, strict=True)
        for each in kind.said
        if number
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
    if not against.versions:
        return {}
    history = models.HostPackageSet
    then = (history.since <= at, or_(history.until.is_(None), history.until > at))
    hosts: dict[int, list[int]] = defaultdict(list)
    for set_id, number in session.execute(
        select(history.package_set_id, history.host_id).where(*then)
    ):
        hosts[set_id].append(number)
    in_use = package_set.id.in_(select(history.package_set_id).where(*then))
    stored = package_sets.Stored(session, in_use)
    lines = [
        [(each.kind, f"{kind.source} on {each.platform}: {each.words}") for each in kind.said]
        for kind in against.kinds
    ]
    by_place: dict[int, list[tuple[str, str]]] = defaultdict(list)
    places, kinds = _found(stored, against)
    for place, number in zip(places.tolist(), kinds.tolist(), strict=True):
        by_place[place] += lines[number]
    found: dict[int, tuple[tuple[str, str], ...]] = {}
    for place, told_of in by_place.items():
        found |= dict.fromkeys(hosts[int(stored.ids[place])], tuple(sorted(told_of)))
    return found


@dataclass(frozen=True, slots=True)
class _Kind:
    """A source package on a platform, and what is said of it; all its versions are alike in it."""

    source: str
    said: tuple[Support, ...]


@dataclass(frozen=True, slots=True)
class _Against:
    """The installed package versions of which something is said."""

    kinds: list[_Kind]
    versions: dict[int, int]  # package version -> place of its kind


def _versions_against(session: Session, told: Sequence[Support], on: date) -> _Against:
    """Return the package versions of which something is said."""
    of_packages = [each for each in told if each.has_ended(on)]
    if not of_packages:
        return _Against([], {})
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
    kinds: list[_Kind] = []
    versions: dict[int, int] = {}
    known: dict[tuple[str, str], int | None] = {}
    for number, platform, source in rows:
        subject = (release_of(platform), source)
        if subject not in known:
            told_of = without_support(source, subject[0], of_packages, on)
            known[subject] = len(kinds) if told_of else None
            kinds += [_Kind(source, tuple(told_of))] if told_of else []
        place = known[subject]
        if place is not None:
            versions[number] = place
    return _Against(kinds, versions)


def _found(
    stored: package_sets.Stored, against: _Against
) -> tuple[package_sets.Places, package_sets.Pairs]:
    """Return (place of the set in ``stored``, place of the kind) of every kind in every set."""
    size = max(against.versions) + 1
    flags, kind_of = np.zeros(size, bool), np.zeros(size, np.int64)
    for number, kind in against.versions.items():
        flags[number], kind_of[number] = True, kind
    places, members = stored.having(flags)
    pairs = np.sort((places.astype(np.int64) << 32) | kind_of[members])
    if len(pairs):
        pairs = pairs[np.append(True, pairs[1:] != pairs[:-1])]
    return (pairs >> 32).astype(np.intp), pairs & 0xFFFFFFFF
