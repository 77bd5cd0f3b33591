"""Which hosts have a package, in which versions, now or at an instant of the past.

Versions are chosen by name and compared by their scheme's keys. Which hosts have them is told by
the sets that hosts have: all of these are looked at, in the packed form they are stored in
(ADR 0008).
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from patchmgr.db import models
from patchmgr.db.bulk import among, in_lists
from patchmgr.db.package_sets import Stored
from patchmgr.db.queries import paging
from patchmgr.db.queries.fleet_sets import fleet_at
from patchmgr.db.queries.hosts import PackageLine
from patchmgr.db.queries.paging import Page
from patchmgr.db.queries.software import on
from patchmgr.domain.packages import SCHEME_OF_MANAGER
from patchmgr.domain.versions import SCHEMES
from patchmgr.errors import InputError, VersionError

host, version, package_set = models.Host, models.PackageVersion, models.PackageSet

COMPARISONS = ("below", "above", "version")


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which packages are looked for, and when; at most one of `COMPARISONS` is given."""

    name: str
    manager: str = ""
    by_source: bool = False  # ``name`` is of a source package, and its version is compared
    below: str = ""
    above: str = ""
    version: str = ""
    platform: str = ""
    at: datetime | None = None  # None: now

    @property
    def comparison(self) -> str:
        """Return which of `COMPARISONS` is given; "" for any version."""
        given = [each for each in COMPARISONS if getattr(self, each)]
        if len(given) > 1:
            raise InputError({given[1]: f"cannot be given together with {given[0]}"})
        return given[0] if given else ""


@dataclass(frozen=True, slots=True)
class Hit:
    """A host with what it has of the packages looked for."""

    hostname: str
    platform: str  # as it is now
    environment: str
    owner: str
    retired: bool  # by now
    packages: tuple[PackageLine, ...]


@dataclass(frozen=True, slots=True)
class Found:
    """The hosts, and what could not be compared."""

    hosts: Page[Hit]
    known: int  # versions of that name that were ever seen
    unclear: tuple[PackageLine, ...]  # versions that cannot be read, so that nobody can say
    hosts_known: int  # hosts of which it is known what they had then, or have now

    @property
    def versions_unclear(self) -> list[str]:
        return sorted({line.version for line in self.unclear})


def search(
    session: Session, wanted: Wanted, *, limit: int | None = paging.PAGE, cursor: str = ""
) -> Found:
    """Return the hosts that have, or had, what is looked for, by name. At most five queries a page.

    Raises `InputError` for a version that no scheme reads, and for two comparisons at once.
    """
    if not wanted.name:
        raise InputError({"name": "say which package to look for"})
    named = _named(session, wanted)
    chosen, unclear = _chosen(named, wanted)
    fleet = fleet_at(session, wanted.at)
    hosts = _hosts(session, chosen, fleet, wanted, limit, cursor)
    return Found(hosts, len(named), tuple(unclear), len(fleet))


def _named(session: Session, wanted: Wanted) -> list[tuple[PackageLine, str]]:
    """Return the versions of that name, each with the version that is compared."""
    row = version
    name, compared = (
        (row.judged_source, row.judged_version) if wanted.by_source else (row.name, row.version)
    )
    columns = (row.id, row.manager, row.name, row.version, row.arch, row.source, row.source_version)
    query = select(*columns, compared).where(
        name == wanted.name, *on(row.platform, wanted.platform)
    )
    if wanted.manager:
        query = query.where(row.manager == wanted.manager)
    return [(PackageLine(*found[:7]), found[7]) for found in session.execute(query)]


