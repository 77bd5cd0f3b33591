"""Why a plan stands still: its signals, the hosts that they come from, and when it goes on."""

from datetime import datetime

from sqlalchemy import and_, select
from sqlalchemy.orm import Session

from patchmgr.db import models
from patchmgr.domain.content import window_from_json
from patchmgr.domain.rollout.advice import Culprit, Stop, stops
from patchmgr.domain.rollout.model import Rollout
from patchmgr.domain.rollout.states import (
    ACTIVE_PLANS,
    UNSUCCESSFUL,
    PlanState,
    RingState,
    TaskState,
)
from patchmgr.domain.windows import next_opening

MOST_CULPRITS = 20  # named; the page's table has all


def stops_of(
    session: Session, plan: models.Plan, rollout: Rollout, frozen: str, now: datetime
) -> tuple[Stop, ...]:
    """Return why a plan stands still now. At most one query."""
    opens = {}
    if rollout.state is PlanState.RUNNING and any(
        ring.state is RingState.WAITING_WINDOW for ring in rollout.rings
    ):
        coming = {name: next_opening(window_from_json(one), now)
                  for name, one in plan.windows.items()}  # fmt: skip
        opens = {name: opening[0] for name, opening in coming.items() if opening is not None}
    return stops(
        rollout,
        _culprits(session, plan, rollout),
        frozen=frozen,
        opens=opens,
        is_grouped=bool(plan.groups),
    )


def _culprits(session: Session, plan: models.Plan, rollout: Rollout) -> list[Culprit]:
    """Return the hosts that ended without success and that nobody has accepted, latest first."""
    ended = sum(ring.tally.of(*UNSUCCESSFUL) for ring in rollout.rings)
    if rollout.state not in ACTIVE_PLANS or not ended:
        return []
    task, host, ring = models.Task, models.Host, models.Ring
    rows = session.execute(
        select(
            host.hostname,
            ring.name,
            task.state,
            task.package,
            task.reason,
            task.not_back,
            and_(task.undo != "", task.undo_over == ""),
        )
        .join(host, host.id == task.host_id)
        .join(ring, ring.id == task.ring_id)
        .where(
            task.plan_id == plan.id,
            task.state.in_(UNSUCCESSFUL),
            task.acknowledged.is_(False),
        )
        .order_by(task.finished_at.desc(), task.id)
        .limit(MOST_CULPRITS)
    )
    return [
        Culprit(name, at, TaskState(state), package, reason, not_back, bool(goes_back))
        for name, at, state, package, reason, not_back, goes_back in rows
    ]
