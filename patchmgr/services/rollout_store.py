"""What a step made of a rollout, written in the transaction that loaded it.

Plan, rings, tasks, timeline, and the outbox with what must happen in the world: all or nothing.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import insert, update
from sqlalchemy.orm import Session

from patchmgr.db import models
from patchmgr.db.base import to_micros
from patchmgr.db.bulk import in_lists
from patchmgr.domain import rings as ring_settings
from patchmgr.domain.rollout.events import MACHINE, Dispatch, Effect, Notify, Recall, Record
from patchmgr.domain.rollout.model import Ring, Rollout, Tally, Task, WayBack
from patchmgr.domain.rollout.states import PlanState, RingState
from patchmgr.services import audit, holds
from patchmgr.services.rollout_load import Loaded

DETAIL_LONGEST = 500  # characters kept of what a probe found
OUTPUT_LONGEST = 20_000  # characters kept of what a host reported


def store(
    session: Session, loaded: Loaded, after: Rollout, effects: Sequence[Effect], now: datetime
) -> None:
    """Write what a step made of ``loaded``; nothing when it changed nothing."""
    before = loaded.rollout
    if after == before and not effects:
        return
    _store_plan(loaded.plan, before, after, now)
    for row, old, new in zip(loaded.rings, before.rings, after.rings, strict=True):
        if new != old:
            _store_ring(row, new)
    changed = [
        {"id": loaded.task_ids[host], **task_columns(task)}
        for host, task in after.tasks.items()
        if task is not before.tasks[host]
    ]
    session.flush()
    if changed:
        session.execute(update(models.Task), changed)
    spent = [
        {"id": loaded.group_ids[key], "unavailable": budget.unavailable}
        for key, budget in after.groups.items()
        if budget != before.groups[key]
    ]
    if spent:
        session.execute(update(models.PlanGroup), spent)
    _store_timeline(session, loaded.plan.id, effects)
    _store_audit(session, loaded.plan.id, effects)
    _store_outbox(session, loaded.plan.id, effects, now)
    holds.learn(session, loaded.plan, before, after, now)


def new_ring(plan_id: int, position: int, settings: ring_settings.RingSettings) -> models.Ring:
    return models.Ring(
        plan_id=plan_id,
        position=position,
        name=settings.name,
        settings=settings.to_json(),
        state=RingState.PENDING.value,
        state_since=None,
        started_at=None,
        soak_until=None,
        finished_at=None,
        deadline=None,
        reason="",
        tally=tally_json(Tally()),
        probes={},
    )


def task_columns(task: Task) -> dict[str, Any]:
    """Return the columns of ``task`` that a step can change."""
    return {
        "state": task.state.value,
        "state_since": task.since,
        "attempt": task.attempt,
        "misses": task.misses,
        "deadline": task.deadline,
        "dispatched_at": task.dispatched,
        "begun_at": task.begun,
        "finished_at": task.finished,
        "seen_at": task.seen,
        "package": task.package[:200],
        "not_back": task.not_back,
        "reason": task.reason,
        "output": task.output[-OUTPUT_LONGEST:],
        "reported_by": task.by,
        "acknowledged": task.acknowledged,
        "went_back": task.went_back.value if task.went_back else "",
        "proof_after": task.proof_after,
        **_undo_columns(task.undo),
    }


def _undo_columns(undo: WayBack | None) -> dict[str, Any]:
    one = undo or WayBack("")
    return {
        "undo": one.why,
        "undo_asked_at": one.asked,
        "undo_attempt": one.attempt,
        "undo_misses": one.misses,
        "undo_until": one.until,
        "undo_given_at": one.given,
        "undo_begun_at": one.begun,
        "undo_over": one.over,
        "undo_withdrawn_at": one.withdrawn,
    }


def tally_json(tally: Tally) -> dict[str, Any]:
    return {
        "states": {str(state): count for state, count in sorted(tally.states.items())},
        "unreached": tally.unreached,
        "reboots_lost": tally.reboots_lost,
        "packages": dict(sorted(tally.packages.items())),
        "accepted": tally.accepted,
        "lost_accepted": tally.lost_accepted,
        **({"accepted_at": to_micros(tally.accepted_at)} if tally.accepted_at else {}),
    }


def _store_plan(row: models.Plan, before: Rollout, after: Rollout, now: datetime) -> None:
    row.state = after.state.value
    row.state_since = after.since or row.state_since
    row.state_by = after.by or row.state_by
    row.reason = after.reason
    row.expires_at = after.deadline
    row.content_hash = after.content_hash
    row.authors = sorted(after.authors)
    row.acknowledged = dict(after.acknowledged)
    row.live_tasks = after.live
    row.changed_at = now  # so that every change takes the plan's revision with it
    row.halt_signals = [
        {
            "kind": one.kind,
            "subject": one.subject,
            "level": one.level,
            "why": one.why,
            "at": to_micros(one.at),
        }
        for one in after.signals
    ]
    if after.state is before.state:
        return
    match after.state:
        case PlanState.PROPOSED:
            row.proposed_at, row.approved_at = after.since, None
        case PlanState.APPROVED:
            row.approved_at = after.since
        case PlanState.RUNNING:
            row.started_at = row.started_at or after.since
        case PlanState.PAUSED | PlanState.HALTED:
            pass
        case _:
            row.finished_at = after.since


def _store_ring(row: models.Ring, ring: Ring) -> None:
    row.state = ring.state.value
    row.state_since = ring.since
    row.started_at = ring.started
    row.soak_until = ring.soak_until
    row.finished_at = ring.finished
    row.deadline = ring.deadline
    row.reason = ring.reason
    row.tally = tally_json(ring.tally)
    row.probes = {
        name: {
            "at": to_micros(one.at),
            "health": one.health.value if one.health else "",
            "failures": one.failures,
            "inconclusive": one.inconclusive,
            "errors": one.errors,
            "detail": one.detail[:DETAIL_LONGEST],
        }
        for name, one in sorted(ring.probes.items())
    }


def _store_timeline(session: Session, plan_id: int, effects: Sequence[Effect]) -> None:
    rows = [
        {
            "plan_id": plan_id,
            "at": effect.at,
            "by": effect.by,
            "kind": effect.kind,
            "ring": effect.ring,
            "host_id": effect.host,
            "message": effect.message,
        }
        for effect in effects
        if isinstance(effect, Record)
    ]
    if rows:
        session.execute(insert(models.PlanEvent), rows)


def _store_audit(session: Session, plan_id: int, effects: Sequence[Effect]) -> None:
    """Audit what the machine decided for more than one host; people's acts are audited as such."""
    for effect in effects:
        if isinstance(effect, Record) and effect.by == MACHINE and effect.host is None:
            audit.record(
                session,
                at=effect.at,
                actor=effect.by,
                action=f"rollout.{effect.kind}",
                subject=f"plan {plan_id}",
                details={"ring": effect.ring, "message": effect.message},
            )


def _store_outbox(session: Session, plan_id: int, effects: Sequence[Effect], now: datetime) -> None:
    orders = [
        {
            "host": one.host,
            "attempt": one.attempt,
            "deadline": to_micros(one.deadline),
            **({"is_way_back": True} if one.is_way_back else {}),
        }
        for one in effects
        if isinstance(one, Dispatch)
    ]
    recalls = [
        {"host": one.host, "attempt": one.attempt, "why": one.why}
        for one in effects
        if isinstance(one, Recall)
    ]
    payloads: list[tuple[str, dict[str, Any]]] = [
        ("recall", {"orders": part}) for part in in_lists(recalls)
    ]
    payloads += [("dispatch", {"orders": part}) for part in in_lists(orders)]
    payloads += [
        ("notify", {"kind": one.kind, "message": one.message})
        for one in effects
        if isinstance(one, Notify)
    ]
    session.add_all(
        models.Outbox(
            made_at=now,
            kind=kind,
            plan_id=plan_id,
            payload=payload,
            done_at=None,
            attempts=0,
            error="",
        )
        for kind, payload in payloads
    )
    session.flush()
