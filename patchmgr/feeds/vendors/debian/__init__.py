"""Debian's security tracker: its JSON, and the text lists that it is made of.

Source: https://security-tracker.debian.org/tracker/data/json, and ``data/CVE/list``,
``data/DSA/list`` and ``data/DLA/list`` of the tracker's repository, told apart by their content.
"""

import codecs
import re
from typing import ClassVar

from patchmgr.domain.advisories import Advisory
from patchmgr.feeds.base import Feed, Page
from patchmgr.feeds.vendors.debian import advisory_list, cve_list, joining, tracker
from patchmgr.feeds.vendors.debian.statements import PAGE

REPOSITORY = "https://salsa.debian.org/security-tracker-team/security-tracker/-/raw/master/data/"
_CPE_LINE = re.compile(rb"[^\s;]+;cpe:/")  # data/CPE/list, which says nothing of versions


class Debian(Feed):
    name: ClassVar[str] = "debian"
    title: ClassVar[str] = "Debian security tracker"
    start: ClassVar[tuple[str, ...]] = (
        f"{PAGE}data/json",
        f"{REPOSITORY}DSA/list",
        f"{REPOSITORY}DLA/list",
    )
    # In the tracker's repository the lists have no ending: data/DSA/list.
    suffixes: ClassVar[tuple[str, ...]] = (".json", "list")
    serves: ClassVar[tuple[str, ...]] = ("debian",)

    def read(self, url: str, body: bytes, platform: str = "") -> Page:
        """Return what one document says; ``platform`` is not needed, all name their releases.

        Raises `FeedMalformedError` for what is not the tracker's, also when it is mostly odd.
        """
        start = body[:1024].removeprefix(codecs.BOM_UTF8).lstrip()
        if advisory_list.is_one(start):
            return advisory_list.read(url, body)
        if cve_list.is_one(start):
            return cve_list.read(url, body)
        if _CPE_LINE.match(start):
            return Page()
        return tracker.read(url, body)

    def join(self, advisories: tuple[Advisory, ...]) -> tuple[Advisory, ...]:
        return joining.joined(advisories)
