"""What repositories have to install: updates without an advisory, and whether a fix can be had.

A repository that was not read may have anything, so nothing is concluded from what is missing in
those that were, with one exception: of a package that they have in the installed version or a newer
one, they are where it comes from, and a fix that they do not have is not offered yet.

Ubuntu phases its updates in: apt offers one to more and more hosts over days. So an update that is
not for every host yet is told as that; whether a given host is among them, only that host knows.
"""

import re
from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import lru_cache

from patchmgr.domain.advisories import Fix, Match
from patchmgr.domain.matching import Subject, platforms_of
from patchmgr.domain.modules import is_modular, main_stream
from patchmgr.domain.packages import SCHEME_OF_MANAGER
from patchmgr.domain.signed import judged_source
from patchmgr.domain.versions import SCHEMES
from patchmgr.errors import VersionError

NOT_YET = "no known repository offers it yet"
EVERYBODY = 100  # percent of the hosts that an update is offered to
_EVERY_ARCH = {"noarch", "all", "any", ""}
# linux-image-6.1.0-37-amd64: what replaces it has another name.
_VERSION_IN_NAME = re.compile(r"linux-.*\d+\.\d+\.\d+-\d+.*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Offer:
    """A package version that a repository of the vendor has to install."""

    platform: str
    suite: str  # "bookworm-security", "baseos"
    manager: str
    name: str
    version: str
    arch: str = ""
    source: str = ""
    source_version: str = ""
    module: str = ""  # name:stream
    phased: int = EVERYBODY  # percent of the hosts that are to have it by now; apt alone does this


@dataclass(frozen=True, slots=True)
class Update:
    """A package that a host has and that repositories offer in a newer version."""

    package: str
    arch: str
    manager: str
    source: str
    installed: str
    offered: str
    suites: tuple[str, ...]  # that offer it
    held: bool = False  # the host's administrator holds the package back
    phased: int = EVERYBODY  # percent of the hosts that are offered it by now

    @property
    def caution(self) -> str:
        """Return why the host may not be offered it yet; "" when nothing is known to say so."""
        return phasing(self.phased)


@dataclass(frozen=True, slots=True)
class Supply:
    """Whether the version that fixes a package, or a newer one, can be had: no suites, it cannot.

    ``version`` is that of the package, also where the vendor speaks of its source.
    """

    version: str = ""
    suites: tuple[str, ...] = ()
    phased: int = EVERYBODY  # percent of the hosts that are offered it by now

    @property
    def words(self) -> str:
        """Return "bookworm-security offers 3.0.17-1", or that nobody does."""
        if not self.suites:
            return NOT_YET
        verb = "offers" if len(self.suites) == 1 else "offer"
        caution = f", {phasing(self.phased)}" if phasing(self.phased) else ""
        return f"{' and '.join(self.suites)} {verb} {self.version}{caution}"

    @property
    def is_for_all(self) -> bool:
        return self.phased >= EVERYBODY


def phasing(percent: int) -> str:
    """Return for people that an update goes to ``percent`` of the hosts so far; "" for all.

    Which hosts those are, apt decides on each: by a hash of source, version and machine id, which
    is known to nobody else.
    """
    if percent >= EVERYBODY:
        return ""
    return f"phased at {percent} %: may not be offered to this host yet"


def shared_out(package: str, version: str, percent: int) -> str:
    """Return what a plan says of a version that goes to ``percent`` of the hosts so far."""
    return f"{package} {version} ({percent} % of hosts)"


def names_its_version(package: str) -> bool:
    """Return whether the name of a package carries its version: a newer one is another package."""
    return _VERSION_IN_NAME.fullmatch(package) is not None


def repositories_of(platform: str) -> tuple[str, ...]:
    """Return the platforms whose repositories hosts of ``platform`` install from.

    They are those whose advisories hold for it, but for another vendor's.
    """
    vendor = platform.partition(":")[0]
    return tuple(each for each in platforms_of(platform) if each.partition(":")[0] == vendor)


class Offers:
    """What repositories offer, to be asked about installed packages."""

    def __init__(self, offers: Iterable[Offer] = ()) -> None:
        self._by_name = defaultdict[tuple[str, str, str], list[Offer]](list)
        for offer in offers:
            if _key(offer.manager, offer.version) is not None:
                self._by_name[offer.platform, offer.manager, offer.name].append(offer)

    def of(self, subject: Subject) -> list[Offer]:
        """Return what could be installed over ``subject``, the newest first."""
        if subject.foreign:
            return []
        found = [
            offer
            for platform in repositories_of(subject.platform)
            for offer in self._by_name.get((platform, subject.manager, subject.name), ())
            if _fits(offer, subject)
        ]
        return sorted(found, key=lambda each: _key(each.manager, each.version) or b"", reverse=True)

    def updates(
        self, installed: Iterable[Subject], held: Collection[str] = ()
    ) -> tuple[Update, ...]:
        """Return which packages of a host have a newer version on offer, by name.

        Of a package that is there in several versions the newest counts: the others stay.
        """
        newest: dict[tuple[str, str, str], Subject] = {}
        for each in installed:
            place = (each.name, each.arch, each.manager)
            if place not in newest or _newer(each, newest[place]):
                newest[place] = each
        found = (self._update(each, each.name in held) for _, each in sorted(newest.items()))
        return tuple(update for update in found if update)

    def _update(self, subject: Subject, held: bool) -> Update | None:
        offers = self.of(subject)
        have = _key(subject.manager, subject.version)
        if not offers or have is None or have >= (_key(subject.manager, offers[0].version) or b""):
            return None
        supply = _supply(offers)
        return Update(
            subject.name,
            subject.arch,
            subject.manager,
            subject.source,
            subject.version,
            supply.version,
            supply.suites,
            held,
            supply.phased,
        )

    def supply(self, subject: Subject, fix: Fix) -> Supply | None:
        """Return whether the version that ``fix`` names for ``subject`` can be had.

        None where that cannot be told: its repository is not known, the fix comes through a
        channel that one must be entitled to, or as a package of another name.
        """
        if not fix.fixed or fix.channel or names_its_version(subject.name):
            return None
        offers = self.of(subject)
        wanted, have = _key(subject.manager, fix.fixed), _key(subject.manager, subject.version)
        if not offers or wanted is None or have is None:
            return None
        if have > (_key(subject.manager, offers[0].version) or b""):
            return None
        reaching = [each for each in offers if _reaches(each, fix, wanted)]
        phased = {each.version: _phased(each.version, reaching) for each in reaching}
        # An older fix that everybody may have is better than a newer one that only some may.
        for_all = [each for each in reaching if phased[each.version] >= EVERYBODY]
        return _supply(for_all or reaching)


def _supply(offers: Collection[Offer]) -> Supply:
    """Return the newest of ``offers``, which come newest first, and all suites that have it."""
    if not offers:
        return Supply()
    first = next(iter(offers))
    suites = {each.suite for each in offers if each.version == first.version}
    return Supply(first.version, tuple(sorted(suites)), _phased(first.version, offers))


def _phased(version: str, offers: Iterable[Offer]) -> int:
    """Return the percentage of hosts that are offered ``version``.

    A suite that does not phase it, such as a security archive that has it too, gives it to all.
    """
    return max(each.phased for each in offers if each.version == version)


def _reaches(offer: Offer, fix: Fix, wanted: bytes) -> bool:
    name, version = offer.name, offer.version
    if fix.match is Match.SOURCE:
        name, version = judged_source(
            offer.manager,
            offer.platform,
            offer.name,
            offer.version,
            offer.source,
            offer.source_version,
        )
    return name == fix.package and (_key(offer.manager, version) or b"") >= wanted


def _fits(offer: Offer, subject: Subject) -> bool:
    """Return whether ``offer`` is for the machine and of the module stream of ``subject``.

    A modular build whose stream is not known could be of any, so nothing is offered for it.
    """
    if offer.arch != subject.arch and not {offer.arch, subject.arch} & _EVERY_ARCH:
        return False
    modular = bool(subject.module) or (subject.manager == "rpm" and is_modular(subject.version))
    if not modular:
        return not offer.module
    return bool(subject.module) and main_stream(offer.module) == main_stream(subject.module)


def _newer(one: Subject, other: Subject) -> bool:
    """Return whether ``one`` is newer; a version that cannot be read is, so that it is asked."""
    key, other_key = _key(one.manager, one.version), _key(other.manager, other.version)
    return key is None or (other_key is not None and key > other_key)


@lru_cache(maxsize=1 << 16)
def _key(manager: str, version: str) -> bytes | None:
    try:
        return SCHEMES[SCHEME_OF_MANAGER[manager]](version)
    except (KeyError, VersionError):
        return None
