"""Decide what a vendor's statements mean for a package version. Never guesses.

Advisories speak of packages by name on a platform, of source or binary packages as the vendor
means it; never CPE.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from patchmgr.domain.advisories import Fix, Match, Status
from patchmgr.domain.packages import SCHEME_OF_MANAGER
from patchmgr.domain.versions import SCHEMES
from patchmgr.errors import VersionError

_SAID = {"<": "is older than", "=": "is", ">": "is newer than"}


@dataclass(frozen=True, slots=True)
class Subject:
    """What is judged: an installed package under the names and versions advisories know it by."""

    platform: str
    name: str
    version: str
    source: str
    source_version: str

    def named(self, match: Match) -> tuple[str, str]:
        """Return (name, version) of this package as ``match`` means it."""
        if match is Match.SOURCE:
            return self.source, self.source_version
        return self.name, self.version


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one statement means for one version, and the comparison that says so."""

    status: Status
    reason: str  # a sentence part: "2.36-9 is older than 2.36-9+deb12u4"


def platforms_of(platform: str) -> tuple[str, ...]:
    """Return the platforms whose advisories bear on ``platform``, the most exact one first.

    What is written for ``rhel:9`` also holds for ``rhel:9.4`` (design.md 5.2), and what is for
    ``alpine:3.19`` for ``alpine:3.19.1``.
    """
    os_id, _, release = platform.partition(":")
    parts = release.split(".")
    shorter = [".".join(parts[:count]) for count in range(len(parts) - 1, 0, -1)]
    return (platform, *(f"{os_id}:{each}" for each in shorter))


def is_about(scheme: str, manager: str) -> bool:
    """Return whether a statement in versions of ``scheme`` can mean packages of ``manager``.

    A Python package on a Debian host is not the Debian package of the same name.
    """
    return not scheme or scheme == SCHEME_OF_MANAGER.get(manager, scheme)


def judge(version: str, fix: Fix) -> Verdict:
    """Return what ``fix`` means for ``version``, a version of the package that it names.

    A version that cannot be read is `Status.UNDETERMINED`, never silence: an unreadable package
    must not count as safe.
    """
    if fix.status is Status.NOT_AFFECTED:
        return Verdict(Status.NOT_AFFECTED, fix.reason or "the vendor says it is not affected")
    try:
        if fix.introduced and _sign(fix.scheme, version, fix.introduced) == "<":
            return Verdict(Status.NOT_AFFECTED, f"{version} is older than {fix.introduced}")
        if fix.status is Status.AFFECTED:
            sign = _sign(fix.scheme, version, fix.fixed)
            status = Status.AFFECTED if sign == "<" else Status.NOT_AFFECTED
            return Verdict(status, f"{version} {_SAID[sign]} {fix.fixed}")
    except VersionError as error:
        return Verdict(Status.UNDETERMINED, str(error))
    return Verdict(fix.status, fix.reason)


_RANK = {
    Status.AFFECTED: 3,
    Status.NO_FIX: 2,
    Status.UNDETERMINED: 1,
    Status.NOT_AFFECTED: 0,
}


def decisive(judged: Iterable[tuple[Fix, Verdict]]) -> tuple[Fix, Verdict] | None:
    """Return what decides when an advisory makes several statements about one package.

    A statement that calls it affected outweighs one that does not; None for no statements. Of two
    that both name a fix, the one that must be reached last decides.
    """
    return max(judged, key=lambda pair: (_RANK[pair[1].status], _fixed_key(pair[0])), default=None)


def _fixed_key(fix: Fix) -> bytes:
    try:
        return _key(fix.scheme, fix.fixed) if fix.fixed else b""
    except VersionError:
        return b""


def _sign(scheme: str, left: str, right: str) -> str:
    have, other = _key(scheme, left), _key(scheme, right)
    return "<" if have < other else "=" if have == other else ">"


@lru_cache(maxsize=1 << 16)
def _key(scheme: str, version: str) -> bytes:
    if scheme not in SCHEMES:
        raise VersionError(scheme or "known", version)
    return SCHEMES[scheme](version)
