"""What the repositories of hosts themselves say of the fixes that a plan wants to install."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from functools import cache

from sqlalchemy import select
from sqlalchemy.orm import Session

from patchmgr.db import models, values
from patchmgr.db.bulk import in_lists
from patchmgr.domain.advisories import Status
from patchmgr.domain.facts import Candidate, Installable, installable, why_not
from patchmgr.domain.offers import shared_out
from patchmgr.domain.plans import Finding, Own, Proposal, Statement

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
