"""osquery's tables ``deb_packages`` and ``rpm_packages`` of one host.

Source: osquery's schema and its documentation of logging and of distributed queries. Read are the
rows of ``osqueryi --json``; the lines of a results log that are snapshots, of which the last of one
query counts; and the answers to distributed queries, as a host writes them to its server. What a
query adds and removes from one run to the next is no inventory, and is refused.
"""

import re
from collections.abc import Iterator

from inventory import json_text
from inventory.json_text import Object, UnexpectedError
from inventory.managers import dpkg, rpm
from inventory.report import Collector, Listing, lines, shown
from patchmgr.domain import os_names
from patchmgr.domain.packages import Package
from patchmgr.errors import BadFileError, BadRow

COMMAND = ("osqueryi", "--json", "SELECT * FROM rpm_packages")
FILE = "osquery results"

_KEYS = "gpg-pubkey"
_DEB = ("name", "version")  # columns that tell the tables apart, beside those of `_RPM`
_RPM = ("name", "version", "release")
_HOSTS = ("host_hostname", "host_identifier", "hostIdentifier", "hostname")  # of a fleet's tool
_TRUE_DEB = ("status", "maintainer", "revision", "section", "priority")


def recognises(listing: str) -> bool:
    """Return whether ``listing`` looks like results of osquery."""
    start = listing.lstrip()[:1]
    if start == "{":
        answers = '"queries"' in listing and '"statuses"' in listing
        return '"hostIdentifier"' in listing or '"snapshot"' in listing or answers
    tables = re.compile(r'"(?:release|maintainer|revision|install_time)"')
    return start == "[" and '"name"' in listing and tables.search(listing) is not None


def read(listing: str) -> Listing:
    """Return what is installed according to the results ``listing``. Raises `BadFileError`."""
    found = Collector(FILE)
    said = []
    hosts: set[str] = set()
    for where, row in _rows(listing):
        hosts.update(str(row[key]) for key in _HOSTS if row.get(key))
        if _is_system(row):
            said.append(_system(row))
            continue
        try:
            made = _package(row)
        except UnexpectedError as error:
            found.refuse(0, f"{where}.{error.key}", error.value, "is no text")
            continue
        if made is None:
            name = shown(str(row.get("name")))
            found.refuse(0, where, name, "is no row of deb_packages or rpm_packages")
        elif made.name != _KEYS:
            found.take(made, where=where)
    _check_one(hosts)
    return found.listing(system=os_names.agreed(said) or "")


def _rows(listing: str) -> Iterator[tuple[str, Object]]:
    """Yield the rows of tables of packages and systems, each with where it stands."""
    if listing.lstrip()[:1] == "[":
        for place, row in enumerate(json_text.objects(json_text.load(listing, FILE), "", FILE)):
            if _is_installed(row):
                yield f"[{place}]", row
        return
    for where, rows in _snapshots(listing).values():
        for place, row in enumerate(rows):
            if _is_installed(row):
                yield f"{where}[{place}]", row


def _snapshots(listing: str) -> dict[str, tuple[str, list[Object]]]:
    """Return the last snapshot of each query, with where it stands."""
    found: dict[str, tuple[str, list[Object]]] = {}
    hosts: set[str] = set()
    for number, entry in _entries(listing):
        where = f"line {number}"
        if isinstance(entry.get("queries"), dict):
            found |= _answers(entry["queries"], f"{where}, queries")
            continue
        if "snapshot" not in entry:
            if any(map(_looks_like_package, _changes(entry))):
                why = 'says what changed only; set "snapshot": true for its query'
                raise json_text.refused(FILE, where, why)
            continue
        rows = json_text.objects(entry["snapshot"], f"{where}.snapshot", FILE)
        if not rows or not (_looks_like_package(rows[0]) or _is_system(rows[0])):
            continue
        hosts.add(str(entry.get("hostIdentifier", "")))
        found[str(entry.get("name"))] = f"{where}, snapshot", rows
    _check_one(hosts)
    return found


def _changes(entry: Object) -> Iterator[Object]:
    """Yield the rows that a line of a log has as added or removed, by event or by batch."""
    batch = entry.get("diffResults")
    said = [entry.get("columns"), *(batch.values() if isinstance(batch, dict) else ())]
    for each in said:
        for row in each if isinstance(each, list) else [each]:
            if isinstance(row, dict):
                yield row


def _answers(queries: Object, where: str) -> dict[str, tuple[str, list[Object]]]:
    """Return the rows of each distributed query that asked for packages or the system."""
    named = {name: f"{where}.{shown(name)}" for name in queries}
    answers = {name: json_text.objects(queries[name], at, FILE) for name, at in named.items()}
    return {
        name: (named[name], rows)
        for name, rows in answers.items()
        if rows and (_looks_like_package(rows[0]) or _is_system(rows[0]))
    }


def _check_one(hosts: set[str]) -> None:
    if len(hosts) > 1:
        named = ", ".join(shown(each) for each in sorted(hosts)[:5])
        raise json_text.refused(FILE, "", f"is of several hosts ({named}); send each on its own")


def _entries(listing: str) -> Iterator[tuple[int, Object]]:
    """Yield the entries of a log, one a line; or the one that the whole text is."""
    try:
        entry = json_text.an_object(json_text.load(listing, FILE), "", FILE)
    except BadFileError:
        for number, line in enumerate(lines(listing), start=1):
            if line.strip():
                try:
                    document = json_text.load(line, FILE)
                except BadFileError as error:
                    bad = BadRow(number, "", "", error.rows[0].remedy)
                    raise BadFileError(FILE, [bad]) from error
                if not isinstance(document, dict):
                    raise BadFileError(
                        FILE, [BadRow(number, "", "", "is no JSON object")]
                    ) from None
                yield number, document
        return
    yield 1, entry


def _looks_like_package(row: Object) -> bool:
    return all(key in row for key in _RPM) or (
        all(key in row for key in _DEB) and any(key in row for key in _TRUE_DEB)
    )


def _is_system(row: Object) -> bool:
    return "platform" in row and "major" in row and "release" not in row


def _system(row: Object) -> str:
    """Return the system in a row of the table ``os_version``."""
    release = str(row.get("version", "")).split(" ")[0]
    if row.get("platform") == "ubuntu":
        release = ".".join(release.split(".")[:2])  # 22.04.3, which os-release calls 22.04
    return os_names.system(str(row.get("platform")), release)


def _is_installed(row: Object) -> bool:
    """Return whether a row is of something installed: dpkg also keeps what was removed."""
    status = row.get("status")
    return not isinstance(status, str) or dpkg.is_present(status)


def _package(row: Object) -> Package | None:
    name, version, arch, source = (
        json_text.text_in(row, key) for key in ("name", "version", "arch", "source")
    )
    if not _looks_like_package(row):
        return None
    if "release" in row:
        epoch, release, vendor = (
            json_text.text_in(row, key) for key in ("epoch", "release", "vendor")
        )
        return rpm.package((epoch, version, release), name, arch, source, "", vendor)
    if "source" not in row:
        return Package("dpkg", name, version, arch)
    return Package("dpkg", name, version, arch, *dpkg.source_of(source, name, version))
