"""Of which platform an OSV record speaks, and which versions it means, by its ecosystem string.

Source: OSV schema, "Defined ecosystems"; Ubuntu's documentation of its OSV data, which names the
services of Ubuntu Pro; os-release(5) of the distributions for their ids.
"""

import re
from collections.abc import Callable, Container
from dataclasses import dataclass

from patchmgr.domain.advisories import Match
from patchmgr.feeds.formats import redhat, suse_products


@dataclass(frozen=True, slots=True)
class Place:
    """What an ecosystem string means here."""

    platform: str
    scheme: str
    match: Match = Match.SOURCE
    channel: str = ""

    @property
    def is_language(self) -> bool:
        return ":" not in self.platform


LANGUAGES = {
    "PyPI": Place("pypi", "pep440"),
    "npm": Place("npm", "semver"),
    "crates.io": Place("cargo", "semver"),
    "Go": Place("golang", "semver"),
    "RubyGems": Place("gem", "gem"),
    "Maven": Place("maven", "maven"),
    "NuGet": Place("nuget", "nuget"),
}
# AlmaLinux names binary packages, Rocky Linux the source packages that its advisories list.
_NUMBERED = {
    "AlmaLinux": ("almalinux", "rpm", Match.BINARY, re.compile(r"[0-9]+")),
    "Rocky Linux": ("rocky", "rpm", Match.SOURCE, re.compile(r"[0-9]+")),
    "Mageia": ("mageia", "rpm", Match.SOURCE, re.compile(r"[0-9]+")),
    "Debian": ("debian", "dpkg", Match.SOURCE, re.compile(r"[0-9]+(?:\.[0-9]+)?")),
    "Alpine": ("alpine", "apk", Match.SOURCE, re.compile(r"v([0-9]+\.[0-9]+)")),
}
# Distributions without releases: VERSION_ID is the day of a snapshot.
_ROLLING = {
    "Wolfi": Place("wolfi:rolling", "apk"),
    "Chainguard": Place("chainguard:rolling", "apk"),
}
_AZURE_LINUX = {"2": "mariner:2.0", "3": "azurelinux:3.0"}
_RELEASE = re.compile(r"[0-9]+\.[0-9]+")
ESM = "esm"  # Ubuntu Pro's maintenance of packages; which half of it, the record says elsewhere
_PRO = {  # parts of an ecosystem string -> service of Ubuntu Pro, as its client names it
    ("Pro",): ESM,
    ("Pro", "FIPS"): "fips",
    ("Pro", "FIPS-updates"): "fips-updates",
    ("Pro", "FIPS-preview"): "fips-preview",
    ("Pro", "Realtime", "Kernel"): "realtime-kernel",
    ("Nvidia-BlueField",): "bluefield",
    ("for", "NVIDIA", "BlueField"): "bluefield",
}


def place(ecosystem: str) -> Place | None:
    """Return what ``ecosystem`` means; None when we have no platform or no version order for it.

    The string has to name the release: a statement about every Debian there ever was is not one
    about the packages of Debian 12.
    """
    if ecosystem in LANGUAGES or ecosystem in _ROLLING:
        return LANGUAGES.get(ecosystem) or _ROLLING[ecosystem]
    family, _, release = ecosystem.partition(":")
    if family in _NUMBERED:
        os_id, scheme, match, numbered = _NUMBERED[family]
        found = numbered.fullmatch(release)
        return Place(f"{os_id}:{found[found.re.groups]}", scheme, match) if found else None
    reader = _NAMED.get(family)
    return reader(release) if reader else None


def _ubuntu(release: str) -> Place | None:
    parts = release.split(":")
    numbers = [part for part in parts if _RELEASE.fullmatch(part)]
    service = tuple(part for part in parts if part not in {*numbers, "LTS"})
    if len(numbers) != 1 or (service and service not in _PRO):
        return None
    return Place(f"ubuntu:{numbers[0]}", "dpkg", channel=_PRO[service] if service else "")


def _red_hat(release: str) -> Place | None:
    found = redhat.stream(f"cpe:/o:redhat:{release}")  # the rest of a CPE is the ecosystem's suffix
    return Place(found.platform, "rpm", Match.BINARY, found.channel) if found else None


def _suse(release: str) -> Place | None:
    return _suse_product(f"SUSE {release}")


def _opensuse(release: str) -> Place | None:
    return _suse_product(f"openSUSE {release}")


def _suse_product(name: str) -> Place | None:
    """Return the first of the systems that a product is for: of a module, that is SLES."""
    found = suse_products.placed(name)
    return Place(found.platforms[0], "rpm", channel=found.channel) if found else None


def _azure_linux(release: str) -> Place | None:
    return Place(_AZURE_LINUX[release], "rpm") if release in _AZURE_LINUX else None


_NAMED: dict[str, Callable[[str], Place | None]] = {
    "Ubuntu": _ubuntu,
    "Red Hat": _red_hat,
    "SUSE": _suse,
    "openSUSE": _opensuse,
    "Azure Linux": _azure_linux,
}


def family(platform: str) -> str:
    """Return the OSV ecosystem that holds the records of ``platform``; "" when none does."""
    os_id = platform.partition(":")[0]
    return _FAMILIES.get(os_id, "")


def served(otherwise: Container[str]) -> tuple[str, ...]:
    """Return the platforms, without their releases, of all ecosystems but those ``otherwise``."""
    return tuple(os_id for os_id, name in _FAMILIES.items() if name not in otherwise)


_FAMILIES = {
    **{found.platform: name for name, found in LANGUAGES.items()},
    **{os_id: name for name, (os_id, *_) in _NUMBERED.items()},
    **{found.platform.partition(":")[0]: name for name, found in _ROLLING.items()},
    "ubuntu": "Ubuntu",
    "rhel": "Red Hat",
    "sles": "SUSE",
    "opensuse-leap": "openSUSE",
    "opensuse-tumbleweed": "openSUSE",
    "azurelinux": "Azure Linux",
    "mariner": "Azure Linux",
}
