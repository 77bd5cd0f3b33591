"""The part of a rollout that a step may touch, from its tables.

Finished tasks stay where they are; their counts travel in the rings' tallies. So a tick costs what
can change, and not what the plan is large.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    and_,
    exists,
    false,
    func,
    or_,
    select,
    type_coerce,
)
from sqlalchemy.orm import Session, aliased

from patchmgr.db import models
from patchmgr.db.bulk import among, in_lists
from patchmgr.db.queries.rollouts import ring_of, rollout_of
from patchmgr.domain.groups import Membership
from patchmgr.domain.rollout import patience
from patchmgr.domain.rollout.events import Tick
from patchmgr.domain.rollout.model import Budget, Ring, Rollout, Task, WayBack
from patchmgr.domain.rollout.states import (
    AT_WORK,
    CHANGED,
    DISPATCHING_RINGS,
    NOT_BEGUN,
    OVER_RINGS,
    UNAVAILABLE,
    UNVERIFIED,
    WAITING_RINGS,
    WAITING_TASKS,
    RingState,
    TaskState,
    WentBack,
)
from patchmgr.errors import NotFoundError
from patchmgr.services import group_shares, group_turns

_task = models.Task


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which tasks to load beside those at work or deferred."""

    hosts: Collection[int] = ()
    waiting: bool = False  # all that wait, as an end of the plan needs
    tick: Tick | None = None  # those whose turn it can be at this tick


@dataclass(frozen=True, slots=True)
class Loaded:
    """A plan's rows, and the rollout that they say."""

    plan: models.Plan
    rings: Sequence[models.Ring]
    rollout: Rollout
    task_ids: Mapping[int, int]  # by host
    group_ids: Mapping[str, int]  # by key


def locked(session: Session, plan_id: int) -> models.Plan:
    """Return a plan as it is once nobody else moves it. Raises `NotFoundError`.

    A plan that the session has read before it waited is read again: it may have moved meanwhile.
    """
    plan = session.get(models.Plan, plan_id, with_for_update=True, populate_existing=True)
    if plan is None:
        raise NotFoundError("plan", plan_id)
    return plan


def load(session: Session, plan_id: int, wanted: Wanted, at: datetime) -> Loaded:
    """Return a plan under its row lock, and the turn to spend of groups if it has any.

    Both before anything is audited: who has the audit log's lock waits for nothing more. Raises
    `NotFoundError`.
    """
    plan = locked(session, plan_id)
    if plan.groups:
        group_shares.wait_for_turn(session)
    rows = session.scalars(
        select(models.Ring).where(models.Ring.plan_id == plan_id).order_by(models.Ring.position)
    ).all()
    rings = [ring_of(row) for row in rows]
    taken = group_shares.taken_by_others(session, plan_id) if plan.groups else {}
    spent = group_shares.is_spent(session, plan_id, taken)
    tasks, task_ids = _tasks(
        session, plan, rows, rings, wanted=wanted, at=at, spent=spent, taken=taken
    )
    groups: dict[str, Budget] = {}
    group_ids: dict[str, int] = {}
    if plan.groups:
        _add_groups(session, plan_id, rows, tasks, task_ids)
        groups, group_ids = _budgets(session, plan_id, tasks, taken)
    rollout = rollout_of(session, plan, rings, tasks, groups=groups)
    return Loaded(plan, rows, rollout, task_ids, group_ids)


def _tasks(
    session: Session,
    plan: models.Plan,
    rows: Sequence[models.Ring],
    rings: Sequence[Ring],
    *,
    wanted: Wanted,
    at: datetime,
    spent: ColumnElement[bool],
    taken: Mapping[str, int],
) -> tuple[dict[int, Task], dict[int, int]]:
    tasks: dict[int, Task] = {}
    ids: dict[int, int] = {}
    for conditions, limit in _wanted(session, plan, rows, rings, wanted, at, spent, taken):
        _take(session, plan.id, rows, tasks, ids, *conditions, limit=limit)
    return tasks, ids


def _wanted(
    session: Session,
    plan: models.Plan,
    rows: Sequence[models.Ring],
    rings: Sequence[Ring],
    wanted: Wanted,
    at: datetime,
    spent: ColumnElement[bool],
    taken: Mapping[str, int],
) -> Iterable[tuple[Sequence[ColumnElement[bool]], int | None]]:
    """Yield what to load, a selection after the other, each with how many at most."""
    yield [_task.state.in_([*AT_WORK, TaskState.DEFERRED])], None
    for part in in_lists(sorted(wanted.hosts)):
        yield [_task.host_id.in_(part)], None
    if wanted.waiting or (plan.expires_at is not None and plan.expires_at <= at):
        yield [_task.state == TaskState.QUEUED], None
    elif wanted.tick is not None:
        yield from _ways_back(session, plan, rows, rings, wanted.tick, spent)
        yield [_task.state.in_(UNVERIFIED), or_(_task.deadline <= at, _has_news())], None
        left: dict[str, int] = {}  # what groups can still spare
        for row, ring, room in _turns(rows, rings, wanted.tick):
            free = [] if room is None else _free(ring, wanted.tick)
            if not plan.groups or room is None:
                yield [_task.ring_id == row.id, _task.state == TaskState.QUEUED, *free], room
                continue
            waiting = [_task.ring_id == row.id, _task.state.in_(WAITING_TASKS), *free]
            waiting += [~_has_spent_group(spent), ~_is_behind()]
            turns = group_turns.picked(session, plan.id, waiting, room, left, taken)
            yield [among(session, _task.host_id, turns)], None


