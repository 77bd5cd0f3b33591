"""Plans: agree on them, start and stop them.

Every function is one transaction: it loads the plan under its lock, lets the rollout's machine
decide, and writes state, approvals, timeline, outbox and audit entry together.
"""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from patchmgr.db import models
from patchmgr.db.session import Database
from patchmgr.domain.accounts import Role
from patchmgr.domain.rollout import events
from patchmgr.domain.rollout.machine import advance, advance_all
from patchmgr.domain.rollout.states import PlanState
from patchmgr.errors import InputError
from patchmgr.services import audit, holds, proof, witnesses
from patchmgr.services.going_back import host_numbers, naming_hosts
from patchmgr.services.roles import require
from patchmgr.services.rollout_load import Wanted, load
from patchmgr.services.rollout_store import store
from patchmgr.services.rollouts import tick_plan


def propose(
    where: Database | Session, plan_id: int, *, actor: str, role: Role, now: datetime
) -> None:
    """Ask for approval. Who does counts as an author from then on.

    In a database it is a transaction of its own; in a session, part of the caller's. Raises
    `ConflictError`, `NotFoundError`, `ForbiddenError`.
    """
    require(role, Role.OPERATOR, "proposing a plan")

    def ask(session: Session) -> list[events.Event]:
        if actor not in session.get_one(models.Plan, plan_id).authors:
            audit.of_plan(session, "author", plan_id, actor, now, author=actor)
        return [events.Propose(actor, now)]

    _do(where, plan_id, ask, "propose", actor=actor, now=now)


def approve(
    db: Database,
    plan_id: int,
    *,
    actor: str,
    role: Role,
    now: datetime,
    content_hash: str | None = None,
    ring: str = "",
    comment: str = "",
) -> str:
    """Consent to a plan's content, or to one of its rings; return the hash that is approved.

    ``content_hash`` is what the approver looked at; None is whatever it is now. Raises
    `ForbiddenError` for an author and for a role below approver, `ConflictError` when the content
    is another one by now.
    """
    require(role, Role.APPROVER, "approving a plan")
    with db.writing() as session:
        loaded = load(session, plan_id, Wanted(), now)
        seen = loaded.plan.content_hash if content_hash is None else content_hash
        event = events.Approve(actor, now, seen, ring, comment, role.value)
        after, effects = advance(loaded.rollout, event)
        session.add(_decision(plan_id, "approve", event, comment))
        store(session, loaded, after, effects, now)
        due = witnesses.due_of(loaded.plan)
        details = {"hash": seen, "due": due, **({"ring": ring} if ring else {})}
        audit.of_plan(session, "approve", plan_id, actor, now, **details, comment=comment)
        if after.state is PlanState.RUNNING:
            tick_plan(session, plan_id, now)
    return seen


def reject(
    db: Database, plan_id: int, *, reason: str, actor: str, role: Role, now: datetime
) -> None:
    """Refuse a plan for good. Raises `InputError` without a reason, `ConflictError`."""
    require(role, Role.APPROVER, "rejecting a plan")
    with db.writing() as session:
        loaded = load(session, plan_id, Wanted(waiting=True), now)
        after, effects = advance(loaded.rollout, events.Reject(actor, now, reason))
        seen = events.Approve(actor, now, loaded.plan.content_hash)
        session.add(_decision(plan_id, "reject", seen, reason))
        store(session, loaded, after, effects, now)
        audit.of_plan(session, "reject", plan_id, actor, now, reason=reason)


def start(db: Database, plan_id: int, *, actor: str, role: Role, now: datetime) -> None:
    """Start an approved plan, if its stored content is still what was approved.

    Raises `ConflictError` when it is not, `NotFoundError`, `ForbiddenError`.
    """
    require(role, Role.OPERATOR, "starting a plan")

    def begin(session: Session) -> list[events.Event]:
        plan = session.get_one(models.Plan, plan_id)
        start = events.Start(actor, now, proof.stored_hash(session, plan_id, now))
        return [*holds.stops(session, plan, now), start]

    _do(db, plan_id, begin, "start", actor=actor, now=now)


def pause(
    db: Database, plan_id: int, *, reason: str, actor: str, role: Role, now: datetime
) -> None:
    """Hand out nothing more until somebody resumes; what runs finishes."""
    require(role, Role.OPERATOR, "pausing a plan")
    _do(db, plan_id, events.Pause(actor, now, reason), "pause", actor=actor, now=now, reason=reason)


def resume(
    db: Database, plan_id: int, *, actor: str, role: Role, now: datetime, reason: str = ""
) -> None:
    """Let a paused plan go on. Raises `ConflictError` while a halt signal is open."""
    require(role, Role.OPERATOR, "resuming a plan")
    _do(
        db,
        plan_id,
        events.Resume(actor, now, reason),
        "resume",
        actor=actor,
        now=now,
        reason=reason,
    )


