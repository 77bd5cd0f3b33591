"""SUSE's and openSUSE's advisories, one CVRF document each.

Source: https://www.suse.com/support/security/cvrf/ - documents are listed on a page of links. A
package and its fixed version are one string, and which product it is a part of is a relationship
of the product tree; ``Fixed`` statuses name those relationships. SUSE gives packages no epochs.
Advisories without a vulnerability (recommended updates) fix all they have.

What is for a first release without service pack ("SUSE Linux Enterprise Server 15") is for
``sles:15``, and so, as the platforms of this service go, also for ``sles:15.1`` and later.
"""

import html
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import ClassVar
from urllib.parse import urljoin

from patchmgr.domain.advisories import Advisory, Kind, Severity
from patchmgr.errors import FeedMalformedError
from patchmgr.feeds.base import Feed, Page
from patchmgr.feeds.formats import cvrf, cvrf_rpm, rpm_names
from patchmgr.feeds.formats.labels import labelled
from patchmgr.feeds.formats.suse_products import SERVED, placed
from patchmgr.feeds.formats.text import shortened

LISTING = "https://ftp.suse.com/pub/projects/security/cvrf/"
SEVERITIES = {
    "low": Severity.LOW,
    "moderate": Severity.MEDIUM,
    "important": Severity.HIGH,
    "critical": Severity.CRITICAL,
}
KINDS = {
    "SU": Kind.SECURITY,
    "RU": Kind.BUGFIX,  # recommended
    "OU": Kind.ENHANCEMENT,  # optional
    "FU": Kind.ENHANCEMENT,  # feature
}

_REF = re.compile(r"(?:open)?SUSE-(?P<kind>[A-Z]{2})-[0-9]{4}:[0-9]+-[0-9]+")
_CVE = re.compile(r"CVE-[0-9]{4}-[0-9]{4,12}")
_PAGE = re.compile(rb"\s*<(?:!doctype\s+)?html\b", re.IGNORECASE)
_LINK = re.compile(r"""href=["']?([^"'\s>]+)""", re.IGNORECASE)
_NEAR = 400  # characters behind a link in which its date is
_DATE = re.compile(
    r"\d{4}-\d{2}-\d{2}[ T]\d{2}:\d{2}(?::\d{2})?|\d{2}-[A-Z][a-z]{2}-\d{4} \d{2}:\d{2}(?::\d{2})?"
)
_NAMED = re.compile(
    r"cvrf-(?P<vendor>(?:open)?suse)-(?P<kind>[a-z]{2})-(?P<year>[0-9]{4})(?:[-:_]|%3a)"
    r"(?P<number>[0-9]+-[0-9]+)\.xml"
)
_DOCUMENT = re.compile(r"cvrf-(?:open)?suse-[a-z]{2}-[^/?#]+\.xml", re.IGNORECASE)


class SuseCvrf(Feed):
    name: ClassVar[str] = "suse-cvrf"
    title: ClassVar[str] = "SUSE and openSUSE advisories (CVRF)"
    start: ClassVar[tuple[str, ...]] = (LISTING,)
    suffixes: ClassVar[tuple[str, ...]] = (".xml",)
    serves: ClassVar[tuple[str, ...]] = SERVED
    one_by_one: ClassVar[bool] = True

    def read(self, url: str, body: bytes, platform: str = "") -> Page:
        """Return the advisory that the document is, or what the listing of documents lists.

        ``platform`` is not needed: documents name their products. Raises `FeedMalformedError` for
        what is neither.
        """
        if _PAGE.match(body):
            return _listing(url, body)
        document = cvrf.document(url, body)
        ref = _REF.fullmatch(document.id)
        if ref is None or ref["kind"] not in KINDS:
            raise FeedMalformedError(f"{url}: {document.id[:80]!r} is no advisory of SUSE's")
        return _Reading(document, KINDS[ref["kind"]]).page(url)


