"""Microsoft's security updates for Windows, one CVRF document a month.

Source: https://api.msrc.microsoft.com/cvrf/v3.0/swagger/index - ``updates`` lists the documents as
JSON. Each vulnerability names the products that it affects and the updates that fix it there.

A Windows host is judged by its build: on the platform ``windows:10.0.20348`` the package
``windows-server`` of version ``10.0.20348.2159`` is older than the fixed build, or it is not.
Where an update is named without its build, as in all documents before about 2021, only a later
month can tell: a build holds what earlier months fixed, so from the first build that a later month
names the flaw is fixed, and below it that is not known. What ``Supercedence`` says is no better
chain: December 2023 replaces the KB of October there, and November's is replaced by none. (Of
Windows before 10, a host that only ever gets "Security Only" updates can lack an earlier month's,
and its build would not show it.)

Other products (Office, Edge, .NET, Azure Linux) are skipped: no inventory has packages of those
names with those versions.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import ClassVar

import msgspec

from patchmgr.domain.advisories import Advisory, Fix, Severity, Status
from patchmgr.errors import FeedMalformedError
from patchmgr.feeds.base import Feed, Page, SetAside
from patchmgr.feeds.formats import cvrf
from patchmgr.feeds.formats.text import shortened
from patchmgr.feeds.vendors.msrc import updates, windows

GUIDE = "https://msrc.microsoft.com/update-guide/vulnerability/"
ODD_SHARE = 4  # more than one vulnerability in this many: not Microsoft's document at all
FAMILY = "Product Family"

_MONTH = re.compile(r"(?:[0-9]{4}-)?[A-Z][a-z]{2}(?:-[A-Za-z0-9]+)?")  # 2017-May-B
_REF = re.compile(r"CVE-[0-9]{4}-[0-9]{4,12}|ADV[0-9]{6}")


class _Listed(msgspec.Struct, frozen=True):
    url: str = msgspec.field(name="CvrfUrl")


class _Listing(msgspec.Struct, frozen=True):
    value: list[_Listed]


class Msrc(Feed):
    name: ClassVar[str] = "msrc"
    title: ClassVar[str] = "Microsoft security updates for Windows"
    start: ClassVar[tuple[str, ...]] = ("https://api.msrc.microsoft.com/cvrf/v3.0/updates",)
    suffixes: ClassVar[tuple[str, ...]] = (".xml",)
    serves: ClassVar[tuple[str, ...]] = ("windows",)

    def read(self, url: str, body: bytes, platform: str = "") -> Page:
        """Return an advisory per vulnerability of Windows, or the documents that the list names.

        ``platform`` is not needed: documents name their products. Raises `FeedMalformedError` for
        what is neither, also when more than a quarter of the vulnerabilities are odd.
        """
        if body.lstrip().startswith(b"{"):
            return Page(follow=_listed(url, body))
        document = cvrf.document(url, body)
        if not _MONTH.fullmatch(document.id):
            raise FeedMalformedError(f"{url}: {document.id[:80]!r} is no month of Microsoft's")
        return _Reading(document).page(url)

    def join(self, advisories: tuple[Advisory, ...]) -> tuple[Advisory, ...]:
        """Return the advisories, with later months telling where a missing build must have been."""
        months = _builds_by_month(advisories)
        return tuple(
            replace(each, fixes=tuple(_bounded(fix, each.published, months) for fix in each.fixes))
            for each in advisories
        )


def _listed(url: str, body: bytes) -> tuple[str, ...]:
    try:
        listing = msgspec.json.decode(body, type=_Listing)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise FeedMalformedError(f"{url}: not a list of Microsoft's documents: {error}") from error
    found = tuple(dict.fromkeys(each.url for each in listing.value))
    if not found or not all(each.startswith("https://") for each in found):
        raise FeedMalformedError(f"{url}: a list without the documents' addresses")
    return found


class _Reading:
    """What has been read of one document so far."""

    def __init__(self, document: cvrf.Document) -> None:
        self.document = document
        self.products = document.products
        self.builds = updates.builds(document)
        self.every = self._arches()
        self.set_aside: list[SetAside] = []
        self.skipped: Counter[str] = Counter()

    def page(self, url: str) -> Page:
        flaws = self.document.vulnerabilities
        found = tuple(each for flaw in flaws for each in self._advisories(flaw))
        if len(self.set_aside) * ODD_SHARE > len(flaws):
            first = self.set_aside[0]
            raise FeedMalformedError(
                f"{url}: {len(self.set_aside)} of {len(flaws)} vulnerabilities are not Microsoft's,"
                f" such as {first.where!r}: {first.reason}"
            )
        return Page(found, set_aside=tuple(self.set_aside), skipped=dict(self.skipped))

    def _arches(self) -> dict[tuple[str, str], set[str]]:
        """Return the arches that each release of this document has, by package and build."""
        found = defaultdict[tuple[str, str], set[str]](set)
        for product in self.products.values():
            known = windows.installation(product.name)
            if known is not None:
                found[known.package, known.build].add(known.arch)
        return found

    def _advisories(self, flaw: cvrf.Vulnerability) -> Iterator[Advisory]:
        """Yield the advisory that ``flaw`` is, unless it does not concern Windows."""
        if not _REF.fullmatch(flaw.id):
            where = shortened(flaw.id or flaw.title) or "a vulnerability without an id"
            self.set_aside.append(SetAside("", where, "neither a CVE nor one of Microsoft's"))
            return
        fixes = tuple(self._fixes(flaw))
        if fixes:
            yield Advisory(
                ref=flaw.id,
                cves=(flaw.id,) if flaw.id.startswith("CVE-") else (),
                title=shortened(flaw.title),
                severity=max((fix.severity for fix in fixes), default=Severity.UNKNOWN),
                published=flaw.published or self.document.published,
                url=GUIDE + flaw.id,
                fixes=fixes,
            )

    def _fixes(self, flaw: cvrf.Vulnerability) -> Iterator[Fix]:
        arches = defaultdict[tuple[Fix, str], set[str]](set)
        for ident in flaw.products(updates.AFFECTED):
            known = self._known(ident)
            said = tuple(updates.statements(flaw, ident, known, self.builds)) if known else ()
            if known is None or not said:
                self.skipped[self._label(ident)] += 1
                continue
            for fix in said:
                arches[fix, known.build].add(known.arch)
        for (fix, build), named in arches.items():
            whole = "" in named or named >= self.every[fix.package, build]
            yield replace(fix, arch="" if whole else " ".join(sorted(named)))

    def _known(self, ident: str) -> windows.Installation | None:
        product = self.products.get(ident)
        return windows.installation(product.name) if product else None

    def _label(self, ident: str) -> str:
        """Return what a skipped product is counted as: its name if a Windows, else its family."""
        product = self.products.get(ident)
        if product is None:
            return "a product that is not in the product tree"
        family = next((name for kind, name in product.branches if kind == FAMILY), "")
        return shortened(product.name if family in ("", "Windows") else family)


_Months = dict[tuple[str, str], dict[tuple[int, int], str]]


def _builds_by_month(advisories: tuple[Advisory, ...]) -> _Months:
    """Return the last build of each month, by platform and package."""
    found: _Months = defaultdict(dict)
    for advisory in advisories:
        for fix in advisory.fixes:
            if advisory.published and fix.status is Status.AFFECTED and not fix.channel:
                months, month = found[fix.platform, fix.package], _month(advisory.published)
                months[month] = max(months.get(month, fix.fixed), fix.fixed, key=windows.key)
    return found


def _bounded(fix: Fix, published: datetime | None, months: _Months) -> Fix:
    """Return ``fix``, ended before the first build that holds it, if it names none itself."""
    if fix.status is not Status.UNDETERMINED or fix.channel or published is None:
        return fix
    builds = months.get((fix.platform, fix.package), {})
    later = [build for month, build in builds.items() if month > _month(published)]
    return replace(fix, last_affected=windows.before(min(later, key=windows.key))) if later else fix


def _month(at: datetime) -> tuple[int, int]:
    return at.year, at.month
