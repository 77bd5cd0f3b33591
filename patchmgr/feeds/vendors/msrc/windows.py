"""Which hosts Microsoft means by the name of a Windows product, and the builds it has.

Sources: the product names in MSRC's documents; the build of each release in Microsoft's release
information. A client and a server may share a build ("Windows 10 Version 1607" and "Windows Server
2016" are both 10.0.14393) and yet get different fixes, so the package has the name that the
registry's ``InstallationType`` gives the installation: "Client", "Server" or "Server Core". An
arch is named as ``PROCESSOR_ARCHITECTURE`` names it.
"""

import re
from functools import lru_cache
from typing import NamedTuple

CLIENT, SERVER, SERVER_CORE = "windows-client", "windows-server", "windows-server-core"
ARCHES = {"32-bit": "x86", "x64-based": "amd64", "arm64-based": "arm64", "itanium-based": "ia64"}
BUILDS = {  # name of the release in lower case -> major.minor.build
    "windows vista service pack 2": "6.0.6002",
    "windows server 2008 service pack 2": "6.0.6003",
    "windows 7 service pack 1": "6.1.7601",
    "windows server 2008 r2 service pack 1": "6.1.7601",
    "windows 8": "6.2.9200",
    "windows server 2012": "6.2.9200",
    "windows 8.1": "6.3.9600",
    "windows rt 8.1": "6.3.9600",
    "windows server 2012 r2": "6.3.9600",
    "windows 10": "10.0.10240",
    "windows 10 version 1511": "10.0.10586",
    "windows 10 version 1607": "10.0.14393",
    "windows server 2016": "10.0.14393",
    "windows 10 version 1703": "10.0.15063",
    "windows 10 version 1709": "10.0.16299",
    "windows server, version 1709": "10.0.16299",
    "windows 10 version 1803": "10.0.17134",
    "windows server, version 1803": "10.0.17134",
    "windows 10 version 1809": "10.0.17763",
    "windows server 2019": "10.0.17763",
    "windows 10 version 1903": "10.0.18362",
    "windows server, version 1903": "10.0.18362",
    "windows 10 version 1909": "10.0.18363",
    "windows server, version 1909": "10.0.18363",
    "windows 10 version 2004": "10.0.19041",
    "windows server, version 2004": "10.0.19041",
    "windows 10 version 20h2": "10.0.19042",
    "windows server, version 20h2": "10.0.19042",
    "windows 10 version 21h1": "10.0.19043",
    "windows 10 version 21h2": "10.0.19044",
    "windows 10 version 22h2": "10.0.19045",
    "windows server 2022": "10.0.20348",
    "windows 11": "10.0.22000",
    "windows 11 version 21h2": "10.0.22000",
    "windows 11 version 22h2": "10.0.22621",
    "windows 11 version 23h2": "10.0.22631",
    "windows server 2022, 23h2 edition": "10.0.25398",
    "windows 11 version 24h2": "10.0.26100",
    "windows server 2025": "10.0.26100",
    "windows 11 version 25h2": "10.0.26200",
}

_CORE = re.compile(r" \(server core installation\)")
_ARCH = re.compile(rf" for ({'|'.join(ARCHES)}) systems")
# What is newer than the table above: its build is then that of the fix itself.
_NEWER = re.compile(
    r"windows (?:1[1-9] version [0-9]{2}h[12]|server 20[2-9][0-9](?:, .+ edition)?)"
)
_BUILD = re.compile(r"(?P<release>[0-9]{1,5}\.[0-9]{1,5}\.[0-9]{1,6})\.(?P<revision>[0-9]{1,7})")


class Installation(NamedTuple):
    package: str
    arch: str  # "" when the product is for one arch, or does not say
    build: str  # major.minor.build; "" when the release is newer than this table


@lru_cache(maxsize=4096)
def installation(product: str) -> Installation | None:
    """Return what ``product`` is as an installed Windows; None when it is something else."""
    name = " ".join(product.lower().split())
    arch = _ARCH.search(name)
    release = _CORE.sub("", _ARCH.sub("", name))
    build = BUILDS.get(release, "")
    if not build and not _NEWER.fullmatch(release):
        return None
    return Installation(_package(name, release), ARCHES[arch[1]] if arch else "", build)


def _package(name: str, release: str) -> str:
    if not release.startswith("windows server"):
        return CLIENT
    return SERVER_CORE if _CORE.search(name) else SERVER


def release_of(build: str) -> str:
    """Return "10.0.20348" of "10.0.20348.2159"; "" when ``build`` has not four numbers."""
    match = _BUILD.fullmatch(build)
    return match["release"] if match else ""


def key(build: str) -> tuple[int, ...]:
    return tuple(map(int, build.split(".")))


def before(build: str) -> str:
    """Return the build just before ``build``; "" when it is the first of its release."""
    *release, revision = build.split(".")
    return ".".join([*release, str(int(revision) - 1)]) if int(revision) else ""
