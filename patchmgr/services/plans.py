"""Plans: make them, agree on them, start and stop them.

Every function is one transaction: it loads the plan under its lock, lets the rollout's machine
decide, and writes state, approvals, timeline, outbox and audit entry together.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from patchmgr.db import models
from patchmgr.db.session import Database
from patchmgr.domain import groups as group_settings
from patchmgr.domain.accounts import Role
from patchmgr.domain.content import MOVED, Content, difference
from patchmgr.domain.groups import GroupSettings
from patchmgr.domain.planning_policies import DEFAULT_SERIES
from patchmgr.domain.plans import Selection
from patchmgr.domain.rings import DEFAULT_RINGS, RingSettings, checked
from patchmgr.domain.rollout import events
from patchmgr.domain.rollout.machine import advance, advance_all
from patchmgr.domain.rollout.states import PlanState
from patchmgr.domain.terms import Terms
from patchmgr.errors import IllegalTransitionError, InputError
from patchmgr.services import audit, contents, holds, planning, proof, superseding, witnesses
from patchmgr.services.going_back import host_numbers, naming_hosts
from patchmgr.services.roles import require
from patchmgr.services.rollout_load import Wanted, load
from patchmgr.services.rollout_store import store
from patchmgr.services.rollouts import tick_plan

MOST_APPROVALS = 5
_EDITABLE = (PlanState.DRAFT, PlanState.PROPOSED, PlanState.APPROVED)


def create(
    db: Database,
    *,
    selection: Selection,
    actor: str,
    role: Role,
    now: datetime,
    title: str = "",
    rings: Sequence[RingSettings] = DEFAULT_RINGS,
    approvals_needed: int = 1,
    series: str = DEFAULT_SERIES,
    terms: Terms = Terms(),  # noqa: B008 -- frozen
    policy: str = "",
    groups: Sequence[GroupSettings] = (),
) -> int:
    """Make a draft from the open findings that ``selection`` names, and return its id.

    Raises `InputError`, `NotFoundError` for what nobody has heard of, `ConflictError` when there is
    nothing to change, `ForbiddenError`.
    """
    require(role, Role.OPERATOR, "making a plan")
    _check_approvals(approvals_needed)
    with db.writing() as session:
        made = planning.draft(
            session,
            selection,
            checked(rings),
            series=series,
            approvals_needed=approvals_needed,
            terms=terms,
            now=now,
            groups=group_settings.checked(groups),
        )
        contained = superseding.contained(session, made.content)
        made.summary["contains"] = contained
        said = title.strip() or _title(made.summary)
        return keep(
            session, made, selection, title=said, series=series, actor=actor, now=now, policy=policy
        )


def keep(
    session: Session,
    made: planning.Draft,
    selection: Selection,
    *,
    title: str,
    series: str,
    actor: str,
    now: datetime,
    policy: str = "",
) -> int:
    """Write a draft with all that belongs to it, and return its id."""
    row = _new_row(made, selection, title=title, series=series, actor=actor, now=now)
    row.policy = policy
    session.add(row)
    session.flush()
    contents.write_changes(session, row.id, made.content.changes)
    contents.write_exclusions(session, row.id, made.proposal.excluded)
    contents.write_places(session, row.id, made.content, now)
    contents.write_version(session, row.id, made.content, by=actor, now=now)
    said = f"changes: {made.summary['changes']}, hosts: {made.summary['hosts']}"
    if policy:
        said += f", by policy {policy}"
    session.add(_event(row.id, now, actor, "created", said))
    _audit(session, "create", row.id, actor, now, title=row.title, hash=row.content_hash)
    return row.id


def edit(
    db: Database,
    plan_id: int,
    *,
    actor: str,
    role: Role,
    now: datetime,
    rings: Sequence[RingSettings] | None = None,
    approvals_needed: int | None = None,
    terms: Terms | None = None,
    groups: Sequence[GroupSettings] | None = None,
) -> tuple[str, ...]:
    """Give a plan that has not started other rings and groups; return what changed, in sentences.

    Every approval falls when anything did, and who edits counts as an author from then on. Raises
    `InputError`, `NotFoundError`, `ConflictError`, `ForbiddenError`.
    """
    require(role, Role.OPERATOR, "editing a plan")
    with db.writing() as session:
        loaded = load(session, plan_id, Wanted(), now)
        plan = loaded.plan
        if plan.state not in _EDITABLE:
            raise IllegalTransitionError(plan.state, "editing")
        before = contents.stored(session, plan_id)
        after, coverage = _edited(session, plan, before, rings, approvals_needed, terms)
        if groups is not None or after.groups:
            chosen = after.groups if groups is None else group_settings.checked(groups)
            gathered = planning.gather_again(session, after.places, chosen)
            after = replace(after, groups=chosen, gathered=gathered)
        changed = difference(before.settings(), after.settings()) or (MOVED,)
        if after.hash == before.hash:
            return ()
        event = events.Edited(actor, now, after.hash)
        rollout, effects = advance(loaded.rollout, event)
        for approval in _standing(session, plan_id):
            approval.void_at, approval.void_reason = now, f"{actor} changed the plan"
        plan.windows = contents.windows_json(after)
        plan.groups = [group.to_json() for group in after.groups]
        plan.approvals_needed = after.approvals_needed
        plan.terms = after.terms.to_json()
        plan.summary = {**plan.summary, "rings": _sizes(after), "coverage": coverage}
        store(session, loaded, rollout, effects, now)
        contents.write_places(session, plan_id, after, now)
        contents.write_version(session, plan_id, after, by=actor, now=now)
        _audit(session, "edit", plan_id, actor, now, changed=list(changed), hash=after.hash)
    return changed


def propose(db: Database, plan_id: int, *, actor: str, role: Role, now: datetime) -> None:
    """Ask for approval. Who does counts as an author from then on.

    Raises `ConflictError`, `NotFoundError`, `ForbiddenError`.
    """
    require(role, Role.OPERATOR, "proposing a plan")

    def ask(session: Session) -> list[events.Event]:
        if actor not in session.get_one(models.Plan, plan_id).authors:
            _audit(session, "author", plan_id, actor, now, author=actor)
        return [events.Propose(actor, now)]

    _do(db, plan_id, ask, "propose", actor=actor, now=now)


def approve(
    db: Database,
    plan_id: int,
    *,
    actor: str,
    role: Role,
    now: datetime,
    content_hash: str | None = None,
    ring: str = "",
    comment: str = "",
) -> None:
    """Consent to a plan's content, or to one of its rings.

    ``content_hash`` is what the approver looked at; None is whatever it is now. Raises
    `ForbiddenError` for an author and for a role below approver, `ConflictError` when the content
    is another one by now.
    """
    require(role, Role.APPROVER, "approving a plan")
    with db.writing() as session:
        loaded = load(session, plan_id, Wanted(), now)
        seen = loaded.plan.content_hash if content_hash is None else content_hash
        event = events.Approve(actor, now, seen, ring, comment, role.value)
        after, effects = advance(loaded.rollout, event)
        session.add(_decision(plan_id, "approve", event, comment))
        store(session, loaded, after, effects, now)
        due = witnesses.due_of(loaded.plan)
        details = {"hash": seen, "due": due, **({"ring": ring} if ring else {})}
        _audit(session, "approve", plan_id, actor, now, **details, comment=comment)
        if after.state is PlanState.RUNNING:
            tick_plan(session, plan_id, now)


def reject(
    db: Database, plan_id: int, *, reason: str, actor: str, role: Role, now: datetime
) -> None:
    """Refuse a plan for good. Raises `InputError` without a reason, `ConflictError`."""
    require(role, Role.APPROVER, "rejecting a plan")
    with db.writing() as session:
        loaded = load(session, plan_id, Wanted(waiting=True), now)
        after, effects = advance(loaded.rollout, events.Reject(actor, now, reason))
        seen = events.Approve(actor, now, loaded.plan.content_hash)
        session.add(_decision(plan_id, "reject", seen, reason))
        store(session, loaded, after, effects, now)
        _audit(session, "reject", plan_id, actor, now, reason=reason)


def start(db: Database, plan_id: int, *, actor: str, role: Role, now: datetime) -> None:
    """Start an approved plan, if its stored content is still what was approved.

    Raises `ConflictError` when it is not, `NotFoundError`, `ForbiddenError`.
    """
    require(role, Role.OPERATOR, "starting a plan")

    def begin(session: Session) -> list[events.Event]:
        plan = session.get_one(models.Plan, plan_id)
        start = events.Start(actor, now, proof.stored_hash(session, plan_id, now))
        return [*holds.stops(session, plan, now), start]

    _do(db, plan_id, begin, "start", actor=actor, now=now)


def pause(
    db: Database, plan_id: int, *, reason: str, actor: str, role: Role, now: datetime
) -> None:
    """Hand out nothing more until somebody resumes; what runs finishes."""
    require(role, Role.OPERATOR, "pausing a plan")
    _do(db, plan_id, events.Pause(actor, now, reason), "pause", actor=actor, now=now, reason=reason)


def resume(
    db: Database, plan_id: int, *, actor: str, role: Role, now: datetime, reason: str = ""
) -> None:
    """Let a paused plan go on. Raises `ConflictError` while a halt signal is open."""
    require(role, Role.OPERATOR, "resuming a plan")
    _do(
        db,
        plan_id,
        events.Resume(actor, now, reason),
        "resume",
        actor=actor,
        now=now,
        reason=reason,
    )


def acknowledge(
    db: Database,
    plan_id: int,
    *,
    reason: str,
    actor: str,
    role: Role,
    now: datetime,
    hosts: Sequence[str] = (),
) -> None:
    """Let every open halt signal pass, with a reason; a halted plan then goes on.

    With ``hosts`` accept that these ended without success: they count no longer against gates and
    groups, and open signals stay. Raises `NotFoundError`, `ConflictError`.
    """
    require(role, Role.OPERATOR, "acknowledging a halt")
    if hosts:
        kind = events.AcknowledgeHosts
        _do_to_hosts(db, plan_id, kind, hosts, "acknowledge", reason, actor=actor, now=now)
        return
    event = events.Acknowledge(actor, now, reason)
    _do(db, plan_id, event, "acknowledge", actor=actor, now=now, reason=reason)


def halt(db: Database, plan_id: int, *, reason: str, actor: str, role: Role, now: datetime) -> None:
    """Raise a halt signal by hand: unlike a pause, it must be acknowledged."""
    require(role, Role.OPERATOR, "halting a plan")
    if not reason.strip():
        raise InputError({"reason": "say why the plan must halt"})
    event = events.HaltSignal(now, "person", f"{actor}: {reason}", actor)
    _do(db, plan_id, event, "halt", actor=actor, now=now, reason=reason)


def skip_ring(
    db: Database, plan_id: int, ring: str, *, reason: str, actor: str, role: Role, now: datetime
) -> None:
    """Go on without a ring and its evidence. Raises `ConflictError` for one that is over."""
    require(role, Role.APPROVER, "skipping a ring")
    event = events.SkipRing(actor, now, ring, reason)
    everything = Wanted(waiting=True)
    _do(
        db, plan_id, event, "skip-ring", actor=actor, now=now, wanted=everything, ring=ring,
        reason=reason,
    )  # fmt: skip


def retry(
    db: Database,
    plan_id: int,
    hosts: Sequence[str],
    *,
    reason: str,
    actor: str,
    role: Role,
    now: datetime,
) -> None:
    """Give hosts that ended without success another turn.

    Raises `NotFoundError`, `ConflictError`, and `InputError` without a reason.
    """
    require(role, Role.OPERATOR, "retrying hosts")
    _do_to_hosts(db, plan_id, events.Retry, hosts, "retry", reason, actor=actor, now=now)


def cancel(
    db: Database, plan_id: int, *, reason: str, actor: str, role: Role, now: datetime
) -> None:
    """End a plan; hosts at work finish, and their results are still taken."""
    require(role, Role.OPERATOR, "cancelling a plan")
    event = events.Cancel(actor, now, reason)
    _do(
        db,
        plan_id,
        event,
        "cancel",
        actor=actor,
        now=now,
        wanted=Wanted(waiting=True),
        reason=reason,
    )


def _do_to_hosts(
    db: Database,
    plan_id: int,
    kind: type[events.Retry | events.AcknowledgeHosts],
    hosts: Sequence[str],
    verb: str,
    reason: str,
    *,
    actor: str,
    now: datetime,
) -> None:
    """Apply one event to hosts by name, and let the plan move at once."""
    with db.writing() as session:
        numbers = host_numbers(session, hosts)
        loaded = load(session, plan_id, Wanted(hosts=numbers), now)
        with naming_hosts(session):
            after, effects = advance(loaded.rollout, kind(actor, now, tuple(numbers), reason))
        store(session, loaded, after, effects, now)
        _audit(session, verb, plan_id, actor, now, hosts=list(hosts), reason=reason)
        tick_plan(session, plan_id, now)


def _do(
    db: Database,
    plan_id: int,
    event: events.Event | Callable[[Session], list[events.Event]],
    verb: str,
    *,
    actor: str,
    now: datetime,
    wanted: Wanted = Wanted(),  # noqa: B008 -- frozen
    **details: Any,
) -> None:
    """Apply one event, and let a plan that runs afterwards move at once."""
    with db.writing() as session:
        loaded = load(session, plan_id, wanted, now)
        happened = event(session) if callable(event) else [event]
        after, effects = advance_all(loaded.rollout, happened)
        store(session, loaded, after, effects, now)
        kept = {name: value for name, value in details.items() if value}
        _audit(session, verb, plan_id, actor, now, hash=loaded.plan.content_hash, **kept)
        if after.state is PlanState.RUNNING:
            tick_plan(session, plan_id, now)


def _audit(
    session: Session, verb: str, plan_id: int, actor: str, now: datetime, **details: Any
) -> None:
    audit.record(
        session,
        at=now,
        actor=actor,
        action=f"plan.{verb}",
        subject=f"plan {plan_id}",
        details=details,
    )


def _check_approvals(needed: int) -> None:
    if not 1 <= needed <= MOST_APPROVALS:
        raise InputError({"approvals": f"from 1 to {MOST_APPROVALS}"})


def _edited(
    session: Session,
    plan: models.Plan,
    before: Content,
    rings: Sequence[RingSettings] | None,
    approvals_needed: int | None,
    terms: Terms | None,
) -> tuple[Content, list[dict[str, Any]]]:
    """Return the content as edited, and what its representative hosts then reach."""
    if terms is not None:
        _check_terms(before.terms, terms)
        before = replace(before, terms=terms)
    if approvals_needed is not None:
        _check_approvals(approvals_needed)
        before = replace(before, approvals_needed=approvals_needed)
    if rings is None:
        return before, plan.summary.get("coverage", [])
    return planning.place_again(session, before, checked(rings), plan.series)


def _check_terms(before: Terms, after: Terms) -> None:
    if before.include_held is not after.include_held:
        raise InputError({"include_held": "decides what is in a plan; make a new one"})


def _new_row(
    made: planning.Draft,
    selection: Selection,
    *,
    title: str,
    series: str,
    actor: str,
    now: datetime,
) -> models.Plan:
    return models.Plan(
        title=title[:200],
        series=series,
        state=PlanState.DRAFT.value,
        author=actor,
        authors=[actor],
        content_hash=made.content.hash,
        approvals_needed=made.content.approvals_needed,
        selection=selection.to_json(),
        summary=made.summary,
        due=made.due,
        created_at=now,
        proposed_at=None,
        approved_at=None,
        started_at=None,
        finished_at=None,
        state_since=now,
        state_by=actor,
        reason="",
        windows=contents.windows_json(made.content),
        terms=made.content.terms.to_json(),
        groups=[group.to_json() for group in made.content.groups],
        halt_signals=[],
        acknowledged={},
        live_tasks=len(made.content.places),
        expires_at=None,
        changed_at=now,
    )


def _title(summary: dict[str, Any]) -> str:
    first, others = summary["worst_sources"][0], summary["sources"] - 1
    return f"{first} and {others} more" if others else str(first)


def _sizes(content: Content) -> dict[str, int]:
    sizes = dict.fromkeys((ring.name for ring in content.rings), 0)
    for at in content.places.values():
        sizes[content.rings[at.ring].name] += 1
    return sizes


def _event(plan_id: int, at: datetime, by: str, kind: str, message: str) -> models.PlanEvent:
    return models.PlanEvent(
        plan_id=plan_id, at=at, by=by, kind=kind, ring="", host_id=None, message=message
    )


def _decision(plan_id: int, decision: str, event: events.Approve, comment: str) -> models.Approval:
    return models.Approval(
        plan_id=plan_id,
        ring=event.ring,
        decision=decision,
        content_hash=event.content_hash,
        by=event.by,
        at=event.at,
        comment=comment,
        void_at=None,
        void_reason="",
    )


def _standing(session: Session, plan_id: int) -> Sequence[models.Approval]:
    row = models.Approval
    return session.scalars(
        select(row).where(row.plan_id == plan_id, row.void_at.is_(None), row.decision == "approve")
    ).all()
