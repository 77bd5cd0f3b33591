"""Bring one feed up to date: fetch, read, and store the difference as a new revision.

Everything is fetched and read before the transaction begins. That one transaction holds the changed
advisories, the revision, and the validators of the documents they came from, so that no crash can
leave validators without their content. A feed that fails keeps its data and says why.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import delete, exists, insert, select
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.orm import Session

from patchmgr.config import Settings
from patchmgr.db import models
from patchmgr.db.session import Database
from patchmgr.errors import FeedError, FeedMalformedError, InputError
from patchmgr.feeds import FEEDS
from patchmgr.feeds.base import Feed
from patchmgr.feeds.crawl import Harvest, crawl
from patchmgr.feeds.files import Files
from patchmgr.feeds.transport import Known, Limits, Transport
from patchmgr.services import advisory_store, audit, note_store, offer_store, support_store
from patchmgr.services.offer_store import Inventory

EXAMPLES = 5  # records set aside that a revision names
SOURCES = 20  # addresses or files that a revision names
KINDS = ("advisories", "notes", "offers", "support")  # of content that a feed may have
_PLATFORM = re.compile(r"[a-z0-9._-]+:[A-Za-z0-9._+-]+")


@dataclass(frozen=True, slots=True)
class SyncResult:
    """What a sync did."""

    feed: str
    changed: bool
    revision_id: int | None  # the revision that the feed is at now
    counts: Mapping[str, int]  # of each of `KINDS`, fixes; new, changed, withdrawn, unchanged
    note: str = ""  # what a person should know: records set aside, releases skipped


@dataclass(frozen=True, slots=True)
class Carried:
    """How a feed's content came in a bundle: it is as fresh as where that was made."""

    as_of: datetime  # last good sync there
    bundled_at: datetime  # when the bundle was made
    left_out: Mapping[str, Any]  # of the vendor's documents, as a revision counts it


def named(name: str) -> Feed:
    """Return the feed called ``name``. Raises `InputError` naming those that exist."""
    if name not in FEEDS:
        raise InputError(f"no feed {name!r}; known: {', '.join(sorted(FEEDS))}")
    return FEEDS[name]


def ensure_feeds(db: Database) -> None:
    """Make a row for each feed that has none yet."""
    with db.reading() as session:
        known = set(session.scalars(select(models.Feed.name)))
    if known >= set(FEEDS):
        return
    insert_new = sqlite_insert if db.is_sqlite else postgresql_insert
    with db.writing() as session:
        session.execute(
            insert_new(models.Feed).on_conflict_do_nothing(),  # another process may be as quick
            [
                {
                    "name": name,
                    "title": feed.title,
                    "enabled": feed.by_default,
                    "state": "never",
                    "error": "",
                }
                for name, feed in FEEDS.items()
            ],
        )


def switch(db: Database, name: str, *, on: bool, actor: str, now: datetime) -> None:
    """Let the schedule sync a feed, or not; what it said stays. Raises `InputError`."""
    named(name)
    ensure_feeds(db)
    with db.writing() as session:
        row = _row(session, name)
        if row.enabled is on:
            return
        row.enabled = on
        audit.record(
            session,
            at=now,
            actor=actor,
            action="feed.enable" if on else "feed.disable",
            subject=f"feed {name}",
        )


