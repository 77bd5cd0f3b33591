"""The history of what was known of hosts, so that a report as of a past instant can be made again.

Each scan compares the hosts with the open rows of the history and writes only the difference.
"""

from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, case, insert, literal, or_, select, update
from sqlalchemy.orm import Session, aliased

from patchmgr.db import models
from patchmgr.db.base import Utc

SAME = (
    "hostname",
    "platform",
    "environment",
    "site",
    "owner",
    "criticality",
    "exposure",
    "reboot_pending",
)  # columns that host and history share


def remember_hosts(session: Session, *, at: datetime, silent_days: int) -> None:
    """Bring the history of hosts up to ``at``; a host silent for ``silent_days`` is noted so.

    Two statements, which touch only hosts that changed, fell silent, came back or retired. The
    first row of a host begins when the host was made.
    """
    host, fact = models.Host, models.HostFact
    silent = host.reported_at < at - timedelta(days=silent_days)
    unchanged = (
        select(host.id)
        .where(host.id == fact.host_id, host.retired_at.is_(None), *_same(silent))
        .exists()
    )
    session.execute(
        update(fact)
        .where(fact.until.is_(None), ~unchanged)
        .values(until=at)
        .execution_options(synchronize_session=False)
    )
    open_row = select(fact.id).where(fact.host_id == host.id, fact.until.is_(None)).exists()
    earlier = aliased(fact)
    any_row = select(earlier.id).where(earlier.host_id == host.id).exists()
    columns = [getattr(host, name) for name in SAME]
    session.execute(
        insert(fact).from_select(
            ["host_id", *SAME, "reported", "silent_since", "since"],
            select(
                host.id,
                *columns,
                host.reported_at.is_not(None),
                case((silent, host.reported_at)),
                case((any_row, literal(at, Utc)), else_=host.created_at),
            ).where(host.retired_at.is_(None), ~open_row),
        )
    )


def _same(silent: ColumnElement[bool]) -> list[ColumnElement[bool]]:
    host, fact = models.Host, models.HostFact
    return [
        *(getattr(host, name) == getattr(fact, name) for name in SAME),
        fact.reported == host.reported_at.is_not(None),
        or_(
            and_(silent, fact.silent_since == host.reported_at),
            and_(~silent, fact.silent_since.is_(None)),
            and_(host.reported_at.is_(None), fact.silent_since.is_(None)),
        ),
    ]
