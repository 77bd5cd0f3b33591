"""Ubuntu's security notices and CVE records, in the four forms in which Canonical gives them.

Source: https://documentation.ubuntu.com/security/security-updates/osv/ and .../vex/, and the older
database of notices as one JSON document. All speak of source packages and their versions, so they
are matched on those: a binary may have a version of its own (``bsdutils``), and is judged by what
it was built from.
"""

import re
from typing import ClassVar

from patchmgr.domain.advisories import Advisory
from patchmgr.feeds.base import Feed, Page
from patchmgr.feeds.formats.labels import PLATFORMS, labelled
from patchmgr.feeds.vendors.ubuntu import database, folding, records, vex

DUMP = "https://osv-vulnerabilities.storage.googleapis.com/Ubuntu/all.zip"
_RELEASE = re.compile(r"ubuntu:[0-9]+\.[0-9]+")


class Ubuntu(Feed):
    name: ClassVar[str] = "ubuntu"
    title: ClassVar[str] = "Ubuntu security notices"
    start: ClassVar[tuple[str, ...]] = (DUMP,)
    suffixes: ClassVar[tuple[str, ...]] = (".json", ".jsonl")
    serves: ClassVar[tuple[str, ...]] = ("ubuntu",)

    def read(self, url: str, body: bytes, platform: str = "") -> Page:
        """Return what a document of any of the forms says, told apart by its first keys.

        ``platform`` is not needed: all name their releases. Raises `FeedMalformedError`.
        """
        if vex.is_vex(body):
            return vex.page(url, body)
        if database.is_database(body):
            return database.page(url, body)
        return records.page(url, body)

    def addresses(self, platforms: frozenset[str]) -> tuple[str, ...]:
        """Return the dump of all releases, of which only those of the fleet are taken."""
        wanted = sorted(each for each in platforms if _RELEASE.fullmatch(each))
        return (labelled(DUMP, **{PLATFORMS: " ".join(wanted)}),) if wanted else ()

    def join(self, advisories: tuple[Advisory, ...]) -> tuple[Advisory, ...]:
        """Return the notices, and of the CVE records what no notice says."""
        return folding.folded(advisories)
