"""What vendors say: advisories, and the fixes they name per platform and package."""

from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum, StrEnum


class Severity(IntEnum):
    """How bad the vendor calls it. Ordered; `UNKNOWN` is the vendor's silence, not "harmless"."""

    UNKNOWN = 0
    NEGLIGIBLE = 1
    LOW = 2
    MEDIUM = 3
    HIGH = 4
    CRITICAL = 5

    @property
    def word(self) -> str:
        return self.name.lower()


class Status(StrEnum):
    """What a vendor says of a package on a platform (design.md, Words)."""

    AFFECTED = "affected"  # below the fixed version, and a fixed version exists
    NO_FIX = "no_fix"  # affected, nothing to install
    NOT_AFFECTED = "not_affected"
    UNDETERMINED = "undetermined"


OPEN = (Status.AFFECTED, Status.NO_FIX, Status.UNDETERMINED)  # statuses that make a finding


class Match(StrEnum):
    """Which name of an installed package the vendor speaks of."""

    SOURCE = "source"
    BINARY = "binary"


@dataclass(frozen=True, slots=True, order=True)
class Fix:
    """One statement of an advisory: a package on a platform, and where the flaw ends.

    ``introduced`` and ``fixed`` are versions of the platform's scheme, empty when the vendor names
    none. ``reason`` is the vendor's own word for a status that needs one ("no-dsa: minor issue").
    """

    platform: str
    package: str
    match: Match
    status: Status
    fixed: str = ""
    introduced: str = ""
    severity: Severity = Severity.UNKNOWN
    reason: str = ""
    scheme: str = ""  # the version scheme of ``fixed`` and ``introduced``, such as "dpkg"


@dataclass(frozen=True, slots=True)
class Advisory:
    """One vendor statement with all its fixes; ``ref`` is the vendor's own id, unique in a feed."""

    ref: str
    cves: tuple[str, ...] = ()
    title: str = ""
    severity: Severity = Severity.UNKNOWN
    published: datetime | None = None
    url: str = ""
    fixes: tuple[Fix, ...] = ()
