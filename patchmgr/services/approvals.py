"""What becomes of approvals: they lapse, and a plan started without them must be reviewed."""

from datetime import datetime, timedelta

from sqlalchemy import and_, select, update
from sqlalchemy.orm import Session

from patchmgr.db import models
from patchmgr.db.queries import plan_lists
from patchmgr.db.session import Database
from patchmgr.domain import durations
from patchmgr.domain.accounts import Role
from patchmgr.domain.rollout.events import Barred
from patchmgr.domain.rollout.machine import advance
from patchmgr.domain.rollout.states import ACTIVE_PLANS, PlanState, RingState
from patchmgr.domain.terms import Terms, may_approve
from patchmgr.errors import ConflictError, ForbiddenError, InputError
from patchmgr.services import audit, witnesses
from patchmgr.services.roles import require
from patchmgr.services.rollout_load import Wanted, load, locked
from patchmgr.services.rollout_store import store

_NOT_STARTED = (PlanState.PROPOSED, PlanState.APPROVED)
REMIND = timedelta(hours=20)  # after which people hear again; less than the day between two looks
UNREVIEWED = "unreviewed"  # kind of that message
_NOT_BEGUN = (RingState.PENDING.value, RingState.WAITING_GATE.value)


def let_lapse(session: Session, plan: models.Plan, terms: Terms, now: datetime) -> None:
    """Let approvals fall that were given too long ago, as long as what they allow has not begun."""
    approval, ring = models.Approval, models.Ring
    old = [
        approval.plan_id == plan.id,
        approval.void_at.is_(None),
        approval.decision == "approve",
        approval.at <= now - terms.approval_valid,
    ]
    if plan.state in ACTIVE_PLANS:
        waiting = select(ring.name).where(ring.plan_id == plan.id, ring.state.in_(_NOT_BEGUN))
        old.append(approval.ring.in_(waiting))
    elif plan.state not in _NOT_STARTED:
        return
    why = f"it was valid for {durations.words(terms.approval_valid)}"
    session.execute(update(approval).where(*old).values(void_at=now, void_reason=why))


def bar(
    session: Session, name: str, role: Role | None, *, why: str, actor: str, now: datetime
) -> None:
    """Let fall what ``name`` approved and, with ``role`` from now on, could not approve.

    None is who can approve nothing. What has begun already has begun.
    """
    row, plan, ring = models.Approval, models.Plan, models.Ring
    standing = (
        select(row, plan.terms, ring.settings)
        .join(plan, plan.id == row.plan_id)
        .outerjoin(ring, and_(ring.plan_id == plan.id, ring.name == row.ring))
        .where(row.by == name, row.void_at.is_(None), row.decision == "approve")
        .where(plan.state.in_([*_NOT_STARTED, *ACTIVE_PLANS]))
        .order_by(row.plan_id, row.id)
    )
    found = session.execute(standing).all()
    for number in sorted({approval.plan_id for approval, _, _ in found}):
        locked(session, number)  # all of them before the first is audited, as `load` says
    for approval, terms, settings in found:
        asked = (settings or terms).get("approvers", ())
        if role is not None and role.covers(Role.APPROVER) and may_approve(asked, name, role.value):
            continue
        loaded = load(session, approval.plan_id, Wanted(), now)
        after, effects = advance(loaded.rollout, Barred(actor, now, name, approval.ring, why))
        if not effects:
            continue
        approval.void_at, approval.void_reason = now, why
        store(session, loaded, after, effects, now)
        audit.record(
            session,
            at=now,
            actor=actor,
            action=witnesses.FELL,
            subject=f"plan {approval.plan_id}",
            details={"by": name, "ring": approval.ring, "why": why},
        )


def review(
    db: Database, plan_id: int, *, comment: str, actor: str, role: Role, now: datetime
) -> None:
    """Sign what somebody did who started a plan without its approvals.

    Raises `ForbiddenError` for that person and for the plan's authors, `ConflictError` when there
    is nothing to review, `InputError` without a comment.
    """
    require(role, Role.APPROVER, "reviewing a break-glass start")
    if not comment.strip():
        raise InputError({"comment": "say what you found"})
    with db.writing() as session:
        plan = locked(session, plan_id)
        if plan.broken_at is None:
            raise ConflictError("this plan was not started without its approvals")
        if plan.reviewed_at is not None:
            raise ConflictError(f"{plan.reviewed_by} has reviewed it already")
        if actor == plan.broken_by or actor in plan.authors:
            raise ForbiddenError("somebody who neither made nor started this plan must review it")
        plan.reviewed_by, plan.reviewed_at, plan.changed_at = actor, now, now
        plan.review_comment = comment.strip()[:4000]
        session.add(
            models.PlanEvent(
                plan_id=plan_id,
                at=now,
                by=actor,
                kind="reviewed",
                ring="",
                host_id=None,
                message=f"the start without approvals: {plan.review_comment}",
            )
        )
        audit.record(
            session,
            at=now,
            actor=actor,
            action="plan.review",
            subject=f"plan {plan_id}",
            details={"hash": plan.content_hash, "comment": plan.review_comment},
        )


def remind(db: Database, *, now: datetime) -> int:
    """Send a message for each start without approvals that waits for its review; return how many.

    One that people heard of lately is passed over, so that asking twice says it once.
    """
    with db.writing() as session:
        waiting = plan_lists.unreviewed(session)
        sent = models.Outbox
        lately = {
            row.plan_id
            for row in session.scalars(
                select(sent).where(
                    sent.plan_id.in_([number for number, *_ in waiting]),
                    sent.kind == "notify",
                    sent.made_at > now - REMIND,
                )
            )
            if row.payload["kind"] == UNREVIEWED
        }
        due = [one for one in waiting if one[0] not in lately and one[3] <= now - REMIND]
        session.add_all(
            sent(
                made_at=now,
                kind="notify",
                plan_id=number,
                payload={
                    "kind": UNREVIEWED,
                    "message": f"started without its approvals by {by} {_ago(now - at)} ago, and "
                    f"nobody has reviewed it: patchmgr plans review {number} --reason TEXT",
                },
                done_at=None,
                attempts=0,
                error="",
            )
            for number, _, by, at in due
        )
        return len(due)


def _ago(length: timedelta) -> str:
    return durations.words(timedelta(hours=length // timedelta(hours=1)))
