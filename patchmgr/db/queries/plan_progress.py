"""How a plan is getting on: its tasks, failures first, and its timeline."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, case, func, select
from sqlalchemy.orm import Session, load_only

from patchmgr.db import models
from patchmgr.db.queries import paging
from patchmgr.db.queries.leases import Holding, holdings
from patchmgr.db.queries.paging import Page
from patchmgr.domain.rollout.signals import CONTENT
from patchmgr.domain.rollout.states import (
    CHANGED,
    WAITING_TASKS,
    PlanState,
    RingState,
    TaskState,
    WentBack,
)
from patchmgr.errors import NotFoundError

_plan, _task, _ring = models.Plan, models.Task, models.Ring
_host, _event = models.Host, models.PlanEvent

# What needs somebody comes first, then what is under way, then what waits, then what is over.
_ORDER = (
    TaskState.FAILED,
    TaskState.ROLLED_BACK,
    TaskState.TIMED_OUT,
    TaskState.LOST,
    TaskState.REBOOT_PENDING,
    TaskState.RUNNING,
    TaskState.LEASED,
    TaskState.INSTALLED,
    TaskState.DEFERRED,
    TaskState.QUEUED,
    TaskState.VERIFIED,
    TaskState.SKIPPED,
    TaskState.CANCELLED,
)


@dataclass(frozen=True, slots=True)
class TaskLine:
    """One host's part of a plan, and what happens to it next."""

    id: int
    host_id: int
    host: str
    ring: str
    state: TaskState
    state_since: datetime
    attempt: int
    deadline: datetime | None
    dispatched_at: datetime | None
    finished_at: datetime | None
    window: str | None
    package: str
    reason: str
    output: str
    reported_by: str
    next: str  # a sentence: what the machine does, or waits for, next
    held: Holding | None = None  # who has its order; None: nobody fetched it
    acknowledged: bool = False  # a person has accepted that it ended without success
    undo: str = ""  # why it must be rolled back; empty: it need not
    undo_over: str = ""  # why that ended without the host gone back
    way_back: str = ""  # a sentence: how far that is, and what it waits for
    is_going_back: bool = False  # it has begun to
    went_back: str = ""  # what inventories say of that: `WentBack`; empty: nobody said that it has

    @property
    def may_be_withdrawn(self) -> bool:
        """Whether somebody wants it rolled back, and it has not begun to."""
        is_open = self.undo != "" and self.undo_over == ""
        return is_open and self.state in CHANGED and not self.is_going_back

    @property
    def may_go_back(self) -> bool:
        """Whether it has something new, and nobody's wish to take it back stands."""
        return (
            self.attempt > 0 and self.state in CHANGED and (not self.undo or self.undo_over != "")
        )


@dataclass(frozen=True, slots=True)
class EventLine:
    """A line of the timeline."""

    id: int
    at: datetime
    by: str
    kind: str
    message: str
    ring: str
    host: str  # empty: more than one


def tasks(
    session: Session,
    plan_id: int,
    *,
    ring: str = "",
    state: str = "",
    search: str = "",
    limit: int = paging.PAGE,
    cursor: str = "",
) -> Page[TaskLine]:
    """Return a plan's tasks, failures first, then by ring and host. Three queries."""
    conditions: list[ColumnElement[bool]] = [_task.plan_id == plan_id]
    if ring:
        conditions.append(_ring.name == ring)
    if state:
        conditions.append(_task.state == state)
    if search.strip():
        wanted = search.strip().lower()
        conditions.append(func.lower(_host.hostname).contains(wanted, autoescape=True))
    rank = case({one.value: number for number, one in enumerate(_ORDER)}, value=_task.state)
    query = (
        select(_task, _host.hostname, _ring, _plan, rank)
        .join(_plan, _plan.id == _task.plan_id)
        .join(_ring, _ring.id == _task.ring_id)
        .join(_host, _host.id == _task.host_id)
        .options(load_only(_plan.state, _plan.halt_signals))  # its documents come with each row
    )
    counted = query.where(*conditions).with_only_columns(func.count(), maintain_column_froms=True)
    total = session.scalar(counted) or 0
    order: tuple[Any, ...] = (rank, _ring.position, _host.hostname)
    if cursor:
        values = paging.decode(cursor, len(order))
        conditions.append(paging.after(order, values, descending=[False] * len(order)))
    rows = session.execute(query.where(*conditions).order_by(*order).limit(limit + 1)).all()
    held = holdings(session, [row.id for row, *_ in rows[:limit]])
    lines = tuple(
        replace(_line(row, host, at, plan), held=held.get(row.id))
        for row, host, at, plan, _ in rows[:limit]
    )
    follows = None
    if len(rows) > limit:
        _, host, at, _, number = rows[limit - 1]
        follows = paging.encode([number, at.position, host])
    return Page(lines, total, follows)


def stamp(session: Session, plan_id: int) -> str:
    """Return what is another whenever anything of a plan's rollout has changed. One small query.

    Every step writes the plan's row, also one that only concerns a task. Raises `NotFoundError`.
    """
    row = session.execute(
        select(_plan.revision, _plan.changed_at).where(_plan.id == plan_id)
    ).one_or_none()
    if row is None:
        raise NotFoundError("plan", plan_id)
    return f"{row.revision}-{row.changed_at.isoformat()}"


def soaked(session: Session, plan_id: int) -> dict[str, datetime]:
    """Return when each ring began to soak the last time, of those that did. One query."""
    rows = session.execute(
        select(_event.ring, func.max(_event.at))
        .where(_event.plan_id == plan_id, _event.host_id.is_(None), _event.kind == "ring_soaking")
        .group_by(_event.ring)
    )
    return {row.ring: row[1] for row in rows}


