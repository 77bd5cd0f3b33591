"""What a revision of a feed changed, and which hosts that concerns."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, literal, or_, select, union_all
from sqlalchemy.orm import Session

from patchmgr.db import models
from patchmgr.db.bulk import among
from patchmgr.db.queries import paging
from patchmgr.db.queries.feeds import RevisionLine
from patchmgr.db.queries.paging import Page
from patchmgr.domain.advisories import Severity
from patchmgr.errors import NotFoundError

advisory, change, note = models.Advisory, models.AdvisoryChange, models.FlawNote
exposure, judgement, revision = models.Exposure, models.Judgement, models.FeedRevision

CHANGES = ("new", "changed", "withdrawn")
MOST_COUNTED = 1_000  # advisories up to which the hosts of all together are counted


@dataclass(frozen=True, slots=True)
class RevisionDetail:
    """A revision, and the one before it."""

    line: RevisionLine
    feed: str
    title: str
    before: int | None  # id; None: this is the feed's first
    after: int | None


@dataclass(frozen=True, slots=True)
class AdvisoryChange:
    """What a revision did to an advisory."""

    ref: str
    change: str  # one of `CHANGES`
    title: str
    severity: Severity
    hosts: int  # with an open finding of it; of a withdrawn one, those that had one then


@dataclass(frozen=True, slots=True)
class NoteChange:
    """What a revision did to what the feed says of a CVE."""

    cve: str
    change: str  # one of `CHANGES`


def get(session: Session, feed_name: str, revision_id: int) -> RevisionDetail:
    """Return one revision of a feed. Raises `NotFoundError`. One query."""
    feed, other = models.Feed, models.FeedRevision.__table__.alias()
    beside = select(other.c.id).where(other.c.feed_id == revision.feed_id)
    older = beside.where(other.c.id < revision.id).order_by(other.c.id.desc()).limit(1)
    newer = beside.where(other.c.id > revision.id).order_by(other.c.id).limit(1)
    row = session.execute(
        select(revision, feed.title, older.scalar_subquery(), newer.scalar_subquery())
        .join(feed, feed.id == revision.feed_id)
        .where(feed.name == feed_name, revision.id == revision_id)
    ).first()
    if row is None:
        raise NotFoundError(f"revision of feed {feed_name}", revision_id)
    made: models.FeedRevision = row[0]
    line = RevisionLine(made.id, made.digest, made.made_at, made.source, dict(made.counts))
    return RevisionDetail(line, feed_name, row[1], row[2], row[3])


def totals(session: Session, revision_id: int) -> dict[str, int]:
    """Return how many advisories the revision did what to, as far as that was written down."""
    rows = session.execute(
        select(change.change, func.count())
        .where(change.revision_id == revision_id)
        .group_by(change.change)
    )
    found = dict(rows.all())
    return {kind: found[kind] for kind in CHANGES if kind in found}


def advisories(
    session: Session,
    revision_id: int,
    *,
    at: datetime,
    kind: str = "",
    limit: int = paging.PAGE,
    cursor: str = "",
) -> Page[AdvisoryChange]:
    """Return a page of the advisories that the revision, made ``at``, changed; worst first.

    ``kind`` is one of `CHANGES`, or empty for all. At most six queries.
    """
    conditions = [change.revision_id == revision_id]
    if kind:
        conditions.append(change.change == kind)
    total = session.scalar(select(func.count()).select_from(change).where(*conditions)) or 0
    columns: list[Any] = [advisory.severity, advisory.ref, advisory.id]
    down = [True, False, False]
    query = (
        select(advisory.id, advisory.ref, change.change, advisory.title, advisory.severity)
        .join(advisory, advisory.id == change.advisory_id)
        .where(*conditions)
        .order_by(*(c.desc() if d else c for c, d in zip(columns, down, strict=True)))
        .limit(limit + 1)
    )
    if cursor:
        query = query.where(paging.after(columns, paging.decode(cursor, 3), descending=down))
    rows = session.execute(query).all()
    shown = rows[:limit]
    last = shown[-1] if len(rows) > limit else None
    following = paging.encode([last[4], last[1], last[0]]) if last else None
    hosts = _hosts(session, [row[0] for row in shown if row[2] != "withdrawn"], None)
    hosts |= _hosts(session, [row[0] for row in shown if row[2] == "withdrawn"], at)
    lines = tuple(
        AdvisoryChange(ref, how, title, Severity(severity), hosts.get(number, 0))
        for number, ref, how, title, severity in shown
    )
    return Page(lines, total, following)


def notes(
    session: Session, revision_id: int, *, limit: int = paging.PAGE, cursor: str = ""
) -> Page[NoteChange]:
    """Return a page of the CVEs of which the feed says something else, by CVE. Two queries."""
    since = select(note.cve, literal(1).label("begun"), literal(0).label("ended")).where(
        note.since_revision_id == revision_id
    )
    until = select(note.cve, literal(0), literal(1)).where(note.until_revision_id == revision_id)
    both = union_all(since, until).subquery()
    total = session.scalar(select(func.count(both.c.cve.distinct()))) or 0
    query = (
        select(both.c.cve, func.max(both.c.begun), func.max(both.c.ended))
        .group_by(both.c.cve)
        .order_by(both.c.cve)
        .limit(limit + 1)
    )
    if cursor:
        values = paging.decode(cursor, 1)
        query = query.where(paging.after([both.c.cve], values, descending=[False]))
    rows = session.execute(query).all()
    lines = tuple(NoteChange(cve, _change(begun, ended)) for cve, begun, ended in rows[:limit])
    following = paging.encode([lines[-1].cve]) if len(rows) > limit else None
    return Page(lines, total, following)


def hosts_concerned(session: Session, revision_id: int) -> int:
    """Return how many hosts have an open finding of an advisory that the revision changed."""
    changed = select(change.advisory_id).where(
        change.revision_id == revision_id, change.change != "withdrawn"
    )
    query = (
        select(func.count(exposure.host_id.distinct()))
        .select_from(judgement)
        .join(exposure, exposure.package_version_id == judgement.package_version_id)
        .where(
            judgement.advisory_id.in_(changed),
            judgement.until.is_(None),
            exposure.until.is_(None),
        )
    )
    return session.scalar(query) or 0


def _change(begun: int, ended: int) -> str:
    if begun and ended:
        return "changed"
    return "new" if begun else "withdrawn"


def _hosts(session: Session, ids: Sequence[int], at: datetime | None) -> dict[int, int]:
    """Return how many hosts have, or had ``at``, a finding of each advisory. Two queries.

    The versions are named, for PostgreSQL takes each to be on as many hosts as the usual one.
    """
    if not ids:
        return {}
    held: list[Any] = [judgement.until.is_(None), exposure.until.is_(None)]
    if at is not None:
        held = [
            held_then
            for table in (judgement, exposure)
            for held_then in (table.since <= at, or_(table.until.is_(None), table.until > at))
        ]
    judged = judgement.advisory_id.in_(ids)
    versions = session.scalars(select(judgement.package_version_id).where(judged).distinct()).all()
    rows = session.execute(
        select(judgement.advisory_id, func.count(exposure.host_id.distinct()))
        .join(exposure, exposure.package_version_id == judgement.package_version_id)
        .where(judged, among(session, exposure.package_version_id, versions), *held)
        .group_by(judgement.advisory_id)
    )
    return dict(rows.all())
