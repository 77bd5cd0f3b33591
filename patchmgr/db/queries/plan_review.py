"""What people ask of plans before they decide: which need me, what is closed, what could go wrong.

`patchmgr.db.queries.plans` has one plan whole, `plan_content` what it changes, `plan_progress` its
tasks.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    and_,
    exists,
    func,
    literal,
    or_,
    select,
    type_coerce,
    union_all,
)
from sqlalchemy.orm import Session, aliased

from patchmgr.db import models
from patchmgr.db.bulk import in_lists
from patchmgr.db.queries import paging, rollouts
from patchmgr.db.queries.paging import Page
from patchmgr.domain.advisories import Severity
from patchmgr.domain.numbers import whole
from patchmgr.domain.rollout.states import (
    LIVE_TASKS,
    OPEN_PLANS,
    UNSUCCESSFUL,
    PlanState,
    RingState,
    TaskState,
)
from patchmgr.errors import InputError

plan, ring, task = models.Plan, models.Ring, models.Task
change, item, host = models.PlanChange, models.PlanItem, models.Host
SORTS = ("id", "title", "due", "state_since")


@dataclass(frozen=True, slots=True)
class PlanLine:
    """A line of the list of plans."""

    id: int
    title: str
    state: str
    author: str
    hosts: int
    changes: int
    findings: int
    severity: Severity
    due: datetime | None
    created_at: datetime
    state_since: datetime
    reason: str
    approvals: int
    approvals_needed: int
    verified: int
    failed: int
    counted: int  # hosts that count: all but the skipped and cancelled
    ring: str  # the first that is not over; "" when all are


@dataclass(frozen=True, slots=True)
class AdvisoryLine:
    """An advisory that a plan closes, by the findings that go with it."""

    ref: str
    title: str
    severity: Severity
    cves: tuple[str, ...]
    published: datetime | None
    withdrawn_at: datetime | None
    findings: int  # hosts x packages
    packages: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Standing:
    """How the hosts of a plan stand now, for what could go wrong."""

    silent: tuple[str, ...]
    never_reported: tuple[str, ...]
    reboot_pending: tuple[str, ...]
    retired: tuple[str, ...]
    without_window: tuple[str, ...]
    elsewhere: tuple[tuple[int, str, int], ...]  # open plans that share hosts: id, title, hosts
    first_time: tuple[str, ...]  # packages whose change no host of the fleet has verified yet
    excluded: Mapping[str, tuple[int, int]]  # why not planned -> versions, host x version pairs


def listing(
    session: Session,
    *,
    search: str = "",
    state: str = "",
    author: str = "",
    awaiting: str = "",
    sort: str = "id",
    descending: bool = True,
    limit: int = paging.PAGE,
    cursor: str = "",
) -> Page[PlanLine]:
    """Return a page of plans. Four queries. Raises `InputError`.

    ``state`` may be a group: "open", "over" or "scheduled"; ``awaiting`` names an approver and
    leaves those that wait for their decision.
    """
    if sort not in SORTS:
        raise InputError({"sort": f"{sort!r} is not one of {', '.join(SORTS)}"})
    conditions = _conditions(search, state, author)
    if awaiting:
        conditions += _awaiting(awaiting)
    columns, down = _order(sort, descending=descending)
    total = session.scalar(select(func.count(plan.id)).where(*conditions)) or 0
    query = select(plan).add_columns(*columns).where(*conditions)
    if cursor:
        query = query.where(
            paging.after(columns, paging.decode(cursor, len(columns)), descending=down)
        )
    query = query.order_by(*(c.desc() if d else c for c, d in zip(columns, down, strict=True)))
    rows = session.execute(query.limit(limit + 1)).all()
    shown = rows[:limit]
    follows = paging.encode(list(shown[-1][1:])) if len(rows) > limit else None
    return Page(_plan_lines(session, [row[0] for row in shown]), total, follows)


def advisories(session: Session, plan_id: int) -> list[AdvisoryLine]:
    """Return what a plan closes, the worst first. Two queries."""
    counts: dict[str, int] = {}
    packages: dict[str, set[str]] = {}
    for refs, package, hosts in session.execute(
        select(change.advisories, change.package, change.hosts).where(change.plan_id == plan_id)
    ):
        for ref in refs:
            counts[ref] = counts.get(ref, 0) + hosts
            packages.setdefault(ref, set()).add(package)
    row = models.Advisory
    known = {
        one.ref: one
        for part in in_lists(sorted(counts))
        for one in session.scalars(select(row).where(row.ref.in_(part)))
    }
    found = [
        AdvisoryLine(
            ref=ref,
            title=one.title if (one := known.get(ref)) else "",
            severity=Severity(one.severity) if one else Severity.UNKNOWN,
            cves=tuple(one.cves.split()) if one else (),
            published=one.published if one else None,
            withdrawn_at=one.withdrawn_at if one else None,
            findings=count,
            packages=tuple(sorted(packages[ref])),
        )
        for ref, count in counts.items()
    ]
    return sorted(found, key=lambda line: (-line.severity, -line.findings, line.ref))


def standing(session: Session, plan_id: int, *, now: datetime, silent_days: int) -> Standing:
    """Return how the hosts of a plan stand now. Two queries."""
    since = now - timedelta(days=silent_days)
    rows = session.execute(
        select(
            host.hostname,
            host.reported_at,
            host.reboot_pending,
            host.retired_at,
            task.window,
        )
        .join(task, task.host_id == host.id)
        .where(task.plan_id == plan_id)
        .order_by(host.hostname)
    ).all()
    elsewhere, excluded, first_time = _around(session, plan_id)
    return Standing(
        silent=tuple(name for name, at, *_ in rows if at is not None and at < since),
        never_reported=tuple(name for name, at, *_ in rows if at is None),
        reboot_pending=tuple(name for name, _, pending, *_ in rows if pending),
        retired=tuple(name for name, *_, retired, _ in rows if retired is not None),
        without_window=tuple(name for name, *_, window in rows if window is None),
        elsewhere=elsewhere,
        first_time=first_time,
        excluded=excluded,
    )


def _around(
    session: Session, plan_id: int
) -> tuple[tuple[tuple[int, str, int], ...], dict[str, tuple[int, int]], tuple[str, ...]]:
    """Return the open plans that share hosts, why how much is not planned, and what is new.

    New are the packages whose change to this version no plan has brought to an end anywhere. One
    query.
    """
    other, left = aliased(models.Task), models.PlanExclusion
    shared = (
        select(plan.id, plan.title, func.count(), literal(0))
        .join(task, task.plan_id == plan.id)
        .join(other, and_(other.host_id == task.host_id, other.plan_id == plan_id))
        .where(plan.id != plan_id, plan.state.in_([state.value for state in OPEN_PLANS]))
        .where(task.state.in_(LIVE_TASKS))  # hosts that are done there take no turn
        .group_by(plan.id, plan.title)
    )
    reasons = (
        select(literal(0), left.reason, func.count(), func.coalesce(func.sum(left.hosts), 0))
        .where(left.plan_id == plan_id)
        .group_by(left.reason)
    )
    new = (
        select(literal(-1), change.package, literal(0), literal(0))
        .where(change.plan_id == plan_id, ~_made_elsewhere(plan_id))
        .distinct()
    )
    elsewhere, excluded, first_time = [], {}, []
    for number, words, count, hosts in session.execute(union_all(shared, reasons, new)):
        if number > 0:
            elsewhere.append((int(number), str(words), int(count)))
        elif number:
            first_time.append(str(words))
        else:
            excluded[str(words)] = int(count), int(hosts)
    return tuple(sorted(elsewhere)), dict(sorted(excluded.items())), tuple(sorted(first_time))


def placement(session: Session, plan_id: int) -> list[tuple[int, str | None, int]]:
    """Return how many hosts of each ring go by which window: position, window, hosts. One query."""
    return list(
        session.execute(
            select(ring.position, task.window, func.count(task.id))
            .join(ring, ring.id == task.ring_id)
            .where(task.plan_id == plan_id)
            .group_by(ring.position, task.window)
            .order_by(ring.position, task.window)
        )
    )


_GROUPS = {
    "open": OPEN_PLANS,
    "over": tuple(state for state in PlanState if state not in OPEN_PLANS),
    "scheduled": (PlanState.APPROVED, PlanState.RUNNING),
}


def _conditions(search: str, state: str, author: str) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if search:
        like = f"%{_escaped(search.lower())}%"
        words = func.lower(plan.title).like(like, escape="\\")
        number = whole(search)
        found.append(words if number is None else or_(words, plan.id == number))
    if state in _GROUPS:
        found.append(plan.state.in_([one.value for one in _GROUPS[state]]))
    elif state:
        found.append(plan.state == state)
    if author:
        found.append(plan.author == author)
    return found


def _awaiting(name: str) -> list[ColumnElement[bool]]:
    approval = models.Approval
    decided = exists().where(
        approval.plan_id == plan.id, approval.by == name, approval.void_at.is_(None)
    )
    return [plan.state == PlanState.PROPOSED.value, plan.author != name, ~decided]


def _order(sort: str, *, descending: bool) -> tuple[list[ColumnElement[Any]], list[bool]]:
    if sort == "id":
        return [plan.id], [descending]  # type: ignore[list-item] # a mapped column is one
    column: ColumnElement[Any] = getattr(plan, sort)
    if sort != "title":
        column = func.coalesce(_micros(column), 2**62 if sort == "due" else 0)
    return [column, plan.id], [descending, True]  # type: ignore[list-item] # see above


def _micros(column: ColumnElement[Any]) -> ColumnElement[int]:
    return type_coerce(column, BigInteger)


def _plan_lines(session: Session, rows: Sequence[models.Plan]) -> tuple[PlanLine, ...]:
    numbers = [row.id for row in rows]
    rings: dict[int, list[models.Ring]] = {number: [] for number in numbers}
    for one in session.scalars(
        select(ring).where(ring.plan_id.in_(numbers)).order_by(ring.plan_id, ring.position)
    ):
        rings[one.plan_id].append(one)
    approval = models.Approval
    given = dict(
        session.execute(
            select(approval.plan_id, func.count(approval.id))
            .where(
                approval.plan_id.in_(numbers),
                approval.decision == "approve",
                approval.ring == "",
                approval.void_at.is_(None),
            )
            .group_by(approval.plan_id)
        ).all()
    )
    return tuple(_plan_line(row, rings[row.id], given.get(row.id, 0)) for row in rows)


def _plan_line(row: models.Plan, rows: Sequence[models.Ring], given: int) -> PlanLine:
    rings = [rollouts.ring_of(one) for one in rows]
    over = (RingState.PASSED, RingState.SKIPPED)
    return PlanLine(
        id=row.id,
        title=row.title,
        state=row.state,
        author=row.author,
        hosts=row.summary["hosts"],
        changes=row.summary["changes"],
        findings=row.summary["findings"],
        severity=Severity[row.summary["severity"].upper()],
        due=row.due,
        created_at=row.created_at,
        state_since=row.state_since,
        reason=rollouts.reason_of(row.state, row.reason, row.halt_signals),
        approvals=given,
        approvals_needed=row.approvals_needed,
        verified=sum(one.tally.of(TaskState.VERIFIED) for one in rings),
        failed=sum(one.tally.of(*UNSUCCESSFUL) for one in rings),
        counted=sum(one.tally.hosts for one in rings),
        ring=next((one.name for one in rings if one.state not in over), ""),
    )


def _made_elsewhere(plan_id: int) -> ColumnElement[bool]:
    """Return the condition for changes that another plan has brought to an end on some host."""
    earlier, done = aliased(models.PlanChange), aliased(models.PlanItem)
    return (
        select(literal(1))
        .select_from(earlier)
        .join(done, done.change_id == earlier.id)
        .join(task, and_(task.plan_id == earlier.plan_id, task.host_id == done.host_id))
        .where(
            earlier.plan_id != plan_id,
            earlier.platform == change.platform,
            earlier.package == change.package,
            earlier.to_version == change.to_version,
            task.state == TaskState.VERIFIED.value,
        )
        .exists()
    )


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
