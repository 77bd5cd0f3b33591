"""The mark that update-notifier leaves: ``/run/reboot-required`` and ``/run/reboot-required.pkgs``.

The section is there and empty when the files are not.
"""

import re

from inventory.facts import FEW, lines_of
from patchmgr.domain.facts import Reboot

_PACKAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9+.-]*", re.ASCII)


def read(text: str) -> Reboot:
    """Return whether the mark is there, and which packages left it."""
    lines = [line.strip() for _, line in lines_of(text, FEW)]
    if not lines:
        return Reboot(False, ("no /run/reboot-required",))
    packages = sorted({line for line in lines if _PACKAGE.fullmatch(line)})
    by = f", left by {', '.join(packages[:10])}" if packages else ""
    return Reboot(True, (f"/run/reboot-required{by}",))
