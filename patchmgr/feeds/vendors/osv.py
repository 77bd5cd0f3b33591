"""OSV: the records of many databases in one schema, by ecosystem.

Source: https://google.github.io/osv.dev/data/#data-dumps - a zip of all records per ecosystem. The
zips per release of a distribution have not been written since October 2024: they are not used.
"""

from typing import ClassVar
from urllib.parse import quote

from patchmgr.feeds.base import Feed, Page
from patchmgr.feeds.formats import osv
from patchmgr.feeds.formats.osv_places import family, served

BUCKET = "https://osv-vulnerabilities.storage.googleapis.com/"
# Platforms that have a feed of their own here, which says more than OSV does.
OTHERWISE_FED = ("Debian", "Ubuntu", "Alpine", "Red Hat", "SUSE", "openSUSE", "Azure Linux")


class Osv(Feed):
    name: ClassVar[str] = "osv"
    title: ClassVar[str] = "OSV"
    start: ClassVar[tuple[str, ...]] = (f"{BUCKET}PyPI/all.zip", f"{BUCKET}AlmaLinux/all.zip")
    suffixes: ClassVar[tuple[str, ...]] = (".json", ".jsonl")
    serves: ClassVar[tuple[str, ...]] = served(OTHERWISE_FED)

    def read(self, url: str, body: bytes, platform: str = "") -> Page:
        """Return one advisory per record that is not withdrawn.

        ``platform`` is not needed: records name their ecosystem. Raises `FeedMalformedError`.
        """
        return osv.page(url, body)

    def addresses(self, platforms: frozenset[str]) -> tuple[str, ...]:
        """Return the dumps of the ecosystems that ``platforms`` need and no other feed covers."""
        wanted = {family(platform) for platform in platforms} - {"", *OTHERWISE_FED}
        return tuple(f"{BUCKET}{quote(each)}/all.zip" for each in sorted(wanted))
