"""Rollouts as their rows say: plan, rings and approvals, with whichever tasks the caller has."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from patchmgr.db import models
from patchmgr.db.base import from_micros
from patchmgr.domain import rings as ring_settings
from patchmgr.domain import terms as plan_terms
from patchmgr.domain.probes import Health, Standing
from patchmgr.domain.rings import RingSettings
from patchmgr.domain.rollout.model import Approval, Budget, Ring, Rollout, Signal, Tally, Task
from patchmgr.domain.rollout.states import PlanState, RingState, TaskState
from patchmgr.errors import PatchmgrError


def rings(session: Session, plan_id: int) -> Sequence[models.Ring]:
    """Return a plan's rings in order."""
    row = models.Ring
    return session.scalars(select(row).where(row.plan_id == plan_id).order_by(row.position)).all()


def rollout_of(
    session: Session,
    plan: models.Plan,
    rings: Sequence[Ring],
    tasks: Mapping[int, Task],
    given: Sequence[models.Approval] | None = None,
    groups: Mapping[str, Budget] | None = None,
) -> Rollout:
    """Return the rollout of ``plan``; its counters are whole, its tasks those given.

    ``given`` are the approvals that stand, where the caller has read them already.
    """
    row = models.Approval
    approvals = given
    if approvals is None:
        approvals = session.scalars(
            select(row)
            .where(row.plan_id == plan.id, row.void_at.is_(None), row.decision == "approve")
            .order_by(row.id)
        ).all()
    terms = plan_terms.from_json(plan.terms)
    return Rollout(
        rings=tuple(rings),
        tasks=tasks,
        authors=frozenset(plan.authors),
        content_hash=plan.content_hash,
        approvals_needed=plan.approvals_needed,
        state=PlanState(plan.state),
        since=plan.state_since,
        by=plan.state_by,
        reason=plan.reason,
        deadline=plan.expires_at,
        due=plan.due,
        approvals=tuple(Approval(one.by, one.at, one.content_hash, one.ring) for one in approvals),
        signals=tuple(signal_of(one) for one in plan.halt_signals),
        acknowledged=dict(plan.acknowledged),
        approvers=terms.approvers,
        approval_valid=terms.approval_valid,
        groups=groups or {},
        orders_ways_back=terms.execution is not plan_terms.Execution.MANUAL,
    )


def is_readable(row: models.Ring) -> bool:
    """Return whether the ring's settings can be read; altered by hand they may not be."""
    try:
        ring_settings.from_json(row.settings)
    except (PatchmgrError, ValueError, LookupError, TypeError, AttributeError):
        return False
    return True


def ring_of(row: models.Ring) -> Ring:
    """Return the ring of ``row``.

    One whose settings cannot be read has those of a ring that lets nothing fail: a tick halts its
    plan for content before anything goes by them.
    """
    return Ring(
        settings=ring_settings.from_json(row.settings)
        if is_readable(row)
        else RingSettings(row.name, max_failures=0),
        tally=tally_from_json(row.tally),
        state=RingState(row.state),
        since=row.state_since,
        started=row.started_at,
        soak_until=row.soak_until,
        finished=row.finished_at,
        deadline=row.deadline,
        reason=row.reason,
        probes={name: standing_from_json(one) for name, one in row.probes.items()},
    )


def standing_from_json(document: Mapping[str, Any]) -> Standing:
    return Standing(
        from_micros(document["at"]),
        Health(document["health"]) if document["health"] else None,
        document["failures"],
        document["inconclusive"],
        document.get("errors", 0),
        document["detail"],
    )


def tally_from_json(document: Mapping[str, Any]) -> Tally:
    states: dict[str, int] = {TaskState(name): n for name, n in document["states"].items()}
    return Tally(
        states,
        document["unreached"],
        document["reboots_lost"],
        dict(document["packages"]),
        document["accepted"],
        document.get("lost_accepted", 0),
        from_micros(document["accepted_at"]) if "accepted_at" in document else None,
    )


def reason_of(state: str, reason: str, signals: Sequence[Mapping[str, Any]]) -> str:
    """Return why a plan is in its state: of a halted one every open signal, as it is by now."""
    if state != PlanState.HALTED.value or not signals:
        return reason
    return "; ".join(signal["why"] for signal in signals)


def signal_of(document: Mapping[str, Any]) -> Signal:
    return Signal(
        document["kind"],
        document["subject"],
        document["level"],
        document["why"],
        from_micros(document["at"]),
    )
