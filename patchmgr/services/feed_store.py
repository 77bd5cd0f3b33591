"""What a sync stores: one revision, with the documents it came from, in one transaction."""

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, insert, select
from sqlalchemy.orm import Session

from patchmgr.db import models
from patchmgr.feeds.base import SetAside
from patchmgr.feeds.crawl import Document, Harvest
from patchmgr.feeds.formats.labels import says_its_state
from patchmgr.services import (
    advisory_store,
    audit,
    note_store,
    offer_store,
    shrinking,
    support_store,
)
from patchmgr.services.feeds import locked
from patchmgr.services.shrinking import Change

KINDS = ("advisories", "notes", "offers", "support")  # of content that a feed may have
SOURCES = 20  # addresses or files that a revision names
MADE = "made"  # in the counts of a revision: when its documents were made, by address
READER = "reader"  # in the counts of a revision: what its documents were read with
MOST_ASIDE = 200  # records and documents set aside that a revision names
LONGEST_ASIDE = 300  # characters of one


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


@dataclass(frozen=True, slots=True)
class Believed:
    """How small a feed may become without a person's word."""

    percent: int  # of what it has, that it may lose
    whatever: bool = False  # a person gives that word now
    is_less_asked: bool = False  # the fleet needs less of it than at the last sync


EVERYTHING = Believed(100)


class HeldBackError(Exception):
    """The feed would lose too much; nothing of it is stored."""

    def __init__(self, changes: tuple[Change, ...]) -> None:
        super().__init__()
        self.changes = changes


def store(
    session: Session,
    name: str,
    harvest: Harvest,
    *,
    now: datetime,
    actor: str,
    start: tuple[str, ...] = (),
    believed: Believed = EVERYTHING,
    carried: Carried | None = None,
    known_version_id: int = 0,
    reader: str = "",
) -> SyncResult:
    """Write what feed ``name`` says now, in the caller's transaction, which writes alone.

    It was fetched from ``start``, so that its documents can be asked for again; read from files
    when that is empty; or ``carried`` in a bundle. ``known_version_id`` is up to which package
    version what is kept was chosen by; ``reader`` is what read the documents. Raises
    `HeldBackError`.
    """
    row = locked(session, name)
    said = _Said(session, row.id, harvest)
    losses = tuple(each for each in said.changes if each.exceeds(believed.percent))
    if not (believed.whatever or believed.is_less_asked):
        _refuse(row, losses)
    note = _note(harvest)
    if start or said.is_new:
        _remember_documents(session, row, _settled(harvest) if start else {})
        row.addresses = list(start)
    succeed(session, row, now, carried)
    row.expires_at = harvest.expires[0] if harvest.expires else None
    row.known_version_id = known_version_id
    unused = carried.left_out if carried else {**_unused(harvest), READER: reader}
    if start:
        unused = {**unused, MADE: {url: at.isoformat() for url, at in harvest.made.items()}}
    if not said.is_new:
        if row.revision_id is not None:
            current = session.get_one(models.FeedRevision, row.revision_id)
            current.counts = {**current.counts, **unused}
        return SyncResult(name, False, row.revision_id, as_it_was(said.counts), note)
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
        **unused,
    }
    row.revision_id = revision.id
    details = {"revision": revision.id, "source": revision.source, **counts}
    if losses:
        details["smaller"] = "; ".join(map(str, losses))
    audit.record(session, at=now, actor=actor, action="feed.sync", subject=name, details=details)
    return SyncResult(name, True, revision.id, counts, note)


def _refuse(row: models.Feed, losses: tuple[Change, ...]) -> None:
    """Raise `HeldBackError` unless each loss is one that a person has confirmed."""
    refused = shrinking.unconfirmed(row.held if row.smaller_accepted else {}, losses)
    if refused:
        raise HeldBackError(refused)


def difference(session: Session, name: str, harvest: Harvest) -> dict[str, int]:
    """Return what `store` would count, but for statements; it changes nothing."""
    feed_id = session.scalars(select(models.Feed.id).where(models.Feed.name == name)).one()
    return _Said(session, feed_id, harvest).counts


def succeed(
    session: Session, row: models.Feed, now: datetime, carried: Carried | None = None
) -> None:
    """Write down that a sync ended well, or that a bundle brought what one had."""
    row.state, row.error, row.attempted_at, row.succeeded_at = "ok", "", now, now
    row.held, row.smaller_accepted, row.bundled_at = {}, False, None
    if carried:
        row.succeeded_at, row.bundled_at = carried.as_of, carried.bundled_at
    as_of = carried.as_of if carried else None
    session.add(models.FeedSync(feed_id=row.id, at=now, as_of=as_of))


def as_it_was(counts: Mapping[str, Any]) -> dict[str, int]:
    """Return the counts of a sync that changed nothing of what ``counts`` counts."""
    totals = {kind: int(counts[kind]) for kind in KINDS if kind in counts}
    return {**totals, "unchanged": sum(totals.values())}


class _Said:
    """What a harvest changes: the difference of each kind of content that the feed has.

    For another kind, give it a store like `note_store`, and its difference two lines here.
    """

    def __init__(self, session: Session, feed_id: int, harvest: Harvest) -> None:
        self._harvest = harvest = advisory_store.completed(session, feed_id, harvest)
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
    def changes(self) -> tuple[Change, ...]:
        """Return how many there are and would be of each kind that is guarded (`shrinking`).

        Not of offers: they are kept of what the fleet has installed, and come and go with it.
        """
        return (
            Change("advisories", self._advisories.before, len(self._advisories.contents)),
            Change("notes", self._notes.before, len(self._notes.standing)),
        )

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


def _settled(harvest: Harvest) -> dict[str, Document]:
    """Return the documents that need not be read again while they do not change.

    Of a harvest that is partial, those are only the ones that an index lists with their state: what
    was missing may be there at the next sync.
    """
    return {
        url: document
        for url, document in harvest.documents.items()
        if (not says_its_state(url) and not harvest.is_partial)
        or (says_its_state(url) and url not in harvest.unread)
    }


def _remember_documents(
    session: Session, row: models.Feed, documents: Mapping[str, Document]
) -> None:
    """Replace what is known of the feed's documents."""
    document = models.FeedDocument
    session.execute(delete(document).where(document.feed_id == row.id))
    if documents:
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
                for url, each in documents.items()
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


def _unused(harvest: Harvest) -> dict[str, Any]:
    """Return what of the feed could not be used, as its revision keeps it."""
    return {
        "skipped": dict(harvest.skipped),
        "set_aside": len(harvest.set_aside),
        "verified": list(harvest.verified[:SOURCES]),
        "set_aside_examples": [_line(each) for each in harvest.set_aside[:MOST_ASIDE]],
    }


def _line(aside: SetAside) -> str:
    text = f"{aside.where}: {aside.reason}"
    return text if len(text) <= LONGEST_ASIDE else f"{text[: LONGEST_ASIDE - 1]}…"
