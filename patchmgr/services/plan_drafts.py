"""Plans before they start: make a draft, and give it other rings, groups and terms.

Every function is one transaction: content, state, timeline, outbox and audit entry together.
"""

from collections.abc import Callable, Collection, Sequence
from contextlib import nullcontext
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
from patchmgr.domain.rollout.machine import advance
from patchmgr.domain.rollout.states import PlanState
from patchmgr.domain.terms import Terms, too_few
from patchmgr.errors import ConflictError, IllegalTransitionError, InputError
from patchmgr.services import audit, contents, planning, superseding
from patchmgr.services.roles import require
from patchmgr.services.rollout_load import Wanted, load
from patchmgr.services.rollout_store import store

MOST_APPROVALS = 5


_EDITABLE = (PlanState.DRAFT, PlanState.PROPOSED, PlanState.APPROVED)


def create(
    where: Database | Session,
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

    In a database it is a transaction of its own; in a session, part of the caller's.
    Raises `InputError`, `NotFoundError` for what nobody has heard of, `ConflictError` when there is
    nothing to change, `ForbiddenError`.
    """
    require(role, Role.OPERATOR, "making a plan")
    _check_approvals(approvals_needed)
    check_approvers(approvals_needed, terms, rings, {actor})
    with nullcontext(where) if isinstance(where, Session) else where.writing() as session:
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
    audit.of_plan(session, "create", row.id, actor, now, title=row.title, hash=row.content_hash)
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
    terms: Callable[[Terms], Terms] | None = None,
    groups: Sequence[GroupSettings] | None = None,
    content_hash: str = "",
) -> tuple[str, ...]:
    """Give a plan that has not started other rings and groups; return what changed, in sentences.

    ``terms`` makes the new terms of those that stand, so that what it leaves alone is what somebody
    else may have set meanwhile. ``content_hash`` is that of the content which the editor saw; when
    the plan has another by now, nothing is changed. Every approval falls when anything did, and who
    edits counts as an author from then on. Raises `InputError`, `NotFoundError`, `ConflictError`,
    `ForbiddenError`.
    """
    require(role, Role.OPERATOR, "editing a plan")
    with db.writing() as session:
        loaded = load(session, plan_id, Wanted(), now)
        plan = loaded.plan
        if plan.state not in _EDITABLE:
            raise IllegalTransitionError(plan.state, "editing")
        if content_hash not in ("", plan.content_hash):
            raise ConflictError(
                "the plan has changed since you looked at it; look again, then edit it"
            )
        before = contents.stored(session, plan_id)
        asked = None if terms is None else terms(before.terms)
        after, coverage = _edited(session, plan, before, rings, approvals_needed, asked)
        if any(one is not None for one in (rings, approvals_needed, terms)):
            people = {*plan.authors, actor}
            check_approvers(after.approvals_needed, after.terms, after.rings, people)
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
        found = {"coverage": coverage, "unmatched": planning.unmatched(session, after)}
        plan.summary = {**plan.summary, "rings": _sizes(after), **found}
        store(session, loaded, rollout, effects, now)
        contents.write_places(session, plan_id, after, now)
        contents.write_version(session, plan_id, after, by=actor, now=now)
        audit.of_plan(session, "edit", plan_id, actor, now, changed=list(changed), hash=after.hash)
    return changed


def _check_approvals(needed: int) -> None:
    if not 1 <= needed <= MOST_APPROVALS:
        raise InputError({"approvals": f"from 1 to {MOST_APPROVALS}"})


def check_approvers(
    needed: int, terms: Terms, rings: Sequence[RingSettings], authors: Collection[str]
) -> None:
    """Raises `InputError` where a plan, or one of its rings, could never be approved."""
    asked = {"approvers": (terms.approvers, needed)}
    asked |= {
        f"approvers of ring {ring.name!r}": (ring.approvers, ring.approvals)
        for ring in rings
        if ring.needs_approval
    }
    problems = {at: too_few(names, number, authors) for at, (names, number) in asked.items()}
    if found := {at: why for at, why in problems.items() if why}:
        raise InputError(found)


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


def _standing(session: Session, plan_id: int) -> Sequence[models.Approval]:
    row = models.Approval
    return session.scalars(
        select(row).where(row.plan_id == plan_id, row.void_at.is_(None), row.decision == "approve")
    ).all()
