"""Hosts that must go back to their old versions: by name, of a ring, or of a whole plan.

Under `agent` and `runner` execution the ticks that follow hand them out as orders
(docs/execution.md); otherwise `exports.export` has the work.
"""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from patchmgr.db import models
from patchmgr.db.queries import hosts as queries
from patchmgr.db.session import Database
from patchmgr.domain.accounts import Role
from patchmgr.domain.rollout import events
from patchmgr.domain.rollout.machine import advance
from patchmgr.domain.rollout.states import CHANGED, TaskState
from patchmgr.errors import ConflictError, InputError, NotFoundError
from patchmgr.services import audit
from patchmgr.services.roles import require
from patchmgr.services.rollout_load import Wanted, load
from patchmgr.services.rollout_store import store
from patchmgr.services.rollouts import tick_plan


def roll_back(
    db: Database,
    plan_id: int,
    hosts: Sequence[str] = (),
    *,
    reason: str,
    actor: str,
    role: Role,
    now: datetime,
    ring: str = "",
    everything: bool = False,
) -> int:
    """Ask that hosts go back to their old versions; return how many.

    ``hosts`` by name, or all of ``ring``, or with ``everything`` all of the plan that have tried
    and were not asked before. Raises `NotFoundError`, `ConflictError` where nothing is new,
    `InputError`.
    """
    require(role, Role.OPERATOR, "rolling back hosts")
    if (bool(hosts), bool(ring), everything).count(True) != 1:
        raise InputError({"hosts": "name hosts, or a ring, or say that all hosts are meant"})
    with db.writing() as session:
        if session.get(models.Plan, plan_id, with_for_update=True) is None:
            raise NotFoundError("plan", plan_id)
        numbers = host_numbers(session, hosts) if hosts else _changed(session, plan_id, ring)
        loaded = load(session, plan_id, Wanted(hosts=numbers), now)
        event = events.RollBack(actor, now, tuple(numbers), reason)
        after, effects = advance(loaded.rollout, event)
        store(session, loaded, after, effects, now)
        which = {"ring": ring, "hosts": list(hosts)} if not everything else {"hosts": "all"}
        audit.record(
            session,
            at=now,
            actor=actor,
            action="plan.roll-back",
            subject=f"plan {plan_id}",
            details={
                **{name: value for name, value in which.items() if value},
                "reason": reason,
                "count": len(numbers),
            },
        )
        tick_plan(session, plan_id, now)
    return len(numbers)


def host_numbers(session: Session, hosts: Sequence[str]) -> list[int]:
    """Return the ids of hosts by name. Raises `NotFoundError`."""
    known = queries.numbers(session, hosts)
    for name in hosts:
        if name.lower() not in known:
            raise NotFoundError("host", name)
    return [known[name.lower()] for name in hosts]


def _changed(session: Session, plan_id: int, ring: str) -> list[int]:
    """Return the hosts of a ring, or of the plan, that may have something new to take back.

    One that never began has nothing new; one that was asked before is not asked again.
    """
    task, row = models.Task, models.Ring
    where = [
        task.plan_id == plan_id,
        task.state.in_(CHANGED),
        task.attempt > 0,
        or_(task.state != TaskState.TIMED_OUT, task.begun_at.is_not(None)),
        or_(task.undo == "", task.undo_over != ""),
    ]
    if ring:
        number = session.scalar(select(row.id).where(row.plan_id == plan_id, row.name == ring))
        if number is None:
            raise NotFoundError("ring", ring)
        where.append(task.ring_id == number)
    found = list(session.scalars(select(task.host_id).where(*where).order_by(task.host_id)))
    if not found:
        which = f"of ring {ring} " if ring else ""
        raise ConflictError(f"no host {which}has anything new to take back")
    return found
