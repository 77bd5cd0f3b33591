"""What a plan changes: which package on which host goes from which version to which.

A target is the highest fixed version among the selected advisories of a package, as the vendor
states it. Where the vendor speaks of source packages (Debian), that is a version of the *source*:
`Change.match` says so, and the change is done when the installed source version is at least that.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from patchmgr.domain.advisories import Match, Severity, Status
from patchmgr.domain.criteria import Criteria
from patchmgr.domain.packages import SCHEME_OF_MANAGER
from patchmgr.domain.terms import Targets
from patchmgr.domain.versions import SCHEMES
from patchmgr.errors import VersionError

Finding = tuple[int, str]  # package version, advisory: what a host has one of
Left = frozenset[tuple[Finding, str]]  # what is left alone on a host, and why
# Whether a host's own repositories offer the fix of its findings: why not, "" where they do.
Own = frozenset[tuple[Finding, str]]


@dataclass(frozen=True, slots=True, order=True)
class Change:
    """A package from one version to another, wherever it happens."""

    platform: str
    manager: str
    package: str  # installed binary package
    arch: str
    source: str
    from_version: str  # as installed
    to_version: str  # the fixed version, of what ``match`` says
    match: Match
    advisories: tuple[str, ...] = ()  # all that it closes
    severity: Severity = Severity.UNKNOWN  # worst of them


@dataclass(frozen=True, slots=True)
class Selection:
    """What a plan is asked to close; an empty field does not restrict, all empty is everything."""

    advisories: tuple[str, ...] = ()
    cves: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()  # installed packages or their sources
    hosts: tuple[str, ...] = ()  # hostnames
    severity_at_least: Severity = Severity.UNKNOWN
    severities: tuple[Severity, ...] = ()  # only these; empty is all
    platforms: tuple[str, ...] = ()  # of hosts, as are the environments
    environments: tuple[str, ...] = ()
    sites: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()  # of hosts; one of them
    any_of: tuple[Criteria, ...] = ()  # one of which must hold too

    def only(self, severities: Collection[Severity]) -> "Selection":
        return replace(self, severities=tuple(sorted(severities)))

    def covers(
        self, advisory: str, cves: Collection[str], names: Collection[str], severity: Severity
    ) -> bool:
        """Return whether a statement of ``advisory`` about the package ``names`` is asked for."""
        if severity < self.severity_at_least:
            return False
        if self.severities and severity not in self.severities:
            return False
        if self.packages and not set(self.packages) & set(names):
            return False
        if not (self.advisories or self.cves):
            return True
        return advisory in self.advisories or bool(set(self.cves) & {advisory, *cves})

    def reaches(
        self, platform: str, environment: str, site: str = "", tags: Collection[str] = ()
    ) -> bool:
        """Return whether a host like this is asked for."""
        return (
            (not self.platforms or platform in self.platforms)
            and (not self.environments or environment in self.environments)
            and (not self.sites or site in self.sites)
            and (not self.tags or not set(self.tags).isdisjoint(tags))
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "advisories": list(self.advisories),
            "cves": list(self.cves),
            "packages": list(self.packages),
            "hosts": list(self.hosts),
            "severity_at_least": self.severity_at_least.word,
            "severities": [severity.word for severity in self.severities],
            "platforms": list(self.platforms),
            "environments": list(self.environments),
            "sites": list(self.sites),
            "tags": list(self.tags),
            "any_of": [each.to_json() for each in self.any_of],
        }


@dataclass(frozen=True, slots=True)
class Statement:
    """What an advisory says about one distinct package version, and whether it was asked for."""

    version_id: int
    platform: str
    manager: str
    package: str
    arch: str
    version: str
    source: str
    source_version: str
    status: Status
    fixed: str
    match: Match
    advisory: str
    severity: Severity
    selected: bool = True
    needs: str = ""  # what the host lacks to get the fix: "Ubuntu Pro (esm-infra)"
    is_offered: bool = True  # False: repositories are known, and none has the fixed version yet
    missing: str = ""  # why not, where the host's own repositories said it
    phased: str = ""  # what known repositories offer to a part of all hosts only, and to how many

    @property
    def is_installable(self) -> bool:
        return self.status is Status.AFFECTED and not self.needs and self.is_offered

    @property
    def finding(self) -> Finding:
        return self.version_id, self.advisory


@dataclass(frozen=True, slots=True, order=True)
class Exclusion:
    """A package version that was asked for and is not planned, and why."""

    platform: str
    package: str
    arch: str
    version: str
    reason: str
    advisories: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Group:
    """Hosts that have the same versions of one source, and what becomes of these."""

    hosts: frozenset[int]
    changes: Mapping[int, Change]  # by package version
    excluded: tuple[Exclusion, ...]


@dataclass(frozen=True, slots=True)
class Proposal:
    """What to change on which host, and what not to. A host is in a group for each source."""

    groups: tuple[Group, ...] = ()

    @property
    def hosts(self) -> frozenset[int]:
        """Return the hosts that change."""
        return frozenset[int]().union(*(one.hosts for one in self.groups if one.changes))

    @property
    def versions(self) -> dict[int, Change]:
        """Return what becomes of each package version, on some host at least."""
        return {number: one for group in self.groups for number, one in group.changes.items()}

    @property
    def items(self) -> dict[int, tuple[Change, ...]]:
        """Return the changes of each host."""
        found: dict[int, list[Change]] = defaultdict(list)
        for change, hosts in self.changes.items():
            for host in hosts:
                found[host].append(change)
        return {host: tuple(changes) for host, changes in sorted(found.items())}

    @property
    def changes(self) -> dict[Change, list[int]]:
        """Return each distinct change with its hosts, both in order.

        Package versions can differ in what they are said to be built from, and so in what closing
        them closes, and be one package version to whoever installs: those are one change.
        """
        alike: dict[Change, list[Change]] = defaultdict(list)
        hosts: dict[Change, set[int]] = defaultdict(set)
        for group in self.groups:
            for change in group.changes.values():
                bare = replace(change, advisories=(), severity=Severity.UNKNOWN)
                alike[bare].append(change)
                hosts[bare] |= group.hosts
        found = {
            replace(
                bare,
                advisories=tuple(sorted({ref for change in same for ref in change.advisories})),
                severity=max(change.severity for change in same),
            ): sorted(hosts[bare])
            for bare, same in alike.items()
        }
        return dict(sorted(found.items()))

    @property
    def excluded(self) -> dict[Exclusion, int]:
        """Return what was asked for and is not planned -> on how many hosts."""
        found: dict[Exclusion, int] = defaultdict(int)
        for group in self.groups:
            for exclusion in group.excluded:
                found[exclusion] += len(group.hosts)
        return dict(sorted(found.items()))

    def without(self, hosts: Collection[int]) -> "Proposal":
        """Return the proposal for all hosts but these."""
        rest = (replace(one, hosts=one.hosts.difference(hosts)) for one in self.groups)
        return Proposal(tuple(one for one in rest if one.hosts))


@dataclass(frozen=True, slots=True)
class Evidence:
    """A package version that an inventory shows, with the source version that advisories judge."""

    package: str
    arch: str
    version: str
    source: str
    source_version: str


@dataclass(frozen=True, slots=True)
class Shortfall:
    """A change that an inventory does not show: what it shows instead."""

    change: Change
    installed: str


def unfinished(
    changes: Iterable[Change],
    shown: Iterable[Evidence],
    targets: Targets = Targets.AT_LEAST,
) -> tuple[Shortfall, ...]:
    """Return the changes that the inventory ``shown`` does not bear out.

    A package that is gone is no longer a danger; one that is there in several versions is done
    when every one of them is. A version that cannot be read proves nothing.
    """
    found: dict[tuple[str, str], list[Evidence]] = defaultdict(list)
    for one in shown:
        found[one.package, one.arch].append(one)
    return tuple(
        Shortfall(change, one.version)
        for change in changes
        for one in found.get((change.package, change.arch), ())
        if not reached(change, one, targets)
    )


def reached(change: Change, shown: Evidence, targets: Targets = Targets.AT_LEAST) -> bool:
    """Return whether ``shown`` is what ``change`` asks for: exactly that, or at least that.

    Of a source's version it is the source that counts: a rebuild of it is the same.
    """
    key = SCHEMES[SCHEME_OF_MANAGER[change.manager]]
    installed = shown.source_version if change.match is Match.SOURCE else shown.version
    try:
        have, wanted = key(installed), key(change.to_version)
    except VersionError:
        return False
    return have == wanted if targets is Targets.EXACT else have >= wanted


def contains(
    newer: Mapping[Change, Collection[int]], older: Mapping[Change, Collection[int]]
) -> bool:
    """Return whether ``newer`` brings every host of ``older`` to at least the same versions."""
    found: dict[tuple[str, ...], list[tuple[Change, Collection[int]]]] = defaultdict(list)
    for change, hosts in newer.items():
        found[_place(change)].append((change, hosts))
    for change, hosts in older.items():
        done: set[int] = set()
        for better, there in found.get(_place(change), ()):
            if _is_no_older(better, change):
                done.update(there)
        if not done.issuperset(hosts):
            return False
    return True


def _place(change: Change) -> tuple[str, ...]:
    return (change.platform, change.manager, change.package, change.arch, change.match.value)


def _is_no_older(one: Change, other: Change) -> bool:
    key = SCHEMES[SCHEME_OF_MANAGER[one.manager]]
    try:
        return key(one.to_version) >= key(other.to_version)
    except VersionError:
        return one.to_version == other.to_version


@dataclass(frozen=True, slots=True)
class WorkLine:
    """One package of one host's part, as an export shows it."""

    plan: int
    ring: str
    host: str
    package: str
    arch: str
    from_version: str  # installed package
    to_version: str  # of what ``match`` says
    match: Match
    source: str
    attempt: int
    state: str
    targets: Targets = Targets.AT_LEAST
    include_held: bool = False  # the host's hold is no reason to leave it
