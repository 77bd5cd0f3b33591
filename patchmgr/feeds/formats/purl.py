"""Packages as CSAF documents name them.

Source: the package-url specification, types ``rpm`` and Red Hat's own ``rpmmod``. Examples, of
which the last two are a source package of which no build is meant, and a module itself:

    pkg:rpm/redhat/bind@9.8.2-0.68.el6?arch=x86_64&epoch=32
    pkg:rpm/redhat/ruby@2.7.8-139.module%2Bel8.8.0?arch=s390x&rpmmod=ruby:2.7:8080020230427102918:63b
    pkg:rpmmod/redhat/ruby:2.6/ruby
    pkg:rpmmod/redhat/postgresql@15:8100020240814101911:489197e6
"""

import re
from dataclasses import dataclass
from functools import lru_cache

from patchmgr.domain import purl
from patchmgr.domain.purl import Purl

RPM, MODULE, FLATPAK = "rpm", "rpmmod", "flatpak"
SOURCE = "src"
_ID = re.compile(
    r"(?P<name>[^:/]+)-(?:(?P<epoch>\d+):)?(?P<version>[^-:/]+)-(?P<release>[^-:/]+)"
    r"\.(?P<arch>aarch64|i[3-6]86|ia64|noarch|ppc|ppc64|ppc64le|s390|s390x|src|x86_64)"
    r"(?:(?:\.rpm-|::)(?P<module>[^:]+:[^:]+))?"
)
_MODULE = re.compile(r"([^/:]+:[^/:]+):\d+:\w+")
_COMPONENT = re.compile(r"(?:(?P<module>[^/:]+:[^/:]+)/)?(?P<name>[^/:]+)")


@dataclass(frozen=True, slots=True)
class Package:
    kind: str  # `RPM`; another is no package that rpm installs on a host
    name: str
    version: str = ""  # [epoch:]version-release; "" when no build is meant
    arch: str = ""
    module: str = ""  # name:stream


@lru_cache(maxsize=4096)
def package_url(text: str) -> Package | None:
    """Return the package that ``text`` names, a module without a name; None for another text."""
    named = purl.parse(text)
    if named is None:
        return None
    if named.kind == MODULE:
        return _of_module(named.names, named.version)
    return _package(named)


def _of_module(parts: tuple[str, ...], version: str) -> Package | None:
    """Return a source package in a module (``ruby:2.6/ruby``), or the module (``ruby@2.6:…``)."""
    names = parts[1:]  # the vendor is first
    if len(names) == 2:
        return Package(RPM, names[1], arch=SOURCE, module=names[0])
    stream = version.partition(":")[0]
    return Package(MODULE, "", module=f"{names[0]}:{stream}") if len(names) == 1 else None


def _package(named: Purl) -> Package:
    kind, version, qualifiers = named.kind, named.version, named.qualifiers
    built = qualifiers.get("rpmmod", "").split(":")
    if kind == RPM and built != [""] and len(built) < 2:
        kind = FLATPAK  # built for a container of applications, as "rpmmod=rhel10"
    epoch = qualifiers.get("epoch", "0")
    return Package(
        kind,
        named.name,
        version=f"{epoch}:{version}" if version and epoch != "0" else version,
        arch=qualifiers.get("arch", ""),
        module=":".join(built[:2]) if len(built) > 1 else "",
    )


def package_of_id(text: str) -> Package | None:
    """Return the package whose product id is ``text``: a build, or the name of a source package.

    A module, such as ``postgresql:15:8100020240814101911:489197e6``, is one without a name.
    """
    build = _ID.fullmatch(text)
    if build:
        version = f"{build['version']}-{build['release']}"
        return Package(
            RPM,
            build["name"],
            version=f"{build['epoch']}:{version}" if build["epoch"] not in (None, "0") else version,
            arch=build["arch"],
            module=build["module"] or "",
        )
    within = _MODULE.fullmatch(text)
    if within:
        return Package(MODULE, "", module=within[1])
    source = _COMPONENT.fullmatch(text)
    if source is None:
        return None
    return Package(RPM, source["name"], arch=SOURCE, module=source["module"] or "")
