"""What feeds say now, as the values that were stored: everything of a feed, in one order."""

from collections.abc import Collection, Iterator
from dataclasses import fields
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from patchmgr.db import bulk, models
from patchmgr.domain.advisories import Advisory, Fix, Kind, Match, Severity, Status
from patchmgr.domain.flaws import FlawNote, note_of
from patchmgr.domain.lifecycle import Support
from patchmgr.domain.offers import Offer

ROWS = 5_000  # notes fetched at a time
_FIX = tuple(each.name for each in fields(Fix))
_MATCH, _STATUS, _SEVERITY = (_FIX.index(name) for name in ("match", "status", "severity"))
_MATCHES = {each.value: each for each in Match}
_STATUSES = {each.value: each for each in Status}
_SEVERITIES = {each.value: each for each in Severity}


def advisories(
    session: Session, feed_id: int, refs: Collection[str] | None = None
) -> Iterator[Advisory]:
    """Yield the advisories that stand, by ref, each with its open statements in order.

    All of the feed, or those called ``refs``, part by part.
    """
    advisory = models.Advisory
    standing = (
        select(advisory.id)
        .where(advisory.feed_id == feed_id, advisory.withdrawn_at.is_(None))
        .order_by(advisory.ref)
    )
    queries = (
        [standing]
        if refs is None
        else [standing.where(advisory.ref.in_(part)) for part in bulk.in_lists(sorted(refs))]
    )
    ids = [number for query in queries for number in session.scalars(query)]
    columns = (
        advisory.id,
        advisory.ref,
        advisory.cves,
        advisory.title,
        advisory.severity,
        advisory.published,
        advisory.url,
        advisory.kind,
        advisory.aliases,
    )
    for part in bulk.in_lists(ids):
        fixes = _fixes(session, part)
        for row in session.execute(
            select(*columns).where(advisory.id.in_(part)).order_by(advisory.ref)
        ):
            yield _advisory(row, tuple(fixes.get(row.id, ())))


def notes(session: Session, feed_id: int) -> Iterator[FlawNote]:
    """Yield what the feed says of flaws, by CVE."""
    note = models.FlawNote
    rows = session.execute(
        select(note.cve, note.said)
        .where(note.feed_id == feed_id, note.until_revision_id.is_(None))
        .order_by(note.cve)
        .execution_options(yield_per=ROWS)
    )
    for cve, said in rows:
        yield note_of(cve, said)


def offers(session: Session, feed_id: int) -> Iterator[Offer]:
    """Yield what the feed's repositories offer, in no order."""
    row = models.Offer
    return (Offer(*found) for found in _open_rows(session, row, Offer, feed_id))


def support(session: Session, feed_id: int) -> Iterator[Support]:
    """Yield until when the feed says that releases and packages are supported, in no order."""
    row = models.Support
    return (Support(*found) for found in _open_rows(session, row, Support, feed_id))


def _open_rows(session: Session, row: Any, value: Any, feed_id: int) -> Iterator[Any]:
    """Yield the columns that a stored row has of ``value``, while they hold."""
    columns = [getattr(row, each.name) for each in fields(value)]
    where = (row.feed_id == feed_id, row.until_revision_id.is_(None))
    rows = session.execute(select(*columns).where(*where).execution_options(yield_per=ROWS))
    return (tuple(found) for found in rows)


def _advisory(row: Any, fixes: tuple[Fix, ...]) -> Advisory:
    return Advisory(
        ref=row.ref,
        cves=tuple(row.cves.split()),
        title=row.title,
        severity=Severity(row.severity),
        published=row.published,
        url=row.url,
        fixes=fixes,
        kind=Kind(row.kind),
        aliases=tuple(row.aliases.split()),
    )


def _fixes(session: Session, advisory_ids: Any) -> dict[int, list[Fix]]:
    fix = models.Fix
    columns = [getattr(fix, name) for name in _FIX]
    found: dict[int, list[Fix]] = {}
    # Not "is null": SQLite would take the index of that, and walk through all that is in force.
    is_open = func.coalesce(fix.until_revision_id, 0) == 0
    rows = session.execute(
        select(fix.advisory_id, *columns).where(fix.advisory_id.in_(advisory_ids), is_open)
    )
    for advisory_id, *values in sorted(map(tuple, rows)):
        values[_MATCH] = _MATCHES[values[_MATCH]]
        values[_STATUS] = _STATUSES[values[_STATUS]]
        values[_SEVERITY] = _SEVERITIES[values[_SEVERITY]]
        found.setdefault(advisory_id, []).append(Fix(*values))
    return found
