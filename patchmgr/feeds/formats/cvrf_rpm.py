"""Advisories of rpm distributions in CVRF: the packages that fix, and those that are odd.

SUSE and openEuler publish a document an advisory, and name in it the builds that have the fix. How
a build is named, and which release it is for, is each vendor's own.
"""

from collections import Counter

from patchmgr.domain.advisories import Fix, Match, Severity, Status
from patchmgr.errors import FeedMalformedError
from patchmgr.feeds.base import SetAside
from patchmgr.feeds.formats import cvrf
from patchmgr.feeds.formats.rpm_names import Built

SCHEME = "rpm"
FIXED = "Fixed"  # a status
ODD_SHARE = 4  # more than one package in this many: not the vendor's document at all


class Reading:
    """What has been read of the packages of one document so far."""

    def __init__(self, document: cvrf.Document, severity: Severity) -> None:
        self.document = document
        self.severity = severity
        self.arches: dict[Fix, set[str]] = {}  # by what holds for all of them
        self.set_aside: list[SetAside] = []
        self.skipped: Counter[str] = Counter()

    def add(self, platform: str, package: Built, arch: str, channel: str = "") -> None:
        """Add that ``package`` is fixed on ``platform``."""
        fix = Fix(
            platform=platform,
            package=package.name,
            match=Match.BINARY,
            status=Status.AFFECTED,
            fixed=package.version,
            severity=self.severity,
            scheme=SCHEME,
            channel=channel,
        )
        self.arches.setdefault(fix, set()).add(arch)

    def put_aside(self, where: str, reason: str) -> None:
        self.set_aside.append(SetAside(self.document.id, where[: cvrf.NAME], reason))

    def refuse_odd(self, url: str, packages: int, vendor: str) -> None:
        """Raise `FeedMalformedError` when too many of the ``packages`` are not the ``vendor``'s."""
        if len(self.set_aside) * ODD_SHARE > packages:
            first = self.set_aside[0]
            raise FeedMalformedError(
                f"{url}: {len(self.set_aside)} of {packages} packages are not {vendor}'s, such as"
                f" {first.where}: {first.reason}"
            )

    @property
    def every_arch(self) -> set[str]:
        return {arch for arches in self.arches.values() for arch in arches}
