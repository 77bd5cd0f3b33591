"""Package managers: each module reads its manager's own listing, as a host prints it.

To add one, write ``inventory/managers/<manager>.py`` with ``read(listing) -> Listing`` (and
``COMMAND``, what a host runs), name it in `READERS`, and give it a listing in ``tests/data``.
"""

from collections.abc import Callable

from inventory.managers import dpkg
from inventory.report import Listing

READERS: dict[str, Callable[[str], Listing]] = {"dpkg": dpkg.read}
"""Report format, as ``report submit --format`` names it, to its reader."""
