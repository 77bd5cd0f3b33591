"""What is installed where: platforms, package versions, and what was built from what."""

from dataclasses import dataclass
from typing import NewType

Platform = NewType("Platform", str)  # "debian:12", as in design.md, Words
UNKNOWN_PLATFORM = Platform("")

# The package managers that inventories may name (design.md 5.1), and the version scheme that each
# one's versions follow. A scheme that is not in `versions.SCHEMES` makes verdicts undetermined.
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


def platform(os_id: str, os_release: str) -> Platform:
    """Return the platform of os-release's ``ID`` and ``VERSION_ID``; unknown when ID is empty.

    A rolling release has no ``VERSION_ID`` and becomes ``ID:rolling``.
    """
    if not os_id:
        return UNKNOWN_PLATFORM
    return Platform(f"{os_id}:{os_release or 'rolling'}")


@dataclass(frozen=True, slots=True, order=True)
class Package:
    """One package version as a host has it; what it was built from is empty when not known."""

    manager: str
    name: str
    version: str
    arch: str = ""
    source: str = ""
    source_version: str = ""
