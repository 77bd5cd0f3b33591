"""Orders given to hosts and runners, and what they say of them (docs/execution.md).

Each call is one transaction under the plan's lock. It reads the clock after it has the lock, lets
the machine look at that moment, and only then decides: so nobody begins by a window that closed
while they waited. What a crash leaves is a call that was whole or none; its sender repeats it.
"""

import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import and_, func, or_, select
from sqlalchemy.orm import Session

from patchmgr.db import models
from patchmgr.db.base import from_micros, to_micros
from patchmgr.db.queries import leases as queries
from patchmgr.db.session import Database
from patchmgr.domain import leases as rules
from patchmgr.domain.leases import CHANGED, Claim, Given, Refusal, WorkItem
from patchmgr.domain.rings import from_json
from patchmgr.domain.rollout import rolling_back
from patchmgr.domain.rollout.events import HaltSignal, NeverBegun, Outcome, TaskReported
from patchmgr.domain.rollout.fitting import fits
from patchmgr.domain.rollout.machine import advance
from patchmgr.domain.rollout.results import refusal
from patchmgr.domain.rollout.signals import CONTENT, CONTENT_CHANGED
from patchmgr.domain.rollout.states import ACTIVE_PLANS, PlanState, TaskState
from patchmgr.domain.terms import Execution
from patchmgr.errors import (
    ConflictError,
    ForbiddenError,
    InputError,
    NotFoundError,
    PatchmgrError,
)
from patchmgr.services import audit, proof
from patchmgr.services.rollout_load import Loaded, Wanted, load
from patchmgr.services.rollout_store import store
from patchmgr.services.rollouts import tick_event, tick_plan

Clock = Callable[[], datetime]
MINUTE = timedelta(minutes=1)
MOST_AUDITED = 10  # refusals of one holder in a minute: a flood must not fill the audit log
INSTALL, ROLL_BACK = "install", "roll_back"  # kinds of orders
_AUDITED = ("false-claim", "begun-elsewhere")  # what a holder that is well never gets


