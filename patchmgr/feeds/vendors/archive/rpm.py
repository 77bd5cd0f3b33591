"""rpm-md's repositories: `primary.xml` has the packages, `modules.yaml` says which are a module's.

Source: createrepo_c's ``metadata/package``; modulemd 2, ``data.artifacts.rpms``. The packages of
all streams of a module lie in one repository, and only `modules.yaml` tells their streams: so
they are taken from there, and left out of `primary.xml`.
"""

import re
from collections.abc import Iterator
from typing import Any

from patchmgr.domain.modules import is_modular
from patchmgr.domain.offers import Offer
from patchmgr.errors import FeedMalformedError
from patchmgr.feeds.base import Page, SetAside
from patchmgr.feeds.formats import xml, yaml
from patchmgr.feeds.formats.names import is_name
from patchmgr.feeds.formats.offers import newest
from patchmgr.feeds.formats.platforms import platform_of
from patchmgr.feeds.vendors.archive.suites import suite_of

EXAMPLE = "almalinux:9"
SOURCES = ("src", "nosrc")  # architectures of what cannot be installed
ODD_SHARE = 4  # more than one in this many: not what it seems to be
_SOURCE = re.compile(r"(.+)-([^-]+-[^-]+)\.(?:no)?src\.rpm")
_ARTIFACT = re.compile(r"(.+)-(?:([0-9]+):)?([^-:]+-[^-]+)\.([^.]+)")
_DOCUMENT = re.compile(r"^---[ \t]*$\n", re.MULTILINE)
_MODULE = re.compile(r"(?:#.*\n)*document:[ \t]*modulemd[ \t]*\n")


def primary(url: str, body: bytes, platform: str) -> Page:
    """Return the newest of each package that belongs to no module."""
    where, suite = platform_of(url, platform, EXAMPLE), suite_of(url)
    offers: list[Offer] = []
    odd: list[SetAside] = []
    count = 0
    for package in xml.elements(url, body, "package", "metadata"):
        count += 1
        name, arch = xml.text(package, "name"), xml.text(package, "arch")
        version = xml.child(package, "version")
        release = version.get("rel", "") if version is not None else ""
        if arch in SOURCES or is_modular(release):
            continue
        evr = _evr(version) if version is not None else ""
        if not (is_name(name) and is_name(evr) and is_name(arch)):
            said = name[:80] if is_name(name[:80]) else f"package {count}"
            odd.append(SetAside("", said, "without name, version or architecture"))
            continue
        source = _SOURCE.fullmatch(xml.text(xml.child(package, "format"), "sourcerpm")[:400])
        built_from = (source[1], source[2]) if source else ("", "")
        offers.append(Offer(where, suite, "rpm", name, evr, arch, *built_from))
    if len(odd) * ODD_SHARE > count:
        raise FeedMalformedError(
            f"{url}: {len(odd)} of {count} packages are odd, such as {odd[0].where}:"
            f" {odd[0].reason}"
        )
    return Page(offers=newest(offers, "rpm"), set_aside=tuple(odd))


def _evr(version: xml.Element) -> str:
    epoch, number, release = (version.get(part, "").strip() for part in ("epoch", "ver", "rel"))
    if not number:
        return ""
    epoch = f"{epoch}:" if epoch.strip("0") else ""
    return f"{epoch}{number}-{release}" if release else f"{epoch}{number}"


def modules(url: str, body: bytes, platform: str) -> Page:
    """Return the newest of each package of each stream of a module."""
    where, suite = platform_of(url, platform, EXAMPLE), suite_of(url)
    offers: list[Offer] = []
    odd: list[SetAside] = []
    count = 0
    for module in _modules(url, body):
        count += 1
        named, artifacts = _stream(module)
        if not named:
            odd.append(SetAside("", f"module {count}", "without name or stream"))
        for artifact in artifacts if named else ():
            found = _ARTIFACT.fullmatch(artifact) if is_name(artifact) else None
            if found is None:
                odd.append(SetAside("", named, f"{artifact[:80]!r} is not a package"))
            elif found[4] not in SOURCES:
                epoch = f"{found[2]}:" if (found[2] or "").strip("0") else ""
                version = f"{epoch}{found[3]}"
                offers.append(Offer(where, suite, "rpm", found[1], version, found[4], module=named))
    if len(odd) * ODD_SHARE > count + len(offers):
        raise FeedMalformedError(
            f"{url}: {len(odd)} odd modules or packages, such as {odd[0].where}: {odd[0].reason}"
        )
    return Page(offers=newest(offers, "rpm"), set_aside=tuple(odd))


def _modules(url: str, body: bytes) -> Iterator[Any]:
    """Yield the data of each module; everything in it is text, so that 1.10 is not 1.1."""
    try:
        documents = _DOCUMENT.split(body.decode())
    except UnicodeDecodeError as error:
        raise FeedMalformedError(f"{url}: not whole YAML of modules: {error}") from error
    for document in documents:
        if _MODULE.match(document):
            found = yaml.plain(url, document.encode())
            yield found.get("data") if isinstance(found, dict) else None


def _stream(module: Any) -> tuple[str, list[str]]:
    """Return ``name:stream`` and the packages of a module's data; "" when it does not say."""
    if not isinstance(module, dict):
        return "", []
    name, stream = module.get("name"), module.get("stream")
    artifacts = module.get("artifacts") or {}
    listed = artifacts.get("rpms") if isinstance(artifacts, dict) else None
    if not (isinstance(name, str) and isinstance(stream, str) and name and stream):
        return "", []
    named = f"{name}:{stream}"
    rpms = [each for each in listed if isinstance(each, str)] if isinstance(listed, list) else []
    return (named, rpms) if is_name(named) else ("", [])
