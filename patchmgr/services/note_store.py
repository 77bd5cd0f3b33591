"""What a feed says of flaws, by CVE, as stored: the difference to what it says now, and writing it.

As with advisories (`advisory_store`), a note is never changed: the old one ends with the revision
that brought the new one, so that the due date of last quarter can still be explained.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import msgspec
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from patchmgr.db import bulk, models
from patchmgr.domain.flaws import FlawNote, note_of, said, visible
from patchmgr.feeds.crawl import Harvest

CHUNK = 500  # values in one IN (...)
_NOTE = ("feed_id", "cve", "said", "since_revision_id")
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Difference:
    """What has to be written so that the stored feed says of flaws what it says now."""

    new: list[FlawNote]
    changed: list[FlawNote]
    withdrawn: list[str]  # CVEs of which it says nothing any more
    ending: list[int]  # ids of stored notes that no longer hold
    standing: dict[str, bytes]  # what is seen of each note after this, by CVE
    before: int  # how many stand before

    def __bool__(self) -> bool:
        return bool(self.new or self.changed or self.withdrawn)

    @property
    def digest(self) -> str:
        """Return the SHA-256, hex, of what the feed says of flaws after this."""
        digest = hashlib.sha256()
        for cve in sorted(self.standing):
            digest.update(_encode(cve) + self.standing[cve])
        return digest.hexdigest()

    @property
    def counts(self) -> dict[str, int]:
        """Return what the revision counts of the feed."""
        changed = len(self.new) + len(self.changed)
        return {
            "notes": len(self.standing),
            "new": len(self.new),
            "changed": len(self.changed),
            "withdrawn": len(self.withdrawn),
            "unchanged": len(self.standing) - changed,
        }


def of_named(session: Session, harvest: Harvest) -> Harvest:
    """Return ``harvest`` with only the notes of CVEs that a stored advisory names."""
    named = {cve for cves in session.scalars(select(models.Advisory.cves)) for cve in cves.split()}
    return replace(harvest, notes=tuple(note for note in harvest.notes if note.cve in named))


def compare(session: Session, feed_id: int, harvest: Harvest) -> Difference:
    """Return how ``harvest`` differs from the stored notes of the feed ``feed_id``.

    A note is a new one when people see a difference (`flaws.visible`); what is already known of a
    CVE stays when the harvest has an odd record of it, or did not read all documents.
    """
    row = models.FlawNote
    stored = {
        cve: (number, _seen(note_of(cve, document)))
        for number, cve, document in session.execute(
            select(row.id, row.cve, row.said).where(
                row.feed_id == feed_id, row.until_revision_id.is_(None)
            )
        )
    }
    now = {note.cve: (note, _seen(note)) for note in harvest.notes}
    kept = stored.keys() & {aside.ref for aside in harvest.set_aside}
    if harvest.is_partial:
        kept |= stored.keys() - now.keys()
    changed = [
        note
        for cve, (note, seen) in now.items()
        if cve in stored and cve not in kept and stored[cve][1] != seen
    ]
    withdrawn = [cve for cve in stored if cve not in now and cve not in kept]
    ended = {note.cve for note in changed} | set(withdrawn)
    return Difference(
        new=[note for cve, (note, _) in now.items() if cve not in stored],
        changed=changed,
        withdrawn=withdrawn,
        ending=[stored[cve][0] for cve in ended],
        standing={cve: seen for cve, (_, seen) in now.items()}
        | {cve: stored[cve][1] for cve in kept},
        before=len(stored),
    )


def apply(session: Session, feed_id: int, revision_id: int, difference: Difference) -> None:
    """Write ``difference`` as revision ``revision_id``, in the caller's transaction."""
    row = models.FlawNote
    for part in bulk.chunks(difference.ending, CHUNK):
        session.execute(update(row).where(row.id.in_(part)).values(until_revision_id=revision_id))
    bulk.insert_raw(
        session, row, _NOTE, _rows(feed_id, revision_id, difference.new + difference.changed)
    )


def _rows(feed_id: int, revision_id: int, notes: Iterable[FlawNote]) -> Iterable[tuple[Any, ...]]:
    for note in notes:
        yield feed_id, note.cve, _encode(said(note)).decode(), revision_id


def _seen(note: FlawNote) -> bytes:
    return _encode(said(visible(note)))
