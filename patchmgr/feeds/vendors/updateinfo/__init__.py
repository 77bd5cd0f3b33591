"""Errata of rpm repositories: `updateinfo.xml`, as Red Hat, AlmaLinux, Rocky and others publish it.

Source: createrepo_c's and libsolv's readers of ``updates/update``: id, type, severity, references,
and in collections the packages that fix it. A package is affected that is older than the one
listed, of the same architecture. A collection of a module's packages (``<module>``) is for hosts
that have enabled that stream. The same id may come again, for other packages or architectures.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from typing import ClassVar

from patchmgr.domain.advisories import Advisory, Fix
from patchmgr.feeds.base import Feed, Page, SetAside
from patchmgr.feeds.formats import rpm_repositories, signatures, xml
from patchmgr.feeds.formats.labels import check_digest, without_labels
from patchmgr.feeds.keys import NO_KEYS, Keys
from patchmgr.feeds.vendors.updateinfo.reading import Reading

ELSEWHERE = ("metadata", "filelists", "otherdata", "comps")  # what else a repository has as XML


NO_ERRATA = "this repository has no updateinfo"


class UpdateInfo(Feed):
    name: ClassVar[str] = "updateinfo"
    title: ClassVar[str] = "Errata of rpm repositories (updateinfo)"
    start: ClassVar[tuple[str, ...]] = rpm_repositories.indexes(rpm_repositories.CURRENT)
    suffixes: ClassVar[tuple[str, ...]] = (".xml",)
    serves: ClassVar[tuple[str, ...]] = tuple(rpm_repositories.REPOSITORIES)
    is_signed: ClassVar[bool] = True

    def __init__(self, keys: Keys = NO_KEYS) -> None:
        """Verify with ``keys`` the indexes that vendors sign."""
        self._keys = keys

    def read(self, url: str, body: bytes, platform: str = "") -> Page:
        """Return one advisory per id and kind, or of an index where its updateinfo is.

        ``platform`` is for updates that do not say of which release they are. Raises
        `FeedMalformedError` for what is not such a document, also when more than a quarter of its
        updates are odd.
        """
        if rpm_repositories.is_mirror_list(url):
            return Page(follow=(rpm_repositories.first_mirror(url, body),))
        if signatures.is_of_rpm_index(url, body):
            return signatures.rpm_signature(url, body)
        root = xml.root_name(url, body)
        if root == "repomd":
            found = signatures.rpm_index(self._keys, url, body, platform, "updateinfo")
            return found or Page(set_aside=(SetAside("", without_labels(url), NO_ERRATA),))
        if root in ELSEWHERE:
            return Page()
        signatures.refuse_unnamed(self._keys, url, platform)
        check_digest(url, body)
        reading = Reading(url, platform)
        for update in xml.elements(url, body, "update", "updates"):
            reading.add(update)
        return reading.page()

    def trusting(self, keys: Keys) -> "UpdateInfo":
        return UpdateInfo(keys)

    def addresses(self, platforms: frozenset[str]) -> tuple[str, ...]:
        """Return the indexes of the public repositories of ``platforms``."""
        return rpm_repositories.indexes(platforms)

    def join(self, advisories: tuple[Advisory, ...]) -> tuple[Advisory, ...]:
        """Return ``advisories`` with one statement for all architectures that it holds for."""
        return tuple(replace(each, fixes=tuple(_united(each.fixes))) for each in advisories)


def _united(fixes: tuple[Fix, ...]) -> Iterator[Fix]:
    arches: defaultdict[Fix, set[str]] = defaultdict(set)
    for fix in fixes:
        arches[replace(fix, arch="")].update(fix.arch.split() or [""])
    for fix, found in sorted(arches.items()):
        yield replace(fix, arch="" if "" in found else " ".join(sorted(found)))
