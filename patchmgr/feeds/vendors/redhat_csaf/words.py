"""What a vulnerability of a CSAF document says of its products: status, reason, severity, fix."""

import re
from collections.abc import Iterable
from datetime import datetime

from patchmgr.domain.advisories import Severity, Status
from patchmgr.feeds.formats import csaf, redhat
from patchmgr.feeds.formats.dates import instant
from patchmgr.feeds.formats.text import shortened

UNFIXED = ("no_fix_planned", "none_available")
_FIXED_BY = re.compile(r"/errata/(RH[SBE]A-\d{4}:\d{1,7})$")


class Words:
    """What one vulnerability says of its products, beside their status."""

    def __init__(self, vulnerability: csaf.Vulnerability) -> None:
        self._impacts, self._impact = _by_product(vulnerability.threats, ("impact",))
        self._reasons, self._reason = _by_product(vulnerability.remediations, UNFIXED)
        self._fixes, self._fixed = _by_product(vulnerability.remediations, ("vendor_fix",))

    def severity(self, product: str) -> Severity:
        word = self._impacts.get(product, self._impact)
        return redhat.severity(word.details or "") if word else Severity.UNKNOWN

    def fixed_by(self, product: str) -> tuple[str, datetime | None]:
        """Return the advisory that fixes ``product``, "" if none is named, and its date."""
        word = self._fixes.get(product, self._fixed)
        named = _FIXED_BY.search(word.url or "") if word else None
        return (named[1], instant(word.date or "")) if named and word else ("", None)

    def told(self, status: str, product: str, version: str) -> tuple[Status, str, str] | None:
        """Return status, fixed version and reason; None for a status that asks for nothing."""
        match status:
            case "fixed" | "first_fixed" if version:
                return Status.AFFECTED, version, ""
            case "fixed" | "first_fixed":
                return Status.UNDETERMINED, "", "fixed, but without a version"
            case "known_affected":
                word = self._reasons.get(product, self._reason)
                return (
                    Status.NO_FIX,
                    "",
                    shortened(redhat.unfixed(word.details or "" if word else "")),
                )
            case "under_investigation":
                return Status.UNDETERMINED, "", redhat.INVESTIGATED
            case "known_not_affected":
                return Status.NOT_AFFECTED, "", "not affected"
        return None


def _by_product(
    words: Iterable[csaf.Word], categories: tuple[str, ...]
) -> tuple[dict[str, csaf.Word], csaf.Word | None]:
    """Return the first word of ``categories`` on each product, and that on all of them."""
    found: dict[str, csaf.Word] = {}
    everywhere = None
    for word in words:
        if word.category in categories:
            for product in word.product_ids or ():
                found.setdefault(product, word)
            if not word.product_ids and everywhere is None:
                everywhere = word
    return found, everywhere
