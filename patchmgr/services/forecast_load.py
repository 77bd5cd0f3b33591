"""An open plan as a simulation needs it: every host that is not over, and its groups.

Unlike `patchmgr.services.rollout_load`, which loads what a step can change, and alone: nobody knows
when other plans give back what they have taken of a group.
"""

from collections import defaultdict
from dataclasses import replace

from sqlalchemy import select
from sqlalchemy.orm import Session

from patchmgr.db import models
from patchmgr.db.queries import rollouts as queries
from patchmgr.domain.rollout.model import Budget, Rollout, Task, revised
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
    """Return ``rollout`` with every host that is not over, and the names of these. Two queries."""
    budgets, groups, before = _groups(session, plan_id) if is_grouped else ({}, {}, {})
    ring, host = models.Ring, models.Host
    tasks: dict[int, Task] = {}
    names: dict[int, str] = {}
    states = {state.value: state for state in LIVE_TASKS}
    rows = session.execute(
        select(
            _task.host_id, ring.position, _task.window, _task.state, _task.state_since,
            _task.attempt, _task.misses, _task.deadline, _task.dispatched_at, _task.begun_at,
            _task.seen_at, host.hostname,
        )
        .join(ring, ring.id == _task.ring_id)
        .join(host, host.id == _task.host_id)
        .where(_task.plan_id == plan_id, _task.state.in_(list(states)))
        .order_by(_task.host_id)
    )  # fmt: skip
    for (
        number, position, window, state, since, attempt, misses, deadline, dispatched, begun, seen,
        name,
    ) in rows:  # fmt: skip
        names[number] = name
        tasks[number] = Task(
            number,
            position,
            window,
            states[state],
            since,
            attempt,
            misses,
            deadline,
            dispatched,
            begun,
            seen=seen,
            groups=tuple(groups.get(number, ())),
        )
    for number, firsts in before.items():
        if number in tasks:  # those that are over have begun
            after = tuple(first for first in firsts if first in tasks)
            tasks[number] = revised(tasks[number], after=after)
    # Hosts that go back are not played.
    whole = replace(rollout, tasks=tasks, groups=budgets, orders_ways_back=False)
    return whole, names


def _groups(
    session: Session, plan_id: int
) -> tuple[dict[str, Budget], dict[int, list[str]], dict[int, list[int]]]:
    """Return the groups of a plan, host -> its groups, host -> who must have begun before it."""
    budgets: dict[str, Budget] = {}
    groups: dict[int, list[str]] = defaultdict(list)
    before: dict[int, list[int]] = defaultdict(list)
    member, group = models.PlanGroupHost, models.PlanGroup
    for host, first, key, limit, unavailable in session.execute(
        select(member.host_id, member.after_id, group.key, group.limit, group.unavailable)
        .join(group, group.id == member.group_id)
        .where(member.plan_id == plan_id)
        .order_by(member.host_id, group.key)
    ):
        groups[host].append(key)
        if key not in budgets:
            budgets[key] = Budget(limit, unavailable)
        if first is not None:
            before[host].append(first)
    return budgets, groups, before