def _chosen(
    named: Sequence[tuple[PackageLine, str]], wanted: Wanted
) -> tuple[dict[int, PackageLine], list[PackageLine]]:
    """Return the versions that are looked for by id, and those that cannot be compared."""
    comparison = wanted.comparison
    if not comparison:
        return {line.id: line for line, _ in named}, []
    text = getattr(wanted, comparison)
    limits = _limits({line.manager for line, _ in named} or {wanted.manager}, comparison, text)
    chosen, unclear = {}, []
    for line, compared in named:
        limit = limits.get(line.manager)
        try:
            key = SCHEMES[SCHEME_OF_MANAGER[line.manager]](compared)
        except (KeyError, VersionError):
            key = None
        if comparison == "version" and compared == text:
            chosen[line.id] = line
        elif key is None or limit is None:
            unclear.append(line)
        elif (key < limit, key > limit, key == limit)[COMPARISONS.index(comparison)]:
            chosen[line.id] = line
    return chosen, unclear


def _limits(managers: set[str], comparison: str, text: str) -> dict[str, bytes]:
    """Return the key of the given version, as each manager's scheme reads it."""
    limits, problems = {}, []
    for manager in sorted(managers & SCHEME_OF_MANAGER.keys()):
        try:
            limits[manager] = SCHEMES[SCHEME_OF_MANAGER[manager]](text)
        except VersionError as error:
            problems.append(str(error))
    if problems and not limits and comparison != "version":  # which may be the same as text
        raise InputError({comparison: problems[0]})
    return limits


def _hosts(
    session: Session,
    chosen: Mapping[int, PackageLine],
    fleet: Sequence[tuple[str, int]],
    wanted: Wanted,
    limit: int | None,
    cursor: str,
) -> Page[Hit]:
    after = _after(cursor)
    if not chosen:
        return Page((), 0)
    in_use = select(host.package_set_id).where(host.retired_at.is_(None))
    having = _Having(
        session,
        package_set.id.in_(in_use)  # quicker than to name them all, as the past must
        if wanted.at is None
        else among(session, package_set.id, {set_id for _, set_id in fleet}),
        chosen,
    )
    found = [line for line in fleet if line[1] in having.set_ids]
    rest = found[bisect_right(found, after, key=lambda line: line[0]) :] if cursor else found
    shown = rest if limit is None else rest[:limit]
    about = _about(session, [hostname for hostname, _ in shown])
    hits = [Hit(*about[hostname], having.packages(set_id)) for hostname, set_id in shown]
    follows = paging.encode([shown[-1][0]]) if len(rest) > len(shown) else None
    return Page(tuple(hits), len(found), follows)


def _after(cursor: str) -> str:
    """Return the hostname that ``cursor`` goes on after. Raises `InputError`."""
    if not cursor:
        return ""
    (hostname,) = paging.decode(cursor, 1)
    if not isinstance(hostname, str):
        raise InputError({"cursor": "is not one that this listing gave"})
    return hostname


def _about(
    session: Session, hostnames: Sequence[str]
) -> dict[str, tuple[str, str, str, str, bool]]:
    """Return what a `Hit` says of each host but its packages."""
    columns = (host.hostname, host.platform, host.environment, host.owner)
    query = select(*columns, host.retired_at.is_not(None))
    rows = [
        row
        for part in in_lists(hostnames)
        for row in session.execute(query.where(host.hostname.in_(part)))
    ]
    return {row[0]: (row[0], row[1], row[2], row[3], bool(row[4])) for row in rows}


class _Having:
    """The sets that have any of some versions, and which of them each has."""

    def __init__(
        self, session: Session, where: ColumnElement[bool], chosen: Mapping[int, PackageLine]
    ) -> None:
        flags = np.zeros(max(chosen) + 1, bool)
        flags[list(chosen)] = True
        stored = Stored(session, where)
        self._places, self._members = stored.having(flags)
        self._place = {number: place for place, number in enumerate(stored.ids.tolist())}
        self._chosen = chosen
        self.set_ids = set(stored.ids[np.unique(self._places)].tolist())

    def packages(self, set_id: int) -> tuple[PackageLine, ...]:
        """Return which of the versions a set has, by name."""
        place = self._place[set_id]
        start, end = np.searchsorted(self._places, [place, place + 1])
        lines = [self._chosen[number] for number in self._members[start:end].tolist()]
        return tuple(sorted(lines, key=lambda line: (line.name, line.arch)))
