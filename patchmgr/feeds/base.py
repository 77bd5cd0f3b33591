"""What a feed is: where a vendor's advisories start, and how to read one of its documents."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Protocol

from patchmgr.domain.advisories import Advisory


@dataclass(frozen=True, slots=True)
class SetAside:
    """A record of a good document that is not what its vendor publishes, and why."""

    ref: str  # the advisory it belongs to; what is already known of that one is kept
    where: str  # such as "openssl, CVE-2026-1"
    reason: str


@dataclass(frozen=True, slots=True)
class Page:
    """What one document told us: advisories, and further documents to fetch."""

    advisories: tuple[Advisory, ...] = ()
    follow: tuple[str, ...] = ()
    set_aside: tuple[SetAside, ...] = ()
    # Statements about releases that we cannot place: name of the release -> how many.
    skipped: Mapping[str, int] = field(default_factory=dict)


class Feed(Protocol):
    """One vendor's advisories. Implementations do no I/O: `patchmgr.feeds.crawl` fetches.

    When none of the ``start`` documents has changed, the feed has not: an index changes with what
    it lists.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    start: ClassVar[tuple[str, ...]]  # URLs
    suffixes: ClassVar[tuple[str, ...]]  # of this feed's documents as files, such as ".json"

    def read(self, url: str, body: bytes, platform: str = "") -> Page:
        """Return what the document at ``url`` says; ``platform`` where it does not say of what.

        Raises `FeedMalformedError` naming ``url`` and what is wrong.
        """
        ...
