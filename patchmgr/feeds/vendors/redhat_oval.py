"""Red Hat: its OVAL streams, errata and unfixed flaws alike.

Source: https://security.access.redhat.com/data/oval/v2/ - one document a product stream, such as
``rhel-8-including-unpatched.oval.xml``. A definition of class ``patch`` is an erratum, with the
fixed version of each binary package; one of class ``vulnerability`` is a CVE without a fix, with
the binary packages that are affected as long as they are installed, and Red Hat's word on each of
their source packages (``Will not fix``, ``Fix deferred``, ``Under investigation``). Those whose id
says ``unaffected`` can never be true and are left out.

The criteria name the release, ``affected_cpe_list`` the product streams: the main one, or those of
a minor release that are bought apart. Definitions of layered products are counted as skipped; in a
document of such a product so are those without a list of their own. `RedhatOval.start` are the main
streams; those of minor releases are read from files.
"""

import re
from collections.abc import Iterator
from typing import ClassVar

from patchmgr.domain.advisories import Advisory, Fix, Match, Severity, Status
from patchmgr.feeds.base import Feed, Page
from patchmgr.feeds.formats import oval, redhat, rpmfixes
from patchmgr.feeds.formats.ovalpage import Reading, RecordError
from patchmgr.feeds.formats.text import shortened

DATA = "https://security.access.redhat.com/data/oval/v2/"
RELEASES = ("6", "7", "8", "9")
OWN = "oval:com.redhat."
UNAFFECTED = ".unaffected:"
PAGES = {"RH": "https://access.redhat.com/errata/", "CV": "https://access.redhat.com/security/cve/"}
_ERRATUM = re.compile(r"RH[SBE]A-\d{4}:\d+")
_CVE = re.compile(r"CVE-\d{4}-\d{4,}")
_TITLE = re.compile(r"(?:RH[SBE]A-\d{4}:\d+:|CVE-\d{4}-\d+)\s+(.*?)\s*(\([A-Za-z/]+\))?", re.DOTALL)


def _address(release: str) -> str:
    return f"{DATA}RHEL{release}/rhel-{release}-including-unpatched.oval.xml.bz2"


class RedhatOval(Feed):
    name: ClassVar[str] = "redhat-oval"
    title: ClassVar[str] = "Red Hat OVAL"
    start: ClassVar[tuple[str, ...]] = tuple(map(_address, RELEASES))
    suffixes: ClassVar[tuple[str, ...]] = (".xml",)
    serves: ClassVar[tuple[str, ...]] = ("rhel",)

    def addresses(self, platforms: frozenset[str]) -> tuple[str, ...]:
        rhel = (each.removeprefix("rhel:") for each in platforms if each.startswith("rhel:"))
        wanted = {version.partition(".")[0] for version in rhel}
        return tuple(_address(release) for release in RELEASES if release in wanted)

    def read(self, url: str, body: bytes, platform: str = "") -> Page:
        """Return one advisory an erratum, one record a CVE without a fix.

        ``platform`` is not needed: the criteria name releases. Raises `FeedMalformedError`.
        """
        document = _Document(oval.Tests(url, body))
        reading = Reading(url, OWN)
        for definition in reading.own(oval.definitions(url, body)):
            if UNAFFECTED in definition.id:
                continue
            layered = document.layered(definition)
            if layered:
                reading.skipped[redhat.product(layered)] += 1
            else:
                reading.add(definition, document.advisory)
        return reading.page()