def acknowledge(
    db: Database,
    plan_id: int,
    *,
    reason: str,
    actor: str,
    role: Role,
    now: datetime,
    hosts: Sequence[str] = (),
) -> None:
    """Let every open halt signal pass, with a reason; a halted plan then goes on.

    With ``hosts`` accept that these ended without success: they count no longer against gates and
    groups, and open signals stay. Raises `NotFoundError`, `ConflictError`.
    """
    require(role, Role.OPERATOR, "acknowledging a halt")
    if hosts:
        kind = events.AcknowledgeHosts
        _do_to_hosts(db, plan_id, kind, hosts, "acknowledge", reason, actor=actor, now=now)
        return
    event = events.Acknowledge(actor, now, reason)
    _do(db, plan_id, event, "acknowledge", actor=actor, now=now, reason=reason)


def halt(db: Database, plan_id: int, *, reason: str, actor: str, role: Role, now: datetime) -> None:
    """Raise a halt signal by hand: unlike a pause, it must be acknowledged."""
    require(role, Role.OPERATOR, "halting a plan")
    if not reason.strip():
        raise InputError({"reason": "say why the plan must halt"})
    event = events.HaltSignal(now, "person", f"{actor}: {reason}", actor)
    _do(db, plan_id, event, "halt", actor=actor, now=now, reason=reason)


def skip_ring(
    db: Database, plan_id: int, ring: str, *, reason: str, actor: str, role: Role, now: datetime
) -> None:
    """Go on without a ring and its evidence. Raises `ConflictError` for one that is over."""
    require(role, Role.APPROVER, "skipping a ring")
    event = events.SkipRing(actor, now, ring, reason)
    everything = Wanted(waiting=True)
    _do(
        db, plan_id, event, "skip-ring", actor=actor, now=now, wanted=everything, ring=ring,
        reason=reason,
    )  # fmt: skip


def retry(
    db: Database,
    plan_id: int,
    hosts: Sequence[str],
    *,
    reason: str,
    actor: str,
    role: Role,
    now: datetime,
) -> None:
    """Give hosts that ended without success another turn.

    Raises `NotFoundError`, `ConflictError`, and `InputError` without a reason.
    """
    require(role, Role.OPERATOR, "retrying hosts")
    _do_to_hosts(db, plan_id, events.Retry, hosts, "retry", reason, actor=actor, now=now)


def cancel(
    db: Database, plan_id: int, *, reason: str, actor: str, role: Role, now: datetime
) -> None:
    """End a plan; hosts at work finish, and their results are still taken."""
    require(role, Role.OPERATOR, "cancelling a plan")
    event = events.Cancel(actor, now, reason)
    _do(
        db,
        plan_id,
        event,
        "cancel",
        actor=actor,
        now=now,
        wanted=Wanted(waiting=True),
        reason=reason,
    )


def _do_to_hosts(
    db: Database,
    plan_id: int,
    kind: type[events.Retry | events.AcknowledgeHosts],
    hosts: Sequence[str],
    verb: str,
    reason: str,
    *,
    actor: str,
    now: datetime,
) -> None:
    """Apply one event to hosts by name, and let the plan move at once."""
    with db.writing() as session:
        numbers = host_numbers(session, hosts)
        loaded = load(session, plan_id, Wanted(hosts=numbers), now)
        with naming_hosts(session):
            after, effects = advance(loaded.rollout, kind(actor, now, tuple(numbers), reason))
        store(session, loaded, after, effects, now)
        audit.of_plan(session, verb, plan_id, actor, now, hosts=list(hosts), reason=reason)
        tick_plan(session, plan_id, now)


def _do(
    where: Database | Session,
    plan_id: int,
    event: events.Event | Callable[[Session], list[events.Event]],
    verb: str,
    *,
    actor: str,
    now: datetime,
    wanted: Wanted = Wanted(),  # noqa: B008 -- frozen
    **details: Any,
) -> None:
    """Apply one event, and let a plan that runs afterwards move at once."""
    with nullcontext(where) if isinstance(where, Session) else where.writing() as session:
        loaded = load(session, plan_id, wanted, now)
        happened = event(session) if callable(event) else [event]
        after, effects = advance_all(loaded.rollout, happened)
        store(session, loaded, after, effects, now)
        kept = {name: value for name, value in details.items() if value}
        audit.of_plan(session, verb, plan_id, actor, now, hash=loaded.plan.content_hash, **kept)
        if after.state is PlanState.RUNNING:
            tick_plan(session, plan_id, now)


def _decision(plan_id: int, decision: str, event: events.Approve, comment: str) -> models.Approval:
    return models.Approval(
        plan_id=plan_id,
        ring=event.ring,
        decision=decision,
        content_hash=event.content_hash,
        by=event.by,
        at=event.at,
        comment=comment,
        void_at=None,
        void_reason="",
    )