def _listing(url: str, body: bytes) -> Page:
    """Return the documents that a page lists, each with the date that stands behind its link."""
    folder = "".join(url.rpartition("/")[:2])
    _before, *parts = _LINK.split(body.decode("utf-8", "replace"))
    documents: dict[str, str] = {}
    for link, after in zip(parts[::2], parts[1::2], strict=True):
        date = _DATE.search(after[:_NEAR])
        for address in _in(folder, html.unescape(link)):
            documents[address] = documents.get(address) or (date[0] if date else "")
    if not documents:
        raise FeedMalformedError(f"{url}: a page of HTML that lists no advisories")
    return Page(
        follow=tuple(labelled(address, changed=date) for address, date in documents.items()),
        stands=tuple(filter(None, map(_ref, documents))),
    )


def _ref(address: str) -> str:
    """Return of which advisory a document is: cvrf-suse-su-2019-1608-1.xml, SUSE-SU-2019:1608-1."""
    found = _NAMED.fullmatch(address.rpartition("/")[2].lower())
    if found is None:
        return ""
    vendor = "openSUSE" if found["vendor"] == "opensuse" else "SUSE"
    return f"{vendor}-{found['kind'].upper()}-{found['year']}:{found['number']}"


def _in(folder: str, link: str) -> Iterator[str]:
    """Yield the address of the document that ``link`` names, if it is one in ``folder``."""
    above, _, name = link.rpartition("/")
    if not _DOCUMENT.fullmatch(name):
        return
    # A bare name is not joined as a URL: in "cvrf-suse-su-2019:1608-1.xml" it would see a scheme.
    if above in ("", ".") or urljoin(folder, f"{above}/") == folder:
        yield folder + name


class _Reading(cvrf_rpm.Reading):
    """What has been read of one document so far."""

    def __init__(self, document: cvrf.Document, kind: Kind) -> None:
        super().__init__(document, _severity(document))
        self.kind = kind
        self.products = document.products

    def page(self, url: str) -> Page:
        ids = self._fixed()
        for each in ids:
            self._add(each)
        self.refuse_odd(url, len(ids), "SUSE")
        return Page(
            (self._advisory(),), set_aside=tuple(self.set_aside), skipped=dict(self.skipped)
        )

    def _fixed(self) -> tuple[str, ...]:
        if not self.document.vulnerabilities:
            return tuple(self.document.components)
        found = (
            each for flaw in self.document.vulnerabilities for each in flaw.products(cvrf_rpm.FIXED)
        )
        return tuple(dict.fromkeys(found))

    def _add(self, ident: str) -> None:
        component = self.document.components.get(ident)
        if component is None:
            self.put_aside(ident, "is not a component of any product in its product tree")
            return
        package, product = self._name(component.part), self._name(component.whole)
        found = rpm_names.built(package)
        if found is None or not (cvrf.is_name(package) and cvrf.is_name(product)):
            self.put_aside(ident, f"{package[:80]!r} is not a name, a version and a release")
            return
        if rpm_names.is_debug(found.name) or found.arch in rpm_names.SOURCES:
            return
        place = placed(product)
        if place is None:
            self.skipped[product] += 1
            return
        for platform in place.platforms:
            self.add(platform, found, found.arch, place.channel)

    def _name(self, ident: str) -> str:
        known = self.products.get(ident)
        return known.name if known else ident

    def _advisory(self) -> Advisory:
        document = self.document
        every = self.every_arch
        return Advisory(
            ref=document.id,
            cves=_cves(document.vulnerabilities),
            title=shortened(document.title),
            severity=self.severity,
            published=document.published,
            url=document.url,
            fixes=tuple(
                replace(fix, arch=rpm_names.narrowed(arches, every))
                for fix, arches in self.arches.items()
            ),
            kind=self.kind,
        )


def _severity(document: cvrf.Document) -> Severity:
    """Return what SUSE calls the whole; as that is often left out, else the worst of its flaws."""
    whole = SEVERITIES.get(document.severity.lower(), Severity.UNKNOWN)
    flaws = (
        SEVERITIES.get(threat.text.lower(), Severity.UNKNOWN)
        for flaw in document.vulnerabilities
        for threat in flaw.threats
        if threat.kind == "Impact"
    )
    return whole or max(flaws, default=Severity.UNKNOWN)


def _cves(flaws: Iterable[cvrf.Vulnerability]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(flaw.id for flaw in flaws if _CVE.fullmatch(flaw.id)))
