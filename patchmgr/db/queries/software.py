"""The packages of the fleet: which there are, in which versions, and how many hosts have each.

As of now it is read from what `patchmgr.services.installations` counts; as of an instant it is
counted from the sets that hosts had then (`patchmgr.db.queries.software_then`).
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, case, func, or_, select, tuple_
from sqlalchemy.orm import Session

from patchmgr.db import models
from patchmgr.db.bulk import among, in_lists
from patchmgr.db.package_counts import Kind
from patchmgr.db.queries import paging
from patchmgr.db.queries.paging import Page
from patchmgr.db.queries.software_then import Then
from patchmgr.domain.origins import BY_SOURCE, MARKS, foreign
from patchmgr.domain.packages import SCHEME_OF_MANAGER
from patchmgr.domain.versions import SCHEMES
from patchmgr.errors import InputError, NotFoundError, VersionError

software, counted, version = models.Software, models.VersionCount, models.PackageVersion

SORTS = ("name", "hosts")
DOUBTS = ("no_source", "foreign")


@dataclass(frozen=True, slots=True)
class SoftwareFilter:
    """Which packages; an empty field does not restrict."""

    search: str = ""  # part of the name
    manager: str = ""
    platform: str = ""
    doubt: str = ""  # one of DOUBTS: a version of it that advisories may not speak of

    @property
    def is_empty(self) -> bool:
        return not any(getattr(self, each.name) for each in fields(self))


@dataclass(frozen=True, slots=True)
class SoftwareLine:
    """A package by name, with how many hosts have it in any version."""

    manager: str
    name: str
    platforms: int
    versions: int  # different ones that any host has
    hosts: int


@dataclass(frozen=True, slots=True)
class VersionLine:
    """A version of a package that hosts have, as it was built for a platform."""

    version: str
    platform: str
    arch: str
    source: str
    source_version: str
    origin: str
    hosts: int


def listing(
    session: Session,
    filters: SoftwareFilter | None = None,
    *,
    then: Then | None = None,
    sort: str = "name",
    descending: bool = False,
    limit: int | None = paging.PAGE,
    cursor: str = "",
) -> Page[SoftwareLine]:
    """Return a page of packages, now or ``then``; ``limit`` None gives all. Raises `InputError`.

    At most five queries, and those that `then` took.
    """
    if sort not in SORTS:
        raise InputError({"sort": f"{sort!r} is not one of {', '.join(SORTS)}"})
    wanted = filters or SoftwareFilter()
    if then is not None:
        lines = _lines_of(session, wanted, then)
        return _page_of(lines, sort, descending=descending, limit=limit, cursor=cursor)
    groups = _groups(_conditions(session, wanted)).subquery()
    order: list[Any] = [groups.c.name, groups.c.manager]
    down = [descending, descending]
    if sort == "hosts":
        order, down = [groups.c.hosts, *order], [descending, False, False]
    query = select(groups.c.manager, groups.c.name, groups.c.platforms, groups.c.hosts)
    if cursor:
        values = paging.decode(cursor, len(order))
        query = query.where(paging.after(order, values, descending=down))
    query = query.order_by(*(c.desc() if d else c.asc() for c, d in zip(order, down, strict=True)))
    rows = session.execute(query if limit is None else query.limit(limit + 1)).all()
    shown = rows if limit is None else rows[:limit]
    follows = None
    if len(rows) > len(shown):
        last = shown[-1]
        ends = [last.name, last.manager]
        follows = paging.encode([last.hosts, *ends] if sort == "hosts" else ends)
    total = session.scalar(select(func.count()).select_from(groups)) or 0
    numbers = _version_numbers(session, [row.name for row in shown], wanted.platform)
    return Page(
        tuple(
            SoftwareLine(
                row.manager, row.name, row.platforms, numbers[row.manager, row.name], row.hosts
            )
            for row in shown
        ),
        total,
        follows,
    )


def versions(
    session: Session, manager: str, name: str, *, platform: str = "", then: Then | None = None
) -> list[VersionLine]:
    """Return the versions of a package that hosts have, or had, the newest first. One query.

    Raises `NotFoundError` when no host has it now, or had it ever.
    """
    query = (
        select(
            version.id,
            version.version,
            version.platform,
            version.arch,
            version.source,
            version.source_version,
            version.origin,
            counted.hosts,
        )
        .outerjoin(counted, counted.package_version_id == version.id)
        .where(version.name == name, version.manager == manager, *on(version.platform, platform))
    )
    rows = session.execute(query).all()
    if not rows or (then is None and not any(row.hosts for row in rows)):
        raise NotFoundError("package", name)
    numbers = {row.id: row.hosts for row in rows} if then is None else then.versions
    found = sorted(
        (VersionLine(*row[1:-1], number) for row in rows if (number := numbers.get(row.id))),
        key=lambda line: (line.platform, line.arch),
    )
    key = SCHEMES[SCHEME_OF_MANAGER[manager]] if manager in SCHEME_OF_MANAGER else None

    def newest(line: VersionLine) -> tuple[bool, bytes]:
        try:
            return True, key(line.version) if key else line.version.encode()
        except VersionError:
            return False, line.version.encode()  # after all that can be told apart

    return sorted(found, key=newest, reverse=True)


def hosts_of(session: Session, manager: str, name: str, *, then: Then | None = None) -> int:
    """Return how many hosts have, or had, a package in any version. At most one query."""
    if then is not None:
        kind = (manager, name)
        return sum(hosts for (_, *of), hosts in then.software.items() if tuple(of) == kind)
    return (
        session.scalar(
            select(func.sum(software.hosts)).where(
                software.name == name, software.manager == manager
            )
        )
        or 0
    )


def choices(session: Session, *, ever: bool = False) -> dict[str, list[str]]:
    """Return the managers and the releases that packages are of, in order. One query.

    With ``ever`` also those of packages that no host has any more.
    """
    of = version if ever else software
    rows = session.execute(select(of.manager, of.platform).distinct()).all()
    return {
        "manager": sorted({row.manager for row in rows}),
        "platform": sorted({row.platform.partition("/")[0] for row in rows} - {""}),
    }


def doubtful(session: Session) -> dict[str, int]:
    """Return how many packages `listing` has for each of `DOUBTS`. One query."""
    marked = and_(version.origin == "", or_(*(version.version.icontains(m) for m in MARKS)))
    rows = session.execute(
        select(
            version.manager,
            version.name,
            version.platform,
            version.origin,
            case((marked, version.version), else_=""),
            _doubt_source(),
        )
        .join(counted, counted.package_version_id == version.id)
        .distinct()
    )
    found: dict[str, set[tuple[str, str]]] = {doubt: set() for doubt in DOUBTS}
    for manager, name, where, origin, text, unsourced in rows:
        if unsourced:
            found["no_source"].add((manager, name))
        if (origin or text) and foreign(where, origin, text):
            found["foreign"].add((manager, name))
    return {doubt: len(names) for doubt, names in found.items()}


def on(column: Any, platform: str) -> list[ColumnElement[bool]]:
    """Return the condition for versions of ``platform``, whatever its hosts are entitled to."""
    if not platform:
        return []
    return [or_(column == platform, column.startswith(f"{platform}/", autoescape=True))]


def _groups(conditions: Iterable[ColumnElement[bool]]) -> Select[*tuple[Any, ...]]:
    return (
        select(
            software.name,
            software.manager,
            func.count().label("platforms"),
            func.sum(software.hosts).label("hosts"),  # a host is of one platform
        )
        .where(*conditions)
        .group_by(software.name, software.manager)
    )


def _conditions(session: Session, filters: SoftwareFilter) -> list[ColumnElement[bool]]:
    found = on(software.platform, filters.platform)
    if filters.manager:
        found.append(software.manager == filters.manager)
    if filters.search:
        found.append(func.lower(software.name).contains(filters.search.lower(), autoescape=True))
    if filters.doubt:
        names = (
            select(version.platform, version.manager, version.name)
            .join(counted, counted.package_version_id == version.id)
            .where(_doubt(session, filters.doubt))
        )
        found.append(tuple_(software.platform, software.manager, software.name).in_(names))
    return found


def _lines_of(session: Session, filters: SoftwareFilter, then: Then) -> list[SoftwareLine]:
    """Return the packages that hosts had, in no order. At most three queries."""
    wanted = set(_kinds_of(session, filters, then))
    texts: dict[tuple[str, str], set[str]] = defaultdict(set)
    for number in then.versions:
        kind, text = then.named[number]
        if kind in wanted:
            texts[kind[1:]].add(text)
    places: dict[tuple[str, str], int] = defaultdict(int)
    hosts: dict[tuple[str, str], int] = defaultdict(int)
    for kind in wanted:
        places[kind[1:]] += 1
        hosts[kind[1:]] += then.software[kind]  # a host is of one platform
    return [
        SoftwareLine(*each, number, len(texts[each]), hosts[each])
        for each, number in places.items()
    ]


def _kinds_of(session: Session, filters: SoftwareFilter, then: Then) -> Iterator[Kind]:
    """Yield what hosts had of what is asked for. At most three queries, to tell doubts."""
    doubted = None
    if filters.doubt:
        names = select(version.platform, version.manager, version.name).where(
            among(session, version.id, then.versions), _doubt(session, filters.doubt)
        )
        doubted = {(where, manager, name) for where, manager, name in session.execute(names)}
    below, search = f"{filters.platform}/", filters.search.lower()
    for kind in then.software:
        where, manager, name = kind
        if (
            (not filters.platform or where == filters.platform or where.startswith(below))
            and filters.manager in ("", manager)
            and search in name.lower()
            and (doubted is None or kind in doubted)
        ):
            yield kind


def _page_of(
    lines: list[SoftwareLine], sort: str, *, descending: bool, limit: int | None, cursor: str
) -> Page[SoftwareLine]:
    """Return the page of ``lines`` that begins after ``cursor``, in the order of `listing`."""
    sign = -1 if descending else 1

    def place(line: SoftwareLine) -> tuple[Any, ...]:
        ends = (line.name, line.manager)
        return (sign * line.hosts, *ends) if sort == "hosts" else ends

    backwards = descending and sort == "name"
    ordered = sorted(lines, key=place, reverse=backwards)
    if cursor:
        last = _last(cursor, sort, sign)
        ordered = [e for e in ordered if (place(e) < last if backwards else place(e) > last)]
    shown = ordered if limit is None else ordered[:limit]
    follows = None
    if len(ordered) > len(shown):
        ends = [shown[-1].name, shown[-1].manager]
        follows = paging.encode([shown[-1].hosts, *ends] if sort == "hosts" else ends)
    return Page(tuple(shown), len(lines), follows)


def _last(cursor: str, sort: str, sign: int) -> tuple[Any, ...]:
    """Return what ``cursor`` goes on after, as rows are sorted. Raises `InputError`."""
    values = paging.decode(cursor, 3 if sort == "hosts" else 2)
    kinds = [int, str, str] if sort == "hosts" else [str, str]
    if [type(value) for value in values] != kinds:
        raise InputError({"cursor": "is not one that this listing gave"})
    return (sign * values[0], *values[1:]) if sort == "hosts" else tuple(values)


def _doubt(session: Session, doubt: str) -> ColumnElement[bool]:
    """Return the condition for versions in doubt. At most two queries. Raises `InputError`."""
    if doubt not in DOUBTS:
        raise InputError({"doubt": f"{doubt!r} is not one of {', '.join(DOUBTS)}"})
    return _doubt_source() if doubt == "no_source" else _foreign(session)


def _doubt_source() -> ColumnElement[bool]:
    return and_(version.source == "", version.manager.in_(BY_SOURCE))


def _foreign(session: Session) -> ColumnElement[bool]:
    """Return the condition for versions that somebody else than the vendor built. Two queries."""
    origins = select(version.platform, version.origin).where(version.origin != "").distinct()
    others = [
        (where, origin) for where, origin in session.execute(origins) if foreign(where, origin, "")
    ]
    marked = select(version.id, version.platform, version.version).where(
        version.origin == "", or_(*(version.version.icontains(mark) for mark in MARKS))
    )
    ids = [row.id for row in session.execute(marked) if foreign(row.platform, "", row.version)]
    by_origin = [tuple_(version.platform, version.origin).in_(part) for part in in_lists(others)]
    return or_(among(session, version.id, ids), *by_origin)


def _version_numbers(
    session: Session, names: list[str], platform: str
) -> dict[tuple[str, str], int]:
    """Return how many different versions hosts have of each (manager, name)."""
    found: dict[tuple[str, str], int] = {}
    for part in in_lists(names):
        rows = session.execute(
            select(version.manager, version.name, func.count(version.version.distinct()))
            .join(counted, counted.package_version_id == version.id)
            .where(version.name.in_(part), *on(version.platform, platform))
            .group_by(version.manager, version.name)
        )
        found |= {(manager, name): number for manager, name, number in rows}
    return found
