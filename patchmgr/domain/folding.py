"""One flaw, one finding: what several advisories say of one package version, told once.

Two advisories are of the same flaw when one names the other's id, when both have the same id in two
feeds, or when they name the same CVEs in two feeds. A CVE's own record is of the same flaw as an
advisory that names that CVE. Two advisories of one feed that do not name each other are two, as
their vendor means them to be.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from patchmgr.domain.advisories import Severity, Status

# Feeds that repeat what others publish, the most derived one last.
SECONDHAND = ("csv", "osv")


@dataclass(frozen=True, slots=True)
class Telling:
    """An advisory, and what it comes to for one package version."""

    advisory_id: int
    ref: str
    cves: frozenset[str]
    aliases: frozenset[str]
    feed: str
    is_record: bool
    status: Status
    severity: Severity


@dataclass(slots=True)
class Folded:
    """A telling that stands, and those that say no more than it does."""

    kept: Telling
    others: list[Telling]

    @property
    def severity(self) -> Severity:
        """What the kept one says, else the worst that the others say."""
        if self.kept.severity is not Severity.UNKNOWN:
            return self.kept.severity
        return max((other.severity for other in self.others), default=Severity.UNKNOWN)


def fold(tellings: Iterable[Telling]) -> list[Folded]:
    """Return ``tellings`` without repeats, each with what it stands for."""
    found: list[Folded] = []
    for telling in sorted(tellings, key=_preference):
        same = next((each for each in found if is_same_flaw(each.kept, telling)), None)
        if same is None:
            found.append(Folded(telling, []))
        else:
            same.others.append(telling)
    return found


def is_same_flaw(kept: Telling, other: Telling) -> bool:
    """Return whether ``other`` speaks only of what ``kept`` speaks of."""
    if kept.ref == other.ref or kept.ref in other.aliases or other.ref in kept.aliases:
        return True
    if not other.cves:
        return False
    if other.is_record and not kept.is_record:
        return other.cves <= kept.cves
    return kept.feed != other.feed and kept.cves == other.cves


def _preference(telling: Telling) -> tuple[bool, bool, int, str]:
    """Advisories before records, what can be installed before what cannot, vendors first."""
    secondhand = SECONDHAND.index(telling.feed) + 1 if telling.feed in SECONDHAND else 0
    return telling.is_record, telling.status is not Status.AFFECTED, secondhand, telling.ref
