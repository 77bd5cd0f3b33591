"""What a feed says of flaws, by CVE, as stored."""

from dataclasses import replace

from sqlalchemy import select
from sqlalchemy.orm import Session

from patchmgr.db import models
from patchmgr.domain.flaws import FlawNote, note_of, said, visible
from patchmgr.feeds.crawl import Harvest
from patchmgr.services import row_store
from patchmgr.services.row_store import Difference, Place, encode


def of_named(session: Session, harvest: Harvest) -> Harvest:
    """Return ``harvest`` with only the notes of CVEs that a stored advisory names."""
    named = {cve for cves in session.scalars(select(models.Advisory.cves)) for cve in cves.split()}
    return replace(harvest, notes=tuple(note for note in harvest.notes if note.cve in named))


def compare(session: Session, feed_id: int, harvest: Harvest) -> Difference[FlawNote]:
    """Return how ``harvest`` differs from the stored notes of the feed ``feed_id``.

    A note is a new one when people see a difference (`flaws.visible`); what is already known of a
    CVE stays when the harvest has an odd record of it, or did not read all documents.
    """
    row = models.FlawNote
    stored: dict[Place, tuple[int, bytes]] = {
        cve: (number, _seen(note_of(cve, document)))
        for number, cve, document in session.execute(
            select(row.id, row.cve, row.said).where(
                row.feed_id == feed_id, row.until_revision_id.is_(None)
            )
        )
    }
    now: dict[Place, tuple[FlawNote, bytes]] = {
        note.cve: (note, _seen(note)) for note in harvest.notes
    }
    kept = {aside.ref for aside in harvest.set_aside}
    return row_store.compare("notes", stored, now, kept, partial=harvest.is_partial)


def apply(
    session: Session, feed_id: int, revision_id: int, difference: Difference[FlawNote]
) -> None:
    """Write ``difference`` as revision ``revision_id``, in the caller's transaction."""
    row_store.write(
        session,
        models.FlawNote,
        ("feed_id", "cve", "said"),
        (
            (feed_id, note.cve, encode(said(note)).decode())
            for note in difference.new + difference.changed
        ),
        difference.ending,
        revision_id,
    )


def _seen(note: FlawNote) -> bytes:
    return encode(said(visible(note)))
