"""Components of an SBOM as installed packages, by their package URLs.

A component without one, of a kind that no feed speaks of, or without a version is counted and said
not to be judged; nothing is taken from its name. The source package is what the URL says
(``upstream``, ``source``, ``origin``, ``sourcerpm``), else what the tool wrote beside it. Where a
document names sources of Debian's or Alpine's packages at all, one without is its own source: tools
leave out what equals the package's name, as dpkg and apk do.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from inventory.managers import pip, rpm
from inventory.report import Collector, Listing, shown, wrong
from patchmgr.domain import os_names, purl
from patchmgr.domain.packages import Package
from patchmgr.domain.purl import Purl

MANAGER_OF_TYPE = {  # types of package URLs that feeds speak of
    "deb": "dpkg",
    "rpm": "rpm",
    "apk": "apk",
    "alpine": "apk",  # as Syft wrote it before the type was settled
    "alpm": "alpm",
    "pypi": "pypi",
    "npm": "npm",
    "cargo": "cargo",
    "golang": "golang",
    "gem": "gem",
    "maven": "maven",
    "nuget": "nuget",
}
_SILENT_SOURCES = ("dpkg", "apk")  # name a source only where it differs
_NAMES: dict[str, Callable[[Purl], str]] = {
    "pypi": lambda named: pip.plain(named.name),
    "npm": lambda named: "/".join(named.names),
    "golang": lambda named: "/".join(named.names),
    "maven": lambda named: ":".join((".".join(named.names[:-1]), named.name)),
}


@dataclass(frozen=True, slots=True)
class Component:
    """What a document says of one component; what it does not say is empty."""

    name: str
    version: str
    purl: str
    source: str = ""  # beside the package URL, as some tools write it
    source_version: str = ""
    module: str = ""  # rpm's label of a module


def listing(found: Collector, components: Iterable[Component], named: Iterable[str]) -> Listing:
    """Return what ``components`` come to; ``named`` are the systems that the document names.

    Raises `BadFileError` when nothing can be judged, or when it is of two systems.
    """
    packages, distros = [], []
    for component in components:
        url = purl.parse(component.purl)
        if url is not None and (url.kind, url.name) == ("rpm", rpm.KEYS):
            continue
        made = None if url is None else _package(component, url)
        if url is not None and "distro" in url.qualifiers:
            distros.append(os_names.of_distro(url.qualifiers["distro"], url.namespace))
        why = _why_not(component, url, made)
        if made is None or why:
            found.leave(f"{component.name} {component.version}".strip(), why)
        else:
            packages.append(made)
    found.packages.update(_with_sources(packages))
    return found.listing(system=_system(found, named, distros))


def _why_not(component: Component, url: Purl | None, made: Package | None) -> str:
    if url is None:
        given = f"{shown(component.purl)} is no package URL" if component.purl else ""
        return given or "has no package URL"
    if url.kind not in MANAGER_OF_TYPE:
        return f"is of type {shown(url.kind)}, of which no feed speaks"
    if made is None:
        return "is a source package, or is not named as its type is"
    if not made.version:
        return "has no version"
    problem = wrong(made)
    return f"{problem[0]} {problem[2]}" if problem else ""


def _package(component: Component, url: Purl) -> Package | None:
    manager = MANAGER_OF_TYPE.get(url.kind)
    version = url.version or component.version
    name = _NAMES[url.kind](url) if url.kind in _NAMES else url.name
    arch = url.qualifiers.get("arch", "")
    if manager is None or (url.kind == "maven" and len(url.names) < 2):
        return None
    if manager == "rpm":
        return _of_rpm(component, url, version)
    if manager not in _SILENT_SOURCES:
        return Package(manager, name, version, arch if manager == "alpm" else "")
    if arch == "source":
        return None
    epoch = url.qualifiers.get("epoch", "0")
    if epoch.isdigit() and epoch != "0" and ":" not in version:
        version = f"{epoch}:{version}"
    source, source_version = _source(component, url)
    if source == url.qualifiers.get("source") == name and component.name:
        name = component.name  # some tools name the source in the URL, the package beside it
    return Package(
        manager, name, version, arch, source, (source_version or version) if source else ""
    )


def _source(component: Component, url: Purl) -> tuple[str, str]:
    for key in ("upstream", "source", "origin"):
        if said := url.qualifiers.get(key):
            first = said.split(",")[0]
            if inner := purl.parse(first):
                return inner.name, inner.version
            name, _, version = first.partition("@")
            return name, version
    return component.source, component.source_version


def _of_rpm(component: Component, url: Purl, version: str) -> Package | None:
    arch = url.qualifiers.get("arch", "")
    if arch in ("src", "nosrc", "source"):
        return None
    epoch, colon, rest = version.rpartition(":")
    number, dash, release = rest.rpartition("-")
    if not dash:
        return Package("rpm", url.name, version, arch)
    evr = (epoch if colon else url.qualifiers.get("epoch", ""), number, release)
    source_rpm = url.qualifiers.get("upstream") or url.qualifiers.get("sourcerpm") or ""
    if inner := purl.parse(source_rpm):
        source_rpm = f"{inner.name}-{inner.version}.src.rpm"
    made = rpm.package(evr, url.name, arch, source_rpm, component.module, "")
    if not made.source and component.source:
        made = replace(made, source=component.source, source_version=component.source_version)
    if not made.module and (built := url.qualifiers.get("rpmmod", "").split(":"))[1:]:
        made = replace(made, module=":".join(built[:2]))
    return made


def _with_sources(packages: Iterable[Package]) -> list[Package]:
    """Return ``packages`` with the sources that go without saying in such a document."""
    packages = list(packages)
    said = {each.manager for each in packages if each.source}.intersection(_SILENT_SOURCES)
    return [
        replace(each, source=each.name, source_version=each.version)
        if each.manager in said and not each.source
        else each
        for each in packages
    ]


def _system(found: Collector, named: Iterable[str], distros: Iterable[str]) -> str:
    named = list(named)
    every = {*filter(None, named), *filter(None, distros)}
    if os_names.agreed(every) is None:
        found.refuse(
            0, "", ", ".join(sorted(every)), "are several systems; an inventory is of one host"
        )
    return os_names.agreed(named) or os_names.agreed(every) or ""
