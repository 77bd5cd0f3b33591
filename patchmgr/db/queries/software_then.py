"""How many hosts had each package, and each version of it, at an instant of the past."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from patchmgr.db import models, package_counts
from patchmgr.db.package_counts import Kind
from patchmgr.db.queries.fleet_sets import fleet_at

host = models.Host


@dataclass(frozen=True, slots=True)
class Then:
    """What the hosts of the fleet had at ``at``, counted."""

    at: datetime
    hosts_known: int  # of which it was known what they had
    versions: Mapping[int, int] = field(repr=False)  # hosts by package version
    software: Mapping[Kind, int] = field(repr=False)  # and by package
    named: Mapping[int, tuple[Kind, str]] = field(repr=False)  # kind and version by package version


def then(session: Session, at: datetime | None) -> Then | None:
    """Return what was known of the fleet at ``at``; None: it is asked for now. Four queries."""
    if at is None:
        return None
    weights = Counter(set_id for _hostname, set_id in fleet_at(session, at))
    counts = package_counts.weighed(session, weights, block=len(weights) or 1)
    return Then(at, weights.total(), counts.versions, counts.software, counts.named)


def hosts_known(session: Session, then: Then | None) -> int:
    """Return of how many hosts it is known what they have, or had. At most one query."""
    if then is not None:
        return then.hosts_known
    query = select(func.count(host.id)).where(
        host.retired_at.is_(None), host.package_set_id.is_not(None)
    )
    return session.scalar(query) or 0
