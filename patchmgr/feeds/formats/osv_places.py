"""Of which platform an OSV record speaks, and which versions it means, by its ecosystem string.

Source: OSV schema, "Defined ecosystems"; Ubuntu's documentation of its OSV data, which names the
services of Ubuntu Pro; os-release(5) of the distributions for their ids.
"""

import re
from collections.abc import Callable, Container
from dataclasses import dataclass

from patchmgr.domain.advisories import Match


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
# Products of Red Hat by the name in their CPE, with what a host must subscribe to.
_RED_HAT = {
    "enterprise_linux": "",
    "rhel_eus": "eus",
    "rhel_aus": "aus",
    "rhel_tus": "tus",
    "rhel_e4s": "e4s",
    "rhel_els": "els",
}
_SUSE = re.compile(
    r"Linux Enterprise (?:Server|Module for [A-Za-z0-9 ]+) ([0-9]+)(?: SP([0-9]+))?(-LTSS)?"
)
_LEAP = re.compile(r"Leap ([0-9]+\.[0-9]+)")
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
    if ecosystem in LANGUAGES:
        return LANGUAGES[ecosystem]
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
    product, _, rest = release.partition(":")
    number = rest.partition(":")[0]
    if product not in _RED_HAT or not re.fullmatch(r"[0-9]+(?:\.[0-9]+)?", number):
        return None
    return Place(f"rhel:{number}", "rpm", Match.BINARY, _RED_HAT[product])


def _suse(release: str) -> Place | None:
    found = _SUSE.fullmatch(release)
    if found is None:
        return None
    number, pack, ltss = found.groups()
    return Place(
        f"sles:{number}.{pack}" if pack else f"sles:{number}",
        "rpm",
        channel="ltss" if ltss else "",
    )


def _opensuse(release: str) -> Place | None:
    if release == "Tumbleweed":
        return Place("opensuse-tumbleweed:rolling", "rpm")
    found = _LEAP.fullmatch(release)
    return Place(f"opensuse-leap:{found[1]}", "rpm") if found else None


_NAMED: dict[str, Callable[[str], Place | None]] = {
    "Ubuntu": _ubuntu,
    "Red Hat": _red_hat,
    "SUSE": _suse,
    "openSUSE": _opensuse,
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
    "ubuntu": "Ubuntu",
    "rhel": "Red Hat",
    "sles": "SUSE",
    "opensuse-leap": "openSUSE",
    "opensuse-tumbleweed": "openSUSE",
}
