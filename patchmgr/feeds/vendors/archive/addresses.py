"""The public repositories of vendors, by platform.

A release that its vendor has moved to an archive of old releases is not among them. Debian's are
named by a setting: hosts take their packages from one of many mirrors, and what is on offer is what
that one has.
"""

from collections.abc import Iterable

from patchmgr.domain.debian_releases import UBUNTU
from patchmgr.feeds.formats import rpm_repositories
from patchmgr.feeds.formats.labels import labelled

CURRENT = (  # platforms whose repositories are read when nobody says for which fleet
    "ubuntu:22.04",
    "ubuntu:24.04",
    "alpine:3.21",
    "alpine:3.22",
    *rpm_repositories.CURRENT,
)
LONG_TERM = ("xenial", "bionic", "focal", "jammy", "noble", "resolute")  # Ubuntu

SERVED = ("ubuntu", "alpine", *rpm_repositories.REPOSITORIES)

# These servers speak no TLS: what they send is signed. Each has the architectures named here.
_UBUNTU = (
    ("http://archive.ubuntu.com/ubuntu/dists/{0}/InRelease", "amd64"),
    ("http://ports.ubuntu.com/ubuntu-ports/dists/{0}/InRelease", "arm64"),
)
_UBUNTU_SUITES = ("{0}", "{0}-updates", "{0}-security")
_ALPINE = "https://dl-cdn.alpinelinux.org/alpine/v{release}/{suite}/{arch}/APKINDEX.tar.gz"
_ALPINE_SUITES = ("main", "community")


def addresses(platforms: Iterable[str]) -> tuple[str, ...]:
    """Return the addresses of the repositories of ``platforms``, saying what they are of."""
    wanted = sorted(set(platforms))
    found = [*_ubuntu(wanted), *_alpine(wanted)]
    found += rpm_repositories.indexes(wanted)
    return tuple(dict.fromkeys(found))


def _ubuntu(wanted: list[str]) -> list[str]:
    return [
        labelled(template.format(suite.format(codename)), platform=UBUNTU[codename], arch=arch)
        for codename in LONG_TERM
        if UBUNTU[codename] in wanted
        for template, arch in _UBUNTU
        for suite in _UBUNTU_SUITES
    ]


def _alpine(wanted: list[str]) -> list[str]:
    """Return those of Alpine, where 3.19.1 is a state of 3.19."""
    releases = {
        ".".join(release.split(".")[:2])
        for os_id, _, release in (platform.partition(":") for platform in wanted)
        if os_id == "alpine" and release.replace(".", "").isdecimal() and "." in release
    }
    return [
        labelled(
            _ALPINE.format(release=release, suite=suite, arch=arch),
            platform=f"alpine:{release}",
            suite=suite,
        )
        for release in sorted(releases)
        for suite in _ALPINE_SUITES
        for arch in rpm_repositories.ARCHITECTURES
    ]
