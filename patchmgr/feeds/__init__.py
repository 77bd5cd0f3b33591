"""Advisories in: the feeds that exist.

To add a vendor, write `patchmgr/feeds/vendors/<vendor>.py` with a class that is a
`patchmgr.feeds.base.Feed`, name it in `FEEDS`, and give it a captured document and what is
expected of it in `tests/data/feeds/<vendor>/` (``document.*`` and ``expected.json``).
"""

from patchmgr.feeds.base import Feed
from patchmgr.feeds.vendors.debian import Debian
from patchmgr.feeds.vendors.msrc import Msrc
from patchmgr.feeds.vendors.openeuler_cvrf import OpeneulerCvrf
from patchmgr.feeds.vendors.suse_cvrf import SuseCvrf

FEEDS: dict[str, Feed] = {
    feed.name: feed for feed in (Debian(), Msrc(), OpeneulerCvrf(), SuseCvrf())
}
