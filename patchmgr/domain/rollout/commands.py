"""What people decide about a plan: propose, approve, start, stop, go on."""

from dataclasses import replace
from datetime import datetime, timedelta

from patchmgr.domain.rollout import signals
from patchmgr.domain.rollout.endings import end_waiting
from patchmgr.domain.rollout.events import (
    Acknowledge,
    Approve,
    Barred,
    BreakGlass,
    Cancel,
    Edited,
    HaltSignal,
    Held,
    Pause,
    Propose,
    Reject,
    Resume,
    Start,
    Supersede,
    Withdrawn,
)
from patchmgr.domain.rollout.gates import is_approved
from patchmgr.domain.rollout.model import Approval, Ring, Signal
from patchmgr.domain.rollout.rules import needs_reason, renew, require
from patchmgr.domain.rollout.states import (
    ACTIVE_PLANS,
    OPEN_PLANS,
    STOPPED_RINGS,
    PlanState,
    RingState,
    TaskState,
)
from patchmgr.domain.rollout.work import Work
from patchmgr.domain.terms import may_approve, words
from patchmgr.errors import (
    ConflictError,
    ForbiddenError,
    NotFoundError,
)

PROPOSAL = timedelta(days=7)  # how long a proposal waits for its approvals
APPROVAL = timedelta(days=14)  # how long an approved plan may wait for its start

_PROPOSABLE = (PlanState.DRAFT,)
_EDITABLE = (PlanState.DRAFT, PlanState.PROPOSED, PlanState.APPROVED)


def propose(work: Work, event: Propose) -> None:
    """Ask for approvals. Who asks vouches for the plan as an author does, and cannot approve it."""
    require(work, "propose", *_PROPOSABLE)
    work.plan = replace(work.plan, authors=work.plan.authors | {event.by})
    work.move(PlanState.PROPOSED, event.at, event.by, deadline=event.at + PROPOSAL)
    work.notify("proposed", f"{event.by} proposed a plan; {_needs(work)}")


def approve(work: Work, event: Approve) -> None:
    """Count a person's consent.

    Raises `ForbiddenError` for an author and for who is not among those asked, `ConflictError`.
    """
    approvers = work.plan.approvers
    if event.ring:
        require(work, "approve", PlanState.PROPOSED, PlanState.APPROVED, *ACTIVE_PLANS)
        approvers = _check_ring(work, event.ring).settings.approvers
    else:
        require(work, "approve", PlanState.PROPOSED)
        _let_lapse(work, event.at)
    if not may_approve(approvers, event.by, event.role):
        raise ForbiddenError(f"{event.by} is not asked; it must be {words(approvers)}")
    if event.by in work.plan.authors:
        raise ForbiddenError(
            f"{event.by} made, edited or proposed this plan; somebody else must approve it"
        )
    if event.content_hash != work.plan.content_hash:
        raise ConflictError(
            f"the plan has changed: it is {work.plan.content_hash[:12]} now, "
            f"the approval speaks of {event.content_hash[:12]}; review it again"
        )
    given = work.plan.approvals
    if any(one.by == event.by and one.ring == event.ring for one in given):
        raise ConflictError(f"{event.by} has approved this already")
    approval = Approval(event.by, event.at, event.content_hash, event.ring)
    work.plan = replace(work.plan, approvals=(*given, approval))
    what = f"ring {event.ring}" if event.ring else "the plan"
    comment = f": {event.comment}" if event.comment else ""
    work.record(event.at, "approval", f"approved {what}{comment}", ring=event.ring, by=event.by)
    if not event.ring and _approvals(work) >= work.plan.approvals_needed:
        first = min(one.at for one in work.plan.approvals if not one.ring)
        deadline = min(event.at + APPROVAL, first + work.plan.approval_valid)
        work.move(PlanState.APPROVED, event.at, event.by, deadline=deadline)
        work.notify("approved", f"{event.by} approved the plan; it can be started")


def reject(work: Work, event: Reject) -> None:
    require(work, "reject", PlanState.PROPOSED, PlanState.APPROVED)
    needs_reason(event.reason, "rejected")
    work.move(PlanState.REJECTED, event.at, event.by, event.reason)
    end_waiting(work, event.at, event.by, event.reason)
    work.notify("rejected", f"{event.by} rejected the plan: {event.reason}")