class LeaseRefusedError(ConflictError):
    """A lease is not what its holder takes it for; ``code`` says in which way."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(f"{refusal.why}; do not begin")
        self.code = refusal.code


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


@dataclass(frozen=True, slots=True)
class Standing:
    """How a lease stands after a call."""

    lease_id: str
    state: str  # of the host's part: patchmgr.domain.rollout.TaskState
    attempt: int
    expires_at: datetime | None  # until when the server waits for the next word
    now: datetime


@dataclass(frozen=True, slots=True)
class Said:
    """A result, as a holder reports it."""

    outcome: Outcome
    package: str = ""
    output: str = ""
    reboot_pending: bool = False
    installed: tuple[Mapping[str, str], ...] = ()  # package, arch, version

    def to_json(self) -> dict[str, Any]:
        return {
            **asdict(self),
            "outcome": self.outcome.value,
            "installed": [dict(one) for one in self.installed],
        }


def orders(
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
    given = []
    for number in sorted({plan for plan, _ in found}):
        tasks = [task for plan, task in found if plan == number]
        with db.touching() as session:
            _lock(session, number)
            given += _give(session, number, tasks, holder, clock())
            if host_id is None and given:
                audit.record(
                    session,
                    at=clock(),
                    actor=actor,
                    action="lease.take",
                    subject=f"plan {number}",
                    details={"hosts": sum(order.plan == number for order in given)},
                )
    return given


def begin(
    db: Database, key: str, claim: Claim, *, holder: str, actor: str, clock: Clock
) -> Standing:
    """Let a holder begin. The same run may ask again; another one is refused.

    Asked again after `begin_by`, by who never heard the answer, it may begin as long as the work
    still fits: before the window closes, and before a freeze. After that the order is taken back:
    by asking, it says that it has not begun.

    Raises `LeaseRefusedError` with the reason, `NotFoundError`, `ForbiddenError`.
    """
    refused = None
    with _speaking(db, key, holder=holder, actor=actor, clock=clock) as (session, lease):
        now = clock()
        _check(lease, claim)
        if lease.begun_at is None:
            refused = _begin(session, lease, claim, actor, now)
        elif lease.ended_at is not None:
            refused = Refusal("over", "its result was reported")
        elif now > lease.begin_by and not _still_fits(session, lease, now):
            refused = _never_begun(session, lease, actor, now)
        if refused is None:
            task = session.get_one(models.Task, lease.task_id, populate_existing=True)
            if not _has_begun(task, lease):
                refused = Refusal("over", f"the host's part is {task.state}: {task.reason}")
            else:
                return _standing(task, lease, now)
    # What the machine decided while it looked at this moment stays decided.
    raise LeaseRefusedError(refused)


def renew(
    db: Database, key: str, claim: Claim, *, holder: str, actor: str, clock: Clock
) -> Standing:
    """Say that a holder is still there. Before the begin the lease lasts longer, after it not.

    Raises as `begin`.
    """
    with _speaking(db, key, holder=holder, actor=actor, clock=clock) as (session, lease):
        now = clock()
        _check(lease, claim)
        task = session.get_one(models.Task, lease.task_id, populate_existing=True)
        if lease.ended_at is not None or task.attempt != lease.attempt:
            raise LeaseRefusedError(Refusal("over", f"the host's part is {task.state}"))
        if lease.begun_at is None:
            if not _waits_for_begin(task, lease):
                raise LeaseRefusedError(Refusal("recalled", task.reason or "it was taken back"))
            if now >= lease.expires_at:
                raise LeaseRefusedError(Refusal("lease-expired", "ask for another one"))
            lease.expires_at = rules.held_until(now, lease.begin_by)
        lease.renewed_at = now
        return _standing(task, lease, now)


def result(
    db: Database, key: str, claim: Claim, said: Said, *, holder: str, actor: str, clock: Clock
) -> Standing:
    """Take a result: late, repeated or out of order, as the machine's rules say.

    The same result again is answered as before, and changes nothing. Raises as `begin`.
    """
    document = said.to_json()
    said_hash = rules.digest({"run": claim.run, **document})
    with _speaking(db, key, holder=holder, actor=actor, clock=clock) as (session, lease):
        now = clock()
        _check(lease, claim)
        if lease.said_hash == said_hash:
            return _again(lease)
        if lease.begun_at is None and said.outcome is not Outcome.SKIPPED:
            raise LeaseRefusedError(Refusal("not-begun", "begin first; then report"))
        loaded = load(session, lease.plan_id, Wanted(hosts=[lease.host_id]), now)
        task = loaded.rollout.tasks[lease.host_id]
        if lease.attempt != task.attempt and said.outcome is Outcome.SKIPPED:
            raise LeaseRefusedError(Refusal("recalled", "it was taken back"))
        check = rolling_back.refusal if lease.is_way_back else refusal
        if why := check(task, said.outcome, lease.attempt):
            raise LeaseRefusedError(Refusal("over", why))
        event = TaskReported(
            lease.host_id,
            now,
            said.outcome,
            actor,
            lease.attempt,
            said.package,
            said.reboot_pending,
            said.output,
            is_way_back=lease.is_way_back,
        )
        after, effects = advance(loaded.rollout, event)
        store(session, loaded, after, effects, now)
        lease.run = lease.run or claim.run
        if said.outcome is not Outcome.RUNNING:
            lease.ended_at = lease.ended_at or now
        lease.said_hash, lease.said = said_hash, document
        tick_plan(session, lease.plan_id, now)
        row = session.get_one(models.Task, lease.task_id, populate_existing=True)
        standing = _standing(row, lease, now)
        lease.answer = _kept(standing)
        return standing


def _give(
    session: Session, plan_id: int, tasks: list[int], holder: str, now: datetime
) -> list[Order]:
    """Give out what of ``tasks`` still waits, under the plan's lock."""
    task, host, ring = models.Task, models.Host, models.Ring
    plan = session.get_one(models.Plan, plan_id)
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
        work = queries.work_of(session, plan_id, row.host_id, is_way_back=is_way_back)
        lease = _leased(session, row, plan.content_hash, rules.work_hash(work), holder, now)
        if lease is None:
            continue
        given.append(
            Order(
                lease.key,
                plan_id,
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


def _begin(
    session: Session, lease: models.Lease, claim: Claim, actor: str, now: datetime
) -> Refusal | None:
    """Begin, as the machine sees this moment; return why not."""
    tick_plan(session, lease.plan_id, now)
    loaded: Loaded = load(session, lease.plan_id, Wanted(hosts=[lease.host_id]), now)
    work = queries.work_of(session, lease.plan_id, lease.host_id, is_way_back=lease.is_way_back)
    stored = rules.work_hash(work)
    task = loaded.rollout.tasks[lease.host_id]
    check = rules.cannot_go_back if lease.is_way_back else rules.cannot_begin
    why = check(loaded.rollout, task, _given(lease), stored, now)
    if why is not None and why.code != CHANGED.code:
        return why
    if not proof.is_as_approved(session, loaded.plan, lease.host_id, now):
        _stop(session, loaded, now)
        return CHANGED
    if why is not None:
        return why
    event = TaskReported(
        lease.host_id, now, Outcome.RUNNING, actor, lease.attempt, is_way_back=lease.is_way_back
    )
    after, effects = advance(loaded.rollout, event)
    store(session, loaded, after, effects, now)
    lease.run, lease.begun_at = claim.run, now
    return None


def _never_begun(session: Session, lease: models.Lease, actor: str, now: datetime) -> Refusal:
    """Take back what can no longer be begun by who was let begin and did not hear so."""
    loaded = load(session, lease.plan_id, Wanted(hosts=[lease.host_id]), now)
    event = NeverBegun(lease.host_id, now, actor, lease.attempt, is_way_back=lease.is_way_back)
    after, effects = advance(loaded.rollout, event)
    store(session, loaded, after, effects, now)
    return Refusal("too-late", "it had to be begun by now, and is taken back; ask for orders")


def _still_fits(session: Session, lease: models.Lease, now: datetime) -> bool:
    """Return whether the work can end in its window though it only begins now."""
    loaded = load(session, lease.plan_id, Wanted(hosts=[lease.host_id]), now)
    settings = loaded.rollout.rings[loaded.rollout.tasks[lease.host_id].ring].settings
    event = tick_event(session, loaded.plan, now)
    window = loaded.rollout.tasks[lease.host_id].window
    may_go_on = lease.is_way_back or loaded.rollout.state is PlanState.RUNNING
    return may_go_on and fits(settings, window, event)


def _has_begun(task: models.Task, lease: models.Lease) -> bool:
    """Return whether what the lease is about is under way."""
    if task.attempt != lease.attempt:
        return False
    if lease.is_way_back:
        return task.undo_given_at is not None and task.undo_begun_at is not None
    return task.state == TaskState.RUNNING.value


def _waits_for_begin(task: models.Task, lease: models.Lease) -> bool:
    if lease.is_way_back:
        return task.undo_given_at is not None and task.undo_begun_at is None
    return task.state == TaskState.LEASED.value


def _stop(session: Session, loaded: Loaded, now: datetime) -> None:
    """Halt a plan whose content is no longer what was approved."""
    if loaded.rollout.state in ACTIVE_PLANS:
        after, effects = advance(loaded.rollout, HaltSignal(now, CONTENT, CONTENT_CHANGED))
        store(session, loaded, after, effects, now)


@contextmanager
def _speaking(
    db: Database, key: str, *, holder: str, actor: str, clock: Clock
) -> Iterator[tuple[Session, models.Lease]]:
    """Yield a transaction for one call about a lease, under its plan's lock.

    Who speaks of a lease that is not theirs, or says of it what is not true, is audited in a
    transaction of its own: theirs is rolled back.
    """
    try:
        with db.touching() as session:
            yield session, _locked(session, key, holder)
    except (NotFoundError, ForbiddenError, LeaseRefusedError) as error:
        if not isinstance(error, LeaseRefusedError) or error.code in _AUDITED:
            _note(db, error, actor, clock())
        raise


def _locked(session: Session, key: str, holder: str) -> models.Lease:
    lease = models.Lease
    plan_id = session.scalar(select(lease.plan_id).where(lease.key == key))
    if plan_id is None:
        raise NotFoundError("lease", key[:64])
    _lock(session, plan_id)
    found = session.scalars(select(lease).where(lease.key == key)).one()
    if found.holder != holder:
        raise ForbiddenError("this lease is held by another")
    return found


def _lock(session: Session, plan_id: int) -> None:
    session.get_one(models.Plan, plan_id, with_for_update=True)


def _note(db: Database, error: PatchmgrError, actor: str, now: datetime) -> None:
    """Audit what an honest holder never says."""
    entry = models.AuditEntry
    with db.touching() as session:
        lately = session.scalar(
            select(func.count()).where(
                entry.at > now - MINUTE, entry.action == "lease.refuse", entry.actor == actor
            )
        )
        if (lately or 0) < MOST_AUDITED:
            audit.record(
                session,
                at=now,
                actor=actor,
                action="lease.refuse",
                subject=actor,
                details={"code": error.code, "why": str(error)},
            )


def _check(lease: models.Lease, claim: Claim) -> None:
    given = _given(lease)
    refusal = rules.false_claim(given, claim) or rules.other_run(given, claim)
    if refusal is not None:
        raise LeaseRefusedError(refusal)


def _given(lease: models.Lease) -> Given:
    return Given(lease.attempt, lease.content_hash, lease.work_hash, lease.expires_at, lease.run)


def _standing(task: models.Task, lease: models.Lease, now: datetime) -> Standing:
    waits_until = task.undo_until if lease.is_way_back else task.deadline
    until = waits_until if lease.begun_at is not None else lease.expires_at
    return Standing(lease.key, task.state, lease.attempt, until, now)


def _kept(one: Standing) -> dict[str, Any]:
    until = None if one.expires_at is None else to_micros(one.expires_at)
    return {"state": one.state, "expires_at": until, "now": to_micros(one.now)}


def _again(lease: models.Lease) -> Standing:
    kept = lease.answer
    until = None if kept["expires_at"] is None else from_micros(kept["expires_at"])
    return Standing(lease.key, kept["state"], lease.attempt, until, from_micros(kept["now"]))
