"""Python packages, from ``pip list``, ``pip freeze`` or ``pip inspect``.

Source: pip's own documentation of these commands and of direct references (PEP 610), names after
PEP 503. What was installed from a working copy or from version control is of no release that an
advisory could name, whatever its metadata say; it is counted, and said not to be judged.
"""

import re

from packaging.version import VERSION_PATTERN

from inventory import json_text
from inventory.json_text import Object
from inventory.report import Collector, Listing, lines
from patchmgr.domain.packages import Package

COMMAND = ("pip", "list", "--format=json")
FILE = "pip listing"
MANAGER = "pypi"
WORKING_COPY = "is installed from a working copy, which is no release"
DIRECT = "is installed from an address, and the listing does not say which release that is"

_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?"
_WHOLE_NAME = re.compile(_NAME, re.ASCII)
_PINNED = re.compile(rf"({_NAME})\s*===?\s*([^\s=<>!~;,]+)", re.ASCII)
_DIRECT = re.compile(rf"({_NAME})(?:\[[^\]]*\])?\s*@\s*\S.*", re.ASCII)
_EDITABLE = re.compile(r"(?:-e|--editable)[ =]\s*(\S.*)")
_EGG = re.compile(r"#egg=([^&]+)")
_COLUMNS = re.compile(rf"({_NAME})\s+([^\s]+)(?:\s+(\S.*))?", re.ASCII)
_HEADER = re.compile(r"Package\s+Version(?:\s+(?:(Editable)|Location|Installer).*)?")
_NOISE = re.compile(r"#|WARNING: |DEPRECATION: |\[notice\]|-{3,}")
_SEPARATORS = re.compile(r"[-_.]+")
# What `pip list --format=json` has: other tools list names and versions too, with more beside
# them, or versions that Python's packages do not have.
_KEYS = "name|version|editable_project_location|location|installer|latest_version|latest_filetype"
_OTHER_KEY = re.compile(rf'[{{,]\s*"(?!(?:{_KEYS})")(?:[^"\\]|\\.)*"\s*:')
_VERSIONS = re.compile(r'"version"\s*:\s*"([^"]*)"')
_VERSION = re.compile(VERSION_PATTERN, re.VERBOSE | re.IGNORECASE)
_OUTDATED = re.compile(r"Package\s+Version\s+Latest\b.*")
OUTDATED = "is of pip list --outdated, which leaves out what is up to date; send pip list"


def recognises(listing: str) -> bool:
    """Return whether ``listing`` looks like one of pip."""
    start = listing.lstrip()[:1]
    if start == "{":
        return '"pip_version"' in listing
    if start == "[":
        return listing.strip() == "[]" or (
            '"version"' in listing
            and not _OTHER_KEY.search(listing)
            and all(map(_VERSION.fullmatch, _VERSIONS.findall(listing)))
        )
    said = [each.strip() for each in lines(listing[:4096]) if each.strip()]
    line = next((each for each in said if not _NOISE.match(each)), "")
    return any(form.fullmatch(line) for form in (_PINNED, _DIRECT, _EDITABLE, _HEADER, _OUTDATED))


def read(listing: str) -> Listing:
    """Return what pip has installed according to ``listing``.

    An empty list in JSON is believed, as a host may have no Python package. Raises `BadFileError`
    naming each entry that is not pip's.
    """
    found = Collector(FILE)
    start = listing.lstrip()[:1]
    is_empty = False
    if start in ("{", "["):
        document = json_text.load(listing, FILE)
        entries = _inspected(document) if isinstance(document, dict) else document
        is_empty = entries == []
        for place, entry in enumerate(json_text.objects(entries, "", FILE)):
            _entry(found, entry, f"[{place}]")
    else:
        _lines(found, listing)
    managers = frozenset({MANAGER})
    return found.listing(may_be_empty=is_empty or bool(found.left_count), managers=managers)


def plain(name: str) -> str:
    """Return ``name`` as PEP 503 writes it, so that one package is one however it is spelled."""
    return _SEPARATORS.sub("-", name).lower()


def _inspected(document: Object) -> object:
    """Return the entries of ``pip inspect``, in the form of ``pip list``."""
    if "installed" not in document:
        raise json_text.refused(FILE, "installed", "is missing; this is no pip inspect")
    entries = json_text.objects(document["installed"], "installed", FILE)
    return [_flat(entry, f"installed[{place}]") for place, entry in enumerate(entries)]


def _flat(entry: Object, where: str) -> Object:
    metadata = json_text.an_object(entry.get("metadata"), f"{where}.metadata", FILE)
    said = {"name": metadata.get("name"), "version": metadata.get("version")}
    direct = entry.get("direct_url")
    if isinstance(direct, dict) and ("dir_info" in direct or "vcs_info" in direct):
        said["editable_project_location"] = str(direct.get("url"))
    return said


def _entry(found: Collector, entry: Object, where: str) -> None:
    try:
        name, version = json_text.text_in(entry, "name"), json_text.text_in(entry, "version")
    except json_text.UnexpectedError as error:
        found.refuse(0, f"{where}.{error.key}", error.value, "is no text")
        return
    if not _WHOLE_NAME.fullmatch(name):
        found.refuse(0, f"{where}.name", name, "is not the name of a Python package")
    elif "latest_version" in entry:
        found.refuse(0, where, name, OUTDATED)
    elif entry.get("editable_project_location"):
        found.leave(f"{name} {version}", WORKING_COPY)
    else:
        found.take(Package(MANAGER, plain(name), version), where=where)


def _lines(found: Collector, listing: str) -> None:
    header: re.Match[str] | None = None
    for number, line in enumerate(map(str.strip, lines(listing)), start=1):
        if not line or _NOISE.match(line):
            continue
        if above := _HEADER.fullmatch(line):
            header = above
        elif _OUTDATED.fullmatch(line):
            found.refuse(number, "", line, OUTDATED)
            return
        elif pinned := _PINNED.fullmatch(line):
            found.take(Package(MANAGER, plain(pinned[1]), pinned[2]), number)
        elif editable := _EDITABLE.fullmatch(line):
            egg = _EGG.search(editable[1])
            found.leave(egg[1] if egg else editable[1], WORKING_COPY)
        elif direct := _DIRECT.fullmatch(line):
            found.leave(direct[1], DIRECT)
        elif header and (columns := _COLUMNS.fullmatch(line)):
            _column(found, columns, number, may_be_editable=header[1] is not None)
        else:
            why = "is no line of pip freeze; see docs/inventory.md for the command"
            found.refuse(number, "", line, why)


def _column(found: Collector, columns: re.Match[str], row: int, *, may_be_editable: bool) -> None:
    name, version, location = columns.groups()
    if location and may_be_editable:
        found.leave(f"{name} {version}", WORKING_COPY)
    else:
        found.take(Package(MANAGER, plain(name), version), row)
