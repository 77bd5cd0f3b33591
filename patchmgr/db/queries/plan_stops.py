"""Why a plan stands still: its signals, the hosts that they come from, and when it goes on."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import and_, func, or_, select
from sqlalchemy.orm import Session, aliased

from patchmgr.db import models
from patchmgr.db.queries.overview import OVERDUE_JOB
from patchmgr.domain.content import window_from_json
from patchmgr.domain.freezes import Freezes
from patchmgr.domain.rollout.advice import stops
from patchmgr.domain.rollout.idle import Around
from patchmgr.domain.rollout.machine import current_ring
from patchmgr.domain.rollout.model import Ring, Rollout
from patchmgr.domain.rollout.states import (
    ACTIVE_PLANS,
    AT_WORK,
    UNSUCCESSFUL,
    WAITING_TASKS,
    PlanState,
    RingState,
    TaskState,
)
from patchmgr.domain.rollout.stop import Culprit, Stop
from patchmgr.domain.windows import Window, next_opening, open_until

MOST_CULPRITS = 20  # named; the page's table has all
MOST_NAMED = 3  # groups and plans in a sentence
_OPENINGS = 50  # looked at for one that is long enough
_SECOND = timedelta(seconds=1)


def stops_of(
    session: Session,
    plan: models.Plan,
    rollout: Rollout,
    freezes: Freezes,
    now: datetime,
    *,
    unreadable: Sequence[str] = (),
) -> tuple[Stop, ...]:
    """Return why a plan stands still now. At most five queries; none where it cannot."""
    if rollout.state not in (*ACTIVE_PLANS, PlanState.EXPIRED):
        return ()
    around = _around(session, plan, rollout, freezes, now, ", ".join(unreadable))
    return stops(rollout, _culprits(session, plan, rollout), around)


def _around(
    session: Session,
    plan: models.Plan,
    rollout: Rollout,
    freezes: Freezes,
    now: datetime,
    unreadable: str,
) -> Around:
    due = session.scalar(select(func.min(models.ScheduledJob.next_at)))
    is_late = due is not None and due < now - OVERDUE_JOB
    facts: dict[str, Any] = {
        "freezes": freezes,
        "is_grouped": bool(plan.groups),
        "unreadable": unreadable,
        "no_scheduler_since": due if is_late else None,
    }
    position = current_ring(rollout)
    if position is not None and _stands(rollout.rings[position]):
        facts |= _of_ring(session, plan, rollout.rings[position], freezes, now)
    return Around(**facts)


def _stands(ring: Ring) -> bool:
    """Return whether hosts of a ring wait, and none is at work."""
    is_its_turn = ring.state not in (RingState.PENDING, RingState.WAITING_GATE)
    return is_its_turn and ring.tally.of(*WAITING_TASKS) > 0 and not ring.tally.of(*AT_WORK)


def _of_ring(
    session: Session, plan: models.Plan, ring: Ring, freezes: Freezes, now: datetime
) -> Mapping[str, Any]:
    """Return what can hold the hosts of a ring that wait: windows, groups, other plans."""
    task, row = models.Task, models.Ring
    names = session.scalars(
        select(task.window)
        .join(row, row.id == task.ring_id)
        .where(task.plan_id == plan.id, row.name == ring.name, task.state.in_(WAITING_TASKS))
        .distinct()
    ).all()
    needed = ring.settings.needed_time
    windows = {name: window_from_json(plan.windows[name]) for name in names if name in plan.windows}
    soon = freezes.frozen_from is not None and freezes.frozen_from <= now + needed
    is_open = not soon and (
        None in names or any(_has_time(one, now, needed) for one in windows.values())
    )
    opens = {name: _next(one, now, needed) for name, one in windows.items()}
    return {
        "is_open": is_open,
        "opens": {} if soon and (None in names) else opens,
        "too_short": tuple(
            name
            for name, at in opens.items()
            if at is None and next_opening(windows[name], now) is not None
        ),
        "groups": _spent_groups(session, plan) if is_open and plan.groups else (),
        "others": _others(session, plan, ring) if is_open else (),
    }


def _has_time(window: Window, now: datetime, needed: timedelta) -> bool:
    closes = open_until(window, now)
    return closes is not None and closes - needed > now


def _next(window: Window, now: datetime, needed: timedelta) -> datetime | None:
    """Return when ``window`` opens next for as long as a host needs."""
    after = now
    for _ in range(_OPENINGS):
        opening = next_opening(window, after)
        if opening is None:
            return None
        starts, ends = opening
        if ends - starts > needed:
            return starts
        after = starts + _SECOND
    return None


def _spent_groups(session: Session, plan: models.Plan) -> tuple[str, ...]:
    group = models.PlanGroup
    rows = session.execute(
        select(group.key, group.unavailable, group.limit)
        .where(group.plan_id == plan.id, group.unavailable >= group.limit)
        .order_by(group.key)
        .limit(MOST_NAMED)
    )
    return tuple(
        f"group {key} can spare no other host, {down} {'is' if down == 1 else 'are'} down "
        f"and at most {limit} may be"
        for key, down, limit in rows
    )


def _others(session: Session, plan: models.Plan, ring: Ring) -> tuple[int, ...]:
    """Return other plans that are at work on hosts of ``ring`` that wait."""
    other, mine, row, beside = models.Task, aliased(models.Task), models.Ring, models.Plan
    waits = (
        select(mine.host_id)
        .join(row, row.id == mine.ring_id)
        .where(mine.plan_id == plan.id, row.name == ring.name, mine.state.in_(WAITING_TASKS))
    )
    at_work = other.state.in_([*AT_WORK, TaskState.REBOOT_PENDING])
    found = session.scalars(
        select(other.plan_id)
        .join(beside, beside.id == other.plan_id)
        .where(
            beside.id != plan.id,
            or_(
                and_(beside.live_tasks > 0, at_work),
                and_(other.undo_until.is_not(None), other.undo_given_at.is_not(None)),
            ),
            other.host_id.in_(waits),
        )
        .distinct()
        .order_by(other.plan_id)
        .limit(MOST_NAMED)
    )
    return tuple(found)


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
