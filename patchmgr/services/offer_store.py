"""What repositories offer, as stored: of the packages that some host has, the others are legion."""

from collections.abc import Container
from dataclasses import astuple, dataclass, fields

from sqlalchemy import exists, func, select
from sqlalchemy.orm import Session, aliased

from patchmgr.db import models
from patchmgr.domain.offers import Offer, repositories_of
from patchmgr.domain.packages import SCHEME_OF_MANAGER
from patchmgr.domain.versions import SCHEMES
from patchmgr.errors import VersionError
from patchmgr.feeds.crawl import Harvest
from patchmgr.services import row_store
from patchmgr.services.row_store import Difference, Place, encode

_OFFER = tuple(each.name for each in fields(Offer))


@dataclass(frozen=True, slots=True)
class Inventory:
    """The packages that some host has, or had, and the newest version that is known of any."""

    packages: Container[tuple[str, str, str]]  # platform of the repository, manager, name
    version_id: int

    def has(self, offer: Offer) -> bool:
        return (offer.platform, offer.manager, offer.name) in self.packages


def inventory(session: Session) -> Inventory:
    """Return what is installed in the fleet."""
    version = models.PackageVersion
    rows = session.execute(select(version.platform, version.manager, version.name).distinct())
    platforms: dict[str, tuple[str, ...]] = {}
    packages: set[tuple[str, str, str]] = set()
    for platform, manager, name in rows:
        if platform not in platforms:
            platforms[platform] = repositories_of(platform)
        packages.update((each, manager, name) for each in platforms[platform])
    return Inventory(packages, session.scalar(select(func.max(version.id))) or 0)


def knows_more(session: Session, feed_name: str) -> bool:
    """Return whether a host has a package that none had when the feed was last synced."""
    version, earlier, feed = models.PackageVersion, aliased(models.PackageVersion), models.Feed
    known = select(feed.known_version_id).where(feed.name == feed_name).scalar_subquery()
    before = exists().where(
        earlier.name == version.name, earlier.platform == version.platform, earlier.id <= known
    )
    return bool(session.scalar(select(exists().where(version.id > known, ~before))))


def compare(session: Session, feed_id: int, harvest: Harvest) -> Difference[Offer]:
    """Return how ``harvest`` differs from the stored offers of the feed ``feed_id``."""
    row = models.Offer
    stored: dict[Place, tuple[int, bytes]] = {}
    for number, *columns in session.execute(
        select(row.id, *(getattr(row, name) for name in _OFFER)).where(
            row.feed_id == feed_id, row.until_revision_id.is_(None)
        )
    ):
        offer = Offer(*columns)
        stored[_place(offer)] = number, _seen(offer)
    now = {_place(offer): (offer, _seen(offer)) for offer in harvest.offers}
    return row_store.compare("offers", stored, now, partial=harvest.is_partial)


def apply(session: Session, feed_id: int, revision_id: int, difference: Difference[Offer]) -> None:
    """Write ``difference`` as revision ``revision_id``, in the caller's transaction."""
    row_store.write(
        session,
        models.Offer,
        ("feed_id", *_OFFER, "version_key"),
        ((feed_id, *astuple(offer), _key(offer)) for offer in difference.new + difference.changed),
        difference.ending,
        revision_id,
    )


def _place(offer: Offer) -> Place:
    return offer.platform, offer.suite, offer.manager, offer.name, offer.arch, offer.module


def _seen(offer: Offer) -> bytes:
    return encode((offer.version, offer.source, offer.source_version, offer.phased))


def _key(offer: Offer) -> bytes | None:
    try:
        return SCHEMES[SCHEME_OF_MANAGER[offer.manager]](offer.version)
    except VersionError:
        return None
