"""Every format in which a host's packages may come in: one registry for all who take reports.

Package managers are named in `inventory.managers`; the others are documents of other tools. The
order is that in which a format is looked for where none is named: what can be told apart most
surely comes first.
"""

from inventory import lookalikes
from inventory.exports import ansible, osquery
from inventory.managers import READERS as MANAGERS
from inventory.managers import Reader
from inventory.report import Listing
from inventory.sbom import cyclonedx, spdx
from patchmgr.errors import InputError

READERS: dict[str, Reader] = {
    "cyclonedx": Reader(cyclonedx.read, cyclonedx.recognises),
    "spdx": Reader(spdx.read, spdx.recognises),
    "osquery": Reader(osquery.read, osquery.recognises),
    "ansible": Reader(ansible.read, ansible.recognises),
    **MANAGERS,
}
"""Report format, as ``report submit --format`` names it, to its reader."""
REPORT = "report"  # a whole document, beside those of single listings
FORMATS = (*sorted(READERS), REPORT)


def read(text: str, name: str = "") -> tuple[str, Listing]:
    """Return the format of ``text``, recognised when ``name`` does not say it, and what it lists.

    Raises `InputError` for a format that is unknown or cannot be told, `BadFileError` for what is
    not of it.
    """
    if name and name not in READERS:
        raise InputError({"format": f"{name!r} is no report format we read ({_known()})"})
    found = name or next((each for each, one in READERS.items() if one.recognises(text)), "")
    if not found:
        why = lookalikes.what(text) or (
            f"cannot be told from what the file says; name it ({_known()})"
        )
        raise InputError({"format": why})
    return found, READERS[found].read(text)


def _known() -> str:
    return ", ".join(sorted(READERS))
