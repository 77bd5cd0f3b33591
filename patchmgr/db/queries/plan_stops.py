"""Why a plan stands still: its signals, the hosts that they come from, and when it goes on."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    ScalarSelect,
    Select,
    and_,
    func,
    literal,
    or_,
    select,
    type_coerce,
    union_all,
)
from sqlalchemy.orm import Session, aliased

from patchmgr.db import models
from patchmgr.db.base import from_micros
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
# Kinds of a host's events that bring it to work, and those that find it at work no longer.
_TO_WORK = ("dispatched", f"task_{TaskState.RUNNING.value}")
_FROM_WORK = (
    "recalled",
    *(f"task_{one.value}" for one in TaskState if one is not TaskState.RUNNING),
)


def stops_of(
    session: Session,
    plan: models.Plan,
    rollout: Rollout,
    freezes: Freezes,
    now: datetime,
    *,
    unreadable: Sequence[str],
    next_job: datetime | None,
) -> tuple[Stop, ...]:
    """Return why a plan stands still now. At most two queries; none where it cannot.

    ``unreadable`` has the rings whose settings cannot be read, ``next_job`` is when the first job
    of the schedule is to run.
    """
    if rollout.state not in (*ACTIVE_PLANS, PlanState.EXPIRED):
        return ()
    around = _around(session, plan, rollout, freezes, now, ", ".join(unreadable), next_job)
    return stops(rollout, _culprits(session, plan, rollout), around)


def _around(
    session: Session,
    plan: models.Plan,
    rollout: Rollout,
    freezes: Freezes,
    now: datetime,
    unreadable: str,
    next_job: datetime | None,
) -> Around:
    is_late = next_job is not None and next_job < now - OVERDUE_JOB
    facts: dict[str, Any] = {
        "freezes": freezes,
        "is_grouped": bool(plan.groups),
        "unreadable": unreadable,
        "no_scheduler_since": next_job if is_late else None,
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
    names, groups, others, ended = _held_by(session, plan, ring)
    needed = ring.settings.needed_time
    windows = {name: window_from_json(plan.windows[name]) for name in names if name in plan.windows}
    soon = freezes.frozen_from is not None and freezes.frozen_from <= now + needed
    has_any_time = "" in names
    fits = has_any_time or any(_has_time(one, now, needed) for one in windows.values())
    opens = {name: _next(one, now, needed) for name, one in windows.items()}
    return {
        "is_open": fits and not soon,
        "opens": {} if soon and has_any_time else opens,
        "too_short": tuple(
            name
            for name, at in opens.items()
            if at is None and next_opening(windows[name], now) is not None
        ),
        "groups": groups,
        "others": others,
        "idle_since": ended,
    }


def _held_by(
    session: Session, plan: models.Plan, ring: Ring
) -> tuple[list[str], tuple[str, ...], tuple[int, ...], datetime | None]:
    """Return what hosts of ``ring`` that wait depend on. One query.

    Their windows ("": any time), groups that can spare no host, other plans at work on them; and
    when the last host of the ring that was at work ended.
    """
    mine, row, group = aliased(models.Task), models.Ring, models.PlanGroup
    waits = (
        mine.plan_id == plan.id,
        mine.ring_id
        == select(row.id).where(row.plan_id == plan.id, row.name == ring.name).scalar_subquery(),
        mine.state.in_(WAITING_TASKS),
    )
    windows = select(literal("window"), func.coalesce(mine.window, ""), literal(0), literal(0))
    groups = select(literal("group"), group.key, group.unavailable, group.limit)
    names: list[str] = []
    spent: list[str] = []
    others: list[int] = []
    ended: datetime | None = None
    for kind, name, number, limit in session.execute(
        union_all(
            windows.where(*waits).distinct(),
            groups.where(group.plan_id == plan.id, group.unavailable >= group.limit),
            _others(plan, select(mine.host_id).where(*waits)),
            select(literal("ended"), literal(""), _ended(plan, ring), literal(0)),
        )
    ):
        if kind == "window":
            names.append(name)
        elif kind == "group":
            spent.append(
                f"group {name} can spare no other host, {number} {'is' if number == 1 else 'are'} "
                f"down and at most {limit} may be"
            )
        elif kind == "plan":
            others.append(number)
        elif number is not None:
            ended = from_micros(number)
    return names, tuple(sorted(spent)[:MOST_NAMED]), tuple(sorted(others)[:MOST_NAMED]), ended


def _ended(plan: models.Plan, ring: Ring) -> ScalarSelect[int]:
    """Select when a host of ``ring`` was at work last and no longer, as the timeline has it.

    That is the latest step of a host that was at work before it. Later ones of hosts that were not,
    such as an inventory that verifies one, are passed over, from the latest on.
    """
    step, before = aliased(models.PlanEvent), aliased(models.PlanEvent)
    came_from = (
        select(before.kind)
        .where(
            before.plan_id == step.plan_id,
            before.host_id == step.host_id,
            before.id < step.id,
            before.kind.in_([*_TO_WORK, *_FROM_WORK]),
        )
        .order_by(before.id.desc())
        .limit(1)
        .scalar_subquery()
    )
    found = select(type_coerce(step.at, BigInteger)).where(
        step.plan_id == plan.id,
        step.ring == ring.name,
        step.host_id.is_not(None),
        step.kind.in_(_FROM_WORK),
        came_from.in_(_TO_WORK),
    )
    return found.order_by(step.id.desc()).limit(1).scalar_subquery()


def _others(plan: models.Plan, hosts: Select[int]) -> Select[str, str, int, int]:
    """Select other plans that are at work on ``hosts``."""
    other, beside = models.Task, models.Plan
    at_work = other.state.in_([*AT_WORK, TaskState.REBOOT_PENDING])
    found = select(literal("plan"), literal(""), other.plan_id, literal(0))
    return (
        found.join(beside, beside.id == other.plan_id)
        .where(
            beside.id != plan.id,
            or_(
                and_(beside.live_tasks > 0, at_work),
                and_(other.undo_until.is_not(None), other.undo_given_at.is_not(None)),
            ),
            other.host_id.in_(hosts),
        )
        .distinct()
    )


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
