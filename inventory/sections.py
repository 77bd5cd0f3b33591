"""A host's report: one JSON document of raw texts, each as a tool of the host printed it.

The package listings must be whole, and a bad line refuses the report. Of the rest each section
stands for itself: one that cannot be read makes its fact unknown, and the report says why.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TypeVar

from inventory import hosts_csv, os_release
from inventory.documents import Document
from inventory.facts import (
    UnreadableError,
    apk,
    apt,
    dnf,
    kernels,
    needrestart,
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
from patchmgr.errors import BadFileError, InputError

LISTINGS = {  # section -> format of `READERS` that reads it
    "dpkg": "dpkg",
    "dpkg-status": "dpkg",
    "rpm": "rpm",
    "apk": "apk",
    "pip": "pip",
}
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


def read_report(document: Document) -> Report:
    """Return what ``document`` says. Raises `InputError`, and `BadFileError` for a listing."""
    hostname = document.host.hostname
    if why := hosts_csv.wrong("hostname", hostname):
        raise InputError({"host.hostname": f"{hostname[:80]!r} {why}"})
    return read_sections(document.sections, hostname, document.collected_at)


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
    says_held = any(each is not None for each in (held, locked, listing.held))
    names = {*(listing.held or ()), *(held or ()), *(locked[0] if locked else ())}
    system = _system(read, sections)
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
        listing=replace(listing, held=frozenset(names) if says_held else None, system=system),
        os=system,
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
    found = []
    for name in there:
        try:
            found.append(READERS[LISTINGS[name]].read(sections[name]))
        except BadFileError as error:
            raise BadFileError(f"section {name}", error.rows, error.total) from error
    held = [each.held for each in found if each.held is not None]
    return Listing(
        frozenset[Package]().union(*(each.packages for each in found)),
        frozenset[str]().union(*held) if held else None,
        managers=frozenset[str]().union(*(each.managers for each in found)),
        not_judged=sum(each.not_judged for each in found),
        not_judged_why=tuple(why for each in found for why in each.not_judged_why),
        notes=tuple(note for each in found for note in each.notes),
    )


def _system(read: "_Reading", sections: Mapping[str, str]) -> str:
    """Return ID:VERSION_ID as the host says it; "" when it does not, or cannot be read."""
    name = next((each for each in ("os-release", "redhat-release") if sections.get(each)), "")
    return (read.section(name, _os_release) or "") if name else ""


def _os_release(text: str) -> str:
    try:
        return os_release.read(text).system
    except BadFileError as error:
        bad = error.rows[0]
        raise UnreadableError(bad.row, bad.value, bad.remedy) from error
    except InputError as error:
        raise UnreadableError(0, "", str(error)) from error


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
