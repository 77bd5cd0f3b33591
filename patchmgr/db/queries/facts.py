"""What a host said of itself beside its packages, and what its own repositories offer."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import and_, select
from sqlalchemy.orm import Session

from patchmgr.db import models, values
from patchmgr.db.bulk import among
from patchmgr.db.queries import offers
from patchmgr.db.queries.hosts import HostDetail
from patchmgr.domain.facts import Candidate
from patchmgr.domain.host_facts import HostFacts
from patchmgr.domain.offers import EVERYBODY, Update

candidate, version = models.Candidate, models.PackageVersion


@dataclass(frozen=True, slots=True)
class Said:
    """What a host said, and when; ``facts`` is all unknown where it never did."""

    at: datetime | None = None
    facts: HostFacts = field(default_factory=HostFacts)
    covered: tuple[str, ...] | None = None  # managers whose repositories were reported; None: none
    withheld: tuple[Candidate, ...] = ()  # above which a pin keeps a newer version back
    # What its own repositories offer, else those that the archive feed read; None: neither tells.
    updates: tuple[Update, ...] | None = None


def of_host(session: Session, host: HostDetail) -> Said:
    """Return what ``host`` said last. One query."""
    facts = HostFacts() if host.facts is None else HostFacts.from_json(host.facts)
    if host.own_offers is None:
        return Said(host.facts_at, facts, updates=offers.updates(session, host))
    covered = host.own_offers.covered
    found = _offered(session, host, host.own_offers.members)
    there = {each for each, _, installed in found if installed == each.version}
    return Said(
        host.facts_at,
        facts,
        tuple(sorted({*covered.everything, *(manager for manager, _ in covered.named)})),
        tuple(sorted({each for each, _, _ in found if each.withheld})),
        tuple(
            _update(host, *each)
            for each in found
            if each[2] is not None and each[0].version and each[0] not in there
        ),
    )


Found = tuple[Candidate, str | None, str | None]  # a candidate over: source and installed version


def _offered(session: Session, host: HostDetail, members: list[int]) -> list[Found]:
    """Return each candidate with the package of the host that it is of, in their order."""
    of_host = and_(
        candidate.manager == version.manager,
        candidate.name == version.name,
        candidate.arch == version.arch,
        among(session, version.id, host.installed.tolist()),
    )
    rows = session.execute(
        select(candidate, version.source, version.version)
        .outerjoin(version, of_host)
        .where(among(session, candidate.id, members))
    )
    found = [(values.candidate(row), source, installed) for row, source, installed in rows]
    return sorted(found, key=lambda each: (each[0], each[2] or ""))


def _update(
    host: HostDetail, offered: Candidate, source: str | None, installed: str | None
) -> Update:
    return Update(
        offered.name,
        offered.arch,
        offered.manager,
        source or "",
        installed or "",
        offered.version,
        offered.suites,
        offered.name in host.held,
        EVERYBODY if offered.phased is None else offered.phased,
    )


def facts_json(host: HostDetail, said: Said) -> dict[str, Any]:
    """Return the facts as the command line and the API print them; null is not reported."""
    content = said.facts.to_json()
    pins = [
        {"package": each.name, "arch": each.arch, "version": each.withheld, "by": each.pin}
        for each in said.withheld
    ]
    return {
        "reported_at": said.at,
        "running_kernel": host.running_kernel or None,
        **content,
        "newest_kernel": content["newest_kernel"] or None,
        "pins": None if said.covered is None else pins,
        "repositories": None if said.covered is None else {"covered": list(said.covered)},
    }
