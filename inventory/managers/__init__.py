"""Package managers: each module reads its manager's own listing, as a host prints it.

To add one, write ``inventory/managers/<manager>.py`` with ``read(listing) -> Listing``,
``recognises(listing) -> bool`` (and ``COMMAND``, what a host runs), name it in `READERS`, and give
it a listing in ``tests/data``.
"""

from collections.abc import Callable
from dataclasses import dataclass

from inventory.managers import apk, dpkg, pip, rpm
from inventory.report import Listing


@dataclass(frozen=True, slots=True)
class Reader:
    """How one format is read, and how it is recognised where none is named."""

    read: Callable[[str], Listing]
    recognises: Callable[[str], bool]


READERS: dict[str, Reader] = {
    "rpm": Reader(rpm.read, rpm.recognises),
    "apk": Reader(apk.read, apk.recognises),
    "pip": Reader(pip.read, pip.recognises),
    "dpkg": Reader(dpkg.read, dpkg.recognises),
}
"""What a host's package manager prints, by its name. `inventory.formats` has every format."""
