"""What a plan changes: by package, by host, what it leaves out, and the work to carry out."""

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.orm import Session

from patchmgr.db import models
from patchmgr.db.queries import paging
from patchmgr.db.queries.paging import Page
from patchmgr.domain import terms as plan_terms
from patchmgr.domain.advisories import Match, Severity
from patchmgr.domain.plans import Change, WorkLine
from patchmgr.domain.rollout.states import AT_WORK, TaskState
from patchmgr.errors import NotFoundError

_change, _item, _task = models.PlanChange, models.PlanItem, models.Task
_ring, _host, _left = models.Ring, models.Host, models.PlanExclusion


@dataclass(frozen=True, slots=True)
class ChangeLine:
    """One distinct change, and on how many hosts it happens."""

    id: int
    platform: str
    manager: str
    package: str
    arch: str
    source: str
    from_version: str
    to_version: str
    match: str  # whether ``to_version`` is the source's or the package's own
    severity: Severity
    advisories: tuple[str, ...]
    hosts: int


@dataclass(frozen=True, slots=True)
class HostLine:
    """A host of a plan, where it stands, and what changes on it."""

    host_id: int
    host: str
    ring: str
    window: str | None  # None: any time
    state: str  # of its task
    changes: tuple[ChangeLine, ...]


@dataclass(frozen=True, slots=True)
class ExclusionLine:
    """What was asked for and is not planned, and why."""

    id: int
    platform: str
    package: str
    arch: str
    version: str
    reason: str
    advisories: tuple[str, ...]
    hosts: int


def changes(
    session: Session,
    plan_id: int,
    *,
    search: str = "",
    limit: int = paging.PAGE,
    cursor: str = "",
    of: int | None = None,
) -> Page[ChangeLine]:
    """Return a plan's distinct changes, worst severity first, then by package. Two queries.

    ``of`` is how many the plan has, where the caller knows; it saves counting them.
    """
    conditions: list[ColumnElement[bool]] = [_change.plan_id == plan_id]
    if search.strip():
        conditions.append(_contains(search, _change.package, _change.source, _change.to_version))
    counted = of is None or len(conditions) > 1
    total = _count(session, _change, conditions) if counted else of or 0
    order: tuple[Any, ...] = (_change.severity, _change.package, _change.id)
    if cursor:
        values = paging.decode(cursor, len(order))
        conditions.append(paging.after(order, values, descending=[True, False, False]))
    rows = session.scalars(
        select(_change)
        .where(*conditions)
        .order_by(_change.severity.desc(), _change.package, _change.id)
        .limit(limit + 1)
    ).all()
    lines = tuple(change_line(row) for row in rows[:limit])
    follows = None
    if len(rows) > limit:
        last = lines[-1]
        follows = paging.encode([int(last.severity), last.package, last.id])
    return Page(lines, total, follows)


def hosts(
    session: Session,
    plan_id: int,
    *,
    ring: str = "",
    search: str = "",
    limit: int = paging.PAGE,
    cursor: str = "",
) -> Page[HostLine]:
    """Return a plan's hosts by ring and name, with their changes. Four queries."""
    conditions: list[ColumnElement[bool]] = [_task.plan_id == plan_id]
    if ring:
        conditions.append(_ring.name == ring)
    if search.strip():
        conditions.append(_contains(search, _host.hostname))
    query = (
        select(_host.id, _host.hostname, _ring.name, _task.window, _task.state, _ring.position)
        .join(_task, _task.host_id == _host.id)
        .join(_ring, _ring.id == _task.ring_id)
    )
    counted = query.where(*conditions).with_only_columns(func.count(), maintain_column_froms=True)
    total = session.scalar(counted) or 0
    order: tuple[Any, ...] = (_ring.position, _host.hostname)
    if cursor:
        values = paging.decode(cursor, len(order))
        conditions.append(paging.after(order, values, descending=[False, False]))
    rows = session.execute(query.where(*conditions).order_by(*order).limit(limit + 1)).all()
    changed = _changes_by_host(session, plan_id, [row[0] for row in rows[:limit]])
    lines = tuple(HostLine(*row[:5], tuple(changed[row[0]])) for row in rows[:limit])
    follows = None
    if len(rows) > limit:
        follows = paging.encode([rows[limit - 1][5], rows[limit - 1][1]])
    return Page(lines, total, follows)


def exclusions(
    session: Session, plan_id: int, *, search: str = "", limit: int = paging.PAGE, cursor: str = ""
) -> Page[ExclusionLine]:
    """Return what was asked for and is not planned, by reason and package. Two queries."""
    conditions: list[ColumnElement[bool]] = [_left.plan_id == plan_id]
    if search.strip():
        conditions.append(_contains(search, _left.package, _left.reason))
    total = _count(session, _left, conditions)
    order: tuple[Any, ...] = (_left.reason, _left.package, _left.id)
    if cursor:
        values = paging.decode(cursor, len(order))
        conditions.append(paging.after(order, values, descending=[False] * len(order)))
    rows = session.scalars(select(_left).where(*conditions).order_by(*order).limit(limit + 1)).all()
    lines = tuple(
        ExclusionLine(
            row.id,
            row.platform,
            row.package,
            row.arch,
            row.version,
            row.reason,
            tuple(row.advisories),
            row.hosts,
        )
        for row in rows[:limit]
    )
    follows = None
    if len(rows) > limit:
        last = lines[-1]
        follows = paging.encode([last.reason, last.package, last.id])
    return Page(lines, total, follows)


