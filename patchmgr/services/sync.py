"""Bring one feed up to date: fetch, read, and store the difference as a new revision.

Everything is fetched and read before the transaction begins. That one transaction holds the changed
advisories, the revision, and the validators of the documents they came from, so that no crash can
leave validators without their content. A feed that fails keeps its data and says why, and so does
one that would lose too much of it (`shrinking`). What a sync fetched that was cut short is on disk
for the next one (`patchmgr.feeds.kept`).
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import exists, select

from patchmgr.config import Settings
from patchmgr.db import models
from patchmgr.db.session import Database
from patchmgr.errors import FeedError, FeedHeldError, FeedMalformedError, InputError
from patchmgr.feeds.base import Feed
from patchmgr.feeds.crawl import Document, Harvest, crawl
from patchmgr.feeds.files import Files
from patchmgr.feeds.formats.dates import instant
from patchmgr.feeds.formats.labels import PLATFORMS, labels_of, without_labels
from patchmgr.feeds.kept import Kept
from patchmgr.feeds.reader import reader_of
from patchmgr.feeds.transport import Known, Limits, Transport
from patchmgr.services import feed_store, note_store, offer_store, shrinking
from patchmgr.services.feed_store import KINDS, Believed, HeldBackError, SyncResult
from patchmgr.services.feeds import addresses, equipped, fleet, locked, look, named, without_address
from patchmgr.services.offer_store import Inventory

_PLATFORM = re.compile(r"[a-z0-9._-]+:[A-Za-z0-9._+-]+")


def sync(
    db: Database,
    name: str,
    *,
    settings: Settings,
    now: datetime,
    actor: str,
    source: Path | None = None,
    platform: str | None = None,
    accept_smaller: bool = False,
    limits: Limits | None = None,
    progress: Callable[[str], None] = lambda _stage: None,
) -> SyncResult:
    """Bring feed ``name`` up to date from the network, or from the vendor's files at ``source``.

    ``platform`` is for documents that do not say of which one they speak; ``accept_smaller`` takes
    what there is however little it is; ``progress`` is told what is being done. Raises `FeedError`
    when the network feed cannot be reached or read, `FeedHeldError` when it has become too small:
    yesterday's data stays and the feed is marked failed, or held. Raises `InputError` for an
    unknown name, a ``source`` that cannot be read, or a feed without any address, which changes
    nothing.
    """
    feed = named(name)
    if platform and not _PLATFORM.fullmatch(platform):
        raise InputError(f"{platform!r} is not a platform such as debian:12")
    look(db, settings)
    inventory = _inventory(db, feed)
    task = _Task(db, feed, inventory, settings, now, actor, progress, accept_smaller)
    if source is not None:
        return task.store(task.read(source, platform or ""), source=source)
    return task.fetch(platform or "", limits or Limits())


@dataclass(frozen=True, slots=True)
class _Task:
    """One sync of one feed."""

    db: Database
    feed: Feed
    inventory: Inventory  # whose packages' offers are kept
    settings: Settings
    now: datetime
    actor: str
    progress: Callable[[str], None]
    accept_smaller: bool

    def read(self, source: Path, platform: str) -> Harvest:
        self.progress(f"reading {source}")
        files = Files(source, self.feed.suffixes)
        try:
            harvest = crawl(
                equipped(self.feed, self.settings),
                files.start,
                files,
                platform=platform,
                follow=False,
                wanted=self.inventory.has,
            )
            _refuse_expired(harvest, self.now)
            return _whole(harvest)
        except FeedError as error:
            raise InputError(str(error)) from error

    def fetch(self, platform: str, limits: Limits) -> SyncResult:
        with self.db.reading() as session:
            start = addresses(self.feed, self.settings, fleet(session))
        if not start:
            raise InputError(f"feed {self.feed.name}: {without_address(self.feed)}")
        feed = equipped(self.feed, self.settings)
        kept = Kept(self.settings.fetched / feed.name)
        known = self._known(start)
        transport = Transport(
            {url: Known(each.etag, each.last_modified) for url, each in known.items()},
            limits,
            progress=self.progress,
            proxy=self.settings.feed_proxy,
            kept=kept,
        )
        try:
            harvest = crawl(
                feed,
                start,
                transport,
                platform=platform,
                wanted=self.inventory.has,
                keep=kept.put,
                read_before=known,
            )
            _refuse_expired(harvest, self.now)
            _refuse_older(harvest, self._last_counts().get(feed_store.MADE, {}))
            result = self.store(_whole(harvest), start=start) if harvest else self._unchanged()
        except FeedError as error:
            self._ended("failed", str(error))
            raise
        if harvest is None or not harvest.is_partial:
            kept.clear()
        return result

    def store(
        self, harvest: Harvest, *, start: tuple[str, ...] = (), source: Path | None = None
    ) -> SyncResult:
        harvest = _needed(self.db, self.feed, harvest)
        self.progress(_storing(harvest))
        percent = self.settings.feed_shrink_percent
        # Files are what a person hands over: that is their word.
        accepted = self.accept_smaller or source is not None
        believed = Believed(percent, accepted, self._asks_for_less(start))
        try:
            with self.db.writing(alone=True) as session:
                return feed_store.store(
                    session,
                    self.feed.name,
                    harvest,
                    start=start,
                    believed=believed,
                    now=self.now,
                    actor=self.actor,
                    known_version_id=self.inventory.version_id,
                    reader=reader_of(self.feed),
                )
        except HeldBackError as error:
            why = shrinking.why(self.feed.name, error.changes, percent)
            self._ended("held", why, {e.kind: [e.before, e.after] for e in error.changes})
            raise FeedHeldError(why) from error

    def _unchanged(self) -> SyncResult:
        with self.db.writing() as session:
            row = locked(session, self.feed.name)
            if row.expires_at is not None:
                _refuse_after(row.expires_at, f"the index of {self.feed.name}, unchanged", self.now)
            feed_store.succeed(session, row, self.now)
            known = row.revision_id and session.get_one(models.FeedRevision, row.revision_id).counts
            counts = feed_store.as_it_was(known or {})
            note = "unchanged since the last sync"
            return SyncResult(self.feed.name, False, row.revision_id, counts, note)

    def _ended(self, state: str, why: str, held: Mapping[str, Any] | None = None) -> None:
        with self.db.writing() as session:
            row = locked(session, self.feed.name)
            row.state, row.error, row.attempted_at = state, why, self.now
            if held is not None:
                row.held, row.smaller_accepted = dict(held), False

    def _known(self, start: tuple[str, ...]) -> dict[str, Document]:
        """Return the validators of what is stored.

        None when more, or less, is asked for now, or when another reader has read it: the same
        documents may say something else then.
        """
        if set(self._last_start()) != set(start) or _wants_more(self.db, self.feed):
            return {}
        if self._last_counts().get(feed_store.READER) != reader_of(self.feed):
            return {}
        return _known(self.db, self.feed.name)

    def _asks_for_less(self, start: tuple[str, ...]) -> bool:
        """Return whether the feed becomes smaller because the fleet needs less of it."""
        is_own = bool(start) and self.feed.name not in self.settings.mirrors
        return is_own and asked(start) < asked(self._last_start())

    def _last_counts(self) -> Mapping[str, Any]:
        """Return what the feed's revision says of how it was read; nothing of one without any."""
        row, revision = models.Feed, models.FeedRevision
        with self.db.reading() as session:
            counts = session.scalar(
                select(revision.counts)
                .join(row, row.revision_id == revision.id)
                .where(row.name == self.feed.name)
            )
        return counts or {}

    def _last_start(self) -> list[str]:
        with self.db.reading() as session:
            row = models.Feed
            return session.scalars(select(row.addresses).where(row.name == self.feed.name)).one()


