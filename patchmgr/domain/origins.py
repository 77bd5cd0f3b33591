"""Who built a package: a distribution's advisories speak only of what the distribution built.

A report may say so (rpm's ``Vendor``, apt's ``Origin``). Where it does not, builders outside a
distribution mark their versions, as below; a package without such a mark is taken for the
distribution's own, which is what its name says.
"""

import re

# Words of which the vendor's name has one, in lower case. Ubuntu's derive from Debian's only by
# name: "Debian" on an Ubuntu host is somebody else's package.
VENDORS: dict[str, tuple[str, ...]] = {
    "debian": ("debian",),
    "ubuntu": ("ubuntu", "canonical"),
    "rhel": ("red hat",),
    "centos": ("centos",),
    "fedora": ("fedora",),
    "almalinux": ("almalinux", "cloudlinux"),
    "rocky": ("rocky",),
    "ol": ("oracle",),
    "amzn": ("amazon",),
    "sles": ("suse",),
    "sled": ("suse",),
    "opensuse-leap": ("suse",),
    "opensuse-tumbleweed": ("suse",),
    "azurelinux": ("microsoft",),
    "mariner": ("microsoft",),
    "openeuler": ("openeuler",),
    "alpine": ("alpine",),
    "arch": ("arch",),
}
# Whom a distribution lets build under its roof, though their names have its name in them: Launchpad
# archives, Copr projects, and all projects of the Open Build Service but the distributions' own.
_GUEST = re.compile(
    r"lp-ppa-|.*\bcopr\b|obs://(?!build\.suse\.de/suse:|build\.opensuse\.org/opensuse:)"
)
# Managers whose distributions write advisories about sources: there, a package of which the source
# is not known is judged by its own name.
BY_SOURCE = ("dpkg", "apk")
# How builders outside the distribution mark a version: NodeSource, PostgreSQL's and PHP's
# repositories, Launchpad archives, Remi, ELRepo, IUS.
_MARK = re.compile(
    r"nodesource|\.pgdg|deb\.sury\.org|[~+]ppa[0-9]|\.remi\b|\.elrepo\b|\.ius\b", re.IGNORECASE
)

# What is part of every version that has such a mark, in lower case: to look for them quickly.
MARKS = ("nodesource", ".pgdg", "deb.sury.org", "ppa", ".remi", ".elrepo", ".ius")


def foreign(platform: str, origin: str, version: str) -> str:
    """Return who built a package if it was not the vendor of ``platform``; "" if it was."""
    vendor = VENDORS.get(platform.partition(":")[0])
    if vendor is None:
        return ""
    if origin:
        name = origin.lower()
        is_own = any(word in name for word in vendor) and not _GUEST.match(name)
        return "" if is_own else origin
    mark = _MARK.search(version)
    return mark[0].strip(".~+") if mark else ""