def sync(
    db: Database,
    name: str,
    *,
    settings: Settings,
    now: datetime,
    actor: str,
    source: Path | None = None,
    platform: str | None = None,
    limits: Limits | None = None,
    progress: Callable[[str], None] = lambda _stage: None,
) -> SyncResult:
    """Bring feed ``name`` up to date from the network, or from the vendor's files at ``source``.

    ``platform`` is for documents that do not say of which one they speak; ``progress`` is told
    what is being done. Raises `FeedError` when
    the network feed cannot be reached or read: yesterday's data stays and the feed is marked
    failed. Raises `InputError` for an unknown name or a ``source`` that cannot be read, which
    changes nothing.
    """
    feed = named(name)
    if platform and not _PLATFORM.fullmatch(platform):
        raise InputError(f"{platform!r} is not a platform such as debian:12")
    ensure_feeds(db)
    inventory = _inventory(db, feed)
    if source is not None:
        progress(f"reading {source}")
        harvest = _needed(db, feed, _from_files(feed, source, platform or "", inventory, now))
        progress(_storing(harvest))
        return _store(db, feed, harvest, inventory, now=now, actor=actor, documents=False)
    try:
        known = {} if _wants_more(db, feed) else _known(db, name)
        fetch = Transport(known, limits or Limits(), progress=progress)
        start = _addresses(feed, settings)
        fetched = crawl(feed, start, fetch, platform=platform or "", wanted=inventory.has)
        if fetched is None:
            return _unchanged(db, name, now)
        _refuse_expired(fetched, now)
        harvest = _needed(db, feed, _whole(fetched))
        progress(_storing(harvest))
        return _store(db, feed, harvest, inventory, now=now, actor=actor, documents=True)
    except FeedError as error:
        _failed(db, name, now, str(error))
        raise


def _from_files(
    feed: Feed, source: Path, platform: str, inventory: Inventory, now: datetime
) -> Harvest:
    files = Files(source, feed.suffixes)
    try:
        harvest = crawl(
            feed, files.start, files, platform=platform, follow=False, wanted=inventory.has
        )
        _refuse_expired(harvest, now)
        return _whole(harvest)
    except FeedError as error:
        raise InputError(str(error)) from error


class _Everything:
    def __contains__(self, _package: object) -> bool:
        return True


def _inventory(db: Database, feed: Feed) -> Inventory:
    """Return the packages whose offers are kept of ``feed``."""
    if not feed.only_installed:
        return Inventory(_Everything(), 0)
    with db.reading() as session:
        return offer_store.inventory(session)


def _refuse_expired(harvest: Harvest | None, now: datetime) -> None:
    """Raise `FeedMalformedError` when a document no longer holds: it hides what came since."""
    if harvest is not None and harvest.expires is not None:
        expires, where = harvest.expires
        _refuse_after(expires, where, now)


def _refuse_after(expires: datetime, where: str, now: datetime) -> None:
    if expires <= now:
        raise FeedMalformedError(
            f"{where}: was valid until {expires:%Y-%m-%d %H:%M} UTC; an old index hides updates, so"
            " read it from the vendor or a current mirror, and check this machine's clock"
        )


def _addresses(feed: Feed, settings: Settings) -> tuple[str, ...]:
    """Return where ``feed`` starts: its setting ``<name>_url`` where there is one."""
    configured = getattr(settings, f"{feed.name}_url", "")
    return (configured,) if configured else feed.start


def _whole(harvest: Harvest | None) -> Harvest:
    """Return ``harvest``. Raises `FeedMalformedError` when there is nothing in it."""
    if harvest is None or harvest.is_empty:
        names = ", ".join(harvest.documents) if harvest else "the feed"
        raise FeedMalformedError(f"{names}: nothing in it")
    return harvest


def _needed(db: Database, feed: Feed, harvest: Harvest) -> Harvest:
    """Return ``harvest`` without what is not kept of ``feed``."""
    if not feed.only_named:
        return harvest
    with db.reading() as session:
        return note_store.of_named(session, harvest)


def _wants_more(db: Database, feed: Feed) -> bool:
    """Return whether an unchanged document would bring something: of what is known since.

    That is CVEs that an advisory names, or packages that a host has.
    """
    advisory, row = models.Advisory, models.Feed
    with db.reading() as session:
        if feed.only_installed and offer_store.knows_more(session, feed.name):
            return True
        named = exists().where(row.name == feed.name, advisory.changed_at >= row.succeeded_at)
        return feed.only_named and bool(session.scalar(select(named)))


def _storing(harvest: Harvest) -> str:
    found = [(kind, len(getattr(harvest, kind))) for kind in KINDS]
    return "storing " + (" and ".join(f"{n} {kind}" for kind, n in found if n) or "nothing")


