"""Feeds: how fresh each is, what it covers, and the revisions it went through."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, literal, select
from sqlalchemy.orm import Session

from patchmgr.db import models
from patchmgr.db.json_rows import rows_of
from patchmgr.db.queries import paging
from patchmgr.db.queries.paging import Page
from patchmgr.domain.matching import platforms_of
from patchmgr.errors import NotFoundError

feed, revision, job = models.Feed, models.FeedRevision, models.ScheduledJob
STALE_HOURS = 48


@dataclass(frozen=True, slots=True)
class FeedStatus:
    """How a feed stands."""

    id: int
    name: str
    title: str
    enabled: bool
    state: str  # "never", "ok", "failed", "held"
    attempted_at: datetime | None
    succeeded_at: datetime | None
    error: str
    revision_id: int | None
    revision_at: datetime | None  # when its content last changed
    source: str
    counts: dict[str, Any]  # of the current revision, as `patchmgr.services.sync` writes them
    bundled_at: datetime | None  # when the bundle was made that its content came in
    is_used: bool  # it is to be fresh: the schedule syncs it, or bundles bring it
    is_stale: bool  # no good sync for longer than the setting allows: a blind spot
    digest: str = ""  # of the current revision
    idle: bool = False  # no host needs it, and no mirror is set: nothing is fetched
    held: dict[str, list[int]] = field(default_factory=dict)  # kind -> [how many, would be]
    smaller_accepted: bool = False  # a person has confirmed what it is held for
    addresses: tuple[str, ...] = ()  # that its last sync over the network started from
    next_at: datetime | None = None  # when the schedule syncs it next

    def age(self, now: datetime) -> timedelta | None:
        """Return the time since the last good sync; None when there was none."""
        return None if self.succeeded_at is None else now - self.succeeded_at

    @property
    def standing(self) -> str:
        """Return in a word how it stands: what matters most of what can be said of it."""
        if not self.enabled and self.bundled_at is None:
            return "off"
        if self.state in ("failed", "held"):
            return self.state
        if not self.is_used:
            return "idle"
        if self.state == "never":
            return "never"
        return "stale" if self.is_stale else "ok"


@dataclass(frozen=True, slots=True)
class RevisionLine:
    """The content of a feed at one time."""

    id: int
    digest: str
    made_at: datetime
    source: str
    counts: dict[str, Any]


def listing(session: Session, *, now: datetime, stale_hours: int = STALE_HOURS) -> list[FeedStatus]:
    """Return every feed by name. One query."""
    rows = session.execute(_lines().order_by(feed.name))
    return [_status(row[0], row[1], row[2], now, stale_hours) for row in rows]


def get(
    session: Session, name: str, *, now: datetime, stale_hours: int = STALE_HOURS
) -> FeedStatus:
    """Return one feed. Raises `NotFoundError`."""
    row = session.execute(_lines().where(feed.name == name)).first()
    if row is None:
        raise NotFoundError("feed", name)
    return _status(row[0], row[1], row[2], now, stale_hours)


def revisions(
    session: Session, name: str, *, limit: int = paging.PAGE, cursor: str = ""
) -> Page[RevisionLine]:
    """Return the revisions of a feed, the newest first."""
    of_feed = revision.feed_id == select(feed.id).where(feed.name == name).scalar_subquery()
    total = session.scalar(select(func.count(revision.id)).where(of_feed)) or 0
    query = select(revision).where(of_feed).order_by(revision.id.desc()).limit(limit + 1)
    if cursor:
        query = query.where(revision.id < paging.decode_id(cursor))
    rows = session.scalars(query).all()
    following = paging.encode([rows[limit - 1].id]) if len(rows) > limit else None
    lines = tuple(
        RevisionLine(row.id, row.digest, row.made_at, row.source, dict(row.counts))
        for row in rows[:limit]
    )
    return Page(lines, total, following)


def platforms_with_feed(session: Session) -> set[str]:
    """Return the platforms that some feed speaks of; all others are blind spots. One query."""
    counts = session.scalars(select(revision.counts).join(feed, feed.revision_id == revision.id))
    return {platform for each in counts for platform in each.get("platforms", ())}


COUNTS = (
    select(rows_of(revision.counts)).join(feed, feed.revision_id == revision.id).scalar_subquery()
)
"""What each feed counts, for a query of something else that asks `speaks_of`."""


def speaks_of(counts: Sequence[Any] | None, platform: str) -> bool:
    """Tell by `COUNTS` whether some feed speaks of ``platform``; else it cannot be judged."""
    known = {each for (one,) in counts or () for each in one.get("platforms", ())}
    return not known.isdisjoint(platforms_of(platform))


def _lines() -> Any:
    return (
        select(feed, revision, job.next_at)
        .outerjoin(revision, revision.id == feed.revision_id)
        .outerjoin(job, job.name == literal("sync:") + feed.name)
    )


def _status(
    row: models.Feed,
    current: models.FeedRevision | None,
    next_at: datetime | None,
    now: datetime,
    stale_hours: int,
) -> FeedStatus:
    limit = now - timedelta(hours=stale_hours)
    is_used = row.bundled_at is not None or (row.enabled and not row.idle)
    return FeedStatus(
        id=row.id,
        name=row.name,
        title=row.title,
        enabled=row.enabled,
        state=row.state,
        attempted_at=row.attempted_at,
        succeeded_at=row.succeeded_at,
        error=row.error,
        revision_id=row.revision_id,
        revision_at=current.made_at if current else None,
        source=current.source if current else "",
        counts=dict(current.counts) if current else {},
        bundled_at=row.bundled_at,
        is_used=is_used,
        is_stale=is_used and (row.succeeded_at is None or row.succeeded_at < limit),
        digest=current.digest if current else "",
        idle=row.idle,
        held=dict(row.held),
        smaller_accepted=row.smaller_accepted,
        addresses=tuple(row.addresses),
        next_at=next_at,
    )