def asked(start: Iterable[str]) -> set[tuple[str, str]]:
    """Return what is asked for: each address, with each of the platforms that it is read for."""
    return {
        (without_labels(url) if platform else url, platform)
        for url in start
        for platform in labels_of(url).get(PLATFORMS, "").split() or [""]
    }


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


def _refuse_older(harvest: Harvest | None, made: Mapping[str, str]) -> None:
    """Raise `FeedMalformedError` when a document is older than the one that was read there before.

    It would hide what came since, as one that does not hold any more does.
    """
    for url, at in harvest.made.items() if harvest else ():
        before = instant(made.get(url, ""))
        if before is not None and at < before:
            raise FeedMalformedError(
                f"{url}: is of {at:%Y-%m-%d %H:%M} UTC, and the one read before of"
                f" {before:%Y-%m-%d %H:%M}; the mirror went back, so ask the vendor or another one,"
                " or read the vendor's files with --from to take it all the same"
            )


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


def _known(db: Database, name: str) -> dict[str, Document]:
    document = models.FeedDocument
    with db.reading() as session:
        rows = session.execute(
            select(document.url, document.etag, document.last_modified, document.digest)
            .join(models.Feed, models.Feed.id == document.feed_id)
            .where(models.Feed.name == name)
        )
        return {url: Document(b"", *validators) for url, *validators in rows}
