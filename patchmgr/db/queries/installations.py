"""Which hosts have a package, in which versions, now or at an instant of the past.

Versions are chosen by name and compared by their scheme's keys. Which hosts have them is told by
the sets that hosts have: all of these are looked at, in the packed form they are stored in
(ADR 0008).
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from sqlalchemy import Select, and_, func, or_, select
from sqlalchemy.orm import Session, aliased

from patchmgr.db import models
from patchmgr.db.bulk import among
from patchmgr.db.package_sets import Stored
from patchmgr.db.queries import paging
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

    @property
    def versions_unclear(self) -> list[str]:
        return sorted({line.version for line in self.unclear})


def search(
    session: Session, wanted: Wanted, *, limit: int | None = paging.PAGE, cursor: str = ""
) -> Found:
    """Return the hosts that have, or had, what is looked for, by name. At most five queries.

    Raises `InputError` for a version that no scheme reads, and for two comparisons at once.
    """
    if not wanted.name:
        raise InputError({"name": "say which package to look for"})
    named = _named(session, wanted)
    chosen, unclear = _chosen(named, wanted)
    hosts = _hosts(session, chosen, wanted, limit, cursor)
    return Found(hosts, len(named), tuple(unclear))


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
    wanted: Wanted,
    limit: int | None,
    cursor: str,
) -> Page[Hit]:
    values = paging.decode(cursor, 1) if cursor else []
    after = [paging.after([host.hostname], values, descending=[False])] if values else []
    if not chosen:
        return Page((), 0)
    fleet, set_id = _fleet(wanted.at)
    having = _having(session, fleet.with_only_columns(set_id), chosen)
    fleet = fleet.where(among(session, set_id, having))
    total = session.scalar(select(func.count()).select_from(fleet.subquery())) or 0
    columns = (host.hostname, host.platform, host.environment, host.owner, host.retired_at, set_id)
    query = fleet.with_only_columns(*columns).where(*after).order_by(host.hostname)
    rows = session.execute(query if limit is None else query.limit(limit + 1)).all()
    shown = rows if limit is None else rows[:limit]
    hits = [
        Hit(
            hostname,
            platform,
            environment,
            owner,
            retired_at is not None,
            tuple(sorted((chosen[n] for n in having[number]), key=lambda p: (p.name, p.arch))),
        )
        for hostname, platform, environment, owner, retired_at, number in shown
    ]
    follows = paging.encode([shown[-1].hostname]) if len(rows) > len(shown) else None
    return Page(tuple(hits), total, follows)


def _fleet(at: datetime | None) -> tuple[Select[Any], Any]:
    """Return a query of the hosts that were in the fleet at ``at``, and the set each had."""
    if at is None:
        return select(host.id).where(host.retired_at.is_(None)), host.package_set_id
    held, each = models.HostPackageSet, aliased(models.HostPackageSet)
    last = (
        select(each.id)
        .where(each.host_id == host.id, each.since <= at)
        .order_by(each.since.desc(), each.id.desc())
        .limit(1)
        .correlate(host)
        .scalar_subquery()
    )
    query = (
        select(host.id)
        .join(held, held.id == last)
        .where(
            or_(held.until.is_(None), held.until > at),
            or_(host.retired_at.is_(None), host.retired_at > at),
        )
    )
    return query, held.package_set_id


def _having(
    session: Session, set_ids: Select[Any], chosen: Mapping[int, PackageLine]
) -> dict[int, list[int]]:
    """Return the sets among ``set_ids`` that have any of the versions, and which of them."""
    flags = np.zeros(max(chosen) + 1, bool)
    flags[list(chosen)] = True
    stored = Stored(session, and_(package_set.id.in_(set_ids)))
    places, members = stored.having(flags)
    found: dict[int, list[int]] = defaultdict(list)
    for set_id, member in zip(stored.ids[places].tolist(), members.tolist(), strict=True):
        found[set_id].append(member)
    return found
