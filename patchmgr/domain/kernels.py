"""Kernels: several may be installed, one runs, and only the one that runs is attacked.

A package belongs to a kernel when its name or its version is that of one kernel release, as
``uname -r`` prints it. Sources: Debian's and Ubuntu's kernel packages carry the release in their
names; rpm's are installed beside each other under one name, and the release is
``version-release.arch`` and, for a variant, ``+rt`` or ``+64k-debug`` (SUSE:
``version-release-flavour`` without the rebuild count; Azure Linux: no architecture); Alpine's and
Arch's are replaced in place.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from patchmgr.domain.versions import SCHEMES
from patchmgr.errors import VersionError

# linux-image-6.1.0-13-amd64, linux-modules-extra-5.15.0-91-generic
_BY_NAME = re.compile(
    r"linux-(?:image|image-unsigned|image-extra|modules|modules-[a-z0-9]+|headers|binary|buildinfo"
    r"|tools|cloud-tools)-"
    r"(?P<release>[0-9]+\.[0-9][0-9.]*(?:~?[a-z0-9.+]*)-.+)"
)
_RPM = re.compile(
    r"kernel(?:[0-9]+\.[0-9]+)?(?:-uek|-kvm|-(?P<variant>(?:rt-)?(?:16k|64k)|rt|debug)"
    r"(?P<debug>-debug)?)?(?:-(?:core|modules|modules-core|modules-extra))?"
)
# Builds whose release tells the distribution; SUSE's ends with the count of rebuilds.
_TAGGED = re.compile(r"\.(?:el|fc|rt|amzn|oe)[0-9]")
_NO_ARCH = re.compile(r".*\.(?:azl|cm)[0-9]+")
_SUSE = re.compile(r"kernel-(?P<flavour>default|azure|preempt|64kb|rt|kvmsmall)")
# Of these, what boots: the rest of a release are its modules and headers.
_BOOTS = re.compile(r"linux-(?:image|image-unsigned)-.+|kernel(?!.*-modules).*")
_APK = re.compile(r"linux-(?P<flavour>lts|virt|stable|edge|rpi[0-9]*|openpax|asahi)")
_NUMBERS = re.compile(r"[0-9][^-]*(?:-(?:[0-9]|rc)[^-]*)?-?")  # which a release begins with
_APK_VERSION = re.compile(r"(?P<version>[0-9][0-9.]*)-r(?P<build>[0-9]+)")
_FLAVOUR = re.compile(r".*-(?P<dashed>[a-z][a-z0-9]*)|.*\.(?P<dotted>[a-z][a-z0-9_+]*)")
_SIGNED_OR_NOT = re.compile(r"-(?:unsigned|dbg)$")


@dataclass(frozen=True, slots=True)
class Kernel:
    """A package of one kernel release among several that may be installed."""

    release: str  # as uname -r prints it
    line: str  # packages of one line replace each other as the newest
    order: bytes  # sort key: the newest of a line is the one that boots next


def kernel_of(manager: str, name: str, version: str, arch: str) -> Kernel | None:
    """Return the kernel that a package belongs to; None when it is not of one release."""
    release, line = _release(manager, name, version, arch)
    if not release:
        return None
    try:
        order = SCHEMES[manager](version)
    except VersionError:
        return None  # what cannot be ordered is never called old
    return Kernel(release, line, order)


def _release(manager: str, name: str, version: str, arch: str) -> tuple[str, str]:
    if manager == "dpkg" and (named := _BY_NAME.fullmatch(_SIGNED_OR_NOT.sub("", name))):
        release = named["release"]
        return release, _line_of(release)
    if manager == "rpm":
        plain = version.partition(":")[2] or version
        if (flavour := _SUSE.fullmatch(name)) and not _TAGGED.search(plain):
            return f"{plain.rpartition('.')[0]}-{flavour['flavour']}", name
        if built := _RPM.fullmatch(name):
            variant = f"{built['variant'] or ''}{built['debug'] or ''}"
            return _built(plain, arch, variant), name
    return "", ""


def _built(version: str, arch: str, variant: str) -> str:
    """Return the release of an rpm kernel. Real-time builds of old say so in their version."""
    where = f".{arch}" if arch and not _NO_ARCH.fullmatch(version) else ""
    also = f"+{variant}" if variant and ".rt" not in version else ""
    return f"{version}{where}{also}"


def idle(running: str, kernels: Mapping[int, Kernel]) -> frozenset[int]:
    """Return which of a host's kernel packages neither run nor boot next.

    ``kernels`` is every kernel package installed, by any id. Without a running kernel, or when the
    one that runs is not among them, nothing can be told and none is idle.
    """
    if all(each.release != running for each in kernels.values()):
        return frozenset()
    newest = _newest(kernels.values())
    return frozenset(
        number
        for number, each in kernels.items()
        if not _is_of(each.release, running) and each.order < newest[each.line]
    )


def _is_of(release: str, running: str) -> bool:
    """Return whether a package is of the kernel that runs; headers of Ubuntu's name no flavour."""
    return running == release or running.startswith(f"{release}-")


def _newest(kernels: Iterable[Kernel]) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for each in kernels:
        found[each.line] = max(each.order, found.get(each.line, b""))
    return found


def newest_installed(
    running: str, packages: Iterable[tuple[str, str, str, str]], listed: Iterable[str] = ()
) -> str:
    """Return the newest kernel release of the line that runs; "" when that cannot be told.

    ``packages`` are (manager, name, version, architecture) of all that is installed, ``listed`` the
    releases under /boot or /lib/modules, which count where the packages do not tell.
    """
    lines: dict[str, dict[str, bytes]] = defaultdict(dict)
    for package in packages:
        if kernel := _boots(*package):
            lines[kernel.line][kernel.release] = kernel.order
    for releases in lines.values():
        if running in releases:
            return max(releases, key=releases.__getitem__)
    if alike := lines.get(_line_of(running)):  # the one that runs was replaced or removed
        return max(alike, key=alike.__getitem__)
    among = {each for each in listed if _flavour(each) == _flavour(running)}
    return max(among, key=_order) if running in among else ""


def _boots(manager: str, name: str, version: str, arch: str) -> Kernel | None:
    """Return the kernel that ``name`` boots. Alpine's has no release in its name or version."""
    if manager == "apk":
        built, named = _APK_VERSION.fullmatch(version), _APK.fullmatch(name)
        if not (built and named):
            return None
        release = f"{built['version']}-{built['build']}-{named['flavour']}"
        return Kernel(release, _line_of(release), SCHEMES["apk"](version))
    return kernel_of(manager, name, version, arch) if _BOOTS.fullmatch(name) else None


def _line_of(release: str) -> str:
    """Return the line that Debian's and Alpine's releases are of: what follows their numbers."""
    return _NUMBERS.sub("", release, count=1)


def _flavour(release: str) -> str | None:
    found = _FLAVOUR.fullmatch(release)
    return found and (found["dashed"] or found["dotted"])


def _order(release: str) -> bytes:
    return SCHEMES["rpm"](release.replace("-", "~"))  # what follows a number ends it
