"""Plans under way: what time, inventories and results make of them.

Each plan is moved in a transaction of its own. Two ticks at once cannot disturb each other: they
wait for one another, and the second finds nothing left to do.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import and_, or_, select
from sqlalchemy.orm import Session

from patchmgr.db import models
from patchmgr.db.locks import Lock, wait_for
from patchmgr.db.queries import hosts as queries
from patchmgr.db.queries.freezes import freezes_at, freezes_between
from patchmgr.db.queries.rollouts import is_readable, ring_of
from patchmgr.db.session import Database
from patchmgr.domain import terms as plan_terms
from patchmgr.domain.accounts import Role
from patchmgr.domain.content import window_from_json
from patchmgr.domain.freezes import merged
from patchmgr.domain.rollout.events import (
    MACHINE,
    Dispatch,
    Effect,
    Event,
    Outcome,
    TaskReported,
    Tick,
    Withdrawn,
    WithdrawRollBack,
)
from patchmgr.domain.rollout.gates import is_approved
from patchmgr.domain.rollout.machine import advance_all
from patchmgr.domain.rollout.model import Rollout
from patchmgr.domain.rollout.patience import waits_since
from patchmgr.domain.rollout.results import refusal
from patchmgr.domain.rollout.states import (
    ACTIVE_PLANS,
    DISPATCHING_RINGS,
    ENDED_PLANS,
    WAITING_RINGS,
    WAITING_TASKS,
    PlanState,
    RingState,
    TaskState,
)
from patchmgr.domain.windows import open_until
from patchmgr.errors import BadFileError, BadRow, IllegalTransitionError
from patchmgr.services import approvals, audit, holds, proof, verification
from patchmgr.services.roles import require
from patchmgr.services.rollout_load import Loaded, Wanted, load, locked
from patchmgr.services.rollout_store import store

_log = logging.getLogger(__name__)

_TICKED = (PlanState.PROPOSED, PlanState.APPROVED, *ACTIVE_PLANS)


@dataclass(frozen=True, slots=True)
class TickResult:
    """What a tick did, over all plans."""

    plans: int  # looked at
    changed: int  # of those, moved in any way
    dispatched: int  # hosts
    verified: int  # hosts that an inventory spoke for
    failed: Mapping[int, str]  # plans that could not be moved, and why


@dataclass(frozen=True, slots=True)
class ResultRow:
    """What somebody reports about a host's part of a plan."""

    host: str  # hostname
    outcome: Outcome
    package: str = ""  # the one that failed
    output: str = ""
    attempt: int | None = None
    reboot_pending: bool = False
    row: int = 0  # line of the file it was read from; 0: of no file


@dataclass(frozen=True, slots=True)
class ResultsTaken:
    """What became of reported results."""

    changed: int
    unchanged: int  # repeated, or out of order


def tick(db: Database, *, now: datetime) -> TickResult:
    """Bring every plan to where it must be. Safe to run twice, and from two processes at once.

    A plan that cannot be moved does not hold up the others: it is named in the result and logged.
    """
    with db.reading() as session:
        plan, task = models.Plan, models.Task
        going_back = select(task.plan_id).where(task.undo_until.is_not(None))
        gone_back = verification.awaiting_proof().with_only_columns(task.plan_id)
        numbers = session.scalars(
            select(plan.id)
            .where(
                or_(
                    plan.state.in_(_TICKED),
                    plan.live_tasks > 0,
                    plan.id.in_(going_back),
                    plan.id.in_(gone_back),
                )
            )
            .where(plan.state != PlanState.DRAFT.value)
            .order_by(plan.id)
        ).all()
    changed = dispatched = verified = 0
    failed: dict[int, str] = {}
    for number in numbers:
        try:
            with db.writing() as session:
                wait_for(session, Lock.TICK)
                before, after, effects = tick_plan(session, number, now)
        except Exception as error:  # noqa: BLE001 -- a fault in one plan must not stop all others
            _log.exception("plan %s cannot be moved", number)
            failed[number] = str(error)
            continue
        changed += after is not before
        dispatched += sum(isinstance(effect, Dispatch) for effect in effects)
        verified += _verified(after) - _verified(before)
    return TickResult(len(numbers), changed, dispatched, verified, failed)


