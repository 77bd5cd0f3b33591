"""Which package set each host of the fleet has, or had at an instant."""

from datetime import datetime

from sqlalchemy import or_, select
from sqlalchemy.orm import Session, aliased

from patchmgr.db import models

host = models.Host


def fleet_at(session: Session, at: datetime | None) -> list[tuple[str, int]]:
    """Return (hostname, set) of the hosts that were in the fleet at ``at``, by name."""
    if at is None:
        query = select(host.hostname, host.package_set_id).where(
            host.retired_at.is_(None), host.package_set_id.is_not(None)
        )
    else:
        held, each = models.HostPackageSet, aliased(models.HostPackageSet)
        last = (
            select(each.id)
            .where(each.host_id == host.id, each.since <= at)
            .order_by(each.since.desc(), each.id.desc())
            .limit(1)
            .correlate(host)
            .scalar_subquery()
        )
        query = (
            select(host.hostname, held.package_set_id)
            .join(held, held.id == last)
            .where(
                or_(held.until.is_(None), held.until > at),
                or_(host.retired_at.is_(None), host.retired_at > at),
            )
        )
    rows = session.connection().execute(query).cursor.fetchall()
    return sorted((hostname, set_id) for hostname, set_id in rows)