class _Document:
    def __init__(self, tests: oval.Tests) -> None:
        self._tests = tests

    def layered(self, definition: oval.Definition) -> str:
        """Return the CPE of the layered product that ``definition`` is of; "" if it is RHEL's."""
        cpes = self._cpes(definition)
        return cpes[0] if cpes and not any(map(redhat.stream, cpes)) else ""

    def _cpes(self, definition: oval.Definition) -> tuple[str, ...]:
        return definition.cpes or self._tests.cpes

    def advisory(self, definition: oval.Definition) -> Advisory:
        ref = _ref(definition)
        severity = redhat.severity(definition.severity)
        title = _TITLE.fullmatch(definition.title)
        return Advisory(
            ref=ref,
            cves=tuple(filter(rpmfixes.is_name, definition.refs("cve"))),
            title=shortened(title[1] if title else definition.title),
            severity=severity,
            published=definition.issued,
            url=PAGES[ref[:2]] + ref,
            fixes=rpmfixes.united(self._fixes(definition, severity)),
        )

    def _fixes(self, definition: oval.Definition, severity: Severity) -> Iterator[Fix]:
        streams = frozenset(filter(None, map(redhat.stream, self._cpes(definition))))
        for claim in oval.claims(definition.criteria, self._tests):
            bound = claim.bound
            if bound.absent or rpmfixes.is_debug(bound.package) or bound.operation not in _TOLD:
                continue
            if not rpmfixes.is_name(bound.package):
                raise RecordError(f"{bound.package[:80]!r} is not the name of a package")
            if bound.operation and not rpmfixes.is_name(bound.evr):
                raise RecordError(f"{bound.evr[:80]!r} is not a version")
            for stream in _streams(claim, streams):
                for module in sorted(claim.modules) or ("",):
                    yield _fix(definition, bound, stream, module, severity)


_TOLD = ("", oval.LESS)  # others are about the kernel that a live patch is for


def _ref(definition: oval.Definition) -> str:
    errata = [ref for _source, ref in definition.references if _ERRATUM.fullmatch(ref)]
    cves = [ref for ref in definition.refs("cve") if _CVE.fullmatch(ref)]
    found = errata if definition.kind == "patch" else cves
    if not found:
        raise RecordError(
            f"of class {definition.kind[:20]!r}, without an erratum or CVE of its own"
        )
    return found[0]


def _streams(claim: oval.Claim, streams: frozenset[redhat.Stream]) -> list[redhat.Stream]:
    """Return the ``streams`` of the releases that the criteria name; without any, the main ones."""
    if not streams:
        found = [redhat.Stream(f"rhel:{release}") for release in sorted(claim.releases)]
    else:
        found = sorted(
            each for each in streams if not claim.releases or each.release in claim.releases
        )
    if not found:
        raise RecordError("its criteria and its product streams name no release in common")
    return found


def _fix(
    definition: oval.Definition,
    bound: oval.Bound,
    stream: redhat.Stream,
    module: str,
    severity: Severity,
) -> Fix:
    status, reason = (
        (Status.AFFECTED, "")
        if bound.operation
        else _unfixed(definition.resolutions, bound.package, module)
    )
    return Fix(
        platform=stream.platform,
        package=bound.package,
        match=Match.BINARY,
        status=status,
        fixed=rpmfixes.evr(bound.evr) if bound.operation else "",
        severity=severity,
        reason=reason,
        scheme=rpmfixes.SCHEME,
        arch=" ".join(sorted(bound.arches)),
        module=module,
        channel=stream.channel,
    )


def _unfixed(
    resolutions: tuple[tuple[str, tuple[str, ...]], ...], package: str, module: str
) -> tuple[Status, str]:
    """Return status and reason of a ``package`` without a fix, by what is said of its source.

    Which source a package is built from the document does not say: where several are judged
    differently it is the one whose name the package's begins with, else all are named.
    """
    states = {
        component: redhat.unfixed(state)
        for state, components in resolutions
        for component in components
    }
    said = sorted(set(states.values())) or [redhat.unfixed("")]
    if len(said) > 1:
        likely = [each for each in states if _builds(each, package, module)]
        said = [states[max(likely, key=len)]] if likely else said
    status = Status.UNDETERMINED if redhat.INVESTIGATED in said else Status.NO_FIX
    return status, shortened(", or ".join(said))


def _builds(component: str, package: str, module: str) -> bool:
    """Whether ``package`` may be of ``component``: a source, or ``name:stream/source``."""
    stream, _slash, source = component.rpartition("/")
    return stream == module and (package == source or package.startswith(f"{source}-"))
