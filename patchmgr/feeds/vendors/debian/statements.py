"""What Debian says of a source package on a release, as a statement of ours."""

from functools import lru_cache

from patchmgr.domain.advisories import Fix, Match, Severity, Status
from patchmgr.domain.versions import SCHEMES
from patchmgr.errors import VersionError
from patchmgr.feeds.formats.names import is_name
from patchmgr.feeds.formats.text import shortened

PAGE = "https://security-tracker.debian.org/tracker/"
SCHEME = "dpkg"
SEVERITIES = {
    "unimportant": Severity.NEGLIGIBLE,
    "low": Severity.LOW,
    "medium": Severity.MEDIUM,
    "high": Severity.HIGH,
}
END_OF_LIFE = "end-of-life"
NEVER_AFFECTED = "0"
UNFIXED = "no fixed version yet"
UNDETERMINED = "Debian has not determined whether it is affected"


def statement(
    platform: str, package: str, said: tuple[Status, str, str], severity: Severity
) -> Fix:
    """Return a `Fix` of ``said``: status, fixed version, reason."""
    status, fixed, reason = said
    return Fix(
        platform=platform,
        package=package,
        match=Match.SOURCE,
        status=status,
        fixed=fixed,
        severity=severity,
        reason=reason,
        scheme=SCHEME,
    )


def fixed_in(version: str) -> tuple[Status, str, str]:
    """Return status, fixed version and reason where Debian names the ``version`` that is fixed."""
    if version == NEVER_AFFECTED:
        return Status.NOT_AFFECTED, "", "never affected"
    if not is_version(version):
        return Status.UNDETERMINED, "", f"the fixed version {version[:80]!r} cannot be read"
    return Status.AFFECTED, version, ""


def no_dsa(words: str, kind: str = "") -> str:
    """Return why no advisory will come: Debian's ``words``, and "ignored" or "postponed"."""
    said = f"no DSA planned: {words}" if words else "no DSA planned"
    return shortened(f"{said} ({kind})" if kind else said)


@lru_cache(maxsize=1 << 16)
def is_version(text: str) -> bool:
    """Return whether ``text`` is a version that can be stored and compared."""
    try:
        return bool(SCHEMES[SCHEME](text)) and is_name(text)
    except VersionError:
        return False
