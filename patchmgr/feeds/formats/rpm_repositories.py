"""The public rpm-md repositories of vendors, by platform.

Left out are those that need a subscription (RHEL, SLES): a mirror of them is the fleet's own.
"""

from collections.abc import Iterable
from urllib.parse import urlsplit

from patchmgr.errors import FeedMalformedError
from patchmgr.feeds.formats.labels import labelled, without_labels
from patchmgr.feeds.formats.repomd import INDEX

MIRROR_LIST = "mirror.list"

_ALMALINUX = "https://repo.almalinux.org/almalinux/{major}/"
_ROCKY = "https://dl.rockylinux.org/pub/rocky/{major}/"
_ORACLE = "https://yum.oracle.com/repo/OracleLinux/OL{major}/"
_LEAP = "https://download.opensuse.org/update/leap/{release}/"

REPOSITORIES: dict[str, dict[str, str]] = {  # ID of os-release -> suite -> repository
    "almalinux": {
        "baseos": f"{_ALMALINUX}BaseOS/{{arch}}/os/",
        "appstream": f"{_ALMALINUX}AppStream/{{arch}}/os/",
        "crb": f"{_ALMALINUX}{{builder}}/{{arch}}/os/",
        "extras": f"{_ALMALINUX}extras/{{arch}}/os/",
    },
    "amzn": {"core": "https://cdn.amazonlinux.com/{core}/{arch}/mirror.list"},
    "fedora": {
        "updates": (
            "https://dl.fedoraproject.org/pub/fedora/linux/updates/{release}/Everything/{arch}/"
        ),
    },
    "ol": {
        "baseos": f"{_ORACLE}baseos/latest/{{arch}}/",
        "appstream": f"{_ORACLE}appstream/{{arch}}/",
        "codeready": f"{_ORACLE}codeready/builder/{{arch}}/",
    },
    "opensuse-leap": {"oss": f"{_LEAP}oss/", "sle": f"{_LEAP}sle/"},
    "rocky": {
        "baseos": f"{_ROCKY}BaseOS/{{arch}}/os/",
        "appstream": f"{_ROCKY}AppStream/{{arch}}/os/",
        "crb": f"{_ROCKY}{{builder}}/{{arch}}/os/",
        "extras": f"{_ROCKY}extras/{{arch}}/os/",
    },
}
EXCEPT: dict[str, dict[str, str]] = {  # releases that were laid out otherwise
    "ol:7": {"latest": f"{_ORACLE}latest/{{arch}}/"},
    "opensuse-leap:15.0": {"oss": f"{_LEAP}oss/"},
    "opensuse-leap:15.1": {"oss": f"{_LEAP}oss/"},
    "opensuse-leap:15.2": {"oss": f"{_LEAP}oss/"},
    "opensuse-leap:16.0": {},
}
AMAZON = {"2": "2/core/latest", "2023": "al2023/core/mirrors/latest"}
ARCHITECTURES = ("x86_64", "aarch64")
CURRENT = (  # platforms whose repositories a feed starts from when nobody says for which fleet
    "almalinux:8",
    "almalinux:9",
    "almalinux:10",
    "amzn:2023",
    "ol:8",
    "ol:9",
    "ol:10",
    "rocky:8",
    "rocky:9",
    "rocky:10",
)


def indexes(
    platforms: Iterable[str], architectures: Iterable[str] = ARCHITECTURES
) -> tuple[str, ...]:
    """Return the addresses of the repositories of ``platforms``, saying platform and suite."""
    kinds = tuple(architectures)
    found: dict[str, None] = {}
    for platform in sorted(platforms):
        os_id, _, release = platform.partition(":")
        major = release.partition(".")[0]
        if not release or (os_id == "amzn" and release not in AMAZON):
            continue
        own = platform if os_id == "opensuse-leap" else f"{os_id}:{major}"
        words = {
            "release": release,
            "major": major,
            "core": AMAZON.get(release, ""),
            "builder": "PowerTools" if major == "8" else "CRB",
        }
        for suite, template in EXCEPT.get(own, REPOSITORIES.get(os_id, {})).items():
            for arch in kinds:
                place = template.format(arch=arch, **words)
                address = place if place.endswith(MIRROR_LIST) else place + INDEX
                found[labelled(address, platform=own, suite=suite)] = None
    return tuple(found)


def is_mirror_list(url: str) -> bool:
    return without_labels(url).endswith(MIRROR_LIST)


def first_mirror(url: str, body: bytes) -> str:
    """Return the address of the index on the first mirror that a list names on its own server.

    Raises `FeedMalformedError` when it names none.
    """
    home = urlsplit(without_labels(url))[:2]
    for line in body[:10_000].decode("utf-8", "replace").split():
        try:
            if urlsplit(line)[:2] == home:
                return labelled(f"{line.rstrip('/')}/{INDEX}#{url.partition('#')[2]}")
        except ValueError:
            continue
    raise FeedMalformedError(f"{url}: a list without any mirror on its own server")
