"""What the repositories of hosts themselves say of the fixes that a plan wants to install."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from patchmgr.db import models, values
from patchmgr.db.bulk import in_lists
from patchmgr.domain.advisories import Match, Status
from patchmgr.domain.facts import Candidate, Installable, installable, why_not
from patchmgr.domain.offers import shared_out
from patchmgr.domain.packages import SCHEME_OF_MANAGER
from patchmgr.domain.plans import Change, Finding, Own, Proposal, Statement
from patchmgr.domain.versions import SCHEMES
from patchmgr.errors import VersionError

OwnOffers = Mapping[int, Mapping[int, int]]  # host -> package version -> `Exposure.candidate_id`


def candidates(session: Session, offered: OwnOffers) -> dict[int, Candidate]:
    """Return the candidates that are ``offered``, by id."""
    ids = {each for of_host in offered.values() for each in of_host.values()}
    row = models.Candidate
    return {
        one.id: values.candidate(one)
        for part in in_lists(sorted(ids))
        for one in session.scalars(select(row).where(row.id.in_(part)))
    }


def of_hosts(
    statements: Iterable[Statement], offered: OwnOffers, known: Mapping[int, Candidate]
) -> dict[int, dict[int, Own]]:
    """Return what each host's own repositories say of the fixes of its package versions."""
    if not offered:
        return {}
    by_version: dict[int, list[Statement]] = defaultdict(list)
    for one in statements:
        if one.status is Status.AFFECTED:
            by_version[one.version_id].append(one)

    @cache
    def of(number: int, candidate_id: int) -> Own:
        return frozenset(_own(by_version[number], known.get(candidate_id)))

    return {
        host: {number: of(number, candidate) for number, candidate in of_host.items()}
        for host, of_host in offered.items()
    }


def _own(
    statements: Iterable[Statement], candidate: Candidate | None
) -> Iterator[tuple[Finding, str]]:
    for one in statements:
        verdict = installable(candidate, one.fixed, one.match, covered=True)
        if verdict is Installable.YES:
            yield one.finding, ""
        elif verdict is Installable.NO:
            yield one.finding, why_not(candidate, one.fixed, one.match)


def phased(
    proposal: Proposal,
    statements: Iterable[Statement],
    offered: OwnOffers,
    known: Mapping[int, Candidate],
) -> list[str]:
    """Return what a plan installs that only a part of all hosts is offered yet.

    A host's own repositories say it; where they said nothing, those that are known (``statements``)
    do.
    """
    archive: dict[int, dict[str, str]] = defaultdict(dict)
    for said in statements:
        if said.phased:
            archive[said.version_id][said.advisory] = said.phased
    found: set[str] = set()
    for group in proposal.groups:
        for host in group.hosts:
            for number, change in group.changes.items():
                one = known.get(offered.get(host, {}).get(number, 0))
                if one is None:
                    of_version = archive.get(number, {})
                    found.update(of_version[r] for r in change.advisories if r in of_version)
                elif one.phased is not None:
                    found.add(shared_out(one.name, one.version, one.phased))
    return sorted(found)


def superseded(
    proposal: Proposal, offered: OwnOffers, known: Mapping[int, Candidate]
) -> list[dict[str, Any]]:
    """Return the targets that hosts' own repositories have left behind for a newer version.

    Repositories that keep only the newest version cannot give such a host the exact one.
    """
    hosts: Counter[tuple[str, str, str]] = Counter()
    for group in proposal.groups:
        for host in group.hosts:
            for number, change in group.changes.items():
                one = known.get(offered.get(host, {}).get(number, 0))
                if one is not None and _is_newer(one, change):
                    hosts[change.package, change.to_version, one.version_as(change.match)] += 1
    return [
        {"package": package, "target": target, "offered": newer, "hosts": count}
        for (package, target, newer), count in sorted(hosts.items())
    ]


def versions(
    offered: OwnOffers, known: Mapping[int, Candidate]
) -> dict[int, dict[int, dict[Match, str]]]:
    """Return the version that each host's own repositories have for all hosts, by what is meant.

    What is phased may not be offered to this host.
    """
    return {
        host: {
            number: {match: one.version_as(match) for match in Match}
            for number, candidate in of_host.items()
            if (one := known.get(candidate)) is not None and one.phased is None
        }
        for host, of_host in offered.items()
    }


def _is_newer(one: Candidate, change: Change) -> bool:
    """Return whether the version on offer is another than the target; unreadable ones are not."""
    key = SCHEMES[SCHEME_OF_MANAGER[change.manager]]
    try:
        return key(one.version_as(change.match)) > key(change.to_version)
    except VersionError:
        return False
