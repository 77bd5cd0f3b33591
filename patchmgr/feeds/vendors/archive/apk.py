"""apk's repositories: `APKINDEX`, out of `APKINDEX.tar.gz`.

Source: apk-tools' package index: a letter, a colon and a value a line, a blank line after each
package. ``P`` is the name, ``V`` the version, ``A`` the architecture, ``o`` the origin (source).
"""

from patchmgr.domain.offers import Offer
from patchmgr.errors import FeedMalformedError
from patchmgr.feeds.base import Page, SetAside
from patchmgr.feeds.formats.names import is_name
from patchmgr.feeds.formats.offers import newest
from patchmgr.feeds.formats.platforms import platform_of
from patchmgr.feeds.vendors.archive.suites import suite_of

ODD_SHARE = 4  # more than one package in this many: not an index at all


def index(url: str, body: bytes, platform: str) -> Page:
    """Return the newest of each package; its source has the same version."""
    if not body.endswith(b"\n"):
        raise FeedMalformedError(f"{url}: cut off: its last line has no end")
    where, suite = platform_of(url, platform, "alpine:3.22"), suite_of(url)
    offers: list[Offer] = []
    odd: list[SetAside] = []
    count = 0
    for stanza in body.decode("utf-8", "replace").split("\n\n"):
        said = {line[0]: line[2:].strip() for line in stanza.splitlines() if line[1:2] == ":"}
        if not said:
            continue
        count += 1
        name, version, arch = (said.get(letter, "") for letter in "PVA")
        source = said.get("o", "")
        if not (is_name(name) and is_name(version) and is_name(arch)):
            where_odd = name[:80] if is_name(name[:80]) else f"package {count}"
            odd.append(SetAside("", where_odd, "without name, version or architecture"))
            continue
        built_from = (source, version) if is_name(source) else ("", "")
        offers.append(Offer(where, suite, "apk", name, version, arch, *built_from))
    if not count or len(odd) * ODD_SHARE > count:
        raise FeedMalformedError(
            f"{url}: {len(odd)} of {count} packages are odd: this is no index of packages"
        )
    return Page(offers=newest(offers, "apk"), set_aside=tuple(odd))
