"""Which package set a host has, and since when."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import bindparam, update
from sqlalchemy.orm import Session

from patchmgr.db import models
from patchmgr.db.base import table_of, to_micros
from patchmgr.db.bulk import among, insert_raw
from patchmgr.db.package_sets import Ids
from patchmgr.services import installations


def point(session: Session, moved: Sequence[tuple[int, int]], now: datetime) -> None:
    """Let each (host, set) be what the host has from ``now`` on."""
    if not moved:
        return
    session.flush()
    connection = session.connection()
    history, host = table_of(models.HostPackageSet), table_of(models.Host)
    hosts = [host_id for host_id, _ in moved]
    had = among(session, history.c.host_id, hosts)
    connection.execute(update(history).where(had, history.c.until.is_(None)).values(until=now))
    insert_raw(
        session,
        models.HostPackageSet,
        ("host_id", "package_set_id", "since", "until"),
        ((host_id, set_id, to_micros(now), None) for host_id, set_id in moved),
    )
    connection.execute(
        update(host)
        .where(host.c.id == bindparam("b_host"))
        .values(package_set_id=bindparam("b_set"), updated_at=now, report_digest=None),
        [{"b_host": host_id, "b_set": set_id} for host_id, set_id in moved],
    )
    installations.count(session, hosts)
    session.expire_all()


def move(
    session: Session, row: models.Host, set_id: int, had: Ids, has: Ids, now: datetime
) -> None:
    """Let one host have a set from ``now`` on, as `point` does for many."""
    if row.counted_set_id != row.package_set_id or row.retired_at is not None:
        point(session, [(row.id, set_id)], now)
        session.refresh(row)
        return
    connection, history = session.connection(), table_of(models.HostPackageSet)
    connection.execute(
        update(history)
        .where(history.c.host_id == row.id, history.c.until.is_(None))
        .values(until=now)
    )
    started = {"host_id": row.id, "package_set_id": set_id, "since": now, "until": None}
    connection.execute(history.insert(), started)
    installations.change(session, had, has)
    row.package_set_id = row.counted_set_id = set_id
    row.updated_at = now
    row.report_digest = None