def _known(db: Database, name: str) -> dict[str, Known]:
    document = models.FeedDocument
    with db.reading() as session:
        rows = session.execute(
            select(document.url, document.etag, document.last_modified)
            .join(models.Feed, models.Feed.id == document.feed_id)
            .where(models.Feed.name == name)
        )
        return {url: Known(etag, last_modified) for url, etag, last_modified in rows}


def _failed(db: Database, name: str, now: datetime, why: str) -> None:
    with db.writing() as session:
        row = _row(session, name)
        row.state, row.error, row.attempted_at = "failed", why, now


def _unchanged(db: Database, name: str, now: datetime) -> SyncResult:
    with db.writing() as session:
        row = _row(session, name)
        if row.expires_at is not None:
            _refuse_after(row.expires_at, f"the index of {name}, unchanged", now)
        _succeed(session, row, now)
        current = row.revision_id and session.get(models.FeedRevision, row.revision_id)
        counts = _as_it_was(current.counts if current else {})
        return SyncResult(name, False, row.revision_id, counts, "unchanged since the last sync")


def _as_it_was(counts: Mapping[str, Any]) -> dict[str, int]:
    """Return the counts of a sync that changed nothing of what ``counts`` counts."""
    totals = {kind: int(counts[kind]) for kind in KINDS if kind in counts}
    return {**totals, "unchanged": sum(totals.values())}


def _row(session: Session, name: str) -> models.Feed:
    """Return the feed's row, locked: two syncs of one feed store one after the other."""
    return session.scalars(
        select(models.Feed).where(models.Feed.name == name).with_for_update()
    ).one()


def _succeed(
    session: Session, row: models.Feed, now: datetime, carried: Carried | None = None
) -> None:
    row.state, row.error, row.attempted_at, row.succeeded_at = "ok", "", now, now
    row.bundled_at = None
    if carried:
        row.succeeded_at, row.bundled_at = carried.as_of, carried.bundled_at
    as_of = carried.as_of if carried else None
    session.add(models.FeedSync(feed_id=row.id, at=now, as_of=as_of))


def _store(
    db: Database,
    feed: Feed,
    harvest: Harvest,
    inventory: Inventory,
    *,
    now: datetime,
    actor: str,
    documents: bool,
) -> SyncResult:
    with db.writing(alone=True) as session:
        return store(
            session,
            feed,
            harvest,
            now=now,
            actor=actor,
            documents=documents,
            known_version_id=inventory.version_id,
        )


def store(
    session: Session,
    feed: Feed,
    harvest: Harvest,
    *,
    now: datetime,
    actor: str,
    documents: bool = False,
    carried: Carried | None = None,
    known_version_id: int = 0,
) -> SyncResult:
    """Write what ``feed`` says now, in the caller's transaction, which writes alone.

    ``documents``: they are from the network, so that they can be asked for again; ``carried``:
    they came in a bundle; ``known_version_id``: up to which package version what is kept was
    chosen by.
    """
    row = _row(session, feed.name)
    said = _Said(session, row.id, harvest)
    note = _note(harvest)
    if documents or said.is_new:
        _remember_documents(session, row, harvest if documents else None)
    _succeed(session, row, now, carried)
    row.expires_at = harvest.expires[0] if harvest.expires else None
    row.known_version_id = known_version_id
    if not said.is_new:
        counts = _as_it_was(said.counts)
        return SyncResult(feed.name, False, row.revision_id, counts, note)
    revision = models.FeedRevision(
        feed_id=row.id,
        digest=said.digest,
        made_at=now,
        source=_sources(harvest),
        counts={},
    )
    session.add(revision)
    session.flush()
    platforms = said.write(session, row.id, revision.id, now)
    counts = said.counts
    revision.counts = {
        **counts,
        "platforms": platforms,
        "skipped": dict(harvest.skipped),
        "set_aside": len(harvest.set_aside),
        "set_aside_examples": [f"{a.where}: {a.reason}" for a in harvest.set_aside[:EXAMPLES]],
        **(carried.left_out if carried else {}),
    }
    row.revision_id = revision.id
    audit.record(
        session,
        at=now,
        actor=actor,
        action="feed.sync",
        subject=feed.name,
        details={"revision": revision.id, "source": revision.source, **counts},
    )
    return SyncResult(feed.name, True, revision.id, counts, note)


