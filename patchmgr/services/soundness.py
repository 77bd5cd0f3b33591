"""What the database must always hold, whoever wrote to it: read by ``patchmgr db check``.

Each finding names the row and says what puts it right. What was derived can be derived again; what
was recorded cannot, and comes back from a backup.
"""

from collections.abc import Iterator
from datetime import datetime
from itertools import islice
from typing import Any

from sqlalchemy import ColumnElement, Select, Table, case, func, or_, select
from sqlalchemy.orm import Session

from patchmgr.db import models
from patchmgr.db.base import Base
from patchmgr.db.queries import feed_contents
from patchmgr.domain.advisories import Severity, Status
from patchmgr.services import proof
from patchmgr.services.advisory_store import content_digest

SHOWN = 5  # of each kind
BACKUP = "it cannot be made again; restore a backup"
SCAN = "patchmgr scan --full"
_COUNTED = ("open_findings", "fixable", "undetermined", *(each.word for each in Severity))


def wrong(session: Session, now: datetime) -> list[str]:
    """Return what is not as it must be: at most a few of each kind.

    Where rows are missing nothing else is looked at, for it could not be read.
    """
    if lost := list(islice(_orphans(session), SHOWN)):
        return lost
    kinds = (
        _periods(session),
        _present_sets(session),
        _counts(session),
        _advisories(session),
        _plans(session, now),
    )
    return [problem for kind in kinds for problem in islice(kind, SHOWN)]


def _orphans(session: Session) -> Iterator[str]:
    """Yield rows that refer to what is not there; SQLite says so itself (``foreign_key_check``)."""
    if session.get_bind().dialect.name == "sqlite":
        return
    for table in Base.metadata.sorted_tables:
        for key in table.foreign_keys:
            to = key.column.table.alias()
            own, other = key.parent, to.c[key.column.name]
            lost = select(own).outerjoin(to, own == other).where(own.is_not(None), other.is_(None))
            for value in session.scalars(lost.limit(SHOWN)):
                yield f"{table.name} refers to a missing {key.column.table.name} {value}; {BACKUP}"


def _periods(session: Session) -> Iterator[str]:
    """Yield rows that end before they begin."""
    for table in Base.metadata.sorted_tables:
        if {"id", "since", "until"} <= set(table.c.keys()):
            yield from _backwards(session, table)


def _backwards(session: Session, table: Table) -> Iterator[str]:
    ends_early = select(table.c.id).where(table.c.until < table.c.since).limit(SHOWN)
    for number in session.scalars(ends_early):
        yield f"{table.name} row {number} ends before it begins; {BACKUP}"


def _present_sets(session: Session) -> Iterator[str]:
    """Yield hosts whose history does not end in what they are said to have."""
    host, past = models.Host, models.HostPackageSet
    open_rows = (
        select(
            past.host_id,
            func.count().label("rows"),
            func.max(past.package_set_id).label("package_set_id"),
        )
        .where(past.until.is_(None))
        .group_by(past.host_id)
        .subquery()
    )
    query = (
        select(host.hostname)
        .outerjoin(open_rows, open_rows.c.host_id == host.id)
        .where(
            or_(
                func.coalesce(open_rows.c.rows, 0)
                != case((host.package_set_id.is_(None), 0), else_=1),
                open_rows.c.package_set_id != host.package_set_id,
            )
        )
        .where(host.retired_at.is_(None))
        .order_by(host.hostname)
    )
    for name in session.scalars(query.limit(SHOWN)):
        yield f"the history of host {name} does not end in the packages it has; {BACKUP}"


def _counts(session: Session) -> Iterator[str]:
    """Yield hosts whose findings are not as many as is said."""
    host, stored = models.Host, models.HostCount
    true = _recounted().subquery()
    query = (
        select(host.hostname, *(getattr(stored, name) for name in _COUNTED), *true.c)
        .select_from(host)
        .outerjoin(stored, stored.host_id == host.id)
        .outerjoin(true, true.c.host_id == host.id)
        .order_by(host.hostname)
    )
    for name, *values in session.execute(query):
        said = [value or 0 for value in values[: len(_COUNTED)]]
        found = [int(value or 0) for value in values[len(_COUNTED) + 1 :]]
        if said != found:
            at = next(place for place, value in enumerate(said) if value != found[place])
            what = _COUNTED[at].replace("_", " ")
            yield f"counts: host {name} has {found[at]} {what}, not {said[at]}; {SCAN}"


def _recounted() -> Select[Any]:
    """Return the query for how many findings each host has, as its exposures say now."""
    exposure, judgement = models.Exposure, models.Judgement

    def number(condition: ColumnElement[bool]) -> ColumnElement[Any]:
        return func.sum(case((condition, 1), else_=0))

    return (
        select(
            exposure.host_id,
            func.count(),
            number(judgement.status == Status.AFFECTED),
            number(judgement.status == Status.UNDETERMINED),
            *(number(judgement.severity == int(each)) for each in Severity),
        )
        .join(judgement, judgement.package_version_id == exposure.package_version_id)
        .where(exposure.until.is_(None), judgement.until.is_(None))
        .group_by(exposure.host_id)
    )


def _advisories(session: Session) -> Iterator[str]:
    """Yield advisories that do not say any more what their vendor said."""
    advisory = models.Advisory
    for feed, name in session.execute(select(models.Feed.id, models.Feed.name)).all():
        rows = session.execute(
            select(advisory.ref, advisory.content).where(advisory.feed_id == feed)
        )
        stored = {ref: content for ref, content in rows}  # noqa: C416 -- rows are no pairs to dict
        for each in feed_contents.advisories(session, feed):
            if content_digest(each) != stored[each.ref]:
                yield f"advisory {each.ref} of {name} was changed after it came; {BACKUP}"


def _plans(session: Session, now: datetime) -> Iterator[str]:
    """Yield plans whose content is not what their hash names."""
    plan = models.Plan
    for number, said in session.execute(select(plan.id, plan.content_hash).order_by(plan.id)).all():
        if proof.stored_hash(session, number, now) != said:
            yield f"the content of plan {number} is not what its hash names; {BACKUP}"
