"""What is installed where: platforms, package versions, and what was built from what."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NewType

Platform = NewType("Platform", str)  # "debian:12", as in design.md, Words
UNKNOWN_PLATFORM = Platform("")

# The package managers that inventories may name (design.md 5.1), and the version scheme that each
# one's versions follow: the names of `versions.SCHEMES`.
SCHEME_OF_MANAGER: dict[str, str] = {
    "dpkg": "dpkg",
    "rpm": "rpm",
    "apk": "apk",
    "alpm": "alpm",
    "pypi": "pep440",
    "npm": "semver",
    "cargo": "semver",
    "golang": "semver",
    "gem": "gem",
    "maven": "maven",
    "nuget": "nuget",
    "windows": "nuget",  # Windows itself, by its build
}
MANAGERS = tuple(SCHEME_OF_MANAGER)
# Managers whose packages are the same on every host: advisories name the ecosystem, not a release.
ECOSYSTEMS = frozenset({"pypi", "npm", "cargo", "golang", "gem", "maven", "nuget"})
SYSTEMS = {  # package managers of operating systems, and the os-release IDs that use them
    "dpkg": (
        "debian ubuntu raspbian linuxmint kali pop devuan elementary neon zorin parrot"
        " deepin pureos"
    ),
    "rpm": (
        "rhel centos fedora almalinux rocky ol amzn sles sled sles_sap sle_hpc sl-micro sle-micro"
        " sle-micro-rancher suse opensuse opensuse-leap opensuse-leap-micro opensuse-tumbleweed"
        " opensuse-microos openeuler azurelinux mariner photon scientific cloudlinux virtuozzo"
        " eurolinux miraclelinux mageia anolis alinux tencentos"
    ),
    "apk": "alpine wolfi chainguard postmarketos",
    "alpm": "arch archarm manjaro endeavouros artix",
}
_MANAGER_OF_OS = {os_id: manager for manager, ids in SYSTEMS.items() for os_id in ids.split()}


def platform(os_id: str, os_release: str) -> Platform:
    """Return the platform of os-release's ``ID`` and ``VERSION_ID``; unknown when ID is empty.

    A rolling release has no ``VERSION_ID`` and becomes ``ID:rolling``.
    """
    if not os_id:
        return UNKNOWN_PLATFORM
    return Platform(f"{os_id}:{os_release or 'rolling'}")


def manager_of(platform: str) -> str:
    """Return the package manager of a platform's system; "" when it has none that we know."""
    return _MANAGER_OF_OS.get(platform.partition(":")[0], "")


def scheme_of_platform(platform: str) -> str:
    """Return the scheme of the versions that packages of ``platform`` have; "" when unknown.

    A language ecosystem is a platform under its manager's name, such as ``pypi``.
    """
    os_id, _, _ = platform.partition(":")
    manager = _MANAGER_OF_OS.get(os_id, os_id)
    if platform in SYSTEMS:  # "rpm" alone names no system
        return ""
    return SCHEME_OF_MANAGER.get(manager, "")


def entitled(where: Platform, entitlements: Iterable[str]) -> Platform:
    """Return ``where`` as advisories judge it for a host of ``entitlements`` ("esm-infra", "eus").

    Versions are judged once for the whole fleet, so what changes a verdict is part of the platform:
    ``ubuntu:20.04/esm-apps,esm-infra``.
    """
    return Platform("/".join(filter(None, (where, ",".join(sorted(set(entitlements)))))))


def release_of(judged: str) -> Platform:
    """Return the platform of `entitled` without what its hosts are entitled to."""
    return Platform(judged.partition("/")[0])


def channels(judged: str) -> frozenset[str]:
    """Return what hosts of a platform, as `entitled` writes it, are entitled to."""
    return frozenset(filter(None, judged.partition("/")[2].split(",")))


@dataclass(frozen=True, slots=True, order=True)
class Package:
    """One package version as a host has it; what it was built from is empty when not known."""

    manager: str
    name: str
    version: str
    arch: str = ""
    source: str = ""
    source_version: str = ""
    module: str = ""  # name:stream of a modular build (dnf)
    origin: str = ""  # who built it: rpm's vendor, apt's origin
