"""SPDX documents in JSON, versions 2.2 and 2.3.

Source: the SPDX specification 2.3, clauses 7 (packages, external references) and 11
(relationships). What the document describes is the image or host itself, and no package of it.
"""

import re

from inventory import json_text
from inventory.json_text import Object
from inventory.report import Collector, Listing
from inventory.sbom import components
from inventory.sbom.components import Component
from patchmgr.domain import os_names

FILE = "SPDX document"

_VERSION = re.compile(r"SPDX-2\.[0-9]+")
_SYSTEM = re.compile(r"SPDXRef-OperatingSystem\b.*")
_SUBJECT = re.compile(r"SPDXRef-(?:ContainerImage|DocumentRoot|Filesystem)\b.*")
_BUILT_FROM = re.compile(r"built package from: (\S+) (\S+)")


def recognises(listing: str) -> bool:
    """Return whether ``listing`` looks like an SPDX document."""
    return listing.lstrip()[:1] == "{" and (
        '"SPDXRef-DOCUMENT"' in listing or '"spdxVersion"' in listing
    )


def read(listing: str) -> Listing:
    """Return what is installed according to the document ``listing``. Raises `BadFileError`."""
    document = json_text.an_object(json_text.load(listing, FILE), "", FILE)
    if "SPDXID" not in document and isinstance(document.get("sbom"), dict):
        document = document["sbom"]  # as GitHub's dependency graph wraps it
    _check(document)
    found = Collector(FILE)
    described = _described(document)
    parts, named = [], []
    for entry in json_text.objects(document.get("packages"), "packages", FILE):
        component = _component(entry)
        number = _text(entry, "SPDXID")
        if _text(entry, "primaryPackagePurpose") == "OPERATING-SYSTEM" or _SYSTEM.fullmatch(number):
            named.append(os_names.system(component.name, component.version))
        elif component.purl or not (number in described or _SUBJECT.fullmatch(number)):
            parts.append(component)
    return components.listing(found, parts, named)


def _check(document: Object) -> None:
    version = document.get("spdxVersion", "SPDX-2.2")  # some tools leave it out
    if not isinstance(version, str) or not _VERSION.fullmatch(version):
        why = f"{str(version)[:20]!r} is not SPDX 2; export the document as SPDX 2.3 JSON"
        raise json_text.refused(FILE, "spdxVersion", why)
    if document.get("SPDXID") != "SPDXRef-DOCUMENT":
        raise json_text.refused(FILE, "SPDXID", "is not that of an SPDX document")


def _described(document: Object) -> set[str]:
    said = document.get("documentDescribes")
    found = {each for each in (said if isinstance(said, list) else ()) if isinstance(each, str)}
    for entry in json_text.objects(document.get("relationships"), "relationships", FILE):
        if _text(entry, "relationshipType") == "DESCRIBES":
            found.add(_text(entry, "relatedSpdxElement"))
    return found


def _component(entry: Object) -> Component:
    source = _BUILT_FROM.match(_text(entry, "sourceInfo"))
    said = source.groups() if source else ("", "")
    return Component(_text(entry, "name"), _text(entry, "versionInfo"), _purl(entry), *said)


def _purl(entry: Object) -> str:
    references = entry.get("externalRefs")
    for each in references if isinstance(references, list) else ():
        if isinstance(each, dict) and each.get("referenceType") == "purl":
            return _text(each, "referenceLocator")
    return ""


def _text(entry: Object, key: str) -> str:
    value = entry.get(key)
    return value.strip() if isinstance(value, str) else ""
