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


class Kind(StrEnum):
    """What an advisory is for. Only `SECURITY` makes findings; the others say what is newer."""

    SECURITY = "security"
    BUGFIX = "bugfix"
    ENHANCEMENT = "enhancement"


class Match(StrEnum):
    """Which name of an installed package the vendor speaks of."""

    SOURCE = "source"
    BINARY = "binary"


@dataclass(frozen=True, slots=True, order=True)
class Fix:
    """One statement of an advisory: a package on a platform, and where the flaw ends.

    ``introduced``, ``fixed`` and ``last_affected`` are versions of ``scheme``, empty when the
    vendor names none; ``introduced`` and ``last_affected`` are themselves affected. A flaw that
    came and went has a statement for each range. ``reason`` is the vendor's own word for a status
    that needs one ("no-dsa: minor issue").

    The rest narrows whom it concerns: ``arch`` holds architectures separated by spaces, ``module``
    is ``name:stream`` of a modular build (dnf), ``channel`` is what a host must be entitled to for
    getting the fix, such as ``esm-infra`` or ``eus``; all are empty for everybody. ``after`` is
    what the vendor says must follow the update: "reboot", "relogin" or "restart".
    """

    platform: str
    package: str
    match: Match
    status: Status
    fixed: str = ""
    introduced: str = ""
    severity: Severity = Severity.UNKNOWN
    reason: str = ""
    scheme: str = ""
    last_affected: str = ""
    arch: str = ""
    module: str = ""
    channel: str = ""
    after: str = ""


@dataclass(frozen=True, slots=True)
class Advisory:
    """One vendor statement with all its fixes; ``ref`` is the vendor's own id, unique in a feed.

    ``aliases`` are other ids of the same flaw or the same statement (``GHSA-...`` of a
    ``PYSEC-...``).
    """

    ref: str
    cves: tuple[str, ...] = ()
    title: str = ""
    severity: Severity = Severity.UNKNOWN
    published: datetime | None = None
    url: str = ""
    fixes: tuple[Fix, ...] = ()
    kind: Kind = Kind.SECURITY
    aliases: tuple[str, ...] = ()

    @property
    def is_record(self) -> bool:
        """Whether it only records a CVE (``CVE-...``, ``UBUNTU-CVE-...``): no advisory yet."""
        return self.ref.endswith(self.cves) if self.cves else False