def reasons(session: Session, plan_id: int) -> dict[str, tuple[int, int]]:
    """Return each reason for not planning -> (package versions, host x version pairs)."""
    rows = session.execute(
        select(_left.reason, func.count(), func.sum(_left.hosts))
        .where(_left.plan_id == plan_id)
        .group_by(_left.reason)
        .order_by(_left.reason)
    )
    return {reason: (number, int(hosts or 0)) for reason, number, hosts in rows}


def work(session: Session, plan_id: int, *, whole: bool = False) -> list[WorkLine]:
    """Return what to do: of hosts whose turn it is, or with ``whole`` of all, by ring and host.

    Raises `NotFoundError`. Two queries.
    """
    is_due = _task.state.in_([state.value for state in AT_WORK])
    return _work(session, plan_id, *([] if whole else [is_due]))


def way_back(session: Session, plan_id: int) -> list[WorkLine]:
    """Return what takes back the new versions of hosts that must be rolled back.

    Each package goes from the version that the plan asked for to the one that it had. Raises
    `NotFoundError`. Two queries.
    """
    wanted = (
        _task.undo != "",
        _task.state != TaskState.ROLLED_BACK.value,
        _task.undo_withdrawn_at.is_(None),
        _task.undo_given_at.is_(None),  # a host that has the order does it itself
    )
    return [
        replace(
            line,
            from_version=line.to_version,
            to_version=line.from_version,
            match=Match.BINARY,
        )
        for line in _work(session, plan_id, *wanted)
    ]


def _work(session: Session, plan_id: int, *conditions: ColumnElement[bool]) -> list[WorkLine]:
    document = session.scalar(select(models.Plan.terms).where(models.Plan.id == plan_id))
    if document is None:
        raise NotFoundError("plan", plan_id)
    terms = plan_terms.from_json(document)
    query = (
        select(
            _ring.name,
            _host.hostname,
            _change.package,
            _change.arch,
            _change.from_version,
            _change.to_version,
            _change.match,
            _change.source,
            _task.attempt,
            _task.state,
        )
        .select_from(_task)
        .join(_ring, _ring.id == _task.ring_id)
        .join(_host, _host.id == _task.host_id)
        .join(_item, (_item.plan_id == _task.plan_id) & (_item.host_id == _task.host_id))
        .join(_change, _change.id == _item.change_id)
        .where(_task.plan_id == plan_id, *conditions)
        .order_by(_ring.position, _host.hostname, _change.package, _change.arch)
    )
    return [
        WorkLine(
            plan_id,
            ring,
            host,
            package,
            arch,
            old,
            new,
            Match(match),
            source,
            attempt,
            state,
            terms.targets,
            terms.include_held,
        )
        for ring, host, package, arch, old, new, match, source, attempt, state in session.execute(
            query
        )
    ]


def change_line(row: models.PlanChange) -> ChangeLine:
    return ChangeLine(
        row.id,
        row.platform,
        row.manager,
        row.package,
        row.arch,
        row.source,
        row.from_version,
        row.to_version,
        row.match,
        Severity(row.severity),
        tuple(row.advisories),
        row.hosts,
    )


def change_of(row: models.PlanChange) -> Change:
    """Return the domain's change of a row, without its advisories."""
    return Change(
        row.platform,
        row.manager,
        row.package,
        row.arch,
        row.source,
        row.from_version,
        row.to_version,
        Match(row.match),
    )


def _changes_by_host(
    session: Session, plan_id: int, numbers: list[int]
) -> dict[int, list[ChangeLine]]:
    found: dict[int, list[ChangeLine]] = defaultdict(list)
    known: dict[int, ChangeLine] = {}
    rows = session.execute(
        select(_item.host_id, _change)
        .join(_change, _change.id == _item.change_id)
        .where(_item.plan_id == plan_id, _item.host_id.in_(numbers))
        .order_by(_change.package, _change.arch)
    )
    for number, row in rows:
        if row.id not in known:
            known[row.id] = change_line(row)
        found[number].append(known[row.id])
    return found


def _contains(search: str, *columns: Any) -> ColumnElement[bool]:
    wanted = search.strip().lower()
    return or_(*(func.lower(column).contains(wanted, autoescape=True) for column in columns))


def _count(session: Session, table: Any, conditions: list[ColumnElement[bool]]) -> int:
    return session.scalar(select(func.count()).select_from(table).where(*conditions)) or 0
