"""A fleet from a seed: Debian packages, images with drift, and a feed that finds about 46 a host.

Hosts of one image differ from it in 2 % of their packages, so that almost every set is unique.
"""

import json
import random
from dataclasses import dataclass
from pathlib import Path

SEED = 20260302
SOURCES = 1100
PACKAGES = 700  # a host
COMMON = 400  # of those, on every image
IMAGES = 50
DRIFT = 14  # packages of a host that are not as in its image: 2 %
ADVISORIES = 780
AGES = (0, 1, 2)  # versions of a package, oldest first
SHARES = (5, 8, 87)  # percent of installations that have each
CHANGED = 100  # one host in so many reports something new for the second scan
UPGRADED = 5  # packages of such a host


@dataclass(frozen=True)
class Shape:
    """How large a fleet is, and what is said of it."""

    hosts: int
    sources: int = SOURCES
    advisories: int = ADVISORIES
    changed: int = CHANGED
    seed: int = SEED


@dataclass(frozen=True)
class Package:
    """A binary package with a version for each of `AGES`, as the end of a row of packages.csv."""

    source: int
    rows: tuple[str, str, str]


@dataclass(frozen=True)
class Fleet:
    """Where the files are."""

    hosts: Path
    packages: Path
    changed: Path  # packages.csv of the hosts that changed
    feed: Path
    more: Path  # the feed with one advisory more
    again: Path  # and with a second one


def generate(folder: Path, shape: Shape) -> Fleet:
    """Write a fleet of ``shape`` into ``folder``; the same seed gives the same bytes."""
    rng = random.Random(shape.seed)
    versions = [_versions(rng, source) for source in range(shape.sources)]
    packages = [
        _package(source, part, versions[source])
        for source in range(shape.sources)
        for part in range(rng.choice((1, 2, 2, 3)))
    ]
    fleet = Fleet(*(folder / f"{name}" for name in FILES))
    images = [_image(rng, packages) for _ in range(IMAGES)]
    _write_hosts(fleet.hosts, shape.hosts)
    _write_packages(fleet, rng, packages, images, shape)
    feed = _feed(rng, versions, shape.advisories)
    fleet.feed.write_text(json.dumps(feed))
    feed["src0001"]["CVE-2026-99999"] = _resolved(versions[1][2])
    fleet.more.write_text(json.dumps(feed))
    feed["src0002"] = feed.get("src0002", {}) | {"CVE-2026-99998": _resolved(versions[2][2])}
    fleet.again.write_text(json.dumps(feed))
    return fleet


FILES = ("hosts.csv", "packages.csv", "changed.csv", "feed.json", "more.json", "again.json")


def _versions(rng: random.Random, source: int) -> tuple[str, str, str]:
    epoch = f"{rng.randint(1, 3)}:" if source % 20 == 0 else ""
    upstream = f"{rng.randint(0, 12)}.{rng.randint(0, 30)}.{rng.randint(0, 9)}"
    suffix = f"{epoch}{upstream}-{rng.randint(1, 8)}"
    return suffix, f"{suffix}+deb12u1", f"{suffix}+deb12u2"


def _package(source: int, part: int, versions: tuple[str, str, str]) -> Package:
    name = f"src{source:04}" if part == 0 else f"libsrc{source:04}-{part}"
    arch = "all" if source % 5 == 0 else "amd64"
    rows = tuple(
        f",dpkg,{name},{version},{arch},src{source:04},{version}\n" for version in versions
    )
    return Package(source, (rows[0], rows[1], rows[2]))


def _image(rng: random.Random, packages: list[Package]) -> dict[int, int]:
    """Return what an image has: package -> age."""
    chosen = [*range(COMMON), *rng.sample(range(COMMON, len(packages)), PACKAGES - COMMON)]
    return dict(zip(sorted(chosen), rng.choices(AGES, SHARES, k=PACKAGES), strict=True))


def _write_hosts(path: Path, hosts: int) -> None:
    lines = ["hostname,os_id,os_release,arch,environment,site\n"]
    for host in range(hosts):
        environment = ("production", "staging", "test")[host % 3]
        lines.append(f"host{host:06},debian,12,amd64,{environment},site{host % 7}\n")
    path.write_text("".join(lines))


def _write_packages(
    fleet: Fleet,
    rng: random.Random,
    packages: list[Package],
    images: list[dict[int, int]],
    shape: Shape,
) -> None:
    header = "hostname,manager,name,version,arch,source,source_version\n"
    with fleet.packages.open("w") as everything, fleet.changed.open("w") as changed:
        everything.write(header)
        changed.write(header)
        for host in range(shape.hosts):
            installed = dict(images[host % IMAGES])
            for package in rng.sample(list(installed), DRIFT):
                installed[package] = rng.choices(AGES, SHARES)[0]
            everything.write(_listing(host, installed, packages))
            if host % shape.changed == 0:
                for package in rng.sample(list(installed), UPGRADED):
                    installed[package] = AGES[-1] - installed[package] // 2
                changed.write(_listing(host, installed, packages))


def _listing(host: int, installed: dict[int, int], packages: list[Package]) -> str:
    name = f"host{host:06}"
    return name + name.join(packages[package].rows[age] for package, age in installed.items())


def _feed(
    rng: random.Random, versions: list[tuple[str, str, str]], advisories: int
) -> dict[str, dict[str, object]]:
    """Return a document of the tracker's shape: source -> CVE -> release."""
    feed: dict[str, dict[str, object]] = {"src0001": {}}
    for number in range(advisories):
        source = rng.randrange(len(versions))
        fixed = versions[source][rng.choice((1, 2))]
        feed.setdefault(f"src{source:04}", {})[f"CVE-2026-{10000 + number}"] = _resolved(fixed)
    return feed


def _resolved(fixed: str) -> dict[str, object]:
    release = {
        "status": "resolved",
        "fixed_version": fixed,
        "repositories": {"bookworm": fixed},
        "urgency": "medium",
    }
    return {"scope": "local", "releases": {"bookworm": release}}
