"""One plan in place of another, and a start without approvals: what shortens the usual way."""

from collections import defaultdict
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from patchmgr.db import models
from patchmgr.db.queries.plan_content import change_of
from patchmgr.db.session import Database
from patchmgr.domain.accounts import Role
from patchmgr.domain.content import Content
from patchmgr.domain.plans import Change, contains
from patchmgr.domain.rollout import events
from patchmgr.domain.rollout.machine import advance, advance_all
from patchmgr.domain.rollout.states import (
    LIVE_TASKS,
    OPEN_PLANS,
    WAITING_TASKS,
    PlanState,
    TaskState,
)
from patchmgr.errors import ConflictError
from patchmgr.services import audit, holds, proof
from patchmgr.services.roles import require
from patchmgr.services.rollout_load import Wanted, load, locked
from patchmgr.services.rollout_store import store
from patchmgr.services.rollouts import tick_plan

_OPEN = [state.value for state in OPEN_PLANS]
_NOT_BEGUN = (*WAITING_TASKS, TaskState.LEASED)


def contained(session: Session, content: Content) -> list[int]:
    """Return the open plans whose remaining work ``content`` does too, by number.

    What remains of a plan only grows less, so what is true when a plan is made stays true.
    """
    plan, task = models.Plan, models.Task
    found = []
    for number in session.scalars(
        select(plan.id).where(plan.state.in_(_OPEN)).order_by(plan.id)
    ).all():
        hosts = set(
            session.scalars(
                select(task.host_id).where(task.plan_id == number, task.state.in_(LIVE_TASKS))
            )
        )
        if hosts and hosts <= content.places.keys():
            left = _changes(session, number, hosts)
            if contains(content.changes, left):
                found.append(number)
    return found


def supersede(
    db: Database,
    new_id: int,
    old_id: int,
    *,
    actor: str,
    role: Role,
    now: datetime,
    reason: str = "",
) -> None:
    """End the plan ``old_id``, for the open plan ``new_id`` does what is left of it.

    Hosts of the older plan at work finish. Raises `NotFoundError`, `ForbiddenError`, and
    `ConflictError` when the newer plan is over or lacks some of the older one's work, or when
    nothing of that is left.
    """
    require(role, Role.OPERATOR, "superseding a plan")
    with db.writing() as session:
        # In one order: of two plans that could replace each other only one is replaced.
        plans = {number: locked(session, number) for number in sorted({new_id, old_id})}
        newer, older = plans[new_id], plans[old_id]
        if new_id == old_id or newer.state not in _OPEN:
            raise ConflictError(
                f"plan {new_id} is not an open plan that could take another's place"
            )
        left = _not_begun(session, old_id)
        if older.state in _OPEN and not left:
            raise ConflictError(
                f"every host of plan {old_id} has begun; "
                f"nothing is left that plan {new_id} could do"
            )
        if not _does_all_of(session, new_id, old_id, left):
            raise ConflictError(
                f"plan {new_id} does not do all that is left of plan {old_id}; "
                "cancel the older one, or make a plan that does"
            )
        take_over(session, new_id, old_id, actor=actor, now=now, reason=reason)


def take_over(
    session: Session, new_id: int, old_id: int, *, actor: str, now: datetime, reason: str
) -> None:
    """End the older plan in the caller's transaction. Raises `ConflictError` when it is over."""
    loaded = load(session, old_id, Wanted(waiting=True), now)
    why = f"plan {new_id} does its work{f': {reason.strip()}' if reason.strip() else ''}"
    after, effects = advance(loaded.rollout, events.Supersede(actor, now, why))
    loaded.plan.superseded_by = new_id
    store(session, loaded, after, effects, now)
    audit.record(
        session,
        at=now,
        actor=actor,
        action="plan.supersede",
        subject=f"plan {old_id}",
        details={"by": new_id, **({"reason": reason} if reason else {})},
    )


def break_glass(
    db: Database, plan_id: int, *, reason: str, actor: str, role: Role, now: datetime
) -> None:
    """Start a plan without its approvals, its author too; another person must review that.

    Rings that need an approval of their own wait for it all the same. Raises `InputError` without
    a reason, `ForbiddenError` below approver, and `ConflictError` when the stored content is not
    what the plan was made of or a halt signal is open.
    """
    require(role, Role.APPROVER, "starting a plan without its approvals")
    with db.writing() as session:
        loaded = load(session, plan_id, Wanted(), now)
        stored = proof.stored_hash(session, plan_id, now)
        stops = holds.stops(session, loaded.plan, now)
        event = events.BreakGlass(actor, now, stored, reason)
        after, effects = advance_all(loaded.rollout, [*stops, event])
        plan = loaded.plan
        plan.broken_by, plan.broken_at, plan.broken_reason = actor, now, reason.strip()[:4000]
        store(session, loaded, after, effects, now)
        audit.record(
            session,
            at=now,
            actor=actor,
            action="plan.break_glass",
            subject=f"plan {plan_id}",
            details={"hash": stored, "reason": plan.broken_reason},
        )
        if after.state is PlanState.RUNNING:
            tick_plan(session, plan_id, now)


def _not_begun(session: Session, plan_id: int) -> set[int]:
    task = models.Task
    return set(
        session.scalars(
            select(task.host_id).where(task.plan_id == plan_id, task.state.in_(_NOT_BEGUN))
        )
    )


def _does_all_of(session: Session, new_id: int, old_id: int, left: set[int]) -> bool:
    task = models.Task
    still = set(
        session.scalars(
            select(task.host_id).where(task.plan_id == new_id, task.state.in_(LIVE_TASKS))
        )
    )
    if not left <= still:
        return False
    return contains(_changes(session, new_id, still), _changes(session, old_id, left))


def _changes(session: Session, plan_id: int, hosts: set[int]) -> dict[Change, list[int]]:
    """Return what a plan changes on ``hosts``."""
    change, item = models.PlanChange, models.PlanItem
    on: dict[int, list[int]] = defaultdict(list)
    for number, host in session.execute(
        select(item.change_id, item.host_id).where(item.plan_id == plan_id)
    ):
        if host in hosts:
            on[number].append(host)
    rows = session.scalars(select(change).where(change.plan_id == plan_id))
    return {change_of(row): on[row.id] for row in rows if row.id in on}