def edited(work: Work, event: Edited) -> None:
    """Let every approval fall; who edits becomes an author."""
    require(work, "edit", *_EDITABLE)
    plan = work.plan
    fallen = len(plan.approvals)
    work.plan = replace(
        plan,
        approvals=(),
        content_hash=event.content_hash,
        authors=plan.authors | {event.by},
    )
    message = f"content is {event.content_hash[:12]} now"
    if fallen:
        message += f"; {fallen} given {'approval' if fallen == 1 else 'approvals'} no longer count"
    work.record(event.at, "edited", message, by=event.by)
    if plan.state is PlanState.APPROVED:
        work.move(PlanState.PROPOSED, event.at, event.by, deadline=event.at + PROPOSAL)
    if fallen:
        work.notify("proposed", f"{event.by} changed a plan; {_needs(work)}")


def barred(work: Work, event: Barred) -> None:
    """Let fall what somebody approved and has not begun; an approved plan may be a proposal again.

    What has begun goes on: whoever consented had the right to.
    """
    plan = work.plan
    standing = tuple(
        one for one in plan.approvals if (one.by, one.ring) != (event.approver, event.ring)
    )
    if standing == plan.approvals or not _is_to_come(work, event.ring):
        return
    work.plan = replace(plan, approvals=standing)
    what = f"ring {event.ring}" if event.ring else "the plan"
    message = f"{event.approver} approved {what}, and it counts no longer: {event.why}"
    work.record(event.at, "approval_fell", message, ring=event.ring, by=event.by)
    if plan.state is PlanState.APPROVED and _approvals(work) < plan.approvals_needed:
        work.move(PlanState.PROPOSED, event.at, event.by, event.why, deadline=event.at + PROPOSAL)
        work.notify("proposed", f"{event.why}; {_needs(work)}")


def _is_to_come(work: Work, ring: str) -> bool:
    """Return whether what an approval of ``ring``, or of the plan, allows has not begun."""
    if not ring:
        return work.plan.state in (PlanState.PROPOSED, PlanState.APPROVED)
    states = {one.name: one.state for one in work.rings}
    return states[ring] in (RingState.PENDING, RingState.WAITING_GATE)


def start(work: Work, event: Start) -> None:
    """Raises `ConflictError` when what is stored is not what was approved, or a signal is open."""
    require(work, "start", PlanState.APPROVED)
    _let_lapse(work, event.at)
    hashes = {one.content_hash for one in work.plan.approvals} | {work.plan.content_hash}
    if hashes != {event.content_hash}:
        raise ConflictError("the plan's content is not what was approved; it cannot start")
    if _approvals(work) < work.plan.approvals_needed:
        raise ConflictError(f"what was approved has lapsed; {_needs(work)}")
    _run(work, event.at, event.by)


def break_glass(work: Work, event: BreakGlass) -> None:
    """Start without the plan's approvals. A ring that needs one of its own still waits for it.

    Raises `ConflictError` when what is stored has another hash than the plan, or a signal is open.
    """
    require(work, "break-glass", *_EDITABLE)
    needs_reason(event.reason, "started without its approvals")
    if event.content_hash != work.plan.content_hash:
        raise ConflictError("the plan's content is not what it was made of; it cannot start")
    said = f"{event.by} broke the glass: {event.reason}"
    _run(work, event.at, event.by, said)
    work.notify("break_glass", f"started without its approvals; {said}; it must be reviewed")


def _run(work: Work, at: datetime, by: str, reason: str = "") -> None:
    _refuse_open_signals(work)
    work.move(PlanState.RUNNING, at, by, reason)
    for position in range(len(work.rings)):
        if work.tally(position).hosts == 0:
            work.move_ring(position, RingState.SKIPPED, at, "no hosts")


def pause(work: Work, event: Pause) -> None:
    """Hand out nothing more; take back what has not begun. What runs finishes."""
    require(work, "pause", PlanState.RUNNING)
    needs_reason(event.reason, "paused")
    work.move(PlanState.PAUSED, event.at, event.by, event.reason)
    signals.recall(work, event.at, f"paused: {event.reason}", by=event.by)


def resume(work: Work, event: Resume) -> None:
    require(work, "resume", PlanState.PAUSED)
    _refuse_open_signals(work)
    work.move(PlanState.RUNNING, event.at, event.by, event.reason)
    renew(work, event.at)


