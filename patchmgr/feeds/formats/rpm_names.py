"""RPM packages as vendors write them in one string: name, version and release, perhaps the arch.

Source: rpm's file names, ``name-version-release.arch.rpm``; neither version nor release has a "-",
so the string is read from the right. An epoch is not part of it.
"""

from collections.abc import Iterable
from dataclasses import dataclass

ARCHES = frozenset(
    {"aarch64", "armv6hl", "armv7hl", "i386", "i586", "i686", "ia64", "loongarch64", "noarch"}
    | {"nosrc", "ppc", "ppc64", "ppc64le", "riscv64", "s390", "s390x", "src", "sw_64", "x86_64"}
)
SOURCES = frozenset({"src", "nosrc"})
EVERYWHERE = frozenset({"", "noarch"})


@dataclass(frozen=True, slots=True)
class Built:
    name: str
    version: str  # version-release
    arch: str  # "" when it is not said


def built(text: str) -> Built | None:
    """Return the package that ``text`` names; None when it names none."""
    whole = text.removesuffix(".rpm")
    head, dot, arch = whole.rpartition(".")
    if not dot or arch not in ARCHES:
        head, arch = whole, ""
    name, *version = head.rsplit("-", 2)
    if not name or len(version) != 2 or not all(version) or " " in head:
        return None
    return Built(name, "-".join(version), arch)


def is_debug(name: str) -> bool:
    """Return whether the package of that name only holds symbols or sources for debuggers."""
    return name.endswith(("-debuginfo", "-debugsource")) or "-debuginfo-" in name


def narrowed(arches: Iterable[str], every: Iterable[str]) -> str:
    """Return what a statement made for ``arches`` says of them, when there are ``every`` at all.

    "" when it says nothing: it is for any, or for all that the vendor builds.
    """
    named = set(arches)
    if named & EVERYWHERE or named >= set(every) - EVERYWHERE:
        return ""
    return " ".join(sorted(named))
