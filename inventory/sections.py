"""A host's report: one JSON document of raw texts, each as a tool of the host printed it.

The package listings must be whole, and a bad line refuses the report. Of the rest each section
stands for itself: one that cannot be read makes its fact unknown, and the report says why.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, TypeVar

from inventory import hosts_csv
from inventory.facts import (
    UnreadableError,
    apk,
    apt,
    dnf,
    kernels,
    needrestart,
    os_release,
    pro,
    reboot,
)
from inventory.managers import READERS
from inventory.offers import Answers
from inventory.report import Listing
from patchmgr.domain.facts import Reboot
from patchmgr.domain.facts import reboot as weigh
from patchmgr.domain.host_facts import HostFacts
from patchmgr.domain.kernels import newest_installed
from patchmgr.domain.packages import Package
from patchmgr.errors import BadFileError, BadRow, InputError

VERSION = 1
MOST_SECTIONS = 64
LISTINGS = {  # section -> format of `READERS` that reads it
    "dpkg": "dpkg",
    "dpkg-status": "dpkg",
    "rpm": "rpm",
    "apk": "apk",
    "pip": "pip",
}
_OF_DPKG = {"dpkg", "dpkg-status"}
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Report:
    """What a host says of itself."""

    hostname: str
    collected_at: datetime
    listing: Listing
    os: str  # ID:VERSION_ID, such as debian:12; "" when not reported
    machine: str  # uname -m; "" when not reported
    running_kernel: str  # uname -r; "" when not reported
    facts: HostFacts = field(default_factory=HostFacts)
    answers: Answers = field(default_factory=Answers)


def parse(text: str) -> Mapping[str, Any]:
    """Return the JSON document of a report. Raises `InputError`."""
    try:
        document = json.loads(text)
    except RecursionError as error:
        raise InputError({"report": "is nested too deeply"}) from error
    except ValueError as error:
        raise InputError({"report": f"is not JSON: {str(error)[:200]}"}) from error
    if not isinstance(document, dict):
        raise InputError({"report": "is not a JSON object"})
    return document


def read_report(document: Mapping[str, Any]) -> Report:
    """Return what ``document`` says. Raises `InputError`, and `BadFileError` for a listing."""
    if document.get("version") is not VERSION:
        said = str(document.get("version"))[:40]
        raise InputError({"version": f"{said!r} is not {VERSION}, the form of report that is read"})
    host = document.get("host")
    hostname = host.get("hostname") if isinstance(host, dict) else None
    if not isinstance(hostname, str) or (why := hosts_csv.wrong("hostname", hostname)):
        why = why if isinstance(hostname, str) else "is missing"
        raise InputError({"host.hostname": f"{str(hostname)[:80]!r} {why}"})
    return read_sections(_sections(document), hostname, _instant(document.get("collected_at")))


def _sections(document: Mapping[str, Any]) -> dict[str, str]:
    sections = document.get("sections")
    if not isinstance(sections, dict):
        raise InputError({"sections": "is not an object of section names and texts"})
    if len(sections) > MOST_SECTIONS:
        raise InputError({"sections": f"are more than {MOST_SECTIONS}"})
    for name, text in sections.items():
        if not isinstance(text, str):
            raise InputError({f"sections.{name[:40]}": "is not text"})
    return sections


def _instant(value: object) -> datetime:
    try:
        at = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        said = str(value)[:80]
        raise InputError({"collected_at": f"{said!r} is not an instant with its zone (ISO 8601)"})
    return at


def read_sections(sections: Mapping[str, str], hostname: str, collected_at: datetime) -> Report:
    """Return what the raw texts of a host come to. Raises `BadFileError`."""
    listing = _listing(sections)
    read = _Reading(sections)
    runs = read.section("uname", kernels.running) or ""
    locked = read.section("versionlock", dnf.locks)
    held = read.section("holds", apt.holds)
    restarts = read.section("needrestart", needrestart.read)
    on_disk = read.section("kernels", kernels.installed)
    newest = _newest(runs, listing, on_disk)
    asked = weigh(
        [
            *([restarts.reboot] if restarts else []),
            read.section("reboot-required", reboot.read) or Reboot(),
            read.section("needs-restarting", dnf.needs_restarting) or Reboot(),
            _by_kernel(runs, newest),
        ]
    )
    says_held = held is not None or locked is not None or bool(_OF_DPKG & sections.keys())
    names = listing.held | set(held or ()) | set(locked[0] if locked else ())
    facts = HostFacts(
        reboot=asked,
        kernels=on_disk,
        newest_kernel=newest,
        services=None if restarts is None else restarts.services,
        sessions=None if restarts is None else restarts.sessions,
        containers=None if restarts is None else restarts.containers,
        holds=tuple(sorted(names)) if says_held else None,
        version_locks=locked and locked[1],
        modules=read.section("dnf-modules", dnf.modules),
        pro=read.section("pro-status", pro.read),
    )
    return Report(
        hostname=hostname,
        collected_at=collected_at,
        listing=replace(listing, held=frozenset(names)),
        os=read.section("os-release", os_release.read) or "",
        machine=read.section("uname-m", kernels.machine) or "",
        running_kernel=runs,
        answers=Answers(
            read.section("apt-policy", apt.policy),
            read.section("apt-upgradable", apt.upgradable),
            read.section("dnf-check-update", dnf.updates),
            read.section("apk-upgradable", apk.upgradable),
            frozenset(locked[0] if locked else ()),
        ),
        facts=replace(facts, unreadable=read.unreadable),
    )


class _Reading:
    """Reads sections, and keeps why one could not be read."""

    def __init__(self, sections: Mapping[str, str]) -> None:
        self._sections = sections
        self.unreadable: dict[str, str] = {}

    def section(self, name: str, reader: Callable[[str], T]) -> T | None:
        """Return what the section says; None when it is not there or cannot be read."""
        if name not in self._sections:
            return None
        try:
            return reader(self._sections[name])
        except UnreadableError as error:
            self.unreadable[name] = str(error)
            return None


def _listing(sections: Mapping[str, str]) -> Listing:
    """Return all that the package managers of a host list."""
    there = [name for name in LISTINGS if name in sections]
    if not there:
        raise InputError({"sections": f"have no package listing ({', '.join(LISTINGS)})"})
    packages: frozenset[Package] = frozenset()
    held: frozenset[str] = frozenset()
    for name in there:
        if LISTINGS[name] not in READERS:
            why = "is a listing that cannot be read yet; leave it out"
            raise BadFileError(f"section {name}", [BadRow(0, "", "", why)])
        try:
            found = READERS[LISTINGS[name]](sections[name])
        except BadFileError as error:
            raise BadFileError(f"section {name}", error.rows, error.total) from error
        packages |= found.packages
        held |= found.held
    return Listing(packages, held)


def _newest(runs: str, listing: Listing, on_disk: tuple[str, ...] | None) -> str:
    if not runs:
        return ""
    packages = ((p.manager, p.name, p.version, p.arch) for p in listing.packages)
    return newest_installed(runs, packages, on_disk or ())


def _by_kernel(runs: str, newest: str) -> Reboot:
    if not runs or not newest:
        return Reboot()
    if runs == newest:
        return Reboot(False, ("the newest installed kernel runs",))
    return Reboot(True, (f"kernel {newest} is installed and {runs} runs",))
