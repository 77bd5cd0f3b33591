"""Make a bundle: what all feeds say now, signed and dated."""

import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import select
from sqlalchemy.orm import Session

from patchmgr.config import Settings
from patchmgr.db import models
from patchmgr.db.queries import feed_contents
from patchmgr.db.session import Database
from patchmgr.errors import ConflictError, InputError
from patchmgr.feeds.bundle import writing
from patchmgr.feeds.bundle.lines import Value, place
from patchmgr.feeds.bundle.manifest import FORMAT, Key, Manifest, Part, encode
from patchmgr.services import audit, drafts, signing
from patchmgr.services.feeds import named

SOURCE = 1000  # characters kept of where a feed's content was read from
EXAMPLES = 300  # characters kept of a record that was set aside
TOLD = 1_000  # values between two words about how far it is
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Made:
    """A bundle that was made."""

    manifest: Manifest
    size: int  # bytes


def make(
    db: Database,
    path: Path,
    *,
    settings: Settings,
    now: datetime,
    actor: str,
    names: Collection[str] = (),
    progress: Callable[[str], None] = lambda _stage: None,
) -> Made:
    """Write a bundle of all feeds that ever were synced, or of ``names``, to the new file ``path``.

    It is of one moment, and written whole or not at all. Raises `InputError` for an unknown feed
    or a place that cannot be written, `ConflictError` when the file exists or nothing was synced.
    """
    for name in names:
        named(name)
    if path.exists():
        raise ConflictError(f"{path} exists; a bundle is never written over")
    if not path.absolute().parent.is_dir():
        raise InputError({"BUNDLE": f"there is no folder {path.parent}"})
    key = signing.signing_key(settings.home)
    try:
        with drafts.draft(path) as begun:
            with begun.open("w+b") as file:
                manifest = _written(db, file, key, now, frozenset(names), progress)
                size = file.tell()
            _record(db, manifest, path, now=now, actor=actor)
    except OSError as error:
        raise InputError({"BUNDLE": f"{path}: {error.strerror}"}) from error
    return Made(manifest, size)


def _written(
    db: Database,
    file: BinaryIO,
    key: Ed25519PrivateKey,
    now: datetime,
    names: frozenset[str],
    progress: Callable[[str], None],
) -> Manifest:
    folder = Path(file.name).parent
    with tempfile.TemporaryFile(dir=folder) as documents:
        with db.reading(snapshot=True) as session:
            parts = tuple(
                _part(session, feed, revision, documents, progress)
                for feed, revision in _feeds(session, names)
            )
        public = key.public_key()
        signer = Key("Ed25519", signing.fingerprint(public), signing.public_pem(public).decode())
        manifest = Manifest(FORMAT, now, parts, signer)
        signed = encode(manifest)
        documents.seek(0)
        members = [(part.file, part.size) for part in parts]
        writing.bundle(file, signed, key.sign(signed), documents, members)
    return manifest


def _feeds(
    session: Session, names: frozenset[str]
) -> list[tuple[models.Feed, models.FeedRevision]]:
    feed, revision = models.Feed, models.FeedRevision
    rows = session.execute(
        select(feed, revision)
        .join(revision, revision.id == feed.revision_id)
        .where(feed.succeeded_at.is_not(None))
        .order_by(feed.name)
    )
    found = [(row, current) for row, current in rows if not names or row.name in names]
    missing = sorted(names - {row.name for row, _ in found})
    if missing or not found:
        which = ", ".join(missing) or "any feed"
        raise ConflictError(f"nothing is known of {which} yet; run: patchmgr feeds sync")
    return found


def _part(
    session: Session,
    feed: models.Feed,
    revision: models.FeedRevision,
    documents: BinaryIO,
    progress: Callable[[str], None],
) -> Part:
    try:
        packed = writing.document(_told(_values(session, feed.id), feed.name, progress), documents)
    except ConflictError as error:
        raise ConflictError(f"feed {feed.name}: {error}") from error
    assert feed.succeeded_at is not None  # noqa: S101 -- `_feeds` asks for it
    return Part(
        name=feed.name,
        revision=revision.digest,
        made_at=revision.made_at,
        as_of=feed.succeeded_at,
        source=revision.source[:SOURCE],
        sha256=packed.sha256,
        size=packed.size,
        unpacked=packed.unpacked,
        counts=packed.counts,
        **_left_out(revision.counts),
    )


def _values(session: Session, feed_id: int) -> Iterator[Value]:
    """Yield everything that is stored of a feed, kind by kind.

    For another kind, yield what its query gives; `patchmgr.feeds.bundle.lines` has their order.
    """
    yield from feed_contents.advisories(session, feed_id)
    yield from feed_contents.notes(session, feed_id)
    yield from sorted(feed_contents.offers(session, feed_id), key=place)
    yield from sorted(feed_contents.support(session, feed_id), key=place)


def _left_out(counts: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "skipped": dict(counts.get("skipped", {})),
        "set_aside": counts.get("set_aside", 0),
        "set_aside_examples": tuple(
            each[:EXAMPLES] for each in counts.get("set_aside_examples", ())
        ),
    }


def _told(values: Iterable[T], name: str, progress: Callable[[str], None]) -> Iterator[T]:
    for number, value in enumerate(values):
        if number % TOLD == 0:
            progress(f"{name}: {number} written")
        yield value


def _record(db: Database, manifest: Manifest, path: Path, *, now: datetime, actor: str) -> None:
    with db.writing() as session:
        audit.record(
            session,
            at=now,
            actor=actor,
            action="feeds.export",
            subject=path.name,
            details={
                "fingerprint": manifest.key.fingerprint,
                "feeds": {part.name: part.revision for part in manifest.feeds},
            },
        )