def acknowledge(work: Work, event: Acknowledge) -> None:
    """Let every open signal pass. A ring that the signals stopped has then passed by decision.

    A halted plan runs on; a paused one stays paused, since that was another decision.
    """
    require(work, "acknowledge", *_EDITABLE, PlanState.PAUSED, PlanState.HALTED)
    needs_reason(event.reason, "acknowledged")
    plan = work.plan
    if not plan.signals and plan.state is not PlanState.HALTED:
        raise ConflictError("no halt signal is open")
    levels = {**plan.acknowledged, **{one.key: one.level for one in plan.signals}}
    work.plan = replace(plan, signals=(), acknowledged=levels)
    for signal in plan.signals:
        message = f"{signal.why}; let pass: {event.reason}"
        work.record(event.at, "acknowledged", message, by=event.by)
    for position, ring in enumerate(work.rings):
        if ring.state in STOPPED_RINGS:
            why = f"{ring.reason}; let pass by {event.by}: {event.reason}"
            work.move_ring(position, RingState.PASSED, event.at, why, by=event.by)
            work.accept_all_failures(position, event.at)
        elif any(one.key == f"failures:{ring.name}" for one in plan.signals):
            work.accept_all_failures(position, event.at)
    if plan.state is PlanState.HALTED:
        work.move(PlanState.RUNNING, event.at, event.by, event.reason)
        renew(work, event.at)


def cancel(work: Work, event: Cancel) -> None:
    """End the plan. What has not begun is cancelled; what runs finishes and is followed."""
    require(work, "cancel", *OPEN_PLANS)
    needs_reason(event.reason, "cancelled")
    work.move(PlanState.CANCELLED, event.at, event.by, event.reason)
    signals.recall(work, event.at, f"cancelled: {event.reason}", TaskState.CANCELLED, event.by)
    end_waiting(work, event.at, event.by, event.reason)


def supersede(work: Work, event: Supersede) -> None:
    """End the plan because another does its work. What runs finishes and is followed."""
    require(work, "supersede", *OPEN_PLANS)
    needs_reason(event.reason, "superseded")
    work.move(PlanState.SUPERSEDED, event.at, event.by, event.reason)
    signals.recall(work, event.at, f"superseded: {event.reason}", TaskState.CANCELLED, event.by)
    end_waiting(work, event.at, event.by, event.reason)
    work.notify("superseded", event.reason)


def held(work: Work, event: Held) -> None:
    """Stop for a version that is known to be bad, once for each hold."""
    signals.raise_signal(work, Signal("hold", str(event.hold), 1, event.why, event.at))


def halt(work: Work, event: HaltSignal) -> None:
    require(work, "halt", *ACTIVE_PLANS)
    level = signals.next_level(work, event.kind, event.subject)
    signals.raise_signal(work, Signal(event.kind, event.subject, level, event.why, event.at))


def withdrawn(work: Work, event: Withdrawn) -> None:
    """Stop for an advisory that its vendor took back, once, however often it is said."""
    why = f"{event.advisory}, which this plan closes, was withdrawn"
    signals.raise_signal(work, Signal("withdrawn", event.advisory, 1, why, event.at))


def _refuse_open_signals(work: Work) -> None:
    if work.plan.signals:
        why = "; ".join(signal.why for signal in work.plan.signals)
        raise ConflictError(f"a halt signal is open, acknowledge it first: {why}")


def _check_ring(work: Work, name: str) -> Ring:
    position = next((i for i, ring in enumerate(work.rings) if ring.name == name), None)
    if position is None:
        raise NotFoundError("ring", name)
    ring = work.rings[position]
    if not ring.settings.needs_approval:
        raise ConflictError(f"ring {name} needs no approval of its own")
    if is_approved(work.plan, position):
        raise ConflictError(f"ring {name} is approved already")
    return ring


def _let_lapse(work: Work, at: datetime) -> None:
    """Count no longer what was approved too long ago."""
    valid = work.plan.approval_valid
    standing = tuple(one for one in work.plan.approvals if one.at + valid > at)
    work.plan = replace(work.plan, approvals=standing)


def _approvals(work: Work) -> int:
    plan = work.plan
    return sum(not one.ring and one.by not in plan.authors for one in plan.approvals)


def _needs(work: Work) -> str:
    missing = work.plan.approvals_needed - _approvals(work)
    return f"it needs {missing} {'approval' if missing == 1 else 'approvals'}"
