"""What a feed is: where a vendor's advisories start, and how to read one of its documents."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar, Protocol

from patchmgr.domain.advisories import Advisory
from patchmgr.domain.flaws import FlawNote
from patchmgr.domain.lifecycle import Support
from patchmgr.domain.offers import Offer
from patchmgr.feeds.keys import Keys


@dataclass(frozen=True, slots=True)
class SetAside:
    """A record of a good document, or a whole document, that is not what its vendor publishes."""

    ref: str  # the advisory it belongs to; what is already known of that one is kept
    where: str  # such as "openssl, CVE-2026-1"
    reason: str


@dataclass(frozen=True, slots=True)
class Page:
    """What one document told us, and further documents to fetch. Most kinds stay empty."""

    advisories: tuple[Advisory, ...] = ()
    follow: tuple[str, ...] = ()
    set_aside: tuple[SetAside, ...] = ()
    # Statements about releases that we cannot place: name of the release -> how many.
    skipped: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[FlawNote, ...] = ()  # of feeds that speak of CVEs, not of packages
    offers: tuple[Offer, ...] = ()  # of repositories
    support: tuple[Support, ...] = ()
    # When the document stops being true, such as a Release's Valid-Until; None: it does not say.
    expires: datetime | None = None
    # When the vendor made the document, where it says so: a mirror must not go back behind it.
    made_at: datetime | None = None
    is_verified: bool = False  # a known key has signed the document
    stands: tuple[str, ...] = ()  # refs that an index lists: they stand, read again or not
    tells: str = ""  # ref of which it tells all there is: if that is nothing, it stands no more
    in_part: tuple[str, ...] = ()  # refs of advisories that other documents tell more of


class Feed(Protocol):
    """One vendor's advisories. Implementations do no I/O: `patchmgr.feeds.crawl` fetches.

    When none of the documents it starts from has changed, the feed has not: an index changes with
    what it lists.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    start: ClassVar[tuple[str, ...]]  # URLs
    suffixes: ClassVar[tuple[str, ...]]  # of this feed's documents as files, such as ".json"
    by_default: ClassVar[bool] = True  # whether the schedule syncs it before anybody asks for it
    only_named: ClassVar[bool] = False  # keep notes only of CVEs that a stored advisory names
    only_installed: ClassVar[bool] = False  # keep offers only of packages that some host has
    # Whose hosts it is for: IDs of os-release, and ecosystems; none when it is for every fleet.
    serves: ClassVar[tuple[str, ...]] = ()
    judges: ClassVar[bool] = True  # whether it says which packages are affected
    is_signed: ClassVar[bool] = False  # whether it verifies what it reads, and needs keyrings
    # Whether what a document said stands while it has not changed, whatever became of others: then
    # it is not read again, and its index says what still stands.
    one_by_one: ClassVar[bool] = False

    def read(self, url: str, body: bytes, platform: str = "") -> Page:
        """Return what the document at ``url`` says; ``platform`` where it does not say of what.

        Raises `FeedMalformedError` naming ``url`` and what is wrong.
        """
        ...

    def addresses(self, platforms: frozenset[str]) -> tuple[str, ...]:
        """Return where to start for a fleet of ``platforms``: only what it needs.

        A language ecosystem is a platform too, such as ``pypi``.
        """
        if self.serves and not any(each.partition(":")[0] in self.serves for each in platforms):
            return ()
        return self.start

    def trusting(self, keys: Keys) -> "Feed":
        """Return this feed, verifying with ``keys`` what is signed."""
        return self

    def check(self, url: str, body: bytes, platform: str = "") -> bool:
        """Return whether ``body``, as it was sent, carries a signature of a known key.

        Raises `FeedMalformedError` when it must and does not.
        """
        return False

    def join(self, advisories: tuple[Advisory, ...]) -> tuple[Advisory, ...]:
        """Return what all documents say together, from what each said: one advisory a ref."""
        return advisories
