"""What a host says of itself beside its packages, and whether its own repositories have a fix.

Three things are told apart throughout: yes, no, and not reported. What a host did not say is never
taken for a no.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from patchmgr.domain.advisories import Match
from patchmgr.domain.packages import SCHEME_OF_MANAGER
from patchmgr.domain.versions import SCHEMES
from patchmgr.errors import VersionError

NOT_OFFERED = "no repository of the host offers {}"
INSTALLED = "installed"  # instead of a suite: it is there beside the older version already
NOT_SAID = ""  # version of a candidate that a tool keeps to itself: it compares with nothing
_REBUILD = re.compile(r"\+b[0-9]+$")  # Debian's rebuilds of a binary: 5.2.15-2+b13 is from 5.2.15-2


class Installable(StrEnum):
    """Whether a repository of the host offers the version that fixes a package, or a newer one."""

    YES = "yes"
    NO = "no"  # its repositories were reported, and have nothing new enough
    UNKNOWN = "unknown"  # not reported, or not comparable


@dataclass(frozen=True, slots=True, order=True)
class Candidate:
    """What a host's repositories would install over a package that it has."""

    manager: str
    name: str
    arch: str
    version: str
    # Of the source that advisories judge the package by; "" when that cannot be told.
    judged_version: str = ""
    suites: tuple[str, ...] = ()  # that have it, as the host names them: "bookworm-security"
    phased: int | None = None  # percentage of hosts that get it by now; None: all do
    withheld: str = ""  # a newer version that they have, and that a pin keeps back
    pin: str = ""  # what keeps it back: "pin to priority -1"

    def version_as(self, match: Match) -> str:
        """Return the version that a statement of this kind is compared with."""
        return self.judged_version if match is Match.SOURCE else self.version

    @property
    def words(self) -> str:
        """Return "the host's repositories offer 3.0.17-1 from bookworm-security"."""
        if self.suites == (INSTALLED,):
            return f"{self.version} is installed already, beside the older version"
        source = f" from {' and '.join(self.suites)}" if self.suites else ""
        phase = "" if self.phased is None else f", for {self.phased} % of hosts so far (phased)"
        return f"the host's repositories offer {self.version}{source}{phase}"


@dataclass(frozen=True, slots=True)
class Offered:
    """What a host's repositories have for what it has installed.

    A package that is covered and has no candidate is there in the newest version on offer.
    """

    everything: frozenset[str] = frozenset()  # managers all of whose packages are covered
    named: frozenset[tuple[str, str]] = frozenset()  # (manager, name) covered beside those
    candidates: frozenset[Candidate] = frozenset()

    def covers(self, manager: str, name: str) -> bool:
        return manager in self.everything or (manager, name) in self.named


def judged_after(installed: str, judged: str, candidate: str) -> str:
    """Return the version of its source that ``candidate`` would have; "" when it cannot be told.

    A package that has the version of its source, but for a rebuild's mark, has it in every version.
    """
    if candidate == installed:
        return judged
    return _REBUILD.sub("", candidate) if _REBUILD.sub("", installed) == judged else ""


def installable(
    candidate: Candidate | None, fixed: str, match: Match, *, covered: bool
) -> Installable:
    """Return whether a host can install ``fixed`` or newer, by what its repositories were said.

    ``covered``: they were reported for this package; without a ``candidate`` they have none newer.
    """
    if not covered:
        return Installable.UNKNOWN
    if candidate is None:
        return Installable.NO
    has = _key(candidate.manager, candidate.version_as(match))
    wanted = _key(candidate.manager, fixed)
    if has is None or wanted is None:
        return Installable.UNKNOWN
    return Installable.YES if has >= wanted else Installable.NO


def why_not(candidate: Candidate | None, fixed: str, match: Match) -> str:
    """Return why a host whose repositories were reported cannot install ``fixed``."""
    if candidate is not None and candidate.withheld:
        withheld = candidate.withheld
        if match is Match.SOURCE:
            withheld = judged_after(candidate.version, candidate.judged_version, withheld)
        has, wanted = _key(candidate.manager, withheld), _key(candidate.manager, fixed)
        if has is not None and wanted is not None and has >= wanted:
            return f"{candidate.withheld} is there, and the host's {candidate.pin} keeps it back"
    return NOT_OFFERED.format(fixed)


@dataclass(frozen=True, slots=True)
class Reboot:
    """Whether a host waits for a reboot: yes, no, or None when it did not say; and by what."""

    pending: bool | None = None
    reasons: tuple[str, ...] = ()


def reboot(said: Iterable[Reboot]) -> Reboot:
    """Return what several sources come to: one that asks for a reboot outweighs any that do not."""
    told = [each for each in said if each.pending is not None]
    if not told:
        return Reboot()
    pending = any(each.pending for each in told)
    return Reboot(
        pending, tuple(why for each in told if each.pending is pending for why in each.reasons)
    )


def _key(manager: str, version: str) -> bytes | None:
    try:
        return SCHEMES[SCHEME_OF_MANAGER[manager]](version) if version else None
    except (KeyError, VersionError):
        return None
