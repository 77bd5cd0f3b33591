"""Until when vendors support releases and packages, as stored."""

from dataclasses import fields

from sqlalchemy import select
from sqlalchemy.orm import Session

from patchmgr.db import models
from patchmgr.domain.lifecycle import Support
from patchmgr.feeds.crawl import Harvest
from patchmgr.services import row_store
from patchmgr.services.row_store import Difference, Place, encode

_SUPPORT = tuple(each.name for each in fields(Support))


def compare(session: Session, feed_id: int, harvest: Harvest) -> Difference[Support]:
    """Return how ``harvest`` differs from what is stored of the feed ``feed_id``."""
    row = models.Support
    stored: dict[Place, tuple[int, bytes]] = {}
    for number, *columns in session.execute(
        select(row.id, *(getattr(row, name) for name in _SUPPORT)).where(
            row.feed_id == feed_id, row.until_revision_id.is_(None)
        )
    ):
        support = Support(*columns)
        stored[_place(support)] = number, _seen(support)
    now = {_place(support): (support, _seen(support)) for support in harvest.support}
    return row_store.compare("support", stored, now, partial=harvest.is_partial)


def apply(
    session: Session, feed_id: int, revision_id: int, difference: Difference[Support]
) -> None:
    """Write ``difference`` as revision ``revision_id``, in the caller's transaction."""
    row_store.write(
        session,
        models.Support,
        ("feed_id", *_SUPPORT),
        (
            (feed_id, each.platform, each.package, each.level, _day(each), each.note)
            for each in difference.new + difference.changed
        ),
        difference.ending,
        revision_id,
    )


def _day(support: Support) -> str | None:
    """Return the date as both databases take it."""
    return None if support.until is None else support.until.isoformat()


def _place(support: Support) -> Place:
    return support.platform, support.package, support.level


def _seen(support: Support) -> bytes:
    return encode((support.until, support.note))
