"""openEuler's security advisories, one CVRF document each.

Source: https://repo.openeuler.org/security/data/cvrf/ - ``index.txt`` lists the documents. A fixed
package is the name of an rpm file on a branch of its arch; the CPE beside it names the release that
it is for. ``Fixed`` statuses name releases.

Every service pack is built on its own ("-9.oe2203sp1", "-9.oe2203sp3"), and what is fixed in one
says nothing of another; but ``VERSION_ID`` in os-release is "22.03" in all of them. So the platform
here is ``openeuler:22.03-lts-sp1``, as openEuler names the release ("22.03 (LTS-SP1)" in
``VERSION``); for a host that is only known as ``openeuler:22.03`` the build of a package tells
which it is (`patchmgr.domain.service_packs`).

File names have no epochs, and openEuler's packages have some (``openssl`` is ``1:1.1.1f-…``). Of a
package that is installed with one, whether it is older than the fix cannot be told, and that is
what is said of it.
"""

import codecs
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import ClassVar

from patchmgr.domain.advisories import Advisory, Fix, Severity, Status
from patchmgr.errors import FeedMalformedError
from patchmgr.feeds.base import Feed, Page, SetAside
from patchmgr.feeds.formats import cvrf, cvrf_rpm, rpm_names
from patchmgr.feeds.formats.text import shortened

DATA = "https://repo.openeuler.org/security/data/cvrf/"
WITH_EPOCH = "1:0"  # older than any version that has an epoch
ODD_SHARE = 4  # more than one line in this many: not openEuler's index at all
ARCH = "Package Arch"
SEVERITIES = {
    "low": Severity.LOW,
    "medium": Severity.MEDIUM,
    "high": Severity.HIGH,
    "critical": Severity.CRITICAL,
}

_REF = re.compile(r"openEuler-SA-[0-9]{4}-[0-9]+")
_CVE = re.compile(r"CVE-[0-9]{4}-[0-9]{4,12}")
_LINE = re.compile(r"[0-9]{4}/cvrf-openEuler-[A-Za-z]+-[0-9]{4}-[0-9]+\.xml")
_RELEASE = re.compile(r"[0-9]{2}\.[0-9]{2}(?:-LTS(?:-(?:SP|Next)[0-9]*)?)?")
_PREFIXES = ("cpe:/a:openEuler:openEuler:", "cpe:/o:openEuler:openEuler:", "openEuler-")


class OpeneulerCvrf(Feed):
    name: ClassVar[str] = "openeuler-cvrf"
    title: ClassVar[str] = "openEuler security advisories (CVRF)"
    start: ClassVar[tuple[str, ...]] = (f"{DATA}index.txt",)
    suffixes: ClassVar[tuple[str, ...]] = (".xml",)
    serves: ClassVar[tuple[str, ...]] = ("openeuler",)
    one_by_one: ClassVar[bool] = True

    def read(self, url: str, body: bytes, platform: str = "") -> Page:
        """Return the advisory that the document is, or the documents that the index lists.

        ``platform`` is not needed: documents name their releases. Raises `FeedMalformedError` for
        what is neither.
        """
        if not body.removeprefix(codecs.BOM_UTF8).lstrip().startswith(b"<"):
            return _index(url, body)
        document = cvrf.document(url, body)
        if not _REF.fullmatch(document.id):
            raise FeedMalformedError(f"{url}: {document.id[:80]!r} is no advisory of openEuler's")
        return _Reading(document).page(url)


def _index(url: str, body: bytes) -> Page:
    lines = [line.strip() for line in body.decode("utf-8", "replace").split("\n")]
    lines = [line.removeprefix("/") for line in lines if line]
    good = dict.fromkeys(line for line in lines if _LINE.fullmatch(line))
    odd = [line for line in lines if line not in good]
    if not good or len(odd) * ODD_SHARE > len(lines):
        such = f", such as {odd[0][:80]!r}" if odd else ""
        raise FeedMalformedError(f"{url}: not an index of openEuler's documents{such}")
    folder = "".join(url.rpartition("/")[:2])
    return Page(
        follow=tuple(folder + line for line in good),
        stands=tuple(line[len("2021/cvrf-") :].removesuffix(".xml") for line in good),
        set_aside=tuple(
            SetAside("", line[: cvrf.NAME], "a line of the index that names no document")
            for line in odd
        ),
    )


class _Reading(cvrf_rpm.Reading):
    """What has been read of one document so far."""

    def __init__(self, document: cvrf.Document) -> None:
        super().__init__(document, SEVERITIES.get(document.severity.lower(), Severity.UNKNOWN))
        self.fixed = {
            _release(name)
            for flaw in document.vulnerabilities
            for name in flaw.products(cvrf_rpm.FIXED)
        }

    def page(self, url: str) -> Page:
        packages = [(arch, each) for arch, each in _on_arches(self.document) if arch != "src"]
        for arch, each in packages:
            self._add(arch, each)
        self.refuse_odd(url, len(packages), "openEuler")
        return Page(
            (self._advisory(),), set_aside=tuple(self.set_aside), skipped=dict(self.skipped)
        )

    def _add(self, arch: str, product: cvrf.Product) -> None:
        found, release = rpm_names.built(product.name), _release(product.cpe)
        if found is None or not cvrf.is_name(product.name):
            self.put_aside(product.name, "is not the file name of an rpm package")
        elif not release:
            self.put_aside(product.name, f"its release {product.cpe[:80]!r} is none of openEuler's")
        elif self.document.vulnerabilities and release not in self.fixed:
            self.skipped[f"openEuler-{release}, not called fixed"] += 1
        elif not rpm_names.is_debug(found.name):
            self.add(f"openeuler:{release.lower()}", found, found.arch or arch)

    def _advisory(self) -> Advisory:
        document = self.document
        cves = dict.fromkeys(flaw.id for flaw in document.vulnerabilities)
        return Advisory(
            ref=document.id,
            cves=tuple(cve for cve in cves if _CVE.fullmatch(cve)),
            title=shortened(document.title),
            severity=self.severity,
            published=document.published,
            url=document.url,
            fixes=tuple(self._fixes()),
        )

    def _fixes(self) -> Iterator[Fix]:
        every = self.every_arch
        for fix, arches in self.arches.items():
            narrowed = replace(fix, arch=rpm_names.narrowed(arches, every))
            yield narrowed
            yield replace(
                narrowed,
                status=Status.UNDETERMINED,
                fixed="",
                introduced=WITH_EPOCH,
                reason=shortened(
                    f"openEuler does not say in which epoch it is fixed in {fix.fixed}"
                ),
            )


def _on_arches(document: cvrf.Document) -> Iterator[tuple[str, cvrf.Product]]:
    """Yield arch and product of each package; the same id may stand for several of them."""
    for _ident, product in document.tree:
        for kind, name in product.branches:
            if kind == ARCH:
                yield name, product


def _release(text: str) -> str:
    """Return the release that ``text``, an id or a CPE, names, such as "22.03-LTS-SP1"; else ""."""
    for prefix in _PREFIXES:
        if text.startswith(prefix) and _RELEASE.fullmatch(text[len(prefix) :]):
            return text[len(prefix) :]
    return ""
