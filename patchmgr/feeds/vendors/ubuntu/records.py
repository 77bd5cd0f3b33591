"""Notices (USN) and CVE records (UBUNTU-CVE) in OSV form.

Source: https://documentation.ubuntu.com/security/security-updates/osv/ - a package without a fixed
version may be vulnerable, waiting for an evaluation or given up: the form does not tell them apart.
"""

from dataclasses import replace

from patchmgr.domain.advisories import Advisory
from patchmgr.feeds.base import Page
from patchmgr.feeds.formats import osv
from patchmgr.feeds.formats.labels import PLATFORMS, labels_of

CVE_PAGE = "https://ubuntu.com/security/"
LIVEPATCH = "LSN-"  # notices of patches to a running kernel, which change no package


def page(url: str, body: bytes) -> Page:
    """Return what OSV records say of Ubuntu, of the releases that ``url`` names if it names some.

    There are tens of thousands of records about all the releases that there ever were, and a fleet
    has a few. Raises `FeedMalformedError`.
    """
    wanted = labels_of(url).get(PLATFORMS, "").split()
    found = osv.page(url, body, os_id="ubuntu", only=frozenset(wanted))
    kept = [each for each in found.advisories if not each.ref.startswith(LIVEPATCH)]
    livepatches = len(found.advisories) - len(kept)
    return replace(
        found,
        advisories=tuple(_linked(each) for each in kept),
        skipped={**found.skipped, **({"livepatch notices": livepatches} if livepatches else {})},
    )


def _linked(advisory: Advisory) -> Advisory:
    if not advisory.is_record:
        return advisory
    return replace(advisory, url=CVE_PAGE + advisory.cves[0])
