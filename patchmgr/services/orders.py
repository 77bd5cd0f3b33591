"""Orders given to hosts and runners (docs/execution.md)."""

import secrets
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import and_, or_, select
from sqlalchemy.orm import Session

from patchmgr.db import models
from patchmgr.db.queries import leases as queries
from patchmgr.db.session import Database
from patchmgr.domain import leases as rules
from patchmgr.domain.leases import WorkItem
from patchmgr.domain.rings import from_json
from patchmgr.domain.rollout.states import TaskState
from patchmgr.domain.terms import Execution
from patchmgr.errors import InputError
from patchmgr.services import audit
from patchmgr.services.lease_calls import Clock
from patchmgr.services.rollout_load import locked

INSTALL, ROLL_BACK = "install", "roll_back"  # kinds of orders


@dataclass(frozen=True, slots=True)
class Order:
    """What a host must do, who may do it, and until when it may be begun."""

    lease_id: str
    plan: int
    ring: str
    host_id: int
    host: str
    attempt: int
    content_hash: str
    begin_by: datetime
    expires_at: datetime
    reboot: str  # "allowed": there is time for one; "no"
    work: tuple[WorkItem, ...]
    kind: str  # "install"; "roll_back": to take back what was installed
    now: datetime  # of the server, for those whose clock is another


def give(
    db: Database,
    execution: Execution,
    *,
    holder: str,
    actor: str,
    clock: Clock,
    limit: int = 1,
    host_id: int | None = None,
    plan_id: int | None = None,
) -> list[Order]:
    """Give ``holder`` what waits for it; what it has and has not begun, it is given again.

    Raises `OverloadedError` when it must ask again.
    """
    limit = min(limit, rules.MOST_AT_ONCE)
    with db.reading() as session:
        found = queries.waiting(
            session,
            execution,
            holder,
            now=clock(),
            limit=limit,
            host_id=host_id,
            plan_id=plan_id,
        )
    given: list[Order] = []
    for number in sorted({plan for plan, _ in found}):
        tasks = [task for plan, task in found if plan == number]
        with db.touching() as session:
            plan = locked(session, number)
            of_plan = _give(session, plan, tasks, holder, clock())
            if host_id is None and of_plan:
                audit.record(
                    session,
                    at=clock(),
                    actor=actor,
                    action="lease.take",
                    subject=f"plan {number}",
                    details={"hosts": len(of_plan)},
                )
        given += of_plan
    return given


def _give(
    session: Session, plan: models.Plan, tasks: list[int], holder: str, now: datetime
) -> list[Order]:
    """Give out what of ``tasks`` still waits, under the plan's lock."""
    task, host, ring = models.Task, models.Host, models.Ring
    rows = session.execute(
        select(task, host.hostname, ring.name, ring.settings)
        .join(host, host.id == task.host_id)
        .join(ring, ring.id == task.ring_id)
        .where(
            task.id.in_(tasks),
            or_(
                and_(task.state == TaskState.LEASED.value, task.deadline > now),
                and_(queries.is_order_to_go_back(), task.undo_until > now),
            ),
        )
        .order_by(task.id)
    ).all()
    given = []
    for row, hostname, ring_name, settings in rows:
        is_way_back = row.undo_given_at is not None
        work = queries.work_of(session, plan.id, row.host_id, is_way_back=is_way_back)
        lease = _leased(session, row, plan.content_hash, rules.work_hash(work), holder, now)
        if lease is None:
            continue
        given.append(
            Order(
                lease.key,
                plan.id,
                ring_name,
                row.host_id,
                hostname,
                row.attempt,
                lease.content_hash,
                lease.begin_by,
                lease.expires_at,
                _reboots(settings),
                work,
                ROLL_BACK if lease.is_way_back else INSTALL,
                now,
            )
        )
    session.flush()
    return given


def _reboots(settings: object) -> str:
    """Return what an order says of reboots; settings that nobody can read allow none.

    What was approved can be read, so such an order is refused when it is to begin.
    """
    try:
        return "allowed" if from_json(settings).reboot_reserve else "no"
    except InputError:
        return "no"


def _leased(
    session: Session,
    task: models.Task,
    content_hash: str,
    work_hash: str,
    holder: str,
    now: datetime,
) -> models.Lease | None:
    """Return the lease of a task's present attempt: the holder's own, or a new one."""
    lease = models.Lease
    known = session.scalars(
        select(lease)
        .where(lease.task_id == task.id, lease.attempt == task.attempt)
        .order_by(lease.turn)
    ).all()
    open_one = next((one for one in known if one.expires_at > now or one.begun_at), None)
    if open_one is not None:
        return open_one if open_one.holder == holder else None
    is_way_back = task.undo_given_at is not None
    begin_by = task.undo_until if is_way_back else task.deadline
    assert begin_by is not None  # noqa: S101 -- an order has one; it was asked for above
    made = lease(
        key=secrets.token_urlsafe(24),
        task_id=task.id,
        plan_id=task.plan_id,
        host_id=task.host_id,
        attempt=task.attempt,
        is_way_back=is_way_back,
        turn=len(known) + 1,
        holder=holder,
        content_hash=content_hash,
        work_hash=work_hash,
        run="",
        made_at=now,
        begin_by=begin_by,
        expires_at=rules.held_until(now, begin_by),
        renewed_at=None,
        begun_at=None,
        ended_at=None,
        said_hash="",
        said={},
        answer={},
    )
    session.add(made)
    return made
