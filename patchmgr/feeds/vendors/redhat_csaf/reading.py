"""One CSAF document of Red Hat: what it tells of advisories, and of CVEs without one.

Unfixed products name source packages, or all binaries of one beside it: then the binaries are
taken. Those of which a stream has a fixed build are older ones, and that build tells which: they
are left out. What is not affected is left out, but for a binary of a source package that is.
Streams of RHEL are told by their CPE; layered products, containers and flatpaks are counted as
skipped.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from patchmgr.domain.advisories import Advisory, Fix, Match, Severity, Status
from patchmgr.errors import FeedMalformedError
from patchmgr.feeds.base import Page, SetAside
from patchmgr.feeds.formats import csaf, purl, redhat, rpmfixes
from patchmgr.feeds.formats.dates import instant
from patchmgr.feeds.formats.text import shortened
from patchmgr.feeds.vendors.redhat_csaf.words import Words

ODD_SHARE = 4  # more than one product in this many: not Red Hat's document at all
ERRATA_PAGE = "https://access.redhat.com/errata/"
CVE_PAGE = "https://access.redhat.com/security/cve/"
OPENING = "Red Hat Security Advisory: "  # of titles
ERRATUM = re.compile(r"RH[SBE]A-\d{4}:\d{1,7}")
CVE = re.compile(r"CVE-\d{4}-\d{4,19}")


@dataclass(slots=True)
class _Found:
    """What a document tells of one advisory."""

    fixes: list[Fix]
    cves: dict[str, None]
    published: datetime | None = None


_By = tuple[str, datetime | None]  # the advisory that fixes something, "" for none, and its date


class Reading:
    def __init__(self, document: csaf.Document) -> None:
        self._document = document
        self._about = document.about
        self._ref = document.about.tracking.id
        said = document.about.aggregate_severity
        self._severity = redhat.severity((said.text if said else None) or "")
        self._found: dict[str, _Found] = {}
        self._unaffected: list[Fix] = []
        self._skipped: dict[str, str] = {}  # product -> what it is of
        self._odd: dict[str, str] = {}  # product -> why
        self._current = redhat.current(document.products)
        self._products = 0

    def page(self, url: str) -> Page:
        for vulnerability in self._document.vulnerabilities:
            for fix, by in self._without_fixed(self._said(vulnerability)):
                self._say(fix, by, vulnerability.cve or "")
        odd = [SetAside(self._ref, product[:200], why) for product, why in self._odd.items()]
        _refuse(url, "products", odd, self._products)
        aside = self._document.set_aside
        _refuse(url, "vulnerabilities", aside, len(aside) + len(self._document.vulnerabilities))
        return Page(
            tuple(self._advisory(ref) for ref in sorted(self._found)),
            set_aside=(*aside, *odd),
            skipped=dict(sorted(Counter(self._skipped.values()).items())),
            tells=self._ref,
            in_part=tuple(ref for ref in self._found if ref != self._ref),
        )

    def _said(self, vulnerability: csaf.Vulnerability) -> Iterator[tuple[Fix, _By]]:
        """Yield what is said of a flaw, and by which advisory it is fixed."""
        words = Words(vulnerability)
        self._products += len({p for ps in vulnerability.product_status.values() for p in ps})
        for status, products in vulnerability.product_status.items():
            for product in products:
                for fix in self._fixes(status, product, words):
                    if fix.status is Status.NOT_AFFECTED:
                        self._unaffected.append(fix)
                    else:
                        yield fix, words.fixed_by(product)

    @staticmethod
    def _without_fixed(said: Iterable[tuple[Fix, _By]]) -> list[tuple[Fix, _By]]:
        """Return ``said`` without what has no fix on a stream that has a fixed build of it."""
        everything = list(said)
        fixed = {_package(fix) for fix, _by in everything if fix.status is Status.AFFECTED}
        return [
            (fix, by)
            for fix, by in everything
            if fix.status is not Status.NO_FIX or _package(fix) not in fixed
        ]

    def _say(self, fix: Fix, by: _By, cve: str) -> None:
        ref, published = by
        if ERRATUM.fullmatch(self._ref) or fix.status is not Status.AFFECTED or not ref:
            ref, published = self._ref, instant(self._about.tracking.initial_release_date or "")
        found = self._found.get(ref)
        if found is None:
            own = {ref: None} if CVE.fullmatch(ref) else {}
            found = self._found[ref] = _Found([], own, published)
        found.fixes.append(fix)
        if CVE.fullmatch(cve):
            found.cves[cve] = None

    def _fixes(self, status: str, product: str, words: Words) -> Iterator[Fix]:
        """Yield what ``status`` says of ``product``; nothing where it is no package of RHEL."""
        placed = self._placed(product)
        if placed is None:
            return
        stream, package, is_current = placed
        told = words.told(status, product, package.version)
        if told is None or rpmfixes.is_debug(package.name):
            return
        said, fixed, reason = told
        source = package.arch in rpmfixes.SOURCE_ARCHES
        fix = Fix(
            platform=stream.platform,
            package=package.name,
            match=Match.SOURCE if source else Match.BINARY,
            status=said,
            fixed=fixed,
            severity=words.severity(product) or self._severity,
            reason=reason,
            scheme=rpmfixes.SCHEME,
            arch="" if source else package.arch,
            module=package.module,
            channel=stream.channel,
        )
        yield fix
        if is_current:
            yield replace(fix, platform=f"rhel:{stream.release}", channel="")

    def _placed(self, product: str) -> tuple[redhat.Stream, purl.Package, bool] | None:
        """Return stream and package of ``product``, and whether the main stream is the same."""
        if product in self._odd or product in self._skipped:
            return None
        try:
            component = self._document.component(product)
            stream = redhat.stream(component.cpe)
            if stream is None:
                self._skipped[product] = redhat.product(component.cpe)
                return None
            package = self._document.package(component)
        except csaf.OddProductError as error:
            self._odd[product] = str(error)
            return None
        if package is None:
            return None  # the module itself: its packages are listed as well
        if package.kind != purl.RPM:
            self._skipped[product] = f"{package.kind} packages"
            return None
        if not rpmfixes.is_name(package.name) or not rpmfixes.is_name(package.version or "0"):
            self._odd[product] = "not the name and version of a package"
            return None
        return stream, package, component.stream in self._current

    def _advisory(self, ref: str) -> Advisory:
        found = self._found[ref]
        own = ref == self._ref
        fixes = rpmfixes.united(found.fixes)
        title = self._about.title or ""
        severity = max((fix.severity for fix in fixes), default=Severity.UNKNOWN)
        return Advisory(
            ref=ref,
            cves=tuple(found.cves),
            title=shortened(title.removeprefix(OPENING)) if own else "",
            severity=max(severity, self._severity) if own else severity,
            published=found.published,
            url=(CVE_PAGE if CVE.fullmatch(ref) else ERRATA_PAGE) + ref,
            fixes=(*fixes, *self._exceptions(fixes)) if own else fixes,
        )

    def _exceptions(self, fixes: Iterable[Fix]) -> Iterator[Fix]:
        """Yield what is said not to be affected of binaries where ``fixes`` name sources."""
        sources = {(f.platform, f.channel) for f in fixes if f.match is Match.SOURCE}
        for fix in rpmfixes.united(self._unaffected):
            if fix.match is Match.BINARY and (fix.platform, fix.channel) in sources:
                yield fix


def _package(fix: Fix) -> tuple[str, ...]:
    return fix.platform, fix.channel, fix.module, fix.match, fix.package


def _refuse(url: str, what: str, odd: list[SetAside], total: int) -> None:
    """Raise `FeedMalformedError` when more than one in `ODD_SHARE` is odd."""
    if len(odd) * ODD_SHARE > total:
        raise FeedMalformedError(
            f"{url}: {len(odd)} of {total} {what} cannot be told, such as"
            f" {odd[0].where}: {odd[0].reason}"
        )
