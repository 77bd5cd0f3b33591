"""What hosts and runners say of the orders that they were given (docs/execution.md).

Each call is one transaction under the plan's lock. It reads the clock after it has the lock, lets
the machine look at that moment, and only then decides: so nobody begins by a window that closed
while they waited. What a crash leaves is a call that was whole or none; its sender repeats it.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from patchmgr.db import models
from patchmgr.db.base import from_micros, to_micros
from patchmgr.db.queries import leases as queries
from patchmgr.db.session import Database
from patchmgr.domain import leases as rules
from patchmgr.domain.leases import CHANGED, Claim, Refusal
from patchmgr.domain.rollout import rolling_back
from patchmgr.domain.rollout.events import HaltSignal, NeverBegun, Outcome, TaskReported
from patchmgr.domain.rollout.fitting import fits
from patchmgr.domain.rollout.machine import advance
from patchmgr.domain.rollout.results import refusal
from patchmgr.domain.rollout.signals import CONTENT, CONTENT_CHANGED
from patchmgr.domain.rollout.states import ACTIVE_PLANS, PlanState, TaskState
from patchmgr.services import proof
from patchmgr.services.lease_calls import (
    Clock,
    LeaseRefusedError,
    check_claim,
    given_with,
    speaking,
)
from patchmgr.services.rollout_load import Loaded, Wanted, load
from patchmgr.services.rollout_store import store
from patchmgr.services.rollouts import tick_event, tick_plan


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
    with speaking(db, key, holder=holder, actor=actor, clock=clock) as (session, lease):
        now = clock()
        check_claim(lease, claim)
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
    with speaking(db, key, holder=holder, actor=actor, clock=clock) as (session, lease):
        now = clock()
        check_claim(lease, claim)
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
    with speaking(db, key, holder=holder, actor=actor, clock=clock) as (session, lease):
        now = clock()
        check_claim(lease, claim)
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
    why = check(loaded.rollout, task, given_with(lease), stored, now)
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
