"""Debian and Ubuntu packages, from ``dpkg-query`` or from dpkg's status file.

Source: dpkg-query(1), deb-control(5), and the status words of dpkg's ``lib/dpkg/parse.c``. A
package counts as installed when its files are on the machine: ``half-configured`` does, and
``config-files`` (removed, configuration kept) does not.
"""

import re
from collections.abc import Iterator
from functools import lru_cache

from inventory.report import Listing, Problem, lines, wrong
from patchmgr.domain.packages import Package
from patchmgr.errors import BadFileError, BadRow

COMMAND = (
    "dpkg-query",
    "-W",
    "-f",
    "${Package}\\t${Version}\\t${Architecture}\\t${source:Package}\\t${source:Version}\\t${Status}\\n",
)
FILE = "dpkg listing"

_PRESENT = {
    "installed",
    "half-configured",
    "half-installed",
    "unpacked",
    "triggers-awaited",
    "triggers-pending",
}
_STATES = _PRESENT | {"not-installed", "config-files"}
_ABBREVIATED = {"i": "installed", "F": "half-configured", "H": "half-installed"} | {
    "U": "unpacked",
    "W": "triggers-awaited",
    "t": "triggers-pending",
    "c": "config-files",
    "n": "not-installed",
}
# As dpkg itself takes them (pkg_name_is_illegal): Debian's policy allows no underscore.
_NAME = re.compile(r"[a-z0-9][a-z0-9+._-]*", re.ASCII | re.IGNORECASE)
_SIGNS = ("\t", "|", ";", ",")  # that part columns
_WORDS = re.compile(r"([^\s=,;|]+)(?: +|=)([0-9][A-Za-z0-9.+:~-]*)(?: +([a-z0-9-]+))?", re.ASCII)
_ARCHES = {"all", "amd64", "arm64", "armel", "armhf", "mips64el", "ppc64el"}  # no other's words
_SOURCE = re.compile(r"(\S+)(?:\s+\((\S+)\))?")
# ${Status} or ${db:Status-Abbrev}: no source package or version looks like that.
_STATUS = re.compile(r"[a-z]+ [a-z]+ [a-z-]+|[uihrp][ncHUFWti]R?")
_FIELDS = {"package", "status", "version", "architecture", "source"}


def recognises(listing: str) -> bool:
    """Return whether ``listing`` looks like one of dpkg."""
    if _is_status(listing):
        return True
    line = next((each for each in lines(listing[:4096]) if each.strip()), "")
    if _SELECTION.fullmatch(line):
        return False
    name, *rest = _columns(line)
    if not rest or not _NAME.fullmatch(name.partition(":")[0]):
        return False
    return "\t" in line or (len(rest) > 1 and rest[1] in _ARCHES)


def read(listing: str) -> Listing:
    """Return what is installed according to ``listing``: a status file, or a line a package.

    Lines are those of `COMMAND`, with or without its last column; or name and version as plain
    ``dpkg-query -W`` prints them, then the architecture, then a ``${Source}``, then a status, as
    far as they are there; parted by tabs, or by another sign. Blanks part no more than the first
    three, as ``name version arch`` or ``name=version``. An empty ``${Source}`` is a source of the
    package's own name; without that column the source is not known. Raises `BadFileError` naming
    each line that is neither.
    """
    bad: list[BadRow] = []
    entries = _stanzas(listing, bad) if _is_status(listing) else _lines(listing, bad)
    packages, held = set(), set()
    for want, state, package in entries:
        if state in _PRESENT:
            packages.add(package)
            if want == "hold":
                held.add(package.name)
    if not bad and not packages:
        bad.append(BadRow(0, "", "", "lists no installed package; an empty host is not believed"))
    if bad:
        raise BadFileError(FILE, bad)
    return Listing(frozenset(packages), frozenset(held))


COMMON_LINE = 400  # characters; longer ones are not worth remembering
Entry = tuple[str, str, Package]  # what is wanted, the state it is in, the package


LOOKED = 1 << 16  # characters among which a status file names its first package
_FIELD = re.compile(r"\s*[A-Za-z-]+:(?: |\n)")
_SELECTION = re.compile(r"\S+\t+(?:install|deinstall|hold|purge)\s*")  # dpkg --get-selections
_PACKAGE = re.compile(r"^Package: ", re.MULTILINE | re.IGNORECASE)


def _is_status(listing: str) -> bool:
    return _FIELD.match(listing) is not None and _PACKAGE.search(listing[:LOOKED]) is not None