def difference(session: Session, feed: Feed, harvest: Harvest) -> dict[str, int]:
    """Return what `store` would count, but for statements; it changes nothing."""
    feed_id = session.scalars(select(models.Feed.id).where(models.Feed.name == feed.name)).one()
    return _Said(session, feed_id, harvest).counts


class _Said:
    """What a harvest changes: the difference of each kind of content that the feed has.

    For another kind, give it a store like `note_store`, and its difference two lines here.
    """

    def __init__(self, session: Session, feed_id: int, harvest: Harvest) -> None:
        self._harvest = harvest
        self._statements = 0
        self._advisories = advisory_store.compare(session, feed_id, harvest)
        self._notes = note_store.compare(session, feed_id, harvest)
        self._offers = offer_store.compare(session, feed_id, harvest)
        self._support = support_store.compare(session, feed_id, harvest)
        kinds = (self._advisories, self._notes, self._offers, self._support)
        # A feed that says nothing of a kind, and never did, does not count it.
        self._kinds = [each for each in kinds if each or any(each.counts.values())]

    @property
    def is_new(self) -> bool:
        return any(self._kinds)

    @property
    def digest(self) -> str:
        """Return the SHA-256, hex, of everything that the feed says now."""
        digests = [each.digest for each in self._kinds]
        if len(digests) == 1:
            return digests[0]
        return hashlib.sha256(" ".join(digests).encode()).hexdigest()

    def write(
        self, session: Session, feed_id: int, revision_id: int, now: datetime
    ) -> dict[str, int]:
        """Store the difference; return how many statements there are about each platform."""
        advisory_store.apply(session, feed_id, revision_id, self._advisories, now)
        note_store.apply(session, feed_id, revision_id, self._notes)
        offer_store.apply(session, feed_id, revision_id, self._offers)
        support_store.apply(session, feed_id, revision_id, self._support)
        platforms = advisory_store.statements_by_platform(
            session, self._harvest, self._advisories.kept
        )
        self._statements = sum(platforms.values())
        return platforms

    @property
    def counts(self) -> dict[str, int]:
        """Return the totals of each kind; what is new, changed, withdrawn is of all together."""
        total: Counter[str] = Counter()
        for each in self._kinds:
            total.update(each.counts)
        if self._advisories in self._kinds:
            total["fixes"] = self._statements
        return dict(total)


def _remember_documents(session: Session, row: models.Feed, harvest: Harvest | None) -> None:
    """Replace what is known of the feed's documents; None: the content is not from the network."""
    document = models.FeedDocument
    session.execute(delete(document).where(document.feed_id == row.id))
    if harvest is not None:
        session.execute(
            insert(document),
            [
                {
                    "feed_id": row.id,
                    "url": url,
                    "etag": each.etag,
                    "last_modified": each.last_modified,
                    "digest": each.digest,
                }
                for url, each in harvest.documents.items()
            ],
        )


def _sources(harvest: Harvest) -> str:
    names = sorted(harvest.documents)
    more = f" and {len(names) - SOURCES} more" if len(names) > SOURCES else ""
    return " ".join(names[:SOURCES]) + more


def _note(harvest: Harvest) -> str:
    """Return in a line what of the feed could not be used."""
    parts = [
        f"{count} statements about {release!r} skipped: no such release is known"
        for release, count in harvest.skipped.items()
    ]
    if harvest.left_out:
        parts.append(f"{harvest.left_out} offers left out: no host has these packages")
    if harvest.set_aside:
        first = harvest.set_aside[0]
        count = len(harvest.set_aside)
        parts.append(f"{count} odd records set aside, such as {first.where}: {first.reason}")
    return "; ".join(parts)
