"""An open plan as a simulation needs it: every host that is not over, and its groups.

Unlike `patchmgr.services.rollout_load`, which loads what a step can change, and alone: nobody knows
when other plans give back what they have taken of a group.
"""

from dataclasses import replace
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Select, and_, select, type_coerce
from sqlalchemy.orm import InstrumentedAttribute, Session

from patchmgr.db import models
from patchmgr.db.base import from_micros
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
    rows = session.execute(_live(plan_id, is_grouped=is_grouped)).all()
    budgets: dict[str, Budget] = {}
    groups: dict[int, tuple[str, ...]] = {}
    before: dict[int, tuple[int, ...]] = {}
    alone: dict[str, tuple[str]] = {}  # most hosts are in one group, and have it in common
    for row in rows if is_grouped else ():
        number, key = row[0], row[12]
        if key is None:
            continue
        if key not in budgets:
            budgets[key], alone[key] = Budget(row[13], row[14]), (key,)
        groups[number] = tuple(sorted((*groups[number], key))) if number in groups else alone[key]
        if row[15] is not None:
            before[number] = (*before.get(number, ()), row[15])
    names = {row[0]: row[11] for row in rows}
    # Those that are over have begun.
    after = {host: tuple(one for one in firsts if one in names) for host, firsts in before.items()}
    states = {state.value: state for state in LIVE_TASKS}
    at = cache(_instant)  # most hosts have theirs in common
    tasks = {
        number: Task(
            number, position, window, states[state], at(since), attempt, misses, at(deadline),
            at(dispatched), at(begun), None, at(seen), groups=groups.get(number, ()),
            after=after.get(number, ()),
        )
        for (
            number, position, window, state, since, attempt, misses, deadline, dispatched, begun,
            seen, *_,
        ) in rows
    }  # fmt: skip
    # Hosts that go back are not played.
    whole = replace(rollout, tasks=tasks, groups=budgets, orders_ways_back=False)
    return whole, names


def _live(plan_id: int, *, is_grouped: bool) -> Select[Any]:
    """Select the hosts that are not over, one that is in several groups once for each."""
    ring, host = models.Ring, models.Host
    columns: list[Any] = [
        _task.host_id, ring.position, _task.window, _task.state, _micros(_task.state_since),
        _task.attempt, _task.misses, _micros(_task.deadline), _micros(_task.dispatched_at),
        _micros(_task.begun_at), _micros(_task.seen_at), host.hostname,
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


def _micros(column: InstrumentedAttribute[Any]) -> ColumnElement[int]:
    return type_coerce(column, BigInteger)


def _instant(micros: int | None) -> datetime | None:
    return None if micros is None else from_micros(micros)