def tick_plan(
    session: Session, plan_id: int, now: datetime
) -> tuple[Rollout, Rollout, tuple[Effect, ...]]:
    """Bring one plan to where it must be, in the caller's transaction.

    Returns the rollout before and after, the same object when nothing changed, and the effects.
    Raises `NotFoundError`.
    """
    plan = locked(session, plan_id)
    event = tick_event(session, plan, now)
    terms = plan_terms.from_json(plan.terms)
    approvals.let_lapse(session, plan, terms, now)
    forgotten = verification.awaiting_evidence(session, plan_id)
    said_back = verification.said_to_be_back(session, plan_id)
    retired, kept = _retired(session, plan)
    wanted = Wanted(hosts=[*forgotten, *said_back, *retired, *kept], tick=event)
    loaded = load(session, plan_id, wanted, now)
    before = loaded.rollout
    gone = "the host was retired"
    events: list[Event] = [WithdrawRollBack(MACHINE, now, tuple(kept), gone)] if kept else []
    events += verification.seen(session, plan_id, before, event, terms.targets)
    events += [TaskReported(host, now, Outcome.SKIPPED, MACHINE, output=gone) for host in retired]
    events += _withdrawn(session, loaded.plan, now)
    events += holds.stops(session, loaded.plan, now)
    is_unreadable = not all(map(is_readable, loaded.rings))
    if before.state is PlanState.RUNNING and (
        is_unreadable or proof.is_due(session, loaded.plan, now)
    ):
        event = replace(event, content_hash=proof.stored_hash(session, plan_id, now))
    after, effects = advance_all(before, (*events, event))
    if event.content_hash is None and not event.frozen and _is_at_a_gate(after):
        # Before the next ring begins, what is stored must still be what was approved.
        stored = proof.stored_hash(session, plan_id, now)
        after, effects = advance_all(before, (*events, replace(event, content_hash=stored)))
    if after == before and not effects:
        return before, before, ()
    store(session, loaded, after, effects, now)
    return before, after, effects


def tick_event(session: Session, plan: models.Plan, now: datetime) -> Tick:
    """Return what a tick at ``now`` means for ``plan``: its windows that are open, the freezes."""
    windows = {}
    for name, document in plan.windows.items():
        closes = open_until(window_from_json(document), now)
        if closes is not None:
            windows[name] = closes
    freezes = freezes_at(session, now)
    times = _frozen_times(session, plan, now)
    return Tick(now, windows, freezes.frozen, freezes.frozen_from, frozen_times=times)


def _frozen_times(
    session: Session, plan: models.Plan, now: datetime
) -> tuple[tuple[datetime, datetime], ...]:
    """Return when it was frozen while rings waited whose deadline has passed."""
    ring = models.Ring
    late = session.scalars(
        select(ring).where(
            ring.plan_id == plan.id,
            ring.deadline <= now,
            ring.state.in_([*WAITING_RINGS, *DISPATCHING_RINGS]),
        )
    )
    waiting_since = [
        waits_since(one)
        for one in map(ring_of, late)
        if one.state in WAITING_RINGS or one.tally.of(*WAITING_TASKS)
    ]
    known = [at for at in waiting_since if at is not None]
    if not known:
        return ()
    return tuple(
        (start, min(end, now)) for start, end in merged(freezes_between(session, min(known), now))
    )


