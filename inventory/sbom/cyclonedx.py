"""CycloneDX documents, JSON and XML, of version 1.2 and later.

Source: CycloneDX's schemas 1.2 to 1.6. Components may hold components; what a component was made
from (``pedigree``) and the tools that wrote the document are not installed. Files are no packages.
"""

import re
from collections.abc import Iterator
from typing import Any, TypeAlias

from lxml import etree

from inventory import json_text
from inventory.json_text import Object
from inventory.report import Collector, Listing
from inventory.sbom import components
from inventory.sbom.components import Component
from patchmgr.domain import os_names

FILE = "CycloneDX document"

_Element: TypeAlias = Any  # of lxml, which is published without types
_SYSTEM, _NO_PACKAGES = "operating-system", ("operating-system", "file")
_SPEC = re.compile(r"1\.[0-9]+")
_NAMESPACE = re.compile(r"http://cyclonedx\.org/schema/bom/(.+)")
_DECLARATION = re.compile(r"\s*<\?xml[^>]*\?>")
_SAFE = {"resolve_entities": False, "no_network": True, "load_dtd": False, "huge_tree": False}
_TRIVY, _SYFT = "aquasecurity:trivy:", "syft:metadata:"


def recognises(listing: str) -> bool:
    """Return whether ``listing`` looks like a CycloneDX document."""
    start = listing.lstrip()[:1]
    if start == "<":
        return "cyclonedx.org/schema/bom" in listing[:8192]
    return start == "{" and '"bomFormat"' in listing


def read(listing: str) -> Listing:
    """Return what is installed according to the document ``listing``. Raises `BadFileError`."""
    found = Collector(FILE)
    subject, held = _of_xml(listing) if listing.lstrip()[:1] == "<" else _of_json(listing)
    every = [component for component, _ in _walk(held)]
    named = [_system(each) for each in (subject, *every) if each.get("type") == _SYSTEM]
    parts = [*_subject(subject), *(_component(each) for each in every if _is_package(each))]
    return components.listing(found, parts, named)


def _of_json(text: str) -> tuple[Object, list[tuple[Object, str]]]:
    """Return the document's subject, and its components with where they stand."""
    document = json_text.an_object(json_text.load(text, FILE), "", FILE)
    if document.get("bomFormat") != "CycloneDX":
        raise json_text.refused(FILE, "bomFormat", "is not CycloneDX")
    _check_version(str(document.get("specVersion")))
    metadata = json_text.an_object(document.get("metadata") or {}, "metadata", FILE)
    subject = json_text.an_object(metadata.get("component") or {}, "metadata.component", FILE)
    held = _held(document, "") + _held(subject, "metadata.component.")
    return subject, held


def _check_version(version: str) -> None:
    if not _SPEC.fullmatch(version):
        raise json_text.refused(
            FILE, "specVersion", f"{version[:20]!r} is no version 1.2 or later of CycloneDX 1"
        )


def _held(entry: Object, where: str) -> list[tuple[Object, str]]:
    entries = json_text.objects(entry.get("components"), f"{where}components", FILE)
    return [(each, f"{where}components[{at}]") for at, each in enumerate(entries)]


def _walk(held: list[tuple[Object, str]]) -> Iterator[tuple[Object, str]]:
    """Yield components and those they hold, however deep, in the order of the document."""
    waiting = held[::-1]
    while waiting:
        component, where = waiting.pop()
        yield component, where
        waiting += _held(component, f"{where}.")[::-1]


def _is_package(entry: Object) -> bool:
    return entry.get("type") not in _NO_PACKAGES or bool(entry.get("purl"))


def _subject(entry: Object) -> list[Component]:
    """Return what the document is about if it is a package itself, and not an image or a host."""
    component = _component(entry)
    kind = component.purl.removeprefix("pkg:").partition("/")[0]
    return [component] if kind in components.MANAGER_OF_TYPE else []


