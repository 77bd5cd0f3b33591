"""Plans as lists: all of them, those under way, and what awaits whom."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, String, and_, cast, exists, func, or_, select
from sqlalchemy.orm import Session

from patchmgr.db import models
from patchmgr.db.queries import paging
from patchmgr.db.queries.paging import Page
from patchmgr.db.queries.rollouts import reason_of, ring_of
from patchmgr.domain.accounts import Role
from patchmgr.domain.numbers import whole
from patchmgr.domain.rollout.states import (
    ACTIVE_PLANS,
    UNSUCCESSFUL,
    PlanState,
    RingState,
    TaskState,
)
from patchmgr.domain.terms import may_approve

_plan = models.Plan


@dataclass(frozen=True, slots=True)
class PlanLine:
    """A line of the list of plans."""

    id: int
    title: str
    state: PlanState
    state_since: datetime
    author: str
    reason: str
    due: datetime | None
    hosts: int
    changes: int
    findings: int
    severity: str
    created_at: datetime
    approvals_needed: int


@dataclass(frozen=True, slots=True)
class RunningPlan:
    """A plan under way, for the overview."""

    id: int
    title: str
    state: PlanState
    state_since: datetime
    reason: str
    ring: str  # the one at work; empty when all are over
    ring_state: str
    hosts: int
    verified: int
    failed: int


def listing(
    session: Session,
    *,
    states: Collection[str] = (),
    search: str = "",
    limit: int = paging.PAGE,
    cursor: str = "",
) -> Page[PlanLine]:
    """Return plans, the newest first. Two queries."""
    conditions: list[ColumnElement[bool]] = []
    if states:
        conditions.append(_plan.state.in_(sorted(states)))
    if search.strip():
        found = func.lower(_plan.title).contains(search.strip().lower(), autoescape=True)
        number = whole(search.strip().lstrip("#"))
        conditions.append(found if number is None else or_(found, _plan.id == number))
    total = session.scalar(select(func.count()).select_from(_plan).where(*conditions)) or 0
    query = _lines().where(*conditions)
    if cursor:
        query = query.where(_plan.id < paging.decode_id(cursor))
    rows = session.execute(query.order_by(_plan.id.desc()).limit(limit + 1)).all()
    lines = tuple(_line(row) for row in rows[:limit])
    follows = paging.encode([lines[-1].id]) if len(rows) > limit else None
    return Page(lines, total, follows)


def unreviewed(session: Session) -> list[tuple[int, str, str, datetime]]:
    """Return the starts without approvals that nobody has reviewed: plan, title, by, at."""
    rows = session.execute(
        select(_plan.id, _plan.title, _plan.broken_by, _plan.broken_at)
        .where(_plan.broken_at.is_not(None), _plan.reviewed_at.is_(None))
        .order_by(_plan.id)
    )
    return [(number, title, by, at) for number, title, by, at in rows if at is not None]


def awaiting_approval(
    session: Session, not_author: str, role: str = Role.APPROVER.value
) -> list[tuple[PlanLine, str]]:
    """Return what ``not_author`` could approve, as (plan, ring), a whole plan with ring "".

    That is plans that are not theirs and that they have not decided, then rings of plans under way
    that wait for an approval of their own. One query.
    """
    ring = models.Ring
    waiting, is_asked = _awaiting(not_author)
    rows = session.execute(
        _lines()
        .add_columns(_plan.terms, _plan.authors, ring.name, ring.settings)
        .outerjoin(ring, waiting)
        .where(is_asked)
        .order_by(ring.id.is_not(None), _plan.proposed_at, _plan.id, ring.id)
    ).all()
    return [
        (_line(row), name or "")
        for row in rows
        for terms, authors, name, settings in [row[-4:]]
        if _may_give(authors, terms, settings, not_author, role)
    ]


def approvals_asked(not_author: str) -> Select[str, str, str]:
    """Return the query for what `may_give` needs of each approval that ``not_author`` may give."""
    ring = models.Ring
    waiting, is_asked = _awaiting(not_author)
    query = select(
        cast(_plan.authors, String), cast(_plan.terms, String), cast(ring.settings, String)
    )
    return query.select_from(_plan).outerjoin(ring, waiting).where(is_asked)


def may_give(authors: str, terms: str, settings: str | None, name: str, role: str) -> bool:
    """Return whether ``name``, in this role, may give an approval of `approvals_asked`."""
    of_ring = json.loads(settings) if settings else None
    return _may_give(json.loads(authors), json.loads(terms), of_ring, name, role)


def _may_give(
    authors: Collection[str],
    terms: Mapping[str, Any],
    settings: Mapping[str, Any] | None,
    name: str,
    role: str,
) -> bool:
    """Return whether ``name`` may approve a plan, or its ring of these ``settings``."""
    asked = terms if settings is None else settings
    needed = settings is None or settings["needs_approval"]
    return name not in authors and needed and may_approve(asked.get("approvers", ()), name, role)


def _awaiting(not_author: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    """Return how a plan's rings that wait are joined, and which of plans and rings are asked for.

    What ``not_author`` has decided is left out; what they may not is not.
    """
    row, ring = models.Approval, models.Ring
    by_them = and_(row.by == not_author, row.ring == "")
    decided = exists().where(row.plan_id == _plan.id, row.void_at.is_(None), by_them)
    given = exists().where(
        row.plan_id == _plan.id,
        row.ring == ring.name,
        row.void_at.is_(None),
        row.content_hash == _plan.content_hash,
    )
    proposed = and_(_plan.state == PlanState.PROPOSED.value, ~decided)
    waiting = and_(
        ring.plan_id == _plan.id,
        ring.state == RingState.WAITING_GATE.value,
        _plan.state.in_([state.value for state in ACTIVE_PLANS]),
    )
    return waiting, or_(proposed, and_(ring.id.is_not(None), ~given))


def running(session: Session) -> list[RunningPlan]:
    """Return the plans under way, stopped ones first. Two queries."""
    plans = session.scalars(
        select(_plan)
        .where(_plan.state.in_([state.value for state in ACTIVE_PLANS]))
        .order_by((_plan.state == PlanState.RUNNING.value), _plan.state_since, _plan.id)
    ).all()
    ring = models.Ring
    by_plan: dict[int, list[models.Ring]] = {plan.id: [] for plan in plans}
    for row in session.scalars(
        select(ring).where(ring.plan_id.in_(by_plan)).order_by(ring.plan_id, ring.position)
    ):
        by_plan[row.plan_id].append(row)
    return [_running(plan, by_plan[plan.id]) for plan in plans]


def _running(plan: models.Plan, rows: Sequence[models.Ring]) -> RunningPlan:
    views = [ring_of(row) for row in rows]
    now = next((v for v in views if v.state not in (RingState.PASSED, RingState.SKIPPED)), None)
    return RunningPlan(
        plan.id,
        plan.title,
        PlanState(plan.state),
        plan.state_since,
        reason_of(plan.state, plan.reason, plan.halt_signals),
        now.name if now else "",
        now.state.value if now else "",
        sum(sum(view.tally.states.values()) for view in views),
        sum(view.tally.of(TaskState.VERIFIED) for view in views),
        sum(view.tally.of(*UNSUCCESSFUL) for view in views),
    )


def _lines() -> Select[Any]:
    return select(
        _plan.id,
        _plan.title,
        _plan.state,
        _plan.state_since,
        _plan.author,
        _plan.reason,
        _plan.due,
        _plan.summary,
        _plan.created_at,
        _plan.approvals_needed,
        _plan.halt_signals,
    )


def _line(row: Row[Any]) -> PlanLine:
    values: Any = row[:11]
    number, title, state, since, author, reason, due, summary, created, needed, signals = values
    return PlanLine(
        number,
        title,
        PlanState(state),
        since,
        author,
        reason_of(state, reason, signals),
        due,
        summary.get("hosts", 0),
        summary.get("changes", 0),
        summary.get("findings", 0),
        summary.get("severity", "unknown"),
        created,
        needed,
    )
