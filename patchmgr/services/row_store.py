"""Plain facts of a feed, each with a place of its own, as stored: what changes, and writing that.

A fact is never changed: the old row ends with the revision that brought the new one, so that what
was concluded from it last quarter can still be explained.
"""

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import msgspec
from sqlalchemy import update
from sqlalchemy.orm import Session

from patchmgr.db import bulk
from patchmgr.db.base import Base

CHUNK = 500  # values in one IN (...)
Fact = TypeVar("Fact")
Place = str | tuple[str, ...]  # what a feed says only once: a CVE, a package of a suite
encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Difference(Generic[Fact]):
    """What has to be written so that the stored feed says what it says now."""

    kind: str  # what a revision counts them as, such as "notes"
    new: list[Fact]
    changed: list[Fact]
    withdrawn: list[Place]  # of which it says nothing any more
    ending: list[int]  # ids of stored rows that no longer hold
    standing: dict[Place, bytes]  # what is seen of each fact after this
    before: int  # how many facts stand before

    def __bool__(self) -> bool:
        return bool(self.new or self.changed or self.withdrawn)

    @property
    def digest(self) -> str:
        """Return the SHA-256, hex, of what the feed says of this kind after this."""
        digest = hashlib.sha256()
        for place in sorted(self.standing):
            digest.update(encode(place) + self.standing[place])
        return digest.hexdigest()

    @property
    def counts(self) -> dict[str, int]:
        """Return what the revision counts of the feed."""
        changed = len(self.new) + len(self.changed)
        return {
            self.kind: len(self.standing),
            "new": len(self.new),
            "changed": len(self.changed),
            "withdrawn": len(self.withdrawn),
            "unchanged": len(self.standing) - changed,
        }


def compare(
    kind: str,
    stored: Mapping[Place, tuple[int, bytes]],
    now: Mapping[Place, tuple[Fact, bytes]],
    kept: Collection[Place] = (),
    *,
    partial: bool = False,
) -> Difference[Fact]:
    """Return how what is said ``now`` differs from the ``stored`` rows, given with their ids.

    Both come with what is seen of them: a difference in that is a change. What is ``kept`` stays as
    it is stored; so does what is not spoken of, when only part of the feed could be read.
    """
    stays = set(kept) & stored.keys()
    if partial:
        stays |= stored.keys() - now.keys()
    changed = [
        place
        for place, (_, seen) in now.items()
        if place in stored and place not in stays and stored[place][1] != seen
    ]
    withdrawn = [place for place in stored if place not in now and place not in stays]
    return Difference(
        kind,
        new=[fact for place, (fact, _) in now.items() if place not in stored],
        changed=[now[place][0] for place in changed],
        withdrawn=withdrawn,
        ending=[stored[place][0] for place in (*changed, *withdrawn)],
        standing={place: seen for place, (_, seen) in now.items()}
        | {place: stored[place][1] for place in stays},
        before=len(stored),
    )


def write(
    session: Session,
    model: type[Base],
    columns: Sequence[str],
    rows: Iterable[Sequence[Any]],
    ending: Sequence[int],
    revision_id: int,
) -> None:
    """End the rows ``ending`` with revision ``revision_id``, and add ``rows`` to those of it.

    In the caller's transaction; ``columns`` are those that ``rows`` fill, the revision is added.
    """
    table: Any = model
    for part in bulk.chunks(ending, CHUNK):
        session.execute(
            update(table).where(table.id.in_(part)).values(until_revision_id=revision_id)
        )
    whole = ((*row, revision_id) for row in rows)
    bulk.insert_raw(session, model, (*columns, "since_revision_id"), whole)
