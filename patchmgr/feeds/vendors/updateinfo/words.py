"""The words of updateinfo documents, in all the spellings that vendors use."""

import re
from datetime import UTC, datetime

from patchmgr.domain.advisories import Kind, Severity

KINDS = {
    "security": Kind.SECURITY,
    "bugfix": Kind.BUGFIX,
    "recommended": Kind.BUGFIX,  # SUSE
    "enhancement": Kind.ENHANCEMENT,
    "newpackage": Kind.ENHANCEMENT,
    "feature": Kind.ENHANCEMENT,  # SUSE, as the next
    "optional": Kind.ENHANCEMENT,
}
SEVERITIES = {  # "none", and words that a vendor made up, say nothing
    "critical": Severity.CRITICAL,
    "important": Severity.HIGH,
    "high": Severity.HIGH,
    "moderate": Severity.MEDIUM,
    "medium": Severity.MEDIUM,
    "low": Severity.LOW,
}
WITHDRAWN = ("retracted", "revoked", "withdrawn")  # SUSE says the first of an update it took back
AFTER = ("reboot", "relogin", "restart")  # what reaches further comes first
SOURCES = ("src", "nosrc")  # architectures of what cannot be installed

_CVE = re.compile(r"CVE-\d{4}-\d{4,19}", re.IGNORECASE)
_FOR_DEBUGGING = re.compile(r"-debug(?:info|source)(?:-|$)")
_NOT = ("false", "no", "0")
_SPAN = (datetime(1990, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC))


def kind_of(word: str, *, has_cves: bool) -> Kind:
    """Return the kind that a ``type`` says.

    One that the format does not know is no security update; one that is missing is, if it names
    a CVE.
    """
    if not word.strip():
        return Kind.SECURITY if has_cves else Kind.BUGFIX
    return KINDS.get(word.strip().lower(), Kind.ENHANCEMENT)


def severity_of(word: str) -> Severity:
    return SEVERITIES.get(word.strip().lower(), Severity.UNKNOWN)


def says_yes(text: str) -> bool:
    """Return whether a flag is set: an empty one is, as in dnf's own repositories."""
    return text.strip().lower() not in _NOT


def cves_in(text: str) -> list[str]:
    return [found.upper() for found in _CVE.findall(text)]


def is_for_debugging(name: str) -> bool:
    return _FOR_DEBUGGING.search(name) is not None


def instant(text: str) -> datetime | None:
    """Return the instant of ``2017-12-02 01:57:03``, a date alone, or seconds since 1970.

    Times without a zone are UTC. None for what is no date, or one that no advisory can have.
    """
    text = text.strip().removesuffix("UTC").rstrip()
    try:
        if text.isdecimal() and len(text) > 8:
            found = datetime.fromtimestamp(int(text), UTC)
        else:
            found = datetime.fromisoformat(text)
            found = (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return found if _SPAN[0] <= found < _SPAN[1] else None
