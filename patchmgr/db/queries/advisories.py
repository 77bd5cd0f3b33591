"""Advisories: lists, one with its statements and the hosts it bears on, and all of a CVE."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, func, literal, or_, select, type_coerce
from sqlalchemy.orm import Session, aliased

from patchmgr.db import models
from patchmgr.db.queries import feeds, paging
from patchmgr.db.queries.paging import Page
from patchmgr.domain.advisories import Severity
from patchmgr.errors import InputError, NotFoundError

advisory, feed, fix, revision = models.Advisory, models.Feed, models.Fix, models.FeedRevision
host, version = models.Host, models.PackageVersion
exposure, judgement = models.Exposure, models.Judgement

SORTS = ("severity", "ref", "published", "changed")  # all but "ref" with the highest first


@dataclass(frozen=True, slots=True)
class AdvisoryLine:
    """A line of the list of advisories."""

    id: int
    ref: str
    feed: str
    title: str
    published: datetime | None
    changed_at: datetime
    withdrawn_at: datetime | None
    url: str
    severity: Severity
    cves: tuple[str, ...]
    hosts: int  # hosts with an open finding of it


@dataclass(frozen=True, slots=True)
class FixLine:
    """What an advisory says, or said, of a package on a platform."""

    id: int
    platform: str
    package: str
    match: str  # "source", "binary"
    scheme: str
    status: str
    introduced: str
    fixed: str
    reason: str
    since_revision_id: int
    since: datetime
    until_revision_id: int | None
    until: datetime | None
    severity: Severity


@dataclass(frozen=True, slots=True)
class AdvisoryDetail:
    """One advisory with all that it says."""

    line: AdvisoryLine
    first_seen: datetime
    fixes: tuple[FixLine, ...]  # in force, by platform and package
    past: tuple[FixLine, ...]  # no longer in force, the latest first


@dataclass(frozen=True, slots=True)
class AffectedLine:
    """A host on which an advisory makes a finding."""

    host_id: int
    host: str
    platform: str
    environment: str
    package: str
    arch: str
    installed: str
    status: str
    fixed: str
    first_seen: datetime
    package_version_id: int


def listing(
    session: Session,
    *,
    search: str = "",
    severity_at_least: Severity = Severity.UNKNOWN,
    feed_name: str = "",
    platform: str = "",
    only_affecting: bool = False,
    withdrawn: bool = False,
    sort: str = "severity",
    limit: int = paging.PAGE,
    cursor: str = "",
) -> Page[AdvisoryLine]:
    """Return a page of advisories. Raises `InputError` for an unknown sort.

    ``search`` is part of an id, a CVE or a title, or the whole name of a package;
    ``only_affecting`` leaves those with an open finding; ``withdrawn`` gives the withdrawn ones
    instead of the others. Three queries, or four with ``search``.
    """
    if sort not in SORTS:
        raise InputError({"sort": f"{sort!r} is not one of {', '.join(SORTS)}"})
    conditions: list[ColumnElement[bool]] = [
        advisory.withdrawn_at.is_not(None) if withdrawn else advisory.withdrawn_at.is_(None)
    ]
    if severity_at_least > Severity.UNKNOWN:
        conditions.append(advisory.severity >= int(severity_at_least))
    if feed_name:
        conditions.append(
            advisory.feed_id == select(feed.id).where(feed.name == feed_name).scalar_subquery()
        )
    if platform:
        conditions.append(
            select(fix.id)
            .where(
                fix.advisory_id == advisory.id,
                fix.platform == platform,
                fix.until_revision_id.is_(None),
            )
            .exists()
        )
    if only_affecting:
        conditions.append(_has_finding())
    if search:
        conditions.append(_matches(session, search))
    total = session.scalar(select(func.count(advisory.id)).where(*conditions)) or 0
    columns, down = _order(sort)
    query = _lines().add_columns(*columns).where(*conditions)
    if cursor:
        query = query.where(
            paging.after(columns, paging.decode(cursor, len(columns)), descending=down)
        )
    query = query.order_by(*(c.desc() if d else c for c, d in zip(columns, down, strict=True)))
    rows = session.execute(query.limit(limit + 1)).all()
    shown = rows[:limit]
    following = paging.encode(list(shown[-1][-len(columns) :])) if len(rows) > limit else None
    return Page(_with_hosts(session, shown), total, following)


def get(session: Session, ref: str, *, feed_name: str = "") -> AdvisoryDetail:
    """Return one advisory with its statements; of the first feed by name, if several have it.

    Raises `NotFoundError`.
    """
    query = _lines().add_columns(advisory.first_seen).where(advisory.ref.in_({ref, ref.upper()}))
    if feed_name:
        query = query.where(feed.name == feed_name)
    row = session.execute(query.order_by(feed.name).limit(1)).first()
    if row is None:
        raise NotFoundError("advisory", ref)
    fixes = _fixes(session, row[0])
    return AdvisoryDetail(
        line=_with_hosts(session, [row])[0],
        first_seen=row[-1],
        fixes=tuple(each for each in fixes if each.until_revision_id is None),
        past=tuple(
            sorted(
                (each for each in fixes if each.until_revision_id is not None),
                key=lambda each: -each.id,
            )
        ),
    )


def by_cve(session: Session, cve: str) -> list[AdvisoryLine]:
    """Return the advisories that name ``cve``, by feed; empty when there is none."""
    name = cve.upper()
    of_cve = or_(
        advisory.ref == name,
        (literal(" ") + advisory.cves + " ").like(f"% {_escaped(name)} %", escape="\\"),
    )
    rows = session.execute(_lines().where(of_cve).order_by(feed.name, advisory.ref)).all()
    return list(_with_hosts(session, rows))


def affected(
    session: Session, advisory_id: int, *, limit: int = paging.PAGE, cursor: str = ""
) -> Page[AffectedLine]:
    """Return the hosts on which an advisory makes a finding, by name and package."""
    open_ones = (
        judgement.advisory_id == advisory_id,
        judgement.until.is_(None),
        exposure.until.is_(None),
    )
    on_version = exposure.package_version_id == judgement.package_version_id
    total = session.scalar(
        select(func.count()).select_from(judgement).join(exposure, on_version).where(*open_ones)
    )
    columns: list[ColumnElement[Any]] = [host.hostname, version.name, version.id]  # type: ignore[list-item] # mapped columns are columns
    query = (
        select(
            host.id,
            host.hostname,
            host.platform,
            host.environment,
            version.name,
            version.arch,
            version.version,
            judgement.status,
            fix.fixed,
            exposure.first_seen,
            judgement.first_seen,
            version.id,
        )
        .select_from(judgement)
        .join(exposure, on_version)
        .join(version, version.id == judgement.package_version_id)
        .join(host, host.id == exposure.host_id)
        .join(fix, fix.id == judgement.fix_id)
        .where(*open_ones)
        .order_by(*columns)
        .limit(limit + 1)
    )
    if cursor:
        query = query.where(
            paging.after(columns, paging.decode(cursor, 3), descending=[False, False, False])
        )
    rows = session.execute(query).all()
    shown = rows[:limit]
    last = shown[-1] if len(rows) > limit else None
    following = paging.encode([last[1], last[4], last[-1]]) if last else None
    lines = tuple(AffectedLine(*row[:9], max(row[9], row[10]), row[11]) for row in shown)
    return Page(lines, total or 0, following)


def _lines() -> Any:
    """Return the query that `_with_hosts` makes lines of; more columns may follow."""
    return select(
        advisory.id,
        advisory.ref,
        feed.name,
        advisory.title,
        advisory.published,
        advisory.changed_at,
        advisory.withdrawn_at,
        advisory.url,
        advisory.severity,
        advisory.cves,
    ).join(feed, feed.id == advisory.feed_id)


def _with_hosts(session: Session, rows: Sequence[Any]) -> tuple[AdvisoryLine, ...]:
    """Return the lines of ``rows`` with how many hosts have a finding of each. One query."""
    counts: dict[int, int] = {}
    if rows:
        counts = dict(
            session.execute(
                select(judgement.advisory_id, func.count(exposure.host_id.distinct()))
                .join(exposure, exposure.package_version_id == judgement.package_version_id)
                .where(
                    judgement.advisory_id.in_([row[0] for row in rows]),
                    judgement.until.is_(None),
                    exposure.until.is_(None),
                )
                .group_by(judgement.advisory_id)
            ).all()
        )
    return tuple(
        AdvisoryLine(*[*row[:8], Severity(row[8]), tuple(row[9].split()), counts.get(row[0], 0)])
        for row in rows
    )


def _fixes(session: Session, advisory_id: int) -> list[FixLine]:
    ended = aliased(revision)
    rows: Iterable[Any] = session.execute(
        select(
            fix.id,
            fix.platform,
            fix.package,
            fix.match,
            fix.scheme,
            fix.status,
            fix.introduced,
            fix.fixed,
            fix.reason,
            fix.since_revision_id,
            revision.made_at,
            fix.until_revision_id,
            ended.made_at,
            fix.severity,
        )
        .join(revision, revision.id == fix.since_revision_id)
        .outerjoin(ended, ended.id == fix.until_revision_id)
        .where(fix.advisory_id == advisory_id)
        .order_by(fix.platform, fix.package, fix.id)
    )
    return [FixLine(*[*row[:-1], Severity(row[-1])]) for row in rows]


def _order(sort: str) -> tuple[list[ColumnElement[Any]], list[bool]]:
    """Return the columns that a sort goes by, never null, and which of them fall."""
    ref: ColumnElement[Any] = advisory.ref  # type: ignore[assignment] # a mapped column is one
    number: ColumnElement[Any] = advisory.id  # type: ignore[assignment] # the same
    if sort == "ref":
        return [ref, number], [False, False]
    first: ColumnElement[Any] = {
        "severity": func.coalesce(advisory.severity, 0),
        "published": func.coalesce(type_coerce(advisory.published, BigInteger), 0),
        "changed": func.coalesce(type_coerce(advisory.changed_at, BigInteger), 0),
    }[sort]
    return [first, ref, number], [True, True, True]


def _has_finding() -> ColumnElement[bool]:
    return (
        select(exposure.id)
        .join(judgement, judgement.package_version_id == exposure.package_version_id)
        .where(
            judgement.advisory_id == advisory.id,
            judgement.until.is_(None),
            exposure.until.is_(None),
        )
        .exists()
    )


def _matches(session: Session, search: str) -> ColumnElement[bool]:
    """Return the condition for ``search``; a package's name is looked up with its platform."""
    like = f"%{_escaped(search.lower())}%"
    return or_(
        *(
            func.lower(column).like(like, escape="\\")
            for column in (advisory.ref, advisory.cves, advisory.title)
        ),
        advisory.id.in_(
            select(fix.advisory_id).where(
                fix.platform.in_(feeds.platforms_with_feed(session)),
                fix.package == search.strip(),
                fix.until_revision_id.is_(None),
            )
        ),
    )


def _escaped(text: str) -> str:
    for sign in ("\\", "%", "_"):
        text = text.replace(sign, f"\\{sign}")
    return text