def _ways_back(
    session: Session,
    plan: models.Plan,
    rows: Sequence[models.Ring],
    rings: Sequence[Ring],
    tick: Tick,
    spent: ColumnElement[bool],
) -> Iterable[tuple[Sequence[ColumnElement[bool]], int | None]]:
    """Yield those whose order to go back is out or ends now, and those whose turn it can be."""
    is_open = _task.undo_until.is_not(None)
    if not session.scalar(select(exists().where(_task.plan_id == plan.id, is_open))):
        return
    yield [is_open, or_(_task.undo_given_at.is_not(None), _task.undo_until <= tick.at)], None
    waits = [is_open, _task.undo_given_at.is_(None), _task.state.in_(CHANGED)]
    for row, ring in zip(rows, rings, strict=True):
        room = ring.settings.max_concurrent - ring.tally.of(*AT_WORK)
        free = _free(ring, tick)
        if plan.groups:
            free.append(or_(_is_unavailable(), ~_has_spent_group(spent)))
        if room > 0:
            yield [_task.ring_id == row.id, *waits, *free], room


def _is_unavailable() -> ColumnElement[bool]:
    """The host counts against its groups already: `Task.is_unavailable`, of one with no order."""
    was_asked = or_(_task.begun_at.is_not(None), _task.misses > 0)
    return and_(
        ~_task.acknowledged,
        _task.state.in_(UNAVAILABLE),
        or_(_task.state != TaskState.TIMED_OUT, was_asked),
    )


def _take(
    session: Session,
    plan_id: int,
    rows: Sequence[models.Ring],
    tasks: dict[int, Task],
    ids: dict[int, int],
    *conditions: ColumnElement[bool],
    limit: int | None = None,
) -> None:
    """Add the tasks that meet ``conditions`` to ``tasks`` and their ids to ``ids``."""
    position_of = {row.id: row.position for row in rows}
    columns: list[Any] = [
        _task.id, _task.ring_id, _task.host_id, _task.window, _task.state, _task.state_since,
        _task.attempt, _task.misses, _task.deadline, _task.dispatched_at, _task.begun_at,
        _task.finished_at, _task.seen_at, _task.package, _task.not_back, _task.reason,
        _task.output, _task.reported_by, _task.acknowledged, _task.went_back, _task.proof_after,
        _task.undo,
        _task.undo_asked_at, _task.undo_attempt, _task.undo_misses, _task.undo_until,
        _task.undo_given_at, _task.undo_begun_at, _task.undo_over, _task.undo_withdrawn_at,
    ]  # fmt: skip
    query = select(*columns).where(_task.plan_id == plan_id, *conditions).limit(limit)
    for number, ring_id, host, window, state, *rest in session.execute(
        query.order_by(_task.host_id)
    ):
        if host not in ids:
            ids[host] = number
            tasks[host] = _loaded_task(host, position_of[ring_id], window, state, rest)


def _add_groups(
    session: Session,
    plan_id: int,
    rows: Sequence[models.Ring],
    tasks: dict[int, Task],
    ids: dict[int, int],
) -> None:
    """Give ``tasks`` their groups, and add those that must have begun before them."""
    members = _memberships(session, plan_id, tasks)
    before = {host for one in members.values() for host in one.after} - tasks.keys()
    for part in in_lists(sorted(before)):
        _take(session, plan_id, rows, tasks, ids, _task.host_id.in_(part))
    members |= _memberships(session, plan_id, before)
    for host, member in members.items():
        tasks[host] = replace(tasks[host], groups=member.groups, after=member.after)


def _memberships(session: Session, plan_id: int, hosts: Collection[int]) -> dict[int, Membership]:
    """Return the groups of ``hosts``, and who must have begun before each."""
    member, group = models.PlanGroupHost, models.PlanGroup
    keys: dict[int, list[str]] = defaultdict(list)
    after: dict[int, list[int]] = defaultdict(list)
    for part in in_lists(sorted(hosts)):
        for host, key, first in session.execute(
            select(member.host_id, group.key, member.after_id)
            .join(group, group.id == member.group_id)
            .where(member.plan_id == plan_id, member.host_id.in_(part))
            .order_by(member.host_id, group.key)
        ):
            keys[host].append(key)
            if first is not None:
                after[host].append(first)
    return {host: Membership(tuple(keys[host]), tuple(after[host])) for host in keys}


