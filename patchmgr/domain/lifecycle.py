"""Until when vendors look after releases and packages, and who still gets fixes after that.

A release is supported by everybody's updates first ("standard"), some are carried on after that:
Debian's LTS for everybody, the others for hosts that are entitled to it.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date

from patchmgr.domain.matching import NAMES
from patchmgr.domain.offers import repositories_of

STANDARD = "standard"
# What carries a release on -> what a host must be entitled to for it; "" for everybody.
EXTENSIONS = {
    "lts": "",
    "esm": "esm-infra",
    "legacy": "esm-infra-legacy",
    "ltss": "ltss",
    "els": "els",
    "elts": "elts",
}
_LABELS = {"legacy": "Legacy support"}
ENDED, LIMITED = "ended", "limited"  # of packages


@dataclass(frozen=True, slots=True)
class Support:
    """Until when a release, or a package on it, gets security updates."""

    platform: str
    package: str  # source package; "" for the release itself
    level: str  # "standard", "lts", "elts", "esm"; for a package "ended" or "limited"
    until: date | None  # the first day without; None: the vendor names no day
    note: str = ""

    def speaks_of(self, source: str) -> bool:
        """Return whether this is about the source package: ``golang.*`` is all that begin so."""
        if self.package.endswith("*"):
            return source.startswith(self.package.rstrip("*").removesuffix("."))
        return self.package == source

    def has_ended(self, on: date) -> bool:
        """Return whether security support of a package is over, or comes with conditions."""
        over = self.level == ENDED and (self.until is None or self.until <= on)
        return bool(self.package) and (over or self.level == LIMITED)

    @property
    def kind(self) -> str:
        """Return which kind of blind spot a package is of which this is said."""
        return "no security support" if self.level == ENDED else "limited security support"

    @property
    def words(self) -> str:
        """Return what is said of a package: "security support ended on 2026-04-30 (why)"."""
        when = f" on {self.until}" if self.until and self.level == ENDED else ""
        verb = "ended" if self.level == ENDED else "is limited"
        return f"security support {verb}{when}" + (f" ({self.note})" if self.note else "")


@dataclass(frozen=True, slots=True)
class Extension:
    """What carries a release on, for whom."""

    level: str
    until: date | None
    needs: str  # channel that a host must be entitled to; "" for everybody

    @property
    def words(self) -> str:
        """Return "LTS until 2028-07-01", or "ESM until ... with Ubuntu Pro (esm-infra)"."""
        until = f" until {self.until}" if self.until else ""
        how = f" with {name_of(self.needs)}" if self.needs else ""
        return f"{_LABELS.get(self.level, self.level.upper())}{until}{how}"


@dataclass(frozen=True, slots=True)
class Ending:
    """A release whose standard support is over, and what still carries it on."""

    platform: str
    since: date  # the first day without standard support
    extensions: tuple[Extension, ...]  # still going on, the longest last

    @property
    def is_over(self) -> bool:
        """Whether nobody gets fixes any more without an entitlement."""
        return self.cover(()) is None

    @property
    def words(self) -> str:
        """Return "standard support ended on 2024-08-15; LTS until 2026-09-01"."""
        parts = (f"standard support ended on {self.since}", *(e.words for e in self.extensions))
        return "; ".join(parts)

    def cover(self, entitlements: Collection[str]) -> Extension | None:
        """Return what still gives fixes to a host with ``entitlements``; None when nothing does."""
        open_to = [one for one in self.extensions if not one.needs or one.needs in entitlements]
        return open_to[-1] if open_to else None


def name_of(channel: str) -> str:
    """Return what to ask the vendor for."""
    return NAMES.get(channel, channel)


def endings(said: Iterable[Support], on: date) -> dict[str, Ending]:
    """Return the releases past the end of their standard support on a day, by platform."""
    by_release: dict[str, dict[str, Support]] = {}
    for each in said:
        if not each.package:
            by_release.setdefault(each.platform, {})[each.level] = each
    found = {}
    for platform, levels in by_release.items():
        standard = levels.get(STANDARD)
        if standard is None or standard.until is None or standard.until > on:
            continue
        going_on = [
            Extension(level, levels[level].until, needs)
            for level, needs in EXTENSIONS.items()
            if level in levels and _lasts(levels[level].until, on)
        ]
        going_on.sort(key=lambda one: one.until or date.max)
        found[platform] = Ending(platform, standard.until, tuple(going_on))
    return found


def ending_of(platform: str, ended: Mapping[str, Ending]) -> Ending | None:
    """Return the end of the release that hosts of ``platform`` run."""
    return next((ended[each] for each in repositories_of(platform) if each in ended), None)


def without_support(source: str, platform: str, told: Iterable[Support], on: date) -> list[Support]:
    """Return what is said against a source package on hosts of ``platform``."""
    releases = repositories_of(platform)
    return [
        each
        for each in told
        if each.platform in releases and each.has_ended(on) and each.speaks_of(source)
    ]


def _lasts(until: date | None, on: date) -> bool:
    return until is None or until > on
