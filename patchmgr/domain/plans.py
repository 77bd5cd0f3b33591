"""What a plan changes: which package on which host goes from which version to which.

A target is the highest fixed version among the selected advisories of a package, as the vendor
states it. Where the vendor speaks of source packages (Debian), that is a version of the *source*:
`Change.match` says so, and the change is done when the installed source version is at least that.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from patchmgr.domain.advisories import Match, Severity, Status
from patchmgr.domain.criteria import Criteria
from patchmgr.domain.offers import names_its_version
from patchmgr.domain.packages import SCHEME_OF_MANAGER
from patchmgr.domain.terms import Targets
from patchmgr.domain.versions import SCHEMES
from patchmgr.errors import VersionError

HELD = "held on the host"
NO_FIX = "the vendor has published no fix"
UNDETERMINED = "cannot be judged"
EXCEPTED = "covered by exception {}"
VERSION_IN_NAME = (
    "its name carries a version, so the fix comes as a package of another name; "
    "upgrade what depends on it and remove this one"
)


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


def propose_items(
    statements: Iterable[Statement],
    exposed: Mapping[int, Collection[int]],
    held: Mapping[int, Collection[str]] | None = None,
    excepted: Mapping[int, Mapping[Finding, str]] | None = None,
    own: Mapping[int, Mapping[int, Own]] | None = None,
) -> Proposal:
    """Return what to change on each host.

    ``statements`` are all open ones about the package versions of every source that is concerned,
    selected or not; ``exposed`` is host -> ids of its package versions that they speak of;
    ``held`` is host -> packages that its administrator holds back; ``excepted`` is host -> what an
    exception covers there, and which one; ``own`` is host -> package version -> what the host's
    own repositories say of its fixes, which outweighs what is known of others.

    Packages of one source move together: when one of them is selected, the host's others of that
    source come along, and when one is held, all stay. Hosts with the same versions of a source are
    worked out once.
    """
    by_version: dict[int, list[Statement]] = defaultdict(list)
    for statement in statements:
        by_version[statement.version_id].append(statement)
    hosts_of: dict[tuple[frozenset[int], frozenset[str], Left, Own], set[int]] = defaultdict(set)
    for host, numbers in exposed.items():
        by_source: dict[tuple[str, str], set[int]] = defaultdict(set)
        for number in numbers:
            if number in by_version:
                one = by_version[number][0]
                by_source[one.platform, one.source].add(number)
        kept_back = frozenset((held or {}).get(host, ()))
        covered = (excepted or {}).get(host, {})
        said = (own or {}).get(host, {})
        for together in by_source.values():
            names = {by_version[number][0].package for number in together} if kept_back else set()
            left = frozenset(
                (finding, why) for finding, why in covered.items() if finding[0] in together
            )
            has: Own = frozenset().union(*(said.get(number, ()) for number in together))
            hosts_of[frozenset(together), kept_back & names, left, has].add(host)
    groups = []
    for (versions, stays, left, has), hosts in hosts_of.items():
        of_group = [by_version[number] for number in sorted(versions)]
        group = _group(_as_offered(of_group, dict(has)), hosts, dict(left))
        groups.append(_without_held(group, stays) if stays else group)
    return Proposal(tuple(groups))


def _as_offered(
    versions: Sequence[list[Statement]], own: Mapping[Finding, str]
) -> Sequence[list[Statement]]:
    """Return ``versions`` as a host can install them whose repositories say ``own``."""
    if not own:
        return versions
    return [
        [
            one
            if (why := own.get(one.finding)) is None
            else replace(one, is_offered=not why, missing=why)
            for one in statements
        ]
        for statements in versions
    ]


def _group(
    versions: Sequence[list[Statement]], hosts: Collection[int], left: Mapping[Finding, str]
) -> Group:
    """Return what becomes of the package versions that ``hosts`` have of one source.

    What is ``left`` alone for an exception is no reason to change anything.
    """
    excluded = _left_alone(versions, left)
    versions = [
        [replace(one, selected=False) if one.finding in left else one for one in statements]
        for statements in versions
    ]
    asked = [one for statements in versions for one in statements if one.selected]
    targets = [one for one in asked if one.is_installable]
    common = _highest([one for one in targets if one.match is Match.SOURCE])
    changes: dict[int, Change] = {}
    for statements in versions:
        if targets and (change := _change(statements, common)):
            if names_its_version(change.package):
                excluded.append(_exclusion(statements[0], VERSION_IN_NAME, change.advisories))
            else:
                changes[statements[0].version_id] = change
        for status, why in ((Status.NO_FIX, NO_FIX), (Status.UNDETERMINED, UNDETERMINED)):
            refs = {one.advisory for one in statements if one.selected and one.status is status}
            if refs:
                excluded.append(_exclusion(statements[0], why, tuple(sorted(refs))))
        for needs in sorted({one.needs for one in statements if one.selected and one.needs}):
            refs = {one.advisory for one in statements if one.selected and one.needs == needs}
            why = f"the fix needs {needs}"
            excluded.append(_exclusion(statements[0], why, tuple(sorted(refs))))
        missing = [one for one in statements if one.selected and not one.is_offered]
        for why in sorted({_why_missing(one) for one in missing}):
            refs = {one.advisory for one in missing if _why_missing(one) == why}
            excluded.append(_exclusion(statements[0], why, tuple(sorted(refs))))
    return Group(frozenset(hosts), changes, tuple(excluded))


def _why_missing(one: Statement) -> str:
    return one.missing or f"no repository offers {one.fixed}"


def _left_alone(
    versions: Sequence[list[Statement]], left: Mapping[Finding, str]
) -> list[Exclusion]:
    found = []
    for statements in versions:
        asked = [one for one in statements if one.selected and one.finding in left]
        for why in sorted({left[one.finding] for one in asked}):
            refs = {one.advisory for one in asked if left[one.finding] == why}
            found.append(_exclusion(statements[0], why, tuple(sorted(refs))))
    return found


def _change(statements: Sequence[Statement], common: Statement | None) -> Change | None:
    """Return the change that brings one package version to its target; None when it is there."""
    fixes = [one for one in statements if one.is_installable]
    selected = [one for one in fixes if one.selected]
    own = _highest([one for one in selected or fixes if one.match is Match.BINARY])
    target = common if any(one.match is Match.SOURCE for one in statements) and common else own
    if target is None:
        return None
    key = SCHEMES[SCHEME_OF_MANAGER[target.manager]]
    it = statements[0]
    installed = it.source_version if target.match is Match.SOURCE else it.version
    if key(installed) >= key(target.fixed):
        return None
    closed = [
        one for one in fixes if one.match is target.match and key(one.fixed) <= key(target.fixed)
    ]
    return Change(
        it.platform,
        it.manager,
        it.package,
        it.arch,
        it.source,
        it.version,
        target.fixed,
        target.match,
        tuple(sorted({one.advisory for one in closed})),
        max((one.severity for one in closed), default=Severity.UNKNOWN),
    )


def _highest(statements: Sequence[Statement]) -> Statement | None:
    if not statements:
        return None
    key = SCHEMES[SCHEME_OF_MANAGER[statements[0].manager]]
    return max(statements, key=lambda one: key(one.fixed))


def _without_held(group: Group, held: frozenset[str]) -> Group:
    stays = sorted({change.package for change in group.changes.values()} & held)
    if not stays:
        return group
    excluded = list(group.excluded)
    for one in group.changes.values():
        why = HELD if one.package in held else f"moves together with {stays[0]}, which is {HELD}"
        excluded.append(
            Exclusion(one.platform, one.package, one.arch, one.from_version, why, one.advisories)
        )
    return Group(group.hosts, {}, tuple(excluded))


def _exclusion(one: Statement, why: str, advisories: tuple[str, ...]) -> Exclusion:
    return Exclusion(one.platform, one.package, one.arch, one.version, why, advisories)


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
