"""Operating systems as inventories name them, in the words of os-release.

Others write ``redhat`` for ``rhel``, or a point release where ``VERSION_ID`` has none. What cannot
be told is "", never guessed.

Sources: ``ID`` and ``VERSION_ID`` of each distribution's os-release(5); the ``distro`` qualifier of
the package-url specification, as SBOM generators write it.
"""

import re
from collections.abc import Iterable

from patchmgr.domain.debian_releases import PLATFORMS, UBUNTU

_IDS = {  # what others call what os-release calls otherwise
    "redhat": "rhel",
    "red hat": "rhel",
    "redhatenterpriselinux": "rhel",
    "red hat enterprise linux": "rhel",
    "oracle": "ol",
    "oraclelinux": "ol",
    "oracle linux": "ol",
    "oracle linux server": "ol",
    "amazon": "amzn",
    "amazon linux": "amzn",
    "alma": "almalinux",
    "rocky linux": "rocky",
    "centos linux": "centos",
    "centos stream": "centos",
    "centos-stream": "centos",
    "fedora linux": "fedora",
    "debian gnu/linux": "debian",
    "alpine linux": "alpine",
    "opensuse leap": "opensuse-leap",
    "opensuse.leap": "opensuse-leap",
    "opensuse tumbleweed": "opensuse-tumbleweed",
    "opensuse.tumbleweed": "opensuse-tumbleweed",
    "suse linux enterprise server": "sles",
    "suse.linux.enterprise.server": "sles",
    "suse linux enterprise desktop": "sled",
    "cbl-mariner": "mariner",
    "microsoft azure linux": "azurelinux",
    "archlinux": "arch",
    "arch linux": "arch",
}
_ID = re.compile(r"[a-z0-9][a-z0-9._-]*", re.ASCII)
_RELEASE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+~-]*", re.ASCII)
# VERSION_ID is the first number alone; Amazon's first Linux was "2018.03".
_MAJOR_ONLY = {"debian", "raspbian", "centos", "fedora"}
_LONGEST = 64


def system(name: str, release: str) -> str:
    """Return ``ID:RELEASE`` of a system that others call ``name`` and ``release``; "" if unclear.

    A release without a number is one of Debian's or Ubuntu's, by its codename.
    """
    plain = " ".join(name.lower().split())
    os_id = _IDS.get(plain, plain)
    codename = release.lower().rpartition("/")[2]  # "trixie/sid"
    if codename in PLATFORMS and os_id in ("", "debian"):
        return PLATFORMS[codename]
    if codename in UBUNTU and os_id in ("", "ubuntu"):
        return UBUNTU[codename]
    release = release.split(" ", maxsplit=1)[0]  # "2 (Karoo)"
    is_release = _RELEASE.fullmatch(release) and (release[0].isdigit() or release == "rolling")
    if not _ID.fullmatch(os_id) or not is_release or len(os_id) + len(release) > _LONGEST:
        return ""
    return f"{os_id}:{_version_id(os_id, release)}"


def _version_id(os_id: str, release: str) -> str:
    major = release.partition(".")[0]
    if os_id in _MAJOR_ONLY or (os_id == "amzn" and major not in {"2017", "2018"}):
        return major
    return release


def of_distro(distro: str, namespace: str) -> str:
    """Return the system of a package URL's ``distro``; "" when it does not tell.

    It is ``debian-12``, a codename, or a release alone of what the ``namespace`` names.
    """
    if distro[:1].isdigit() or "-" not in distro:
        return system(namespace, distro)
    name, _, release = distro.rpartition("-")
    return system(name, release)


def agree(one: str, other: str) -> bool:
    """Return whether two systems are the same, be it that one release is more exact."""
    (one_id, _, first), (other_id, _, second) = one.partition(":"), other.partition(":")
    if one_id != other_id:
        return False
    return f"{first}.".startswith(f"{second}.") or f"{second}.".startswith(f"{first}.")


def agreed(said: Iterable[str]) -> str | None:
    """Return the most exact of the systems ``said``, "" for none; None if they contradict."""
    found = sorted(set(filter(None, said)), key=lambda each: (len(each), each))
    if any(not agree(each, found[-1]) for each in found):
        return None
    return found[-1] if found else ""
