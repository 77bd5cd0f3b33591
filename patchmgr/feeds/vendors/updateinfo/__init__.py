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
from patchmgr.feeds.formats import repomd, rpm_repositories, xml
from patchmgr.feeds.formats.labels import check_digest
from patchmgr.feeds.vendors.updateinfo.reading import Reading

ELSEWHERE = ("metadata", "filelists", "otherdata", "comps")  # what else a repository has as XML


class UpdateInfo(Feed):
    name: ClassVar[str] = "updateinfo"
    title: ClassVar[str] = "Errata of rpm repositories (updateinfo)"
    start: ClassVar[tuple[str, ...]] = rpm_repositories.indexes(rpm_repositories.CURRENT)
    suffixes: ClassVar[tuple[str, ...]] = (".xml",)
    serves: ClassVar[tuple[str, ...]] = tuple(rpm_repositories.REPOSITORIES)

    def read(self, url: str, body: bytes, platform: str = "") -> Page:
        """Return one advisory per id and kind, or of an index where its updateinfo is.

        ``platform`` is for updates that do not say of which release they are. Raises
        `FeedMalformedError` for what is not such a document, also when more than a quarter of its
        updates are odd.
        """
        if rpm_repositories.is_mirror_list(url):
            return Page(follow=(rpm_repositories.first_mirror(url, body),))
        root = xml.root_name(url, body)
        if root == "repomd":
            return _index(url, body)
        if root in ELSEWHERE:
            return Page()
        check_digest(url, body)
        reading = Reading(url, platform)
        for update in xml.elements(url, body, "update", "updates"):
            reading.add(update)
        return reading.page()

    def addresses(self, platforms: frozenset[str]) -> tuple[str, ...]:
        """Return the indexes of the public repositories of ``platforms``."""
        return rpm_repositories.indexes(platforms)

    def join(self, advisories: tuple[Advisory, ...]) -> tuple[Advisory, ...]:
        """Return ``advisories`` with one statement for all architectures that it holds for."""
        return tuple(replace(each, fixes=tuple(_united(each.fixes))) for each in advisories)


def _index(url: str, body: bytes) -> Page:
    found = repomd.addresses(url, body, "updateinfo")
    if found:
        return Page(follow=tuple(found.values()))
    return Page(set_aside=(SetAside("", url, "this repository has no updateinfo"),))


def _united(fixes: tuple[Fix, ...]) -> Iterator[Fix]:
    arches: defaultdict[Fix, set[str]] = defaultdict(set)
    for fix in fixes:
        arches[replace(fix, arch="")].update(fix.arch.split() or [""])
    for fix, found in sorted(arches.items()):
        yield replace(fix, arch="" if "" in found else " ".join(sorted(found)))
