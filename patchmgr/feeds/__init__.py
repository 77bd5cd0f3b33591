"""Advisories in: the feeds that exist.

To add a vendor, write `patchmgr/feeds/vendors/<vendor>.py` with a class that is a
`patchmgr.feeds.base.Feed`, name it in `FEEDS`, and give it a captured document and what is
expected of it in `tests/data/feeds/<vendor>/` (``document.*`` and ``expected.json``).
"""

from patchmgr.feeds.base import Feed
from patchmgr.feeds.vendors.archive import Archive
from patchmgr.feeds.vendors.azurelinux import AzureLinux
from patchmgr.feeds.vendors.debian import Debian
from patchmgr.feeds.vendors.epss import Epss
from patchmgr.feeds.vendors.kev import Kev
from patchmgr.feeds.vendors.nvd import Nvd
from patchmgr.feeds.vendors.oracle_oval import OracleOval
from patchmgr.feeds.vendors.osv import Osv
from patchmgr.feeds.vendors.redhat_csaf import RedhatCsaf
from patchmgr.feeds.vendors.redhat_oval import RedhatOval
from patchmgr.feeds.vendors.ssvc import Ssvc
from patchmgr.feeds.vendors.ubuntu import Ubuntu
from patchmgr.feeds.vendors.updateinfo import UpdateInfo

FEEDS: dict[str, Feed] = {
    feed.name: feed
    for feed in (
        Archive(),
        AzureLinux(),
        Debian(),
        Epss(),
        Kev(),
        Nvd(),
        OracleOval(),
        Osv(),
        RedhatCsaf(),
        RedhatOval(),
        Ssvc(),
        Ubuntu(),
        UpdateInfo(),
    )
}
