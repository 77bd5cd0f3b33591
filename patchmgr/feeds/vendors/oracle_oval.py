"""Oracle Linux: its errata as OVAL, one document a release.

Source: https://linux.oracle.com/security/oval/ - a definition per erratum (ELSA), whose criteria
say per release and architecture which build of each binary package has the fix; the architecture
is the host's, so x86_64 stands for packages of i686 as well.

Builds for Ksplice (``.ksplice1.`` in the release) and validated for FIPS (``_fips`` at its end) are
other builds of the same package, newer or older than the ordinary ones by number alone: they are
kept apart by the channels ``ksplice`` and ``fips``.
"""

import re
from typing import ClassVar

from patchmgr.domain.advisories import Advisory, Fix, Match, Severity, Status
from patchmgr.feeds.base import Feed, Page
from patchmgr.feeds.formats import oval, redhat, rpmfixes
from patchmgr.feeds.formats.ovalpage import Reading, RecordError
from patchmgr.feeds.formats.text import shortened

DATA = "https://linux.oracle.com/security/oval/com.oracle.elsa-ol"
RELEASES = ("5", "6", "7", "8", "9", "10")
OWN = "oval:com.oracle."
PAGE = "https://linux.oracle.com/errata/"
PACKAGES = {  # architecture of a host -> those of its packages, beside its own
    "x86_64": ("i686", "x86_64"),
    "i386": ("i386", "i586", "i686"),
    "i686": ("i386", "i586", "i686"),
}
USUAL = frozenset(("aarch64", "x86_64"))  # a fix for both is a fix for every host
_ERRATUM = re.compile(r"EL[SBE]A-\d{4}-\d+(-\d+)?")
_TITLE = re.compile(r"EL[SBE]A-[\d-]+:\s*(.*?)\s*(\([A-Z/]+\))?", re.DOTALL)
_KSPLICE = re.compile(r"\.ksplice\d+\.")
_FIPS = re.compile(r"_fips$")


class OracleOval(Feed):
    name: ClassVar[str] = "oracle-oval"
    title: ClassVar[str] = "Oracle Linux OVAL"
    start: ClassVar[tuple[str, ...]] = tuple(f"{DATA}{release}.xml.bz2" for release in RELEASES)
    suffixes: ClassVar[tuple[str, ...]] = (".xml",)
    serves: ClassVar[tuple[str, ...]] = ("ol",)

    def addresses(self, platforms: frozenset[str]) -> tuple[str, ...]:
        wanted = {
            each.removeprefix("ol:").partition(".")[0] for each in platforms if each[:3] == "ol:"
        }
        return tuple(f"{DATA}{release}.xml.bz2" for release in RELEASES if release in wanted)

    def read(self, url: str, body: bytes, platform: str = "") -> Page:
        """Return one advisory an erratum. ``platform`` is not needed: the criteria name releases.

        Raises `FeedMalformedError`.
        """
        tests = oval.Tests(url, body)
        reading = Reading(url, OWN)
        for definition in reading.own(oval.definitions(url, body)):
            reading.add(definition, lambda each: _advisory(each, tests))
        return reading.page()


def _advisory(definition: oval.Definition, tests: oval.Tests) -> Advisory:
    refs = [ref for ref in definition.refs("elsa") if _ERRATUM.fullmatch(ref)]
    if not refs:
        raise RecordError("refers to no erratum of Oracle")
    severity = redhat.severity(definition.severity)
    title = _TITLE.fullmatch(definition.title)
    return Advisory(
        ref=refs[0],
        cves=tuple(filter(rpmfixes.is_name, definition.refs("cve"))),
        title=shortened(title[1] if title else definition.title),
        severity=severity,
        published=definition.issued,
        url=f"{PAGE}{refs[0]}.html",
        fixes=_fixes(oval.claims(definition.criteria, tests), severity),
    )


def _fixes(claims: tuple[oval.Claim, ...], severity: Severity) -> tuple[Fix, ...]:
    every = frozenset(arch for claim in claims for arch in claim.arches)
    return rpmfixes.united(
        (fix for claim in claims for fix in _claimed(claim, severity)),
        _package_arches(every | USUAL) if every else every,
    )


def _claimed(claim: oval.Claim, severity: Severity) -> list[Fix]:
    bound = claim.bound
    if not claim.releases:
        raise RecordError(f"its criteria name no release for {bound.package[:80]}")
    if bound.operation != oval.LESS or rpmfixes.is_debug(bound.package):
        return []
    if not (rpmfixes.is_name(bound.package) and rpmfixes.is_name(bound.evr)):
        raise RecordError(f"{bound.package[:80]!r} {bound.evr[:80]!r} are no name and version")
    return [
        Fix(
            platform=f"ol:{release}",
            package=bound.package,
            match=Match.BINARY,
            status=Status.AFFECTED,
            fixed=rpmfixes.evr(bound.evr),
            severity=severity,
            scheme=rpmfixes.SCHEME,
            arch=" ".join(sorted(_package_arches(claim.arches))),
            module=module,
            channel=_channel(bound.evr),
        )
        for release in sorted(claim.releases)
        for module in sorted(claim.modules) or ("",)
    ]


def _package_arches(hosts: frozenset[str]) -> frozenset[str]:
    return frozenset(arch for host in hosts for arch in PACKAGES.get(host, (host,)))


def _channel(evr: str) -> str:
    if _KSPLICE.search(evr):
        return "ksplice"
    return "fips" if _FIPS.search(evr) else ""
