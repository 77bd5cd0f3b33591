"""Azure Linux and CBL-Mariner: one OVAL document a release.

Source: https://github.com/microsoft/AzureLinuxVulnerabilityData - a definition per CVE and package,
its criteria the bounds of one range: ``less than`` (fixed there), ``less than or equal`` (affected
until there and not fixed), ``greater than`` and ``greater than or equal``. The names are those of
source packages. ``patchable`` is ``Not Applicable`` for what never was, or no longer is, a flaw of
the package: such definitions are left out.

A document does not name its release: its own name does (``azurelinux-3.0-oval.xml``), else the
``.azl3`` or ``.cm2`` at the end of its versions. There are no advisories, only records of CVEs.
"""

import re
from typing import ClassVar

from patchmgr.domain.advisories import Advisory, Fix, Match, Severity, Status
from patchmgr.errors import FeedMalformedError
from patchmgr.feeds.base import Feed, Page
from patchmgr.feeds.formats import oval, rpmfixes
from patchmgr.feeds.formats.ovalpage import Reading, RecordError
from patchmgr.feeds.formats.text import shortened

DATA = "https://raw.githubusercontent.com/microsoft/AzureLinuxVulnerabilityData/main/"
DOCUMENTS = {
    "azurelinux:3.0": f"{DATA}azurelinux-3.0-oval.xml",
    "mariner:2.0": f"{DATA}cbl-mariner-2.0-oval.xml",
    "mariner:1.0": f"{DATA}cbl-mariner-1.0-oval.xml",
}
OWN = "oval:com.microsoft."
CVE_PAGE = "https://nvd.nist.gov/vuln/detail/"  # as the document itself has it
NOT_APPLICABLE = "not applicable"
SEVERITIES = {
    "critical": Severity.CRITICAL,
    "high": Severity.HIGH,
    "medium": Severity.MEDIUM,
    "low": Severity.LOW,
}
_NAMED = re.compile(r"(azurelinux|mariner)-(\d+\.\d+)-oval")
_BUILT_FOR = re.compile(r"\.(azl|cm)(\d+)$")
_BUILDS = {"azl": "azurelinux", "cm": "mariner"}
_NOTHING = re.compile(r"(0:)?[0.]+(\.(azl|cm)\d+)?")  # "greater than 0.0.0": no lower bound


class AzureLinux(Feed):
    name: ClassVar[str] = "azurelinux"
    title: ClassVar[str] = "Azure Linux and CBL-Mariner OVAL"
    start: ClassVar[tuple[str, ...]] = tuple(DOCUMENTS.values())
    suffixes: ClassVar[tuple[str, ...]] = (".xml",)
    serves: ClassVar[tuple[str, ...]] = ("azurelinux", "mariner")

    def addresses(self, platforms: frozenset[str]) -> tuple[str, ...]:
        return tuple(url for release, url in DOCUMENTS.items() if release in platforms)

    def read(self, url: str, body: bytes, platform: str = "") -> Page:
        """Return one record a CVE, with its range in every source package it concerns.

        Raises `FeedMalformedError` also when neither the document, nor its name, nor ``platform``
        says of which release it speaks.
        """
        tests = oval.Tests(url, body)
        reading = Reading(url, OWN)
        for definition in reading.own(oval.definitions(url, body)):
            if definition.patchable.lower() != NOT_APPLICABLE:
                reading.add(definition, lambda each: _advisory(url, each, tests, platform))
        return reading.page()


def _advisory(url: str, definition: oval.Definition, tests: oval.Tests, platform: str) -> Advisory:
    cves = definition.refs("cve")
    if not cves or not all(map(rpmfixes.is_name, cves)):
        raise RecordError("refers to no CVE")
    severity = SEVERITIES.get(definition.severity.lower(), Severity.UNKNOWN)
    return Advisory(
        ref=cves[0],
        cves=cves,
        title=shortened(definition.title),
        severity=severity,
        published=definition.issued,
        url=CVE_PAGE + cves[0],
        fixes=(_range(url, oval.claims(definition.criteria, tests), severity, platform),),
    )


def _range(url: str, claims: tuple[oval.Claim, ...], severity: Severity, platform: str) -> Fix:
    bounds = {claim.bound.operation: claim.bound for claim in claims}
    packages = {claim.bound.package for claim in claims}
    if len(bounds) < len(claims) or len(packages) != 1 or not all(map(rpmfixes.is_name, packages)):
        raise RecordError("its criteria are not the bounds of one range of one package")
    fixed, last = _version(bounds, oval.LESS), _version(bounds, oval.LESS_OR_EQUAL)
    first, after = _version(bounds, oval.MORE_OR_EQUAL), _version(bounds, oval.MORE)
    if not bounds.keys() <= _OPERATIONS or bool(fixed) == bool(last) or (first and after):
        raise RecordError("its criteria are not the bounds of one range")
    return Fix(
        platform=_platform(url, fixed or last, platform),
        package=packages.pop(),
        match=Match.SOURCE,
        status=Status.AFFECTED if fixed else Status.NO_FIX,
        fixed=fixed,
        introduced=first or (f"{after}^" if after else ""),  # rpm's next version after it
        last_affected=last,
        severity=severity,
        reason="" if fixed else "no fixed version yet",
        scheme=rpmfixes.SCHEME,
    )


_OPERATIONS = {oval.LESS, oval.LESS_OR_EQUAL, oval.MORE, oval.MORE_OR_EQUAL}


def _version(bounds: dict[str, oval.Bound], operation: str) -> str:
    bound = bounds.get(operation)
    if bound is None or (operation == oval.MORE and _NOTHING.fullmatch(bound.evr)):
        return ""
    if not rpmfixes.is_name(bound.evr):
        raise RecordError(f"{bound.evr[:80]!r} is not a version")
    return rpmfixes.evr(bound.evr)


def _platform(url: str, version: str, platform: str) -> str:
    named = _NAMED.search(url.rsplit("/", 1)[-1])
    if named:
        return f"{named[1]}:{named[2]}"
    built = _BUILT_FOR.search(version)
    if built:
        return f"{_BUILDS[built[1]]}:{built[2]}.0"
    if platform:
        return platform
    raise FeedMalformedError(
        f"{url}: does not say which platform it speaks of; name it with --platform, such as"
        " azurelinux:3.0"
    )
