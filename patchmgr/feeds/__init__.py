"""Advisories in: the feeds that exist.

To add a vendor, write `patchmgr/feeds/vendors/<vendor>.py` with a class that is a
`patchmgr.feeds.base.Feed`, name it in `FEEDS`, and give it a captured document and what is
expected of it in `tests/data/feeds/<vendor>/` (``document.*`` and ``expected.json``).
"""

from patchmgr.feeds.base import Feed
from patchmgr.feeds.vendors.alpine import Alpine
from patchmgr.feeds.vendors.amazon import Amazon
from patchmgr.feeds.vendors.arch import Arch
from patchmgr.feeds.vendors.archive import Archive
from patchmgr.feeds.vendors.azurelinux import AzureLinux
from patchmgr.feeds.vendors.csv import Csv
from patchmgr.feeds.vendors.debian import Debian
from patchmgr.feeds.vendors.epss import Epss
from patchmgr.feeds.vendors.kev import Kev
from patchmgr.feeds.vendors.lifecycle import Lifecycle
from patchmgr.feeds.vendors.msrc import Msrc
from patchmgr.feeds.vendors.nvd import Nvd
from patchmgr.feeds.vendors.openeuler_cvrf import OpeneulerCvrf
from patchmgr.feeds.vendors.oracle_oval import OracleOval
from patchmgr.feeds.vendors.osv import Osv
from patchmgr.feeds.vendors.redhat_csaf import RedhatCsaf
from patchmgr.feeds.vendors.redhat_oval import RedhatOval
from patchmgr.feeds.vendors.ssvc import Ssvc
from patchmgr.feeds.vendors.suse_cvrf import SuseCvrf
from patchmgr.feeds.vendors.ubuntu import Ubuntu
from patchmgr.feeds.vendors.updateinfo import UpdateInfo

FEEDS: dict[str, Feed] = {
    feed.name: feed
    for feed in (
        Alpine(),
        Amazon(),
        Arch(),
        Archive(),
        AzureLinux(),
        Csv(),
        Debian(),
        Epss(),
        Kev(),
        Lifecycle(),
        Msrc(),
        Nvd(),
        OpeneulerCvrf(),
        OracleOval(),
        Osv(),
        RedhatCsaf(),
        RedhatOval(),
        Ssvc(),
        SuseCvrf(),
        Ubuntu(),
        UpdateInfo(),
    )
}
