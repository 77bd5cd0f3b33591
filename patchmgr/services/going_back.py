"""Hosts that must go back to their old versions: by name, of a ring, or of a whole plan.

Under `agent` and `runner` execution the ticks that follow hand them out as orders
(docs/execution.md); otherwise `exports.export` has the work.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.orm import Session

from patchmgr.db import models
from patchmgr.db.queries import hosts as queries
from patchmgr.db.session import Database
from patchmgr.domain.accounts import Role
from patchmgr.domain.rollout import events
from patchmgr.domain.rollout.machine import advance
from patchmgr.domain.rollout.states import CHANGED, TaskState
from patchmgr.errors import ConflictError, HostConflictError, InputError, NotFoundError
from patchmgr.services import audit
from patchmgr.services.roles import require
from patchmgr.services.rollout_load import Wanted, load, locked
from patchmgr.services.rollout_store import store
from patchmgr.services.rollouts import tick_plan


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """What became of roll-backs that nobody wants any more."""

    hosts: int  # that keep what they have
    begun: int  # that go back at this moment, which nobody can hold


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
    with db.writing() as session:
        locked(session, plan_id)
        numbers = _meant(session, plan_id, hosts, ring, _new(), everything=everything)
        if not numbers:
            raise ConflictError(f"no host {_of(ring)}has anything new to take back")
        event = events.RollBack(actor, now, tuple(numbers), reason)
        _apply(session, plan_id, event, "roll-back", hosts, ring)
    return len(numbers)


def withdraw(
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
) -> Withdrawn:
    """Let hosts keep what they have that were to go back: by name, of a ring, or of the plan.

    What has begun cannot be withdrawn: a host named is refused, of a ring or a plan the others are
    taken. Raises `NotFoundError`, `ConflictError` where nothing can be withdrawn, `InputError`.
    """
    require(role, Role.OPERATOR, "withdrawing roll-backs")
    task = models.Task
    with db.writing() as session:
        locked(session, plan_id)
        wanted = [task.undo != "", task.undo_over == "", task.state.in_(CHANGED)]
        open_ones = _meant(session, plan_id, hosts, ring, wanted, everything=everything)
        loaded = load(session, plan_id, Wanted(hosts=open_ones), now)
        undone = {one: loaded.rollout.tasks[one].undo for one in open_ones if not hosts}
        begun = [one for one, undo in undone.items() if undo is not None and undo.has_begun]
        numbers = [one for one in open_ones if one not in begun]
        if not numbers:
            going = f"{len(begun)} have begun, and" if len(begun) > 1 else "1 has begun, and"
            raise ConflictError(
                f"no roll-back {_of(ring)}can be withdrawn: "
                + (f"{going} that cannot be undone" if begun else "none is asked for")
            )
        event = events.WithdrawRollBack(actor, now, tuple(numbers), reason)
        _apply(session, plan_id, event, "withdraw-roll-back", hosts, ring)
    return Withdrawn(len(numbers), len(begun))


def host_numbers(session: Session, hosts: Sequence[str]) -> list[int]:
    """Return the ids of hosts by name. Raises `NotFoundError`."""
    known = queries.numbers(session, hosts)
    for name in hosts:
        if name.lower() not in known:
            raise NotFoundError("host", name)
    return [known[name.lower()] for name in hosts]


@contextmanager
def naming_hosts(session: Session) -> Iterator[None]:
    """Let what is refused of a host say which one, for people."""
    try:
        yield
    except HostConflictError as error:
        name = session.scalar(select(models.Host.hostname).where(models.Host.id == error.host))
        raise HostConflictError(name or error.host, error.why) from error


def _apply(
    session: Session,
    plan_id: int,
    event: events.RollBack | events.WithdrawRollBack,
    verb: str,
    hosts: Sequence[str],
    ring: str,
) -> None:
    """Apply, store and audit ``event``, and let the plan move at once."""
    loaded = load(session, plan_id, Wanted(hosts=event.hosts), event.at)
    with naming_hosts(session):
        after, effects = advance(loaded.rollout, event)
    store(session, loaded, after, effects, event.at)
    which = {"ring": ring} if ring else {"hosts": list(hosts) or "all"}
    audit.record(
        session,
        at=event.at,
        actor=event.by,
        action=f"plan.{verb}",
        subject=f"plan {plan_id}",
        details={**which, "reason": event.reason, "count": len(event.hosts)},
    )
    tick_plan(session, plan_id, event.at)


def _new() -> list[ColumnElement[bool]]:
    """Select what may have something new to take back.

    One that never began has nothing new; one that was asked before is not asked again, and nobody
    can order one that was retired.
    """
    task, host = models.Task, models.Host
    return [
        task.host_id.in_(select(host.id).where(host.retired_at.is_(None))),
        task.state.in_(CHANGED),
        task.attempt > 0,
        or_(task.state != TaskState.TIMED_OUT, task.begun_at.is_not(None)),
        or_(task.undo == "", task.undo_over != ""),
    ]


def _of(ring: str) -> str:
    return f"of ring {ring} " if ring else ""


def _meant(
    session: Session,
    plan_id: int,
    hosts: Sequence[str],
    ring: str,
    conditions: Sequence[ColumnElement[bool]],
    *,
    everything: bool,
) -> list[int]:
    """Return the hosts that are named, or those of a ring or the plan that meet ``conditions``."""
    if (bool(hosts), bool(ring), everything).count(True) != 1:
        raise InputError({"hosts": "name hosts, or a ring, or say that all hosts are meant"})
    if hosts:
        return host_numbers(session, hosts)
    task, row = models.Task, models.Ring
    where = [task.plan_id == plan_id, *conditions]
    if ring:
        number = session.scalar(select(row.id).where(row.plan_id == plan_id, row.name == ring))
        if number is None:
            raise NotFoundError("ring", ring)
        where.append(task.ring_id == number)
    return list(session.scalars(select(task.host_id).where(*where).order_by(task.host_id)))
