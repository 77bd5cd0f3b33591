"""The newest of what a repository has to install."""

from collections.abc import Iterable

from patchmgr.domain.offers import Offer
from patchmgr.domain.versions import SCHEMES
from patchmgr.errors import VersionError


def newest(offers: Iterable[Offer], scheme: str) -> tuple[Offer, ...]:
    """Return the newest of each package per platform, suite, architecture and module, by name.

    Versions are those of ``scheme``. One that cannot be read gives way to any that can.
    """
    key = SCHEMES[scheme]
    best: dict[tuple[str, ...], tuple[bytes, Offer]] = {}
    for offer in offers:
        place = (offer.name, offer.arch, offer.module, offer.suite, offer.platform, offer.manager)
        try:
            age = key(offer.version)
        except VersionError:
            age = b""
        known = best.get(place)
        if known is None or age > known[0]:
            best[place] = age, offer
    return tuple(best[place][1] for place in sorted(best))
