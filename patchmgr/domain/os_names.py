"""Operating systems as people, consoles and other tools name them, in the words of os-release.

They write "Red Hat Enterprise Linux 8.6", ``redhat`` or ``rhel-8.6``, and a point release where
``VERSION_ID`` has none; advisories speak of ``rhel`` and ``8.6``. A name that does not say both, or
contradicts its version, is none: nothing is guessed.

Sources: ``ID`` and ``VERSION_ID`` of each distribution's os-release(5); the ``distro`` qualifier of
the package-url specification, as SBOM generators write it.
"""

import re
from collections.abc import Iterable
from typing import NamedTuple

from patchmgr.domain import windows_builds
from patchmgr.domain.debian_releases import PLATFORMS, UBUNTU

LONGEST = 200  # characters of a name that is looked at


class System(NamedTuple):
    os_id: str
    os_release: str


_NAMES: dict[str, tuple[str, ...]] = {  # ID -> what others call it, in lower case
    "rhel": (
        "red hat enterprise linux server",
        "red hat enterprise linux workstation",
        "red hat enterprise linux",
        "red hat enterprise",
        "redhat enterprise linux",
        "redhatenterpriselinux",
        "linux red hat",
        "red hat",
        "redhat",
        "rhel server",
        "rhel",
    ),
    "centos": ("centos stream", "centos-stream", "centos_stream", "centos linux", "centos"),
    "rocky": ("rocky linux", "rockylinux", "rocky"),
    "almalinux": ("almalinux", "alma linux", "alma"),
    "ol": (
        "oracle linux server",
        "oracle linux",
        "oraclelinux",
        "oracle",
        "ol",
    ),
    "fedora": ("fedora linux", "fedora"),
    "amzn": ("amazon linux ami", "amazon linux", "amazon", "amzn"),
    "sles": (
        "suse linux enterprise server",
        "suse.linux.enterprise.server",
        "linux suse",
        "sles",
    ),
    "sled": ("suse linux enterprise desktop", "sled"),
    "opensuse-leap": ("opensuse leap", "opensuse.leap", "opensuse-leap"),
    "opensuse-tumbleweed": ("opensuse tumbleweed", "opensuse.tumbleweed"),
    "debian": ("debian gnu/linux", "linux debian", "debian linux", "debian"),
    "raspbian": ("raspbian gnu/linux", "raspbian"),
    "ubuntu": ("linux ubuntu", "ubuntu linux", "ubuntu server", "ubuntu"),
    "alpine": ("alpine linux", "alpine"),
    "mariner": ("cbl-mariner",),
    "azurelinux": ("microsoft azure linux",),
    "arch": ("archlinux", "arch linux"),
}
_IDS = {name: os_id for os_id, names in _NAMES.items() for name in names}
_LONGEST_FIRST = sorted(_IDS, key=len, reverse=True)
_MAJOR = re.compile(r"(\d{1,4})(?:\.\d+)*")
_MINOR = re.compile(r"(\d{1,2}(?:\.\d{1,2})?)(?:\.\d+)*")
_RELEASES = {  # how VERSION_ID is made of what others write
    "centos": _MAJOR,
    "fedora": _MAJOR,
    "debian": _MAJOR,
    "raspbian": _MAJOR,
    "rhel": _MINOR,
    "rocky": _MINOR,
    "almalinux": _MINOR,
    "ol": _MINOR,
    "opensuse-leap": re.compile(r"(\d{1,2}\.\d{1,2})(?:\.\d+)*"),
    "ubuntu": re.compile(r"(\d{1,2}\.\d{1,2})(?:\.\d+)*"),
    "amzn": re.compile(r"(201[0-8]\.\d{2}|\d{1,4})(?:\.\d+)*"),  # the first had years and months
    "alpine": re.compile(r"(\d{1,2}\.\d{1,2}(?:\.\d{1,2})?)"),
}
_ROLLING = ("arch",)  # have no releases: what stands in a column of versions is of a kernel
_WITH_PACKS = ("sles", "sled")
_PACK = re.compile(r"(\d{2})(?:(?:\.| ?-? ?sp ?| service pack )(\d))?")
_DECORATION = re.compile(r"\(r\)|\(tm\)|[®™©]|\([^()]*\)|\blts\b|\brelease\b|\bx86_64\b|\b64-bit\b")
_ID = re.compile(r"[a-z0-9][a-z0-9._-]*", re.ASCII)
_RELEASE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+~-]*", re.ASCII)
_LONGEST_PLATFORM = 64


def read(name: str, version: str = "") -> System | None:
    """Return the system that people call ``name``; None when that cannot be told.

    ``version`` is what another column says of it: "8.6", "10.0.17763.5576". It must not contradict
    what the name says itself.
    """
    plain, more = _plain(name[:LONGEST]), _plain(version[:LONGEST])
    if windows_builds.is_windows(plain):
        build = windows_builds.build(plain, more)
        return None if build is None else System("windows", build)
    os_id, said = _named(plain)
    if not os_id:
        return None
    again, release = _named(more)  # "Red Hat Enterprise Linux release 8.6" beside "Linux Red Hat"
    if again and again != os_id:
        return None
    return _linux(os_id, said, release if again else more)


def _named(plain: str) -> tuple[str, str]:
    """Return the ID of the system that a text begins with, "" for none, and what follows."""
    for text in (plain, plain.removeprefix("linux ")):  # a CMDB's "Linux CentOS"
        for begins in _LONGEST_FIRST:
            if text == begins or text.startswith(begins + " "):
                return _IDS[begins], text[len(begins) :].strip()
    return "", plain


def _plain(text: str) -> str:
    return " ".join(re.sub("[,:]", " ", _DECORATION.sub(" ", text.lower())).split())


def _linux(os_id: str, said: str, version: str) -> System | None:
    # A kernel or a codename in the version column ("jammy") says nothing of the release.
    if os_id in _ROLLING and said in ("", "rolling"):
        return System(os_id, "rolling")
    releases = {text: _release(os_id, text) for text in (said, version) if text}
    if said and releases[said] is None:
        return None
    found = [release for release in releases.values() if release is not None]
    if not found:
        return None
    longest = max(found, key=len)
    if any(longest != each and not longest.startswith(each + ".") for each in found):
        return None
    return System(os_id, longest)


def _release(os_id: str, text: str) -> str | None:
    text = text.removeprefix("v").removeprefix("version ").strip()
    if os_id in _WITH_PACKS:
        pack = _PACK.fullmatch(text)
        return None if pack is None else ".".join(filter(None, pack.groups()))
    found = _RELEASES[os_id].fullmatch(text) if os_id in _RELEASES else None
    return None if found is None else found[1]


def system(name: str, release: str) -> str:
    """Return ``ID:RELEASE`` of what other tools call ``name`` and ``release``; "" if unclear.

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
    if not _ID.fullmatch(os_id) or not is_release or len(os_id) + len(release) > _LONGEST_PLATFORM:
        return ""
    return f"{os_id}:{_release(os_id, release.lower()) or release}"


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
