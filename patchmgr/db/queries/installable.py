"""Whether the repositories of a host offer the fix of a finding, as the database tells it.

The rule is `patchmgr.domain.facts.installable`; a test holds the two equal.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, case, func, literal, or_, select
from sqlalchemy.orm import Session

from patchmgr.db import models
from patchmgr.domain.advisories import Match, Status
from patchmgr.domain.facts import Installable

exposure, judgement, fix = models.Exposure, models.Judgement, models.Fix
host, candidate = models.Host, models.Candidate

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


def total(session: Session, asked: str, on_hosts: Conditions, about: Conditions) -> int:
    """Return how many findings are now as installable as ``asked``.

    Hosts that have the same version and are offered the same over it are counted at once.
    """
    hosts = select(
        exposure.package_version_id, exposure.candidate_id, func.count().label("hosts")
    ).where(exposure.until.is_(None), *may_be(asked))
    if on_hosts:
        hosts = hosts.join(host, host.id == exposure.host_id).where(*on_hosts)
    alike = hosts.group_by(exposure.package_version_id, exposure.candidate_id).subquery()
    version, advisory = models.PackageVersion, models.Advisory
    open_now = and_(judgement.package_version_id == version.id, judgement.until.is_(None))
    query = (
        select(func.sum(alike.c.hosts))
        .select_from(alike)
        .join(version, version.id == alike.c.package_version_id)
        .join(judgement, open_now)
        .join(advisory, advisory.id == judgement.advisory_id)
        .join(fix, fix.id == judgement.fix_id)
        .outerjoin(candidate, candidate.id == alike.c.candidate_id)
        .where(*about, verdict(None, alike.c) == asked)
    )
    return int(session.scalar(query) or 0)
