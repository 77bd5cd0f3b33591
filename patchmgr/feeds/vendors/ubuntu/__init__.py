"""Ubuntu's security notices and CVE records, in the four forms in which Canonical gives them.

Source: https://documentation.ubuntu.com/security/security-updates/osv/ and .../vex/, and the older
database of notices as one JSON document. All speak of source packages and their versions, so they
are matched on those: a binary may have a version of its own (``bsdutils``), and is judged by what
it was built from.
"""

from typing import ClassVar

from patchmgr.domain.advisories import Advisory
from patchmgr.feeds.base import Feed, Page
from patchmgr.feeds.formats.osv_places import family
from patchmgr.feeds.vendors.ubuntu import database, folding, records, vex

DUMP = "https://osv-vulnerabilities.storage.googleapis.com/Ubuntu/all.zip"


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
        return self.start if any(family(each) == "Ubuntu" for each in platforms) else ()

    def join(self, advisories: tuple[Advisory, ...]) -> tuple[Advisory, ...]:
        """Return the notices, and of the CVE records what no notice says."""
        return folding.folded(advisories)
