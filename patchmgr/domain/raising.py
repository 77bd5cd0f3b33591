"""Targets past what is known to be bad, where plans take any newer version.

Such a plan goes to every version from its target on, also to one that is held, and is left out for
that. But where a host's own repositories offer a version past all that is held, the host gets that
one, and at least that one can be planned: it closes what the lower target closes, and what is held
is none of it. Without this there is no way at all where repositories keep only the newest version:
an exact target is gone from them.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

from patchmgr.domain.advisories import Match
from patchmgr.domain.holds import Hold, held_changes
from patchmgr.domain.packages import SCHEME_OF_MANAGER
from patchmgr.domain.plans import Change, Group, Proposal
from patchmgr.domain.versions import SCHEMES
from patchmgr.errors import VersionError

Offered = Mapping[int, Mapping[int, Mapping[Match, str]]]  # host -> package version -> on offer
Raised = tuple[str, str, str]  # package, target of the vendor's fix, target on offer
_Targets = tuple[tuple[int, Change], ...]


def past_holds(
    proposal: Proposal, holds: Sequence[Hold], offered: Offered
) -> tuple[Proposal, dict[Raised, int]]:
    """Return ``proposal`` with targets as hosts are ``offered`` them where lower ones are held.

    The packages of one source are raised together or not at all. Beside it what was raised -> on
    how many hosts.
    """
    groups: list[Group] = []
    raised: Counter[Raised] = Counter()
    for group in proposal.groups:
        for part in _parts(group, holds, offered):
            groups.append(part)
            for number, change in part.changes.items():
                if (lower := group.changes[number].to_version) != change.to_version:
                    raised[change.package, lower, change.to_version] += len(part.hosts)
    return Proposal(tuple(groups)), dict(sorted(raised.items()))


def _parts(group: Group, holds: Sequence[Hold], offered: Offered) -> list[Group]:
    if not held_changes(group.changes.values(), holds, or_newer=True):
        return [group]
    hosts_of: dict[_Targets | None, set[int]] = defaultdict(set)
    for host in group.hosts:
        hosts_of[_raised(group.changes, holds, offered.get(host, {}))].add(host)
    return [
        replace(group, hosts=frozenset(hosts), changes=group.changes if to is None else dict(to))
        for to, hosts in hosts_of.items()
    ]


def _raised(
    changes: Mapping[int, Change],
    holds: Sequence[Hold],
    offered: Mapping[int, Mapping[Match, str]],
) -> _Targets | None:
    """Return ``changes`` as far as one host is offered them; None where that is held too."""
    found = {
        number: replace(change, to_version=_higher(change, offered.get(number, {})))
        for number, change in changes.items()
    }
    sources = {one.to_version for one in found.values() if one.match is Match.SOURCE}
    if len(sources) > 1 or held_changes(found.values(), holds, or_newer=True):
        return None
    return tuple(sorted(found.items()))


def _higher(change: Change, offered: Mapping[Match, str]) -> str:
    """Return the version on offer where it is newer than the target, else the target."""
    version = offered.get(change.match, "")
    key = SCHEMES[SCHEME_OF_MANAGER[change.manager]]
    try:
        return version if key(version) > key(change.to_version) else change.to_version
    except VersionError:
        return change.to_version
