"""What becomes of each package version on each host, and what is left out and why.

The values are those of `patchmgr.domain.plans`.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from patchmgr.domain.advisories import Match, Severity, Status
from patchmgr.domain.offers import names_its_version
from patchmgr.domain.packages import SCHEME_OF_MANAGER
from patchmgr.domain.plans import (
    Change,
    Exclusion,
    Finding,
    Group,
    Left,
    Own,
    Proposal,
    Statement,
)
from patchmgr.domain.versions import SCHEMES

HELD = "held on the host"


NO_FIX = "the vendor has published no fix"


UNDETERMINED = "cannot be judged"


EXCEPTED = "covered by exception {}"


VERSION_IN_NAME = (
    "its name carries a version, so the fix comes as a package of another name; "
    "upgrade what depends on it and remove this one"
)


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
