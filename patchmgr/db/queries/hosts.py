"""Hosts: lists, one host, its packages."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Select,
    and_,
    func,
    literal,
    or_,
    select,
    type_coerce,
    union,
)
from sqlalchemy.orm import Session

from patchmgr.db import models, package_sets
from patchmgr.db.bulk import among_found, in_lists
from patchmgr.db.queries import feeds, own_offers, paging
from patchmgr.db.queries.identity import MACHINE, MachineLine, machine_of
from patchmgr.db.queries.own_offers import OwnOffers
from patchmgr.db.queries.paging import Page
from patchmgr.domain.advisories import Severity
from patchmgr.errors import InputError, NotFoundError

host, count = models.Host, models.HostCount
package_set, version = models.PackageSet, models.PackageVersion


@dataclass(frozen=True, slots=True)
class HostFilter:
    """Which hosts; an empty field does not restrict."""

    search: str = ""  # part of hostname, owner or tag
    platform: str = ""
    environment: str = ""
    site: str = ""
    owner: str = ""
    ring: str = ""
    state: str = ""  # one of STATES
    retired: bool = False  # the retired ones instead of the others

    @property
    def is_empty(self) -> bool:
        return all(not getattr(self, each.name) for each in fields(self))


STATES = ("overdue", "silent", "went_silent", "never", "no_platform", "reboot", "findings", "clean")


@dataclass(frozen=True, slots=True)
class HostLine:
    """A line of the host list."""

    id: int
    hostname: str
    external_id: str
    platform: str
    arch: str
    environment: str
    site: str
    owner: str
    criticality: str
    exposure: str
    ring: str
    window: str
    tags: tuple[str, ...]
    packages: int
    reported_at: datetime | None
    reboot_pending: bool
    reboot_reported: bool  # False: nobody said whether it waits for one
    retired_at: datetime | None
    open_findings: int
    fixable: int
    worst: Severity
    earliest_due: datetime | None


@dataclass(frozen=True, slots=True)
class HostDetail:
    """One host with the facts that lists leave out."""

    line: HostLine
    running_kernel: str
    entitlements: tuple[str, ...]
    held: tuple[str, ...]
    created_at: datetime
    updated_at: datetime
    package_set_id: int | None
    by_severity: dict[str, int]
    has_feed: bool  # some feed speaks of its platform; else it cannot be judged
    machine: MachineLine
    facts_at: datetime | None  # when it last said anything of itself beside its packages
    # What it said then, as it is stored: patchmgr.db.queries.facts.
    facts: Mapping[str, Any] | None = field(repr=False, compare=False)
    own_offers: OwnOffers | None = field(repr=False, compare=False)
    not_judged: int  # entries of its reports of which no package could be made
    # Format of the report -> how many of them, and the first with why.
    not_judged_of: Mapping[str, Any] = field(repr=False, compare=False)
    installed: package_sets.Ids = field(repr=False, compare=False)  # ids of package versions


@dataclass(frozen=True, slots=True)
class PackageLine:
    """An installed package version."""

    id: int
    manager: str
    name: str
    version: str
    arch: str
    source: str
    source_version: str


@dataclass(frozen=True, slots=True)
class Installed:
    """A package that a host has, with what advisories judge it by."""

    host_id: int
    package: str
    arch: str
    version: str
    judged_source: str
    judged_version: str


SORTS = ("hostname", "open_findings", "worst", "earliest_due", "reported_at")


def listing(
    session: Session,
    filters: HostFilter | None = None,
    *,
    now: datetime,
    silent_days: int = 7,
    sort: str = "hostname",
    descending: bool = False,
    limit: int | None = paging.PAGE,
    cursor: str = "",
) -> Page[HostLine]:
    """Return a page of hosts; ``limit`` None gives all. Raises `InputError` for an unknown sort."""
    if sort not in SORTS:
        raise InputError({"sort": f"{sort!r} is not one of {', '.join(SORTS)}"})
    conditions = _conditions(filters or HostFilter(), now, silent_days)
    total = session.scalar(
        select(func.count(host.id)).outerjoin(count, count.host_id == host.id).where(*conditions)
    )
    order = _order(sort)
    columns = [order, host.hostname] if sort != "hostname" else [host.hostname]
    down = [descending, False] if sort != "hostname" else [descending]
    sorted_by = [c.desc() if d else c.asc() for c, d in zip(columns, down, strict=True)]
    query = _lines().add_columns(order).order_by(*sorted_by)
    if limit is None:
        query = query.where(*conditions)
    else:  # which they are is told first, from narrow rows: nothing else is read of the others
        found = select(host.id).outerjoin(count, count.host_id == host.id).where(*conditions)
        if cursor:
            values = paging.decode(cursor, len(columns))
            found = found.where(paging.after(columns, values, descending=down))
        query = query.where(
            among_found(session, host.id, found.order_by(*sorted_by).limit(limit + 1))
        )
    rows = session.execute(query).all()
    shown = rows if limit is None else rows[:limit]
    follows = None
    if limit is not None and len(rows) > limit:
        last = shown[-1]
        values = [last[-1], last[1]] if sort != "hostname" else [last[1]]
        follows = paging.encode(values)
    return Page(tuple(_line(row) for row in shown), total or 0, follows)


def get(session: Session, name: str | int) -> HostDetail:
    """Return one host by id or by hostname in any case. Raises `NotFoundError`."""
    wanted = host.id == name if isinstance(name, int) else host.hostname == name
    query = _lines().add_columns(
        host.running_kernel,
        host.entitlements,
        host.held,
        host.created_at,
        host.updated_at,
        host.package_set_id,
        host.facts_at,
        models.FactSet.content,
        *own_offers.COLUMNS,
        host.not_judged,
        host.not_judged_of,
        *(getattr(count, severity.word) for severity in Severity),
        *package_sets.WHOLE,
        feeds.COUNTS,
        *MACHINE,
    )
    query = query.outerjoin(package_sets.base, package_sets.base.id == package_set.base_id)
    query = query.outerjoin(models.FactSet, models.FactSet.id == host.fact_set_id)
    query = query.outerjoin(models.OfferSet, models.OfferSet.id == host.offer_set_id)
    row = session.execute(query.where(wanted)).first()
    if row is None and isinstance(name, str):
        row = session.execute(query.where(func.lower(host.hostname) == name.lower())).first()
    if row is None:
        raise NotFoundError("host", name)
    *columns, more, lacks, of_base, spoken_of = row[: -len(MACHINE)]
    line = _line(row)
    kernel, entitlements, held, created_at, updated_at, set_id, *rest = columns[-19:]
    facts_at, facts, everything, named, offered, not_judged, not_judged_of, *counts = rest
    by_severity = {s.word: n for s, n in zip(Severity, counts, strict=True) if n}
    return HostDetail(
        line,
        kernel,
        tuple(entitlements),
        tuple(held),
        created_at,
        updated_at,
        set_id,
        by_severity,
        feeds.speaks_of(spoken_of, line.platform),
        machine_of(row[-len(MACHINE) :]),
        facts_at,
        facts,
        own_offers.own((everything, named, offered)),
        not_judged,
        not_judged_of,
        package_sets.whole(more, lacks, of_base),
    )


def packages(session: Session, set_id: int) -> list[PackageLine]:
    """Return what is in a package set, by name."""
    found: list[PackageLine] = []
    for part in in_lists(package_sets.members_of(session, set_id).tolist()):
        found += [
            PackageLine(*row)
            for row in session.execute(
                select(
                    version.id,
                    version.manager,
                    version.name,
                    version.version,
                    version.arch,
                    version.source,
                    version.source_version,
                ).where(version.id.in_(part))
            )
        ]
    return sorted(found, key=lambda p: (p.name, p.arch, p.version))


def installed(session: Session, host_ids: Sequence[int], names: Iterable[str]) -> list[Installed]:
    """Return which of the packages called ``names`` each host has, by its last inventory."""
    wanted: dict[int, list[str]] = {}
    for part in in_lists(sorted(set(names))):
        for number, *columns in session.execute(
            select(
                version.id,
                version.name,
                version.arch,
                version.version,
                version.judged_source,
                version.judged_version,
            ).where(version.name.in_(part))
        ):
            wanted[number] = columns
    found = []
    for ids in in_lists(list(host_ids)):
        of_host = dict(
            session.execute(select(host.id, host.package_set_id).where(host.id.in_(ids))).all()
        )
        members = package_sets.members(session, {each for each in of_host.values() if each})
        for host_id, set_id in of_host.items():
            if set_id is not None:
                found += [
                    Installed(host_id, *wanted[number])
                    for number in members[set_id].tolist()
                    if number in wanted
                ]
    return found


def values(session: Session, *columns: str) -> dict[str, list[str]]:
    """Return the values of filter columns (platform, environment, …), each in order. One query."""
    found: dict[str, list[str]] = {column: [] for column in columns}
    rows = session.execute(union(*map(_values, columns)))
    for column, value in sorted((column, value) for column, value in rows):
        found[column].append(value)
    return found


def _values(column: str) -> Select[Any]:
    if column not in ("platform", "environment", "site", "owner", "ring"):
        raise InputError({"column": f"{column!r} is no filter"})
    each = getattr(host, column)
    return select(literal(column), each).where(each != "", host.retired_at.is_(None))


def _lines() -> Select[*tuple[Any, ...]]:
    return (
        select(
            host.id,
            host.hostname,
            host.external_id,
            host.platform,
            host.arch,
            host.environment,
            host.site,
            host.owner,
            host.criticality,
            host.exposure,
            host.ring,
            host.window,
            host.tags,
            package_set.size,
            host.reported_at,
            host.reboot_pending,
            host.reboot_reported,
            host.retired_at,
            count.open_findings,
            count.fixable,
            count.worst,
            count.earliest_due,
        )
        .outerjoin(count, count.host_id == host.id)
        .outerjoin(package_set, package_set.id == host.package_set_id)
    )


def _line(row: Any) -> HostLine:
    values: list[Any] = list(row[: len(fields(HostLine))])
    line = HostLine(*values)
    return replace(
        line,
        external_id=line.external_id or "",
        tags=tuple(line.tags),
        packages=line.packages or 0,
        open_findings=line.open_findings or 0,
        fixable=line.fixable or 0,
        worst=Severity(line.worst or 0),
    )


def _order(sort: str) -> ColumnElement[Any]:
    """Return the sort column, with a value where there is none."""
    if sort in ("earliest_due", "reported_at"):
        column = count.earliest_due if sort == "earliest_due" else host.reported_at
        last = 2**62 if sort == "earliest_due" else 0
        return func.coalesce(type_coerce(column, BigInteger), last)
    if sort in ("open_findings", "worst"):
        return func.coalesce(getattr(count, sort), 0)
    return host.hostname  # type: ignore[return-value] # a mapped column is one


def _conditions(filters: HostFilter, now: datetime, silent_days: int) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = [
        host.retired_at.is_not(None) if filters.retired else host.retired_at.is_(None)
    ]
    found += [
        getattr(host, name) == value
        for name in ("platform", "environment", "site", "owner", "ring")
        if (value := getattr(filters, name))
    ]
    if filters.search:
        text = filters.search.lower()
        for sign in ("\\", "%", "_"):
            text = text.replace(sign, f"\\{sign}")
        like = f"%{text}%"
        columns = (host.hostname, host.owner, host.external_id)
        found.append(or_(*(func.lower(c).like(like, escape="\\") for c in columns)))
    silent = now - timedelta(days=silent_days)
    states: dict[str, ColumnElement[bool]] = {
        "overdue": count.earliest_due < now,
        "silent": or_(host.reported_at.is_(None), host.reported_at < silent),
        "went_silent": host.reported_at < silent,
        "never": host.reported_at.is_(None),
        "no_platform": host.platform == "",
        "reboot": host.reboot_pending.is_(True),
        "findings": count.open_findings > 0,
        "clean": and_(host.reported_at >= silent, func.coalesce(count.open_findings, 0) == 0),
    }
    if filters.state:
        if filters.state not in states:
            raise InputError({"state": f"{filters.state!r} is not one of {', '.join(STATES)}"})
        found.append(states[filters.state])
    return found


def numbers(session: Session, names: Iterable[str]) -> dict[str, int]:
    """Return the ids of those hosts that there are of ``names``, by name in lower case."""
    name = func.lower(host.hostname)
    found: dict[str, int] = {}
    for part in in_lists(sorted({each.lower() for each in names})):
        query = select(name, host.id).where(name.in_(part))
        found |= {named: int(number) for named, number in session.execute(query)}
    return found
