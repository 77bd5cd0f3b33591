"""Plans as pages and the API show them: the list, one plan with its rings, what awaits whom."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import and_, func, literal_column, select
from sqlalchemy.orm import Session

from patchmgr.db import models
from patchmgr.db.queries import freezes as freeze_queries
from patchmgr.db.queries.freezes import KnownFreezes
from patchmgr.db.queries.plan_stops import stops_of
from patchmgr.db.queries.rollouts import is_readable, reason_of, ring_of, rollout_of
from patchmgr.domain import terms as plan_terms
from patchmgr.domain.content import MOVED, difference
from patchmgr.domain.freezes import Freezes
from patchmgr.domain.rings import RingSettings
from patchmgr.domain.rollout.gates import Condition, gate
from patchmgr.domain.rollout.machine import awaited_person, current_ring
from patchmgr.domain.rollout.model import Rollout, Signal, Tally
from patchmgr.domain.rollout.states import (
    AT_WORK,
    CHANGED,
    OPEN_PLANS,
    UNSUCCESSFUL,
    UNVERIFIED,
    WAITING_TASKS,
    PlanState,
    RingState,
    TaskState,
)
from patchmgr.domain.rollout.stop import Stop
from patchmgr.domain.terms import Terms
from patchmgr.errors import NotFoundError

FREEZES_SINCE = timedelta(days=1)  # ago: those that ended since are known too

_plan = models.Plan

# What a person can do to a plan in each state, while no halt signal is open.
COMMANDS: Mapping[PlanState, tuple[str, ...]] = {
    PlanState.DRAFT: ("edit", "propose", "cancel"),
    PlanState.PROPOSED: ("edit", "approve", "reject", "cancel"),
    PlanState.APPROVED: ("edit", "start", "reject", "cancel"),
    PlanState.RUNNING: ("pause", "halt", "results", "retry", "cancel"),
    PlanState.PAUSED: ("resume", "results", "retry", "cancel"),
    PlanState.HALTED: ("acknowledge", "results", "retry", "cancel"),
}


@dataclass(frozen=True, slots=True)
class WaysBack:
    """Hosts of a ring that must be rolled back and are not yet."""

    waiting: int = 0  # with or without an order, not begun
    begun: int = 0


@dataclass(frozen=True, slots=True)
class RingView:
    """A ring: how it is set, where it stands, and what its gate asks for."""

    id: int
    position: int
    name: str
    settings: RingSettings
    state: RingState
    state_since: datetime | None
    started_at: datetime | None
    soak_until: datetime | None
    finished_at: datetime | None
    deadline: datetime | None
    reason: str
    tally: Tally
    gate: tuple[Condition, ...]
    counts: Mapping[str, int]  # every task state that it has -> hosts
    ways_back: WaysBack = WaysBack()

    @property
    def hosts(self) -> int:
        return sum(self.counts.values())

    @property
    def summary(self) -> dict[str, int]:
        """Return its hosts by how it goes: waiting, at work, unverified, verified, ..."""
        groups = {
            "waiting": WAITING_TASKS,
            "at_work": AT_WORK,
            "unverified": UNVERIFIED,
            "verified": (TaskState.VERIFIED,),
            "failed": UNSUCCESSFUL,
            "other": (TaskState.SKIPPED, TaskState.CANCELLED),
        }
        return {name: self.tally.of(*states) for name, states in groups.items()}


@dataclass(frozen=True, slots=True)
class ApprovalLine:
    """A decision on a plan; ``void_at`` is set when the content changed under it."""

    decision: str
    ring: str
    by: str
    at: datetime
    content_hash: str
    comment: str
    void_at: datetime | None
    void_reason: str


@dataclass(frozen=True, slots=True)
class BreakGlass:
    """A start without approvals, and who has looked at it afterwards ("": nobody yet)."""

    by: str
    at: datetime
    reason: str
    reviewed_by: str
    reviewed_at: datetime | None
    comment: str


@dataclass(frozen=True, slots=True)
class PlanDetail:
    """A plan with everything that one page shows at once."""

    id: int
    title: str
    series: str
    state: PlanState
    state_since: datetime
    state_by: str
    reason: str
    author: str
    authors: tuple[str, ...]
    content_hash: str
    approvals_needed: int
    approvals: tuple[ApprovalLine, ...]
    approvals_given: int  # that count for the plan as it is
    selection: Mapping[str, Any]
    summary: Mapping[str, Any]
    windows: Mapping[str, Mapping[str, Any]]
    groups: tuple[Mapping[str, Any], ...]  # patchmgr.domain.groups.GroupSettings, canonical form
    due: datetime | None
    created_at: datetime
    proposed_at: datetime | None
    approved_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    expires_at: datetime | None
    signals: tuple[Signal, ...]  # open ones
    rings: tuple[RingView, ...]
    current: int | None  # position of the first ring that is not over
    counts: Mapping[str, int]  # task state -> hosts
    live: int
    awaits: str  # who must act before it goes on; empty: nobody
    commands: tuple[str, ...]  # what its state allows
    frozen: str  # why nothing may change now; empty: it may
    freezes: KnownFreezes  # that are not over, nor have been since `FREEZES_SINCE`
    terms: Terms
    policy: str  # that it was made by, with its version; empty: none
    contains: tuple[int, ...]  # open plans whose remaining work this one does too
    superseded_by: int | None
    break_glass: BreakGlass | None  # started without its approvals
    changed: tuple[str, ...]  # since the last approval that fell; empty: nothing, or none fell
    stops: tuple[Stop, ...]  # why it stands still, and what to do about it; empty: it moves
    revision: int
    rollout: Rollout  # without its hosts


def get(session: Session, plan_id: int, *, now: datetime) -> PlanDetail:
    """Return one plan. Raises `NotFoundError`. At most six queries."""
    plan = session.get(models.Plan, plan_id)
    if plan is None:
        raise NotFoundError("plan", plan_id)
    rows, contained, ways_back, next_job = _rings_and_contained(session, plan)
    decisions = _decisions(session, plan_id)
    given = [one for one in decisions if one.void_at is None and one.decision == "approve"]
    rollout = rollout_of(session, plan, [ring_of(row) for row in rows], {}, given)
    # A forecast that is kept may be a little older.
    known = freeze_queries.known(session, now - FREEZES_SINCE)
    freezes = known.at(now)
    views = tuple(
        _view(row, rollout, position, freezes, now, back)
        for position, (row, back) in enumerate(zip(rows, ways_back, strict=True))
    )
    counts: dict[str, int] = {}
    for view in views:
        for state, number in view.counts.items():
            counts[state] = counts.get(state, 0) + number
    approvals = tuple(map(_approval_line, decisions))
    return PlanDetail(
        id=plan.id,
        title=plan.title,
        series=plan.series,
        state=rollout.state,
        state_since=plan.state_since,
        state_by=plan.state_by,
        reason=reason_of(plan.state, plan.reason, plan.halt_signals),
        author=plan.author,
        authors=tuple(plan.authors),
        content_hash=plan.content_hash,
        approvals_needed=plan.approvals_needed,
        approvals=approvals,
        approvals_given=sum(not one.ring for one in rollout.approvals),
        selection=plan.selection,
        summary=plan.summary,
        windows=plan.windows,
        groups=tuple(plan.groups),
        due=plan.due,
        created_at=plan.created_at,
        proposed_at=plan.proposed_at,
        approved_at=plan.approved_at,
        started_at=plan.started_at,
        finished_at=plan.finished_at,
        expires_at=plan.expires_at,
        signals=rollout.signals,
        rings=views,
        current=current_ring(rollout),
        counts=counts,
        live=rollout.live,
        awaits=_awaits(rollout),
        commands=commands(rollout),
        frozen=freezes.frozen,
        freezes=known,
        terms=plan_terms.from_json(plan.terms),
        policy=plan.policy,
        contains=contained,
        superseded_by=plan.superseded_by,
        break_glass=_break_glass(plan),
        changed=_changed(session, plan, approvals),
        stops=stops_of(
            session,
            plan,
            rollout,
            freezes,
            now,
            unreadable=[r.name for r in rows if not is_readable(r)],
            next_job=next_job,
        ),
        revision=plan.revision,
        rollout=rollout,
    )


def _rings_and_contained(
    session: Session, plan: models.Plan
) -> tuple[list[models.Ring], tuple[int, ...], list[WaysBack], datetime | None]:
    """Return a plan's rings, and the open plans that it could take the place of. One query.

    With them how many hosts of each ring are to go back, and when the schedule's next job runs.
    """
    ring, task = models.Ring, models.Task
    begun = and_(task.undo_given_at.is_not(None), task.undo_begun_at.is_not(None))
    to_go_back = select(func.count()).where(
        task.plan_id == ring.plan_id,
        task.ring_id + 0 == ring.id,  # so that it is the few asked for that are looked at
        task.undo != literal_column("''"),
        task.undo_over == "",
        task.state.in_(CHANGED),
    )
    others = plan.summary.get("contains", ()) if plan.state in OPEN_PLANS else ()
    rows = session.execute(
        select(
            ring,
            _plan.state,
            to_go_back.correlate(ring).scalar_subquery(),
            to_go_back.where(begun).correlate(ring).scalar_subquery(),
            select(func.min(models.ScheduledJob.next_at)).scalar_subquery(),
        )
        .join(_plan, _plan.id == ring.plan_id)
        .where(ring.plan_id.in_([plan.id, *others]))
        .order_by(ring.plan_id, ring.position)
    ).all()
    still = {row.plan_id for row, state, *_ in rows if state in OPEN_PLANS} - {plan.id}
    mine = [one for one in rows if one[0].plan_id == plan.id]
    backs = [WaysBack(number - away, away) for _, _, number, away, _ in mine]
    return [one[0] for one in mine], tuple(sorted(still)), backs, mine[0][4] if mine else None


def _break_glass(plan: models.Plan) -> BreakGlass | None:
    if plan.broken_at is None:
        return None
    return BreakGlass(
        plan.broken_by,
        plan.broken_at,
        plan.broken_reason,
        plan.reviewed_by,
        plan.reviewed_at,
        plan.review_comment,
    )


def commands(rollout: Rollout) -> tuple[str, ...]:
    """Return what a person can do to a plan now; the machine refuses all else."""
    offered = COMMANDS.get(rollout.state, ("results",) if rollout.live else ())
    if not rollout.signals or rollout.state is PlanState.HALTED:
        return offered
    # Nothing begins or goes on over an open signal.
    return ("acknowledge", *(one for one in offered if one not in ("start", "resume")))


def _view(
    row: models.Ring,
    rollout: Rollout,
    position: int,
    freezes: Freezes,
    now: datetime,
    back: WaysBack,
) -> RingView:
    ring = rollout.rings[position]
    return RingView(
        id=row.id,
        position=position,
        name=ring.name,
        settings=ring.settings,
        state=ring.state,
        state_since=ring.since,
        started_at=ring.started,
        soak_until=ring.soak_until,
        finished_at=ring.finished,
        deadline=ring.deadline,
        reason=ring.reason,
        tally=ring.tally,
        gate=gate(rollout, position, now, freezes.frozen),
        counts={str(state): number for state, number in ring.tally.states.items()},
        ways_back=back,
    )


def _awaits(rollout: Rollout) -> str:
    if person := awaited_person(rollout):
        return person
    position = current_ring(rollout)
    if rollout.state is not PlanState.RUNNING or position is None:
        return ""
    ring = rollout.rings[position]
    waits = ring.state is RingState.WAITING_GATE and ring.settings.needs_approval
    return f"an approver, for ring {ring.name}" if waits else ""


def _decisions(session: Session, plan_id: int) -> Sequence[models.Approval]:
    row = models.Approval
    return session.scalars(select(row).where(row.plan_id == plan_id).order_by(row.id)).all()


def _approval_line(row: models.Approval) -> ApprovalLine:
    return ApprovalLine(
        row.decision,
        row.ring,
        row.by,
        row.at,
        row.content_hash,
        row.comment,
        row.void_at,
        row.void_reason,
    )


def _changed(
    session: Session, plan: models.Plan, approvals: Sequence[ApprovalLine]
) -> tuple[str, ...]:
    """Return what is other than in the content that was approved last and is no longer."""
    fallen = [one for one in approvals if one.void_at is not None]
    if not fallen or any(one.content_hash == plan.content_hash for one in approvals):
        return ()
    row = models.PlanVersion
    settings = {
        version.content_hash: version.settings
        for version in session.scalars(select(row).where(row.plan_id == plan.id).order_by(row.id))
    }
    before, after = settings.get(fallen[-1].content_hash), settings.get(plan.content_hash)
    return (difference(before, after) or (MOVED,)) if before and after else ()
