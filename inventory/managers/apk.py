"""Packages of Alpine Linux and its kin, from ``apk`` or from its database.

Source: apk-info(8), apk-list(8), and apk-tools' ``doc/apk-v2.5.scd`` (fields of the database). The
source package (``origin``) is in the database and in ``apk list``, not in ``apk info``.
"""

import re

from inventory.report import Collector, Listing, lines
from patchmgr.domain.packages import Package

COMMAND = ("cat", "/lib/apk/db/installed")
FILE = "apk listing"
MANAGER = "apk"

_FIELD = re.compile(r"[A-Za-z]:")
_NAME = r"[A-Za-z0-9._][A-Za-z0-9._+-]*"
# The dash that parts them is the last one that a digit follows, but for the revision's.
_PACKAGE = re.compile(rf"(?P<name>{_NAME})-(?P<version>[0-9][^\s-]*(?:-r[0-9]+)?)", re.ASCII)
_LISTED = re.compile(
    rf"{_PACKAGE.pattern}\s+(?P<arch>\S+)\s+\{{(?P<origin>[^{{}}]*)\}}"
    r"\s+\(.*\)\s+\[(?P<state>[^\[\]]*)\]",
    re.ASCII,
)
_DESCRIBED = re.compile(rf"{_PACKAGE.pattern}(?: - .*)?", re.ASCII)
_NOISE = re.compile(r"WARNING: |fetch https?://")


def recognises(listing: str) -> bool:
    """Return whether ``listing`` looks like one of apk."""
    for line in lines(listing[:4096]):
        if line.strip() and not _NOISE.match(line):
            if _FIELD.match(line):
                return True
            found = _LISTED.fullmatch(line.strip()) or _DESCRIBED.fullmatch(line.strip())
            return bool(found and re.search(r"-r[0-9]+$", found["version"]))
    return False


def read(listing: str) -> Listing:
    """Return what is installed according to ``listing``.

    That is apk's database, or what ``apk info -v`` or ``apk list -I`` prints. Raises
    `BadFileError` naming each line that is neither.
    """
    found = Collector(FILE)
    if re.match(r"\s*[A-Za-z]:", listing):
        _database(found, listing)
    else:
        _lines(found, listing)
    return found.listing(managers=frozenset({MANAGER}))


def _database(found: Collector, listing: str) -> None:
    fields: dict[str, str] = {}
    start = 1
    for number, line in enumerate([*lines(listing), ""], start=1):
        if not line.strip():
            if fields:
                _entry(found, fields, start)
            fields = {}
            continue
        if not fields:
            start = number
        if not _FIELD.match(line):
            found.refuse(number, "", line, "is not a field of apk's database")
        fields.setdefault(line[0], line[2:].strip())


def _entry(found: Collector, fields: dict[str, str], row: int) -> None:
    name, version = fields.get("P", ""), fields.get("V", "")
    if not _PACKAGE.fullmatch(f"{name}-{version}"):
        found.refuse(row, "P" if not name else "V", name, "has no name and version of a package")
        return
    found.take(_package(name, version, fields.get("A", ""), fields.get("o", "")), row)


def _lines(found: Collector, listing: str) -> None:
    for number, line in enumerate(map(str.strip, lines(listing)), start=1):
        if not line or _NOISE.match(line):
            continue
        if listed := _LISTED.fullmatch(line):
            if "installed" in listed["state"] or "upgradable" in listed["state"]:
                found.take(_of_list(listed), number)
        elif described := _DESCRIBED.fullmatch(line):
            found.take(_package(described["name"], described["version"], "", ""), number)
        else:
            why = "is no line of apk info -v; see docs/inventory.md for the command"
            found.refuse(number, "", line, why)


def _of_list(listed: re.Match[str]) -> Package:
    """Return the installed package: of an upgradable one, the version that it is upgraded from."""
    name, version = listed["name"], listed["version"]
    before = _PACKAGE.fullmatch(listed["state"].removeprefix("upgradable from: "))
    if before and before["name"] == name:
        version = before["version"]
    return _package(name, version, listed["arch"], listed["origin"])


def _package(name: str, version: str, arch: str, origin: str) -> Package:
    return Package(MANAGER, name, version, arch, origin, version if origin else "")