def _budgets(
    session: Session, plan_id: int, tasks: Mapping[int, Task], taken: Mapping[str, int]
) -> tuple[dict[str, Budget], dict[str, int]]:
    """Return the groups that ``tasks`` are in, less what others have ``taken``, and their ids."""
    row = models.PlanGroup
    budgets: dict[str, Budget] = {}
    ids: dict[str, int] = {}
    for part in in_lists(sorted({key for task in tasks.values() for key in task.groups})):
        for number, key, limit, unavailable in session.execute(
            select(row.id, row.key, row.limit, row.unavailable).where(
                row.plan_id == plan_id, row.key.in_(part)
            )
        ):
            budgets[key] = Budget(limit - taken.get(key, 0), unavailable)
            ids[key] = number
    return budgets, ids


def _has_spent_group(spent: ColumnElement[bool]) -> ColumnElement[bool]:
    """A group of the host can spare no other one now; ``spent``: others use it up."""
    member, group = models.PlanGroupHost, models.PlanGroup
    return exists().where(
        member.plan_id == _task.plan_id,
        member.host_id == _task.host_id,
        group.id == member.group_id,
        or_(group.unavailable >= group.limit, spent),
    )


def _is_behind() -> ColumnElement[bool]:
    """A host that must begin before this one still waits."""
    member, first = models.PlanGroupHost, aliased(models.Task)
    return exists().where(
        member.plan_id == _task.plan_id,
        member.host_id == _task.host_id,
        first.plan_id == _task.plan_id,
        first.host_id == member.after_id,
        first.state.in_(NOT_BEGUN),
    )


def _turns(
    rows: Sequence[models.Ring], rings: Sequence[Ring], tick: Tick
) -> Iterable[tuple[models.Ring, Ring, int | None]]:
    """Yield the rings whose queued tasks a tick may touch, and how many; None is all.

    A ring whose patience is over may end all its queued ones; otherwise no more than can go out.
    """
    for row, ring in zip(rows, rings, strict=True):
        if ring.state in DISPATCHING_RINGS and patience.is_over(ring, tick):
            yield row, ring, None
        elif ring.state in (*DISPATCHING_RINGS, *WAITING_RINGS, RingState.PENDING):
            room = ring.settings.max_concurrent - ring.tally.of(*AT_WORK)
            if room > 0:
                yield row, ring, room
        if ring.state not in OVER_RINGS and ring.state not in DISPATCHING_RINGS:
            return  # those after it have to wait for it


def _has_news() -> ColumnElement[bool]:
    """The host has sent an inventory that was not held against its task yet."""
    host = models.Host
    known = func.coalesce(
        type_coerce(_task.seen_at, BigInteger), type_coerce(_task.dispatched_at, BigInteger)
    )
    return exists().where(
        host.id == _task.host_id, type_coerce(host.reported_at, BigInteger) > known
    )


def _free(ring: Ring, tick: Tick) -> list[ColumnElement[bool]]:
    """Return the conditions for tasks of ``ring`` that could begin now; `latest_start` decides."""
    latest = tick.at + ring.settings.needed_time
    if tick.frozen or (tick.frozen_from is not None and tick.frozen_from <= latest):
        return [false()]
    fitting = [name for name, closes in tick.windows.items() if closes > latest]
    return [or_(_task.window.is_(None), _task.window.in_(fitting)), ~_is_busy_elsewhere()]


def _is_busy_elsewhere() -> ColumnElement[bool]:
    """Another plan is at work on the host: two at a time would be in each other's way."""
    other = aliased(models.Task)
    return exists().where(
        and_(
            other.host_id == _task.host_id,
            other.plan_id != _task.plan_id,
            or_(
                other.state.in_([*AT_WORK, TaskState.REBOOT_PENDING]),
                other.undo_given_at.is_not(None),
            ),
        )
    )


def _loaded_task(host: int, ring: int, window: str | None, state: str, rest: list[Any]) -> Task:
    (
        since, attempt, misses, deadline, dispatched, begun, finished, seen, package, not_back,
        reason, output, by, acknowledged, went_back, proof_after, undo, *way_back,
    ) = rest  # fmt: skip
    return Task(
        host, ring, window, TaskState(state), since, attempt, misses, deadline, dispatched, begun,
        finished, seen, package, not_back, reason, output, by, acknowledged=acknowledged,
        undo=WayBack(undo, *way_back) if undo else None,
        went_back=WentBack(went_back) if went_back else None, proof_after=proof_after,
    )  # fmt: skip
