"""What a host's repositories offer, put to the packages that it has.

Each tool answers in its own form; here the answers become candidates of installed packages. What
is there already, or older, is no candidate.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from inventory.facts import apk, apt, dnf
from patchmgr.domain.facts import INSTALLED, NOT_SAID, Candidate, Offered, judged_after
from patchmgr.domain.packages import SCHEME_OF_MANAGER, Package, Platform
from patchmgr.domain.signed import judged_source
from patchmgr.domain.versions import SCHEMES
from patchmgr.errors import VersionError

_LONGEST = 200  # characters of a version or a name


@dataclass(frozen=True, slots=True)
class Answers:
    """What the tools of a host said; None where a tool was not asked or could not be read."""

    policy: tuple[apt.Choice, ...] | None = None
    upgradable: tuple[apt.Choice, ...] | None = None
    check_update: tuple[dnf.Newer, ...] | None = None
    apk_version: tuple[apk.Newer, ...] | None = None
    locked: frozenset[str] = frozenset()  # of these dnf lists nothing, whatever there is


def offered(answers: Answers, packages: Collection[Package], platform: Platform) -> Offered | None:
    """Return what is on offer for ``packages``; None when no tool said."""
    if answers == Answers(locked=answers.locked):
        return None
    installed = _Installed(packages)
    everything = set()
    named: set[tuple[str, str]] = set()
    found: set[Candidate] = set()
    asked = {choice.name for choice in answers.policy or ()}
    if answers.policy is not None:
        named = {("dpkg", name) for name in asked & installed.names["dpkg"]}
        if installed.names["dpkg"] <= asked:
            everything.add("dpkg")
        found |= _candidates(map(_of_apt, answers.policy), installed, platform)
    if answers.upgradable is not None:
        everything.add("dpkg")
        rest = (choice for choice in answers.upgradable if choice.name not in asked)
        found |= _candidates(map(_of_apt, rest), installed, platform)
    if answers.check_update is not None:
        everything.add("rpm")
        found |= _candidates(map(_of_dnf, answers.check_update), installed, platform)
        found |= {
            Candidate("rpm", each.name, each.arch, NOT_SAID)
            for each in packages
            if each.manager == "rpm" and each.name in answers.locked
        }
    if answers.apk_version is not None:
        everything.add("apk")
        found |= _candidates(map(_of_apk, answers.apk_version), installed, platform)
    apart = {pair for pair in named if pair[0] not in everything}
    said = Offered(frozenset(everything), frozenset(apart))
    slots = {(each.manager, each.name, each.arch) for each in found}
    found |= {
        _candidate(_there_already(package), package, platform)
        for package in installed.beside_older
        if said.covers(package.manager, package.name)
        and (package.manager, package.name, package.arch) not in slots
    }
    return replace(said, candidates=frozenset(found))


@dataclass(frozen=True, slots=True)
class _Choice:
    manager: str
    name: str
    arch: str  # "" for any
    installed: str  # "" for any
    version: str
    suites: tuple[str, ...] = ()
    phased: int | None = None
    withheld: str = ""
    pin: str = ""


def _there_already(package: Package) -> _Choice:
    """Return the newest of several versions that are installed beside each other, as kernels are.

    What fixes the older ones is there: it waits for a reboot, not for a repository.
    """
    return _Choice(package.manager, package.name, package.arch, "", package.version, (INSTALLED,))


def _of_apt(choice: apt.Choice) -> _Choice:
    return _Choice(
        "dpkg",
        choice.name,
        choice.arch,
        choice.installed,
        choice.version or choice.installed,
        choice.suites,
        choice.phased,
        choice.withheld,
        choice.pin,
    )


def _of_dnf(newer: dnf.Newer) -> _Choice:
    return _Choice("rpm", newer.name, newer.arch, "", newer.version, (newer.repository,))


def _of_apk(newer: apk.Newer) -> _Choice:
    suites = (newer.tag,) if newer.tag else ()
    return _Choice("apk", newer.name, "", newer.installed, newer.version, suites)


class _Installed:
    """Packages by name; of several versions under one name and architecture, the newest."""

    def __init__(self, packages: Iterable[Package]) -> None:
        self.names = defaultdict[str, set[str]](set)
        self._by_name = defaultdict[tuple[str, str], dict[str, Package]](dict)
        several: set[tuple[str, str, str]] = set()
        for package in sorted(packages):
            self.names[package.manager].add(package.name)
            by_arch = self._by_name[package.manager, package.name]
            if package.arch in by_arch:
                several.add((package.manager, package.name, package.arch))
            if package.arch not in by_arch or _newer(package.version, by_arch[package.arch]):
                by_arch[package.arch] = package
        self.beside_older = [
            self._by_name[manager, name][arch] for manager, name, arch in sorted(several)
        ]

    def meant(self, choice: _Choice) -> list[Package]:
        """Return what ``choice`` is about: of a multiarch package all that may be."""
        by_arch = self._by_name.get((choice.manager, choice.name), {})
        if choice.arch in by_arch:
            return [by_arch[choice.arch]]
        if len(by_arch) > 1 and choice.arch:
            return []
        return [each for each in by_arch.values() if choice.installed in ("", each.version)]


def _newer(version: str, than: Package) -> bool:
    one, other = _key(than.manager, version), _key(than.manager, than.version)
    return one is None or other is None or one > other


def _candidates(
    choices: Iterable[_Choice], installed: _Installed, platform: Platform
) -> set[Candidate]:
    found = set()
    for choice in choices:
        for package in installed.meant(choice):
            is_newer = choice.version != package.version and _newer(choice.version, package)
            if is_newer or choice.withheld:
                found.add(_candidate(choice, package, platform))
    return found


def _candidate(choice: _Choice, package: Package, platform: Platform) -> Candidate:
    _, judged = judged_source(
        package.manager,
        platform,
        package.name,
        package.version,
        package.source,
        package.source_version,
    )
    version, withheld = (
        each if len(each) <= _LONGEST else NOT_SAID for each in (choice.version, choice.withheld)
    )
    return Candidate(
        package.manager,
        package.name,
        package.arch,
        version,
        judged_after(package.version, judged, version),
        tuple(sorted(each[:_LONGEST] for each in choice.suites)),
        choice.phased if choice.phased is not None and choice.phased < 100 else None,
        withheld,
        choice.pin,
    )


def _key(manager: str, version: str) -> bytes | None:
    try:
        return SCHEMES[SCHEME_OF_MANAGER[manager]](version)
    except VersionError:
        return None
