"""How two hosts differ, or one host at two instants: packages by what can replace what, facts."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from patchmgr.domain.packages import SCHEME_OF_MANAGER
from patchmgr.domain.versions import SCHEMES
from patchmgr.errors import VersionError

Slot = tuple[str, str, str]  # name, arch, manager: what an update replaces


class Installed(Protocol):
    """What is compared of an installed package version."""

    @property
    def manager(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def arch(self) -> str: ...
    @property
    def version(self) -> str: ...


@dataclass(frozen=True, slots=True)
class PackageChange:
    """A package that is not the same on both sides.

    A side without it has no version; one that has it more than once (kernels) has several. What
    both have is in neither.
    """

    manager: str
    name: str
    arch: str
    before: tuple[str, ...]
    after: tuple[str, ...]
    direction: str  # "newer", "older"; "" where it cannot be said, or only one side has it

    @property
    def kind(self) -> str:
        """One of "added", "removed", "changed"."""
        if not self.before:
            return "added"
        return "changed" if self.after else "removed"


@dataclass(frozen=True, slots=True)
class FactChange:
    """A fact that is not the same on both sides."""

    fact: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Difference:
    """Everything that is not the same; packages by name."""

    packages: tuple[PackageChange, ...] = ()
    facts: tuple[FactChange, ...] = ()

    def of(self, kind: str) -> tuple[PackageChange, ...]:
        """Return the packages that were "added", "removed" or "changed"."""
        return tuple(change for change in self.packages if change.kind == kind)

    def __bool__(self) -> bool:
        return bool(self.packages or self.facts)


def difference(
    before: Iterable[Installed],
    after: Iterable[Installed],
    facts_before: Mapping[str, str] | None = None,
    facts_after: Mapping[str, str] | None = None,
) -> Difference:
    """Return what is not the same; a fact that either side does not know is not compared."""
    return Difference(packages(before, after), facts(facts_before or {}, facts_after or {}))


def packages(before: Iterable[Installed], after: Iterable[Installed]) -> tuple[PackageChange, ...]:
    """Return the packages that are not the same, by name, architecture and manager."""
    had, has = _versions(before), _versions(after)
    found = []
    for slot in sorted(had.keys() | has.keys()):
        left, come = had[slot] - has[slot], has[slot] - had[slot]
        if not (left or come):
            continue
        name, arch, manager = slot
        old, new = _ordered(manager, left), _ordered(manager, come)
        found.append(PackageChange(manager, name, arch, old, new, _direction(manager, old, new)))
    return tuple(found)


def facts(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[FactChange, ...]:
    """Return the facts that both know and that are not the same, in their order."""
    return tuple(
        FactChange(fact, value, after[fact])
        for fact, value in before.items()
        if fact in after and after[fact] != value
    )


def _versions(installed: Iterable[Installed]) -> defaultdict[Slot, set[str]]:
    found: defaultdict[Slot, set[str]] = defaultdict(set)
    for each in installed:
        found[each.name, each.arch, each.manager].add(each.version)
    return found


def _ordered(manager: str, versions: set[str]) -> tuple[str, ...]:
    """Return versions as their scheme sorts them; as texts where one cannot be read."""
    keys = _keys(manager, versions)
    return tuple(sorted(versions, key=keys.__getitem__ if keys else None))


def _direction(manager: str, before: tuple[str, ...], after: tuple[str, ...]) -> str:
    keys = _keys(manager, {*before, *after})
    if not (before and after and keys):
        return ""
    old, new = keys[before[-1]], keys[after[-1]]
    if old == new:
        return ""
    return "newer" if new > old else "older"


def _keys(manager: str, versions: set[str]) -> dict[str, bytes]:
    """Return the key of each version; of none where one cannot be read."""
    scheme = SCHEMES.get(SCHEME_OF_MANAGER.get(manager, ""))
    if scheme is None:
        return {}
    try:
        return {version: scheme(version) for version in versions}
    except VersionError:
        return {}