def report_results(
    db: Database,
    plan_id: int,
    rows: Sequence[ResultRow],
    *,
    actor: str,
    role: Role,
    now: datetime,
    file: str = "results",
) -> ResultsTaken:
    """Take results for hosts of a plan: all of them, or none.

    Raises `NotFoundError`, `IllegalTransitionError` for a plan that was never started, and
    `BadFileError` that names every row which cannot be true.
    """
    require(role, Role.OPERATOR, "reporting results")
    with db.writing() as session:
        hosts = queries.numbers(session, (row.host for row in rows))
        loaded = load(session, plan_id, Wanted(hosts=list(hosts.values())), now)
        if loaded.plan.started_at is None:
            raise IllegalTransitionError(loaded.plan.state, "reporting results")
        _check(loaded, rows, hosts, file)
        events = [
            TaskReported(
                hosts[row.host.lower()],
                now,
                row.outcome,
                actor,
                row.attempt,
                row.package,
                row.reboot_pending,
                row.output,
            )
            for row in rows
        ]
        after, effects = advance_all(loaded.rollout, events)
        changed = sum(
            after.tasks[event.host] is not loaded.rollout.tasks[event.host] for event in events
        )
        store(session, loaded, after, effects, now)
        audit.record(
            session,
            at=now,
            actor=actor,
            action="plan.results",
            subject=f"plan {plan_id}",
            details={"results": len(rows), "changed": changed},
        )
        tick_plan(session, plan_id, now)
    return ResultsTaken(changed, len(rows) - changed)


def _retired(session: Session, plan: models.Plan) -> tuple[list[int], list[int]]:
    """Return the hosts that were retired since the plan was made, and that nobody can order.

    Those that wait for their turn, then those that are to go back and have not begun to.
    """
    if plan.state not in (*ACTIVE_PLANS, *ENDED_PLANS):
        return [], []
    host, task = models.Host, models.Task
    waits = task.state.in_([*WAITING_TASKS, TaskState.LEASED])
    goes_back = and_(
        task.undo_until.is_not(None), task.undo_begun_at.is_(None), task.undo_over == ""
    )
    rows = session.execute(
        select(host.id, task.state, goes_back)
        .join(task, task.host_id == host.id)
        .where(
            host.retired_at >= plan.created_at,
            task.plan_id == plan.id,
            or_(waits, goes_back),
        )
        .order_by(host.id)
    ).all()
    is_active = plan.state in ACTIVE_PLANS
    waiting = (*WAITING_TASKS, TaskState.LEASED)
    return (
        [number for number, state, _ in rows if is_active and state in waiting],
        [number for number, state, back in rows if back and state != TaskState.ROLLED_BACK],
    )


def _withdrawn(session: Session, plan: models.Plan, now: datetime) -> list[Withdrawn]:
    """Return the advisories that the plan closes and that were withdrawn since it was made."""
    advisory, change = models.Advisory, models.PlanChange
    gone = set(
        session.scalars(select(advisory.ref).where(advisory.withdrawn_at >= plan.created_at))
    )
    if not gone:
        return []
    lists = session.scalars(select(change.advisories).where(change.plan_id == plan.id))
    closed = {ref for refs in lists for ref in refs}
    return [Withdrawn(now, ref) for ref in sorted(gone & closed)]


def _is_at_a_gate(rollout: Rollout) -> bool:
    return rollout.state is PlanState.RUNNING and any(
        ring.state is RingState.WAITING_GATE and is_approved(rollout, position)
        for position, ring in enumerate(rollout.rings)
    )


def _verified(rollout: Rollout) -> int:
    return sum(ring.tally.states.get("verified", 0) for ring in rollout.rings)


def _check(loaded: Loaded, rows: Sequence[ResultRow], hosts: Mapping[str, int], file: str) -> None:
    """Raise `BadFileError` for every row that cannot be true."""
    bad = []
    seen: set[str] = set()
    for row in rows:
        name = row.host.lower()
        task = loaded.rollout.tasks.get(hosts.get(name, 0))
        column, value = "host", row.host
        if name not in hosts:
            why = "there is no such host"
        elif task is None:
            why = f"it is not in plan {loaded.plan.id}"
        elif name in seen:
            why = "it is there twice; keep the last result"
        else:
            why = refusal(task, row.outcome, row.attempt) or ""
            column, value = "result", row.outcome.value
            if not why and row.outcome is Outcome.SKIPPED and not row.output.strip():
                column, value, why = "output", "", "say why the host is skipped"
        seen.add(name)
        if why:
            bad.append(BadRow(row.row, column, value, why))
    if bad:
        raise BadFileError(file, bad)
