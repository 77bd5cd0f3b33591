"""The vendors' repositories themselves: the newest version of each package in each suite.

Read are apt's `InRelease` and `Packages`, rpm-md's `repomd.xml`, `primary.xml` and `modules.yaml`,
and apk's `APKINDEX`; each is known by its content. What a repository's index names is fetched only
with the digest that the index gives. apt's index is signed and gets verified; the others do where
keys of their vendor are known, and are as trustworthy as their server where not. A file that an
administrator hands over is taken at his word.
"""

import re
from collections.abc import Callable
from dataclasses import replace
from typing import ClassVar

from patchmgr.errors import FeedMalformedError
from patchmgr.feeds.base import Feed, Page
from patchmgr.feeds.formats import openpgp, rpm_repositories, signatures, xml
from patchmgr.feeds.formats.labels import check_digest, without_labels
from patchmgr.feeds.keys import NO_KEYS, Keys
from patchmgr.feeds.vendors.archive import apk, apt, rpm
from patchmgr.feeds.vendors.archive.addresses import CURRENT, SERVED, addresses

ELSEWHERE = ("updates", "filelists", "otherdata", "comps")  # what else a repository has as XML
_HEAD = 4096  # bytes that tell what a document is
_RELEASE = re.compile(rb"(?:Origin|Label|Archive|Suite|Codename|Version|Date): ")

_TEXTS: tuple[tuple[re.Pattern[bytes], Callable[[str, bytes, str], Page]], ...] = (
    (re.compile(rb"\s*Package: "), apt.packages),
    (re.compile(rb"[A-Za-z]:\S.*\n[A-Za-z]:"), apk.index),
    (re.compile(rb"(?:#.*\n|\s*\n)*---[ \t]*\n(?:#.*\n)*document: modulemd"), rpm.modules),
)


class Archive(Feed):
    name: ClassVar[str] = "archive"
    title: ClassVar[str] = "Vendors' package repositories"
    start: ClassVar[tuple[str, ...]] = addresses(CURRENT)
    suffixes: ClassVar[tuple[str, ...]] = (
        "Packages",
        "InRelease",
        "APKINDEX",
        "primary.xml",
        "repomd.xml",
        "modules.yaml",
    )
    serves: ClassVar[tuple[str, ...]] = SERVED
    judges: ClassVar[bool] = False
    is_signed: ClassVar[bool] = True

    only_installed: ClassVar[bool] = True

    def __init__(self, keys: Keys = NO_KEYS) -> None:
        """Verify with ``keys`` what repositories sign."""
        self._keys = keys

    def read(self, url: str, body: bytes, platform: str = "") -> Page:
        """Return what a repository offers, or of its index which documents to read.

        ``platform`` is for documents that do not say of which they speak; a Release of Debian or
        Ubuntu does. Raises `FeedMalformedError` for what is none of a repository's documents, is
        not the one that its index names, or is not signed by a key that is known.
        """
        if rpm_repositories.is_mirror_list(url):
            return Page(follow=(rpm_repositories.first_mirror(url, body),))
        check_digest(url, body)
        if signatures.is_of_rpm_index(url, body):
            return signatures.rpm_signature(url, body)
        signed = without_labels(url).endswith("InRelease") or body.startswith(openpgp.BEGIN)
        if signed or _RELEASE.match(body):
            text = openpgp.verified(url, body, self._keys.archives)
            return replace(apt.release(url, text, platform), is_verified=True)
        if body[:_HEAD].lstrip().startswith(b"<"):
            return self._xml(url, body, platform)
        for pattern, read in _TEXTS:
            if pattern.match(body, 0, _HEAD):
                if read is rpm.modules:
                    signatures.refuse_unnamed(self._keys, url, platform)
                return read(url, body, platform)
        raise FeedMalformedError(
            f"{url}: is no document of a repository: neither InRelease, Packages, repomd.xml,"
            " primary.xml, modules.yaml nor APKINDEX"
        )

    def trusting(self, keys: Keys) -> "Archive":
        return Archive(keys)

    def check(self, url: str, body: bytes, platform: str = "") -> bool:
        return signatures.check_apk(self._keys, url, body, platform)

    def addresses(self, platforms: frozenset[str]) -> tuple[str, ...]:
        """Return the indexes of the public repositories of ``platforms``."""
        return addresses(platforms)

    def _xml(self, url: str, body: bytes, platform: str) -> Page:
        root = xml.root_name(url, body)
        if root == "repomd":
            kinds = ("primary", "modules")
            return signatures.rpm_index(self._keys, url, body, platform, *kinds) or Page()
        if root in ELSEWHERE:
            return Page()
        signatures.refuse_unnamed(self._keys, url, platform)
        return rpm.primary(url, body, platform)
