"""The demo's fleet: some 200 hosts over a few images, sites and habits, from real package lists."""

import csv
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

DATA = Path(__file__).parent / "data"
TOLD_ON = date(2026, 11, 23)  # the day the data was gathered: "today" of the demo's flaws
NEVER = 10_000  # days

SITES = ("frankfurt", "dublin", "virginia")
OWNERS = {"web": "web team", "api": "payments", "db": "data platform", "build": "developer tools"}


@dataclass(frozen=True, slots=True)
class Machine:
    """A host of the demo, and how it lives."""

    hostname: str
    os_id: str
    os_release: str
    image: str  # file in DATA
    roles: tuple[str, ...]  # which packages of the image it has
    environment: str
    site: str
    owner: str
    criticality: str
    exposure: str
    ring: str
    window: str
    tags: str
    lag: int  # days after which it installs updates by itself
    silent_since: int = -1  # days before today of its last report; -1: it reports


@dataclass(frozen=True, slots=True)
class Installed:
    """A package of an image: as first installed, and as an update leaves it."""

    role: str
    name: str
    version: str
    arch: str
    source: str
    source_version: str
    new_version: str
    new_source_version: str


@dataclass(frozen=True, slots=True)
class Flaw:
    """One CVE in one source package of one release."""

    release: str
    source: str
    cve: str
    status: str
    fixed: str
    urgency: str
    age: int  # days that it has been known on the demo's today


def machines() -> list[Machine]:
    """Return the fleet; always the same one."""
    found = [
        *(_machine("web", n, ("base",), "public", "high") for n in range(1, 73)),
        *(_machine("api", n, ("base",), "internal", "high") for n in range(1, 49)),
        *(_machine("db", n, ("base", "database"), "internal", "critical") for n in range(1, 37)),
        *(
            _machine("build", n, ("base", "build", "cloud"), "internal", "low")
            for n in range(1, 25)
        ),
    ]
    return found + [_legacy(n) for n in range(1, 11)] + [_unfed(n) for n in range(1, 9)]


def _machine(role: str, n: int, roles: tuple[str, ...], exposure: str, criticality: str) -> Machine:
    site = SITES[n % 3]
    environment = ("production", "production", "production", "staging", "test")[n % 5]
    spread = (n * 7 + len(role) * 3) % 20
    lag = 10 if spread < 8 else 24 if spread < 16 else 60 if spread < 19 else NEVER
    return Machine(
        hostname=f"{role}{n:02d}.{site}.example.net",
        os_id="debian",
        os_release="12",
        image="bookworm",
        roles=roles,
        environment=environment,
        site=site,
        owner=OWNERS[role],
        criticality=criticality if environment == "production" else "low",
        exposure=exposure,
        ring="canary" if environment == "test" else "",
        window="nights" if role == "db" and environment == "production" else "",
        tags=f"role={role}",
        lag=lag,
        silent_since=19 if role == "api" and n in (12, 33) else -1,
    )


def _legacy(n: int) -> Machine:
    return Machine(
        f"billing{n:02d}.dublin.example.net", "debian", "10", "buster", ("base",), "production",
        "dublin", "payments", "high", "internal", "", "", "role=billing end-of-life", NEVER,
        33 if n == 4 else -1,
    )  # fmt: skip


def _unfed(n: int) -> Machine:
    return Machine(
        f"kiosk{n:02d}.virginia.example.net", "ubuntu", "18.04", "bionic", ("base",), "production",
        "virginia", "retail", "low", "public", "", "", "role=kiosk", NEVER,
    )  # fmt: skip


@cache
def image(name: str) -> tuple[Installed, ...]:
    """Return the packages of an image."""
    with (DATA / f"{name}.csv").open(encoding="utf-8", newline="") as text:
        return tuple(Installed(**row) for row in csv.DictReader(text))


@cache
def flaws() -> tuple[Flaw, ...]:
    """Return every flaw that the demo's feed speaks of."""
    with (DATA / "flaws.csv").open(encoding="utf-8", newline="") as text:
        return tuple(
            Flaw(
                row["release"],
                row["source"],
                row["cve"],
                row["status"],
                row["fixed"],
                row["urgency"],
                (TOLD_ON - date.fromisoformat(row["known_since"])).days,
            )
            for row in csv.DictReader(text)
        )


def version_at(each: Installed, *, known: int) -> tuple[str, str]:
    """Return (version, source version) with the updates that came out ``known`` days ago or more.

    Of an update in between only the source version is known; a package that is numbered apart
    from its source gets the last update or none.
    """
    updates = [flaw for flaw in _updates(each.source) if flaw.age >= known]
    if not updates or not each.new_version:
        return each.version, each.source_version
    fixed = min(updates, key=lambda flaw: flaw.age).fixed
    if fixed == each.new_source_version:
        return each.new_version, fixed
    if each.version == each.source_version:
        return fixed, fixed
    return each.version, each.source_version


@cache
def _updates(source: str) -> tuple[Flaw, ...]:
    return tuple(flaw for flaw in flaws() if flaw.source == source and flaw.fixed)


def write_hosts(path: Path, fleet: Iterable[Machine]) -> None:
    """Write ``hosts.csv``."""
    columns = (
        "hostname", "os_id", "os_release", "environment", "site", "owner", "criticality",
        "exposure", "ring", "window", "tags",
    )  # fmt: skip
    with path.open("w", encoding="utf-8", newline="") as text:
        writer = csv.writer(text)
        writer.writerow([*columns, "arch"])
        for machine in fleet:
            writer.writerow([*(getattr(machine, column) for column in columns), "amd64"])


Patched = dict[str, dict[str, int]]  # hostname -> source -> days ago that a plan updated it


def write_packages(
    path: Path, fleet: Iterable[Machine], *, days_ago: int, patched: Patched
) -> None:
    """Write ``packages.csv`` as of ``days_ago``."""
    alike: dict[tuple[Any, ...], str] = {}  # hosts that live alike have the same packages
    with path.open("w", encoding="utf-8", newline="") as text:
        text.write("hostname,manager,name,version,arch,source,source_version\n")
        for machine in fleet:
            if machine.silent_since > days_ago:
                continue
            done = patched.get(machine.hostname, {})
            key = (machine.image, machine.roles, machine.lag, *sorted(done.items()))
            if key not in alike:
                alike[key] = "".join(_rows(machine, days_ago, done))
            text.write(alike[key].replace("\0", machine.hostname))


def _rows(machine: Machine, days_ago: int, done: dict[str, int]) -> Iterator[str]:
    for each in image(machine.image):
        if each.role in machine.roles:
            known = min(days_ago + machine.lag, done.get(each.source, NEVER))
            version, source_version = version_at(each, known=known)
            yield f"\0,dpkg,{each.name},{version},{each.arch},{each.source},{source_version}\n"


def write_feed(path: Path, *, days_ago: int) -> None:
    """Write what the security tracker would have said ``days_ago``, in its own JSON."""
    document: dict[str, Any] = {}
    for flaw in flaws():
        if flaw.age < days_ago:
            continue
        said: dict[str, Any] = {"status": flaw.status, "urgency": flaw.urgency, "repositories": {}}
        if flaw.fixed:
            said["fixed_version"] = flaw.fixed
        cves = document.setdefault(flaw.source, {})
        cves.setdefault(flaw.cve, {"releases": {}})["releases"][flaw.release] = said
    path.write_text(json.dumps(document), encoding="utf-8")