def _stanzas(listing: str, bad: list[BadRow]) -> Iterator[Entry]:
    """Yield the entries of a status file, whose stanzas are parted by blank lines."""
    fields: dict[str, str] = {}
    start = 1
    for number, line in enumerate([*lines(listing), ""], start=1):
        if not line.strip():
            if fields:
                yield from _stanza(fields, start, bad)
                fields = {}
            continue
        if not fields:
            start = number
        if line[0] in " \t":
            fields.setdefault("", "")  # a continued field; none of those that are read here
            continue
        name, colon, value = line.partition(":")
        if not colon:
            bad.append(BadRow(number, "", line, "is not a field of a dpkg status file"))
            continue
        if name.lower() in _FIELDS:
            fields[name.lower()] = value.strip()
        else:
            fields.setdefault("", "")


def _stanza(fields: dict[str, str], row: int, bad: list[BadRow]) -> Iterator[Entry]:
    name = fields.get("package", "")
    # The status.d files of distroless images have no Status: what is listed there is installed.
    want, _, state = fields.get("status", "install ok installed").partition(" ok ")
    if " " in want or not state:
        want, state = want.split(" ")[0], fields.get("status", "").rpartition(" ")[2]
    if not name and set(fields) <= {""}:
        return
    if state in _STATES and state not in _PRESENT:
        return
    version = fields.get("version", "")
    given = source_of(fields.get("source", ""), name, version)
    package = _package(name, version, fields.get("architecture", ""), *given)
    if (problem := _problem(package, state)) is None:
        yield want, state, package
    else:
        bad.append(BadRow(row, *problem))


def source_of(field: str, name: str, version: str) -> tuple[str, str]:
    """Return name and version of the source in a ``Source`` field: ``acl`` or ``acl (2.3-1)``.

    A source package of the same name and version goes without saying in dpkg's status; it is
    written out here, so that one package is one package however it was reported.
    """
    source = _SOURCE.fullmatch(field)
    source_name, source_version = source.groups() if source else (name.partition(":")[0], None)
    return source_name, source_version or version


def _lines(listing: str, bad: list[BadRow]) -> Iterator[Entry]:
    for number, line in enumerate(lines(listing), start=1):
        if not line.strip():
            continue
        # Hosts of a fleet have most of their lines in common.
        found = _seen_line(line) if len(line) <= COMMON_LINE else _line(line)
        if isinstance(found[-1], Package):
            yield found
        elif found[-1]:
            bad.append(BadRow(number, *found))


def _line(line: str) -> Entry | Problem:
    """Return the entry of a line, or what is wrong with it: no remedy where it is not installed."""
    columns = _columns(line)
    want, state = "install", "installed"
    if len(columns) > 2 and _STATUS.fullmatch(columns[0]) and not _STATUS.fullmatch(columns[-1]):
        columns.append(columns.pop(0))  # the status stands first, as dpkg -l has it
    if len(columns) > 2 and _STATUS.fullmatch(columns[-1]):
        want, state = _status(columns.pop())
    match columns:
        case [name, version, *arch] if len(arch) < 2:
            rest = ("".join(arch), "", "")
        case [name, version, arch, source] if not source or _SOURCE.fullmatch(source):
            rest = (arch, *source_of(source, name, version))
        case [name, version, arch, source, source_version]:
            rest = (arch, source, source_version)
        case [name, version, arch, source, source_version, status]:
            rest = (arch, source, source_version)
            want, state = _status(status)
        case _:
            return "", line, "is not dpkg-query output; see docs/inventory.md for the command"
    if state in _STATES and state not in _PRESENT:
        return "status", state, ""
    package = _package(name, version, *rest)
    return _problem(package, state) or (want, state, package)


def _columns(line: str) -> list[str]:
    sign = next((sign for sign in _SIGNS if sign in line), "")
    if sign:
        return [field.strip() for field in line.split(sign)]
    found = _WORDS.fullmatch(line.strip())
    return [word for word in found.groups() if word] if found else [line]


_seen_line = lru_cache(maxsize=1 << 16)(_line)


def is_present(status: str) -> bool:
    """Return whether a package of this status has files on the machine; what is unclear has."""
    _want, state = _status(status)
    return state not in _STATES - _PRESENT


def _status(text: str) -> tuple[str, str]:
    """Return (want, state) of ``${Status}`` ("hold ok installed") or of its abbreviation ("hi")."""
    words = text.split()
    if len(words) == 3:  # want, error flag, state
        return words[0], words[2]
    if len(words) == 1 and len(text) in (2, 3):
        return ("hold" if text[0] == "h" else "install"), _ABBREVIATED.get(text[1], text)
    return "install", text


def _package(name: str, version: str, arch: str, source: str, source_version: str) -> Package:
    name, _, qualifier = name.partition(":")  # "libc6:amd64"
    version_of_source = (source_version or version) if source else ""
    return Package("dpkg", name, version, arch or qualifier, source, version_of_source)


def _problem(package: Package, state: str) -> Problem | None:
    if state not in _STATES:
        return "status", state, "is no state of dpkg"
    if not _NAME.fullmatch(package.name):
        return "package", package.name, "is not the name of a Debian package"
    return wrong(package)