def events(
    session: Session,
    plan_id: int,
    *,
    host_id: int | None = None,
    host: str = "",
    tasks: bool = False,
    limit: int = paging.PAGE,
    cursor: str = "",
) -> Page[EventLine]:
    """Return a plan's timeline, the newest first; ``tasks`` includes what concerns one host.

    With ``host_id``, or ``host`` by name, it is the history of that host's part. Two queries.
    """
    conditions: list[ColumnElement[bool]] = [_event.plan_id == plan_id]
    if host_id is not None:
        conditions.append(_event.host_id == host_id)
    elif host:
        named = select(_host.id).where(func.lower(_host.hostname) == host.lower())
        conditions.append(_event.host_id.in_(named))
    elif not tasks:
        conditions.append(_event.host_id.is_(None))
    counted = select(func.count()).select_from(_event).where(*conditions)
    total = session.scalar(counted) or 0
    if cursor:
        conditions.append(_event.id < paging.decode_id(cursor))
    rows = session.execute(
        select(_event, _host.hostname)
        .outerjoin(_host, _host.id == _event.host_id)
        .where(*conditions)
        .order_by(_event.id.desc())
        .limit(limit + 1)
    ).all()
    lines = tuple(
        EventLine(row.id, row.at, row.by, row.kind, row.message, row.ring, host or "")
        for row, host in rows[:limit]
    )
    follows = paging.encode([lines[-1].id]) if len(rows) > limit else None
    return Page(lines, total, follows)


def _line(row: models.Task, host: str, ring: models.Ring, plan: models.Plan) -> TaskLine:
    state = TaskState(row.state)
    return TaskLine(
        row.id,
        row.host_id,
        host,
        ring.name,
        state,
        row.state_since,
        row.attempt,
        row.deadline,
        row.dispatched_at,
        row.finished_at,
        row.window,
        row.package,
        row.reason,
        row.output,
        row.reported_by,
        _next(row, state, ring, PlanState(plan.state)),
        acknowledged=row.acknowledged,
        undo=row.undo,
        undo_over=row.undo_over,
        way_back=_way_back(row, plan),
        is_going_back=row.undo_given_at is not None and row.undo_begun_at is not None,
        went_back=row.went_back,
    )


def _next(row: models.Task, state: TaskState, ring: models.Ring, plan: PlanState) -> str:
    by = f" by {row.deadline:%Y-%m-%d %H:%M} UTC" if row.deadline else ""
    if state in WAITING_TASKS:
        return _waits(row, ring, plan)
    return {
        TaskState.LEASED: f"must begin{by}, or it is taken back and handed out again",
        TaskState.RUNNING: f"must report{by}, or it is timed out",
        TaskState.INSTALLED: f"an inventory must show the new versions{by}, or it is lost",
        TaskState.REBOOT_PENDING: f"an inventory must show it rebooted{by}, or it is lost",
        TaskState.FAILED: "nothing, until somebody retries it; a late result is still taken",
        TaskState.TIMED_OUT: "nothing, until somebody retries it; a late result is still taken",
        TaskState.LOST: "an inventory that shows the new versions still verifies it",
    }.get(state, "")


_PROOF: Mapping[str, str] = {
    WentBack.AWAITED: "not believed yet: an inventory must show the old versions",
    WentBack.UNDETERMINED: "not believed yet: an inventory must show exactly the old versions",
    WentBack.CONFIRMED: "nothing: an inventory shows the old versions",
}


def _way_back(row: models.Task, plan: models.Plan) -> str:
    """Return how far a roll-back is that a person has asked for, or whether it is proven."""
    if row.state == TaskState.ROLLED_BACK.value:
        return _PROOF.get(row.went_back, "")
    if not row.undo:
        return ""
    until = f"{row.undo_until:%Y-%m-%d %H:%M} UTC" if row.undo_until else ""
    if row.undo_withdrawn_at:
        return f"its roll-back was {row.undo_over}; it can be asked for again"
    if row.undo_over and row.went_back == WentBack.CONTRADICTED:
        return "not rolled back, as its inventory shows; it can be asked for again"
    if row.undo_over:
        return f"its roll-back ended: {row.undo_over}; it can be asked for again"
    if not until:
        return "its way back is in the export, for people to carry out"
    if row.undo_begun_at and row.undo_given_at:
        return f"goes back now; must report by {until}"
    if row.undo_given_at:
        return f"has the order to go back; must begin by {until}"
    if any(one["kind"] == CONTENT for one in plan.halt_signals):
        return "gets no order to go back: what its old versions were has been changed"
    return (
        "gets its order to go back when its window is open, no freeze is in force and its ring "
        f"and groups have a place, by {until}"
    )


_HELD = {
    PlanState.DRAFT: "waits: the plan is a draft",
    PlanState.PROPOSED: "waits: the plan is not approved yet",
    PlanState.APPROVED: "waits: the plan is not started yet",
    PlanState.PAUSED: "nothing while the plan is paused; somebody has to resume it",
    PlanState.HALTED: "nothing while the plan is halted; somebody has to let its signals pass",
}
_RING_HELD = {
    RingState.PENDING: "waits for the ring before it",
    RingState.WAITING_GATE: "waits for what its ring waits for: a freeze to end, or an approval",
}


def _waits(row: models.Task, ring: models.Ring, plan: PlanState) -> str:
    """Return what a host waits for that has no turn now: the plan, its ring, or its window."""
    if held := _HELD.get(plan) or _RING_HELD.get(RingState(ring.state)):
        return held
    places = f"one of the {ring.settings['max_concurrent']} places of its ring"
    if row.window:
        return f"begins when window {row.window} is open and {places} is free"
    return f"begins when {places} is free"
