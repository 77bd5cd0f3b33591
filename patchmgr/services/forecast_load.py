"""An open plan as a simulation needs it: every host that is not over, and its groups.

Unlike `patchmgr.services.rollout_load`, which loads what a step can change, and alone: nobody knows
when other plans give back what they have taken of a group.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Select, and_, select
from sqlalchemy.orm import Session

from patchmgr.db import models
from patchmgr.db.queries import rollouts as queries
from patchmgr.domain.rollout.model import Budget, Rollout, Task
from patchmgr.domain.rollout.states import LIVE_TASKS, OPEN_PLANS, PlanState
from patchmgr.errors import IllegalTransitionError, NotFoundError

_task = models.Task


def open_plan(session: Session, plan_id: int) -> models.Plan:
    """Return a plan that is not over. Raises `NotFoundError`, `IllegalTransitionError`."""
    plan = session.get(models.Plan, plan_id)
    if plan is None:
        raise NotFoundError("plan", plan_id)
    if plan.state not in OPEN_PLANS:
        raise IllegalTransitionError(PlanState(plan.state), "a forecast")
    return plan


def without_hosts(session: Session, plan: models.Plan) -> Rollout:
    """Return the rollout of ``plan`` without its hosts. Two queries."""
    rings = [queries.ring_of(row) for row in queries.rings(session, plan.id)]
    return queries.rollout_of(session, plan, rings, {})


def with_hosts(
    session: Session, plan_id: int, rollout: Rollout, *, is_grouped: bool
) -> tuple[Rollout, dict[int, str]]:
    """Return ``rollout`` with every host that is not over, and the names of these. One query."""
    found: dict[int, Sequence[Any]] = {}
    budgets: dict[str, Budget] = {}
    groups: dict[int, list[str]] = defaultdict(list)
    before: dict[int, list[int]] = defaultdict(list)
    for row in session.execute(_live(plan_id, is_grouped=is_grouped)):
        number = row[0]
        found.setdefault(number, row)
        if is_grouped and row[12] is not None:
            key, limit, unavailable, first = row[12:]
            budgets.setdefault(key, Budget(limit, unavailable))
            groups[number].append(key)
            if first is not None:
                before[number].append(first)
    states = {state.value: state for state in LIVE_TASKS}
    tasks = {
        number: Task(
            number, position, window, states[state], since, attempt, misses, deadline, dispatched,
            begun, seen=seen, groups=tuple(sorted(groups.get(number, ()))),
            # Those that are over have begun.
            after=tuple(first for first in before.get(number, ()) if first in found),
        )
        for number, (
            _, position, window, state, since, attempt, misses, deadline, dispatched, begun, seen,
            *_,
        ) in found.items()
    }  # fmt: skip
    names = {number: row[11] for number, row in found.items()}
    # Hosts that go back are not played.
    whole = replace(rollout, tasks=tasks, groups=budgets, orders_ways_back=False)
    return whole, names


def _live(plan_id: int, *, is_grouped: bool) -> Select[Any]:
    """Select the hosts that are not over, one that is in several groups once for each."""
    ring, host = models.Ring, models.Host
    columns: list[Any] = [
        _task.host_id, ring.position, _task.window, _task.state, _task.state_since, _task.attempt,
        _task.misses, _task.deadline, _task.dispatched_at, _task.begun_at, _task.seen_at,
        host.hostname,
    ]  # fmt: skip
    query = (
        select(*columns)
        .join(ring, ring.id == _task.ring_id)
        .join(host, host.id == _task.host_id)
        .where(_task.plan_id == plan_id, _task.state.in_(LIVE_TASKS))
        .order_by(_task.host_id)
    )
    if not is_grouped:
        return query
    member, group = models.PlanGroupHost, models.PlanGroup
    is_its = and_(member.plan_id == _task.plan_id, member.host_id == _task.host_id)
    return (
        query.add_columns(group.key, group.limit, group.unavailable, member.after_id)
        .outerjoin(member, is_its)
        .outerjoin(group, group.id == member.group_id)
    )