def _component(entry: Object) -> Component:
    said = _properties(entry)
    return Component(
        _text(entry, "name"), _text(entry, "version"), _text(entry, "purl"), *_source(said)
    )


def _source(said: dict[str, str]) -> tuple[str, str, str]:
    """Return source package, its version and the module, as tools write them beside the URL."""
    if name := said.get(f"{_TRIVY}SrcName"):
        version = said.get(f"{_TRIVY}SrcVersion", "")
        release = said.get(f"{_TRIVY}SrcRelease", "")
        epoch = said.get(f"{_TRIVY}SrcEpoch", "0")
        whole = "-".join(filter(None, (version, release)))
        version = f"{epoch}:{whole}" if epoch != "0" and whole else whole
    else:
        name = said.get(f"{_SYFT}source") or said.get(f"{_SYFT}originPackage") or ""
        version = said.get(f"{_SYFT}sourceVersion", "")
    return name, version, said.get(f"{_TRIVY}Modularitylabel", "")


def _properties(entry: Object) -> dict[str, str]:
    given = entry.get("properties")
    return {
        _text(each, "name"): _text(each, "value")
        for each in (given if isinstance(given, list) else ())
        if isinstance(each, dict)
    }


def _system(entry: Object) -> str:
    said = _properties(entry)
    if os_id := said.get("syft:distro:id"):
        return os_names.system(os_id, said.get("syft:distro:versionID") or "rolling")
    return os_names.system(_text(entry, "name"), _text(entry, "version"))


def _text(entry: Object, key: str) -> str:
    value = entry.get(key)
    return value.strip() if isinstance(value, str) else ""


def _of_xml(text: str) -> tuple[Object, list[tuple[Object, str]]]:
    """Return what `_of_json` does, of a document in XML."""
    declared = _DECLARATION.match(text)  # of an encoding; it is text already
    plain = text[declared.end() :] if declared else text
    try:
        root = etree.fromstring(plain.encode("utf-8"), etree.XMLParser(**_SAFE))
    except (etree.XMLSyntaxError, ValueError) as error:
        raise json_text.refused(FILE, "", f"is not whole XML ({error})") from error
    if root.getroottree().docinfo.doctype:
        raise json_text.refused(FILE, "", "has a document type, which is refused")
    namespace = _NAMESPACE.fullmatch(_namespace(root.tag))
    if _local(root) != "bom" or namespace is None:
        raise json_text.refused(FILE, "", f"is a document of <{_local(root)[:40]}>, not a bom")
    _check_version(namespace[1])
    metadata = _child(root, "metadata")
    subject = _child(metadata, "component")
    held = [*_inside(root), *_inside(subject)]
    return _flat(subject), [(each, "component") for each in held]


def _namespace(tag: str) -> str:
    """Return the namespace in lxml's name of an element."""
    return tag[1:].partition("}")[0] if tag.startswith("{") else ""


def _local(element: _Element) -> str:
    tag = element.tag
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def _child(element: _Element | None, name: str) -> _Element | None:
    if element is None:
        return None
    return next((each for each in element if _local(each) == name), None)


def _inside(element: _Element | None) -> Iterator[Object]:
    """Yield the components in ``element`` and in those, however deep, without what they hold."""
    parts = _child(element, "components")
    waiting = [] if parts is None else list(parts)[::-1]
    while waiting:
        found = waiting.pop()
        if _local(found) != "component":
            continue
        yield _flat(found)
        parts = _child(found, "components")
        waiting += [] if parts is None else list(parts)[::-1]


def _flat(element: _Element | None) -> Object:
    if element is None:
        return {}
    said: Object = {"type": element.get("type")}
    for name in ("name", "version", "purl"):
        child = _child(element, name)
        said[name] = "" if child is None else child.text or ""
    properties = _child(element, "properties")
    said["properties"] = [
        {"name": each.get("name", ""), "value": each.text or ""}
        for each in (properties if properties is not None else ())
    ]
    return said
