"""Which hosts have the tags that exceptions name, and since when.

Only these tags are remembered: a report as of a past instant asks which hosts an exception held on
then.
"""

import json
from collections.abc import Collection
from datetime import datetime

from sqlalchemy import Text, bindparam, cast, func, or_, select, update
from sqlalchemy.orm import Session

from patchmgr.db import models
from patchmgr.db.base import table_of

row, host = models.HostTag, models.Host


def bring_up_to_date(session: Session, now: datetime) -> set[int]:
    """Bring the tags of exceptions that are not over up to ``now``; return the hosts that changed.

    One query where no exception names a tag.
    """
    exception = models.FindingException
    named = set(
        session.scalars(
            select(exception.tag)
            .where(
                exception.tag != "",
                exception.expires_at > now,
                or_(exception.revoked_at.is_(None), exception.revoked_at > now),
            )
            .distinct()
        )
    )
    if not named:
        return set()
    wanted = hosts_with(session, named)
    stored = {
        (number, tag): key
        for key, number, tag in session.execute(
            select(row.id, row.host_id, row.tag).where(row.until.is_(None), row.tag.in_(named))
        )
    }
    gone = [key for pair, key in stored.items() if pair not in wanted]
    new = sorted(wanted - stored.keys())
    if gone:
        table = table_of(models.HostTag)
        session.connection().execute(
            update(table).where(table.c.id == bindparam("b_id")).values(until=now),
            [{"b_id": key} for key in gone],
        )
    session.add_all(models.HostTag(host_id=number, tag=tag, since=now) for number, tag in new)
    session.flush()
    return {number for number, _ in wanted ^ stored.keys()}


def hosts_with(session: Session, tags: Collection[str]) -> set[tuple[int, str]]:
    """Return (host, tag) of each host that is not retired and has one of ``tags``."""
    text = func.coalesce(cast(host.tags, Text), "")
    written = [text.contains(json.dumps(tag), autoescape=True) for tag in tags]
    query = select(host.id, host.tags).where(host.retired_at.is_(None), or_(*written))
    return {
        (number, tag) for number, found in session.execute(query) for tag in found if tag in tags
    }
