"""Whether the repositories of a host offer the fix of a finding, as the database tells it.

The rule is `patchmgr.domain.facts.installable`; a test holds the two equal.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, case, func, literal, or_, select
from sqlalchemy.orm import Session

from patchmgr.db import models
from patchmgr.domain.advisories import Match, Status
from patchmgr.domain.facts import Installable

exposure, judgement, fix = models.Exposure, models.Judgement, models.Fix
host, candidate = models.Host, models.Candidate

FEW = 2_000  # exposures up to which naming each beats a walk through all there are
FEW_CANDIDATES = 100  # that these are told apart by, each a condition of its own

Conditions = Sequence[ColumnElement[bool]]


def verdict(at: datetime | None, offered: Any = exposure) -> ColumnElement[str]:
    """Return the `Installable` of a finding, "" where there is no fix to install.

    ``offered`` has the column ``candidate_id``, and `Candidate` is joined by it. What was on offer
    at another instant than now is not remembered.
    """
    no_fix = judgement.status != Status.AFFECTED.value
    if at is not None:
        return case((no_fix, ""), else_=literal(Installable.UNKNOWN.value))
    is_source = fix.match == Match.SOURCE.value
    has = case((is_source, candidate.judged_key), else_=candidate.version_key)
    return case(
        (no_fix, ""),
        (offered.candidate_id.is_(None), Installable.UNKNOWN.value),
        (offered.candidate_id == 0, Installable.NO.value),
        (or_(has.is_(None), fix.fixed_key.is_(None)), Installable.UNKNOWN.value),
        (has >= fix.fixed_key, Installable.YES.value),
        else_=Installable.NO.value,
    )


def may_be(asked: str) -> list[ColumnElement[bool]]:
    """Return conditions that leave the exposures which can be as installable as ``asked``."""
    if asked == Installable.YES:
        return [exposure.candidate_id > 0]
    return [exposure.candidate_id.is_not(None)] if asked == Installable.NO else []


@dataclass(frozen=True, slots=True)
class Alike:
    """Open exposures of one version over which the same is offered, on any hosts."""

    package_version_id: int
    candidate_id: int | None
    hosts: int
    judgements: int  # that are as installable as was asked


def alike(session: Session, asked: str, on_hosts: Conditions, about: Conditions) -> list[Alike]:
    """Return the exposures with findings that are now as installable as ``asked``.

    There are as many as versions and candidates, whatever the number of hosts.
    """
    hosts = select(
        exposure.package_version_id, exposure.candidate_id, func.count().label("hosts")
    ).where(exposure.until.is_(None), *may_be(asked))
    if on_hosts:
        hosts = hosts.join(host, host.id == exposure.host_id).where(*on_hosts)
    counted = hosts.group_by(exposure.package_version_id, exposure.candidate_id).subquery()
    version, advisory = models.PackageVersion, models.Advisory
    open_now = and_(judgement.package_version_id == version.id, judgement.until.is_(None))
    columns = (counted.c.package_version_id, counted.c.candidate_id, counted.c.hosts)
    query = (
        select(*columns, func.count())
        .select_from(counted)
        .join(version, version.id == counted.c.package_version_id)
        .join(judgement, open_now)
        .join(advisory, advisory.id == judgement.advisory_id)
        .join(fix, fix.id == judgement.fix_id)
        .outerjoin(candidate, candidate.id == counted.c.candidate_id)
        .where(*about, verdict(None, counted.c) == asked)
        .group_by(*columns)
    )
    return [Alike(*row) for row in session.execute(query)]


def total(found: Iterable[Alike]) -> int:
    """Return how many findings these make."""
    return sum(each.hosts * each.judgements for each in found)


def few(session: Session, found: Sequence[Alike]) -> list[int] | None:
    """Return the ids of these exposures; None where they are too many to name each."""
    versions: dict[int | None, list[int]] = defaultdict(list)
    for each in found:
        versions[each.candidate_id].append(each.package_version_id)
    if not found:
        return []
    if sum(each.hosts for each in found) > FEW or len(versions) > FEW_CANDIDATES:
        return None
    any_of = (
        and_(
            exposure.package_version_id.in_(of_candidate),
            exposure.candidate_id.is_(None) if number is None else exposure.candidate_id == number,
        )
        for number, of_candidate in versions.items()
    )
    query = select(exposure.id).where(exposure.until.is_(None), or_(*any_of))
    return list(session.scalars(query))
