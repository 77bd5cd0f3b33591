"""Planning policies: keep their versions, make plans by them, propose plans on their schedule."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import takewhile

from sqlalchemy import select
from sqlalchemy.orm import Session

from patchmgr.db import models
from patchmgr.db.locks import Lock, wait_for
from patchmgr.db.queries import planning_policies as queries
from patchmgr.db.queries import policies as sla
from patchmgr.db.queries.planning_policies import StoredPlanningPolicy
from patchmgr.db.session import Database
from patchmgr.domain.accounts import Role
from patchmgr.domain.planning_policies import PlanningPolicy, to_json
from patchmgr.domain.plans import Selection
from patchmgr.domain.rollout.states import PlanState
from patchmgr.domain.schedules import next_due
from patchmgr.domain.urgency_presets import PRESETS
from patchmgr.errors import InputError, PatchmgrError
from patchmgr.services import audit, group_shares, plan_drafts, plans, superseding, witnesses
from patchmgr.services.roles import require
from patchmgr.services.rollout_load import locked

SCHEDULER = "scheduler"  # whom plans that are proposed by themselves name as their author
LONGEST_LABEL = 200  # characters of what a plan names as the policy that made it
_REPLACED = (PlanState.DRAFT, PlanState.PROPOSED)  # nobody relies on such a proposal yet
_UNDER_WAY = (PlanState.APPROVED, PlanState.RUNNING, PlanState.PAUSED, PlanState.HALTED)


@dataclass(frozen=True, slots=True)
class Seen:
    """What became of one occasion of a schedule."""

    policy: str
    occasion: datetime
    plan_id: int | None
    outcome: str


def adopt(
    db: Database, policy: PlanningPolicy, *, actor: str, role: Role, now: datetime
) -> PlanningPolicy:
    """Store ``policy`` as the next version of its name; what is the last one already is returned.

    Raises `InputError` for the name of an SLA policy and for plans that nobody could approve,
    `ForbiddenError`.
    """
    require(role, Role.ADMIN, "changing a planning policy")
    authors = {actor} if policy.schedule is not None else ()  # of what is proposed by itself
    plan_drafts.check_approvers(policy.approvals_needed, policy.terms, policy.rings, authors)
    with db.writing() as session:
        wait_for(session, Lock.POLICIES)
        if policy.name in PRESETS or sla.latest(session, policy.name) is not None:
            raise InputError({"name": f"{policy.name!r} is an SLA policy; take another name"})
        last = queries.latest(session, policy.name)
        version = last.policy.version if last else 0
        if last and replace(policy, version=version) == last.policy:
            return last.policy
        made = replace(policy, version=version + 1)
        if len(made.label) > LONGEST_LABEL:
            raise InputError({"name": f"use at most {LONGEST_LABEL - 10} characters"})
        session.add(
            models.PlanningPolicy(
                name=made.name,
                version=made.version,
                document=to_json(made),
                made_at=now,
                made_by=actor,
            )
        )
        audit.record(
            session,
            at=now,
            actor=actor,
            action="planning_policy.adopt",
            subject=f"planning policy {made.name}",
            details={"version": made.version, "document": to_json(made)},
        )
        return made


def create_plan(
    db: Database,
    name: str,
    *,
    actor: str,
    role: Role,
    now: datetime,
    narrowed: Selection = Selection(),  # noqa: B008 -- frozen
    title: str = "",
) -> int:
    """Make a draft by the last version of the policy ``name``; return the plan's id.

    ``narrowed`` is what is asked for besides, and leaves out more. Raises as
    `plan_drafts.create` does.
    """
    with db.reading() as session:
        stored = queries.get(session, name)
    return _create(db, stored, actor=actor, role=role, now=now, narrowed=narrowed, title=title)


def propose_due(db: Database, *, now: datetime) -> list[Seen]:
    """Propose the plans whose schedule has come due; return what became of each occasion.

    An occasion is seen to once, whoever calls how often. Of occasions that were missed only the
    latest is made up. A proposal of the same policy that nobody has approved yet is superseded; one
    that was approved, or is under way, lets the occasion be skipped.
    """
    with db.reading() as session:
        stored = queries.listing(session)
        last = queries.last_occasions(session)
        due = [(one, next_occasion(session, one, last, now)) for one in stored]
    seen: list[Seen] = []
    faults: list[Exception] = []
    for one, occasion in due:
        if occasion is None or occasion > now:
            continue
        try:
            done = _see_to(db, one, occasion, now)
        except Exception as fault:  # noqa: BLE001 -- one policy must not stop the others
            faults.append(fault)
        else:
            seen += [done] if done is not None else []
    if faults:
        raise faults[0]  # its occasion is seen to the next time
    return seen


def next_occasion(
    session: Session, one: StoredPlanningPolicy, last: Mapping[str, datetime], now: datetime
) -> datetime | None:
    """Return when a policy is due next, in the past when it is due now; None without a schedule.

    ``last`` is the last occasion of each policy that was seen to.
    """
    policy = one.policy
    if policy.schedule is None:
        return None
    since = max(filter(None, (last.get(policy.name), _began(session, policy))), default=now)
    return next_due(policy.schedule, since, now)


def _began(session: Session, policy: PlanningPolicy) -> datetime | None:
    """Return when the policy got the schedule that it has: nothing was due by it before that."""
    same = takewhile(
        lambda one: one.policy.schedule == policy.schedule, queries.versions(session, policy.name)
    )
    return min((one.made_at for one in same), default=None)


def _see_to(
    db: Database, one: StoredPlanningPolicy, occasion: datetime, now: datetime
) -> Seen | None:
    """See to an occasion; None when somebody else has.

    All of it is one transaction: a process that dies leaves nothing, and the next one sees to it.
    """
    try:
        with db.writing() as session:
            done = _claimed(session, one.policy.name, occasion, now)
            if done is None:
                return None
            done.plan_id, done.outcome = _propose(session, one, now)
    except PatchmgrError as error:
        with db.writing() as session:
            done = _claimed(session, one.policy.name, occasion, now)
            if done is None:
                return None
            done.outcome = str(error)[:2000]
    return Seen(one.policy.name, occasion, done.plan_id, done.outcome)


def _claimed(
    session: Session, name: str, occasion: datetime, now: datetime
) -> models.PlanningOccasion | None:
    """Write down that the occasion is seen to; None when it was already."""
    row = models.PlanningOccasion
    # Writers of one policy wait for each other here, on either database.
    session.scalars(
        select(models.PlanningPolicy.id).where(models.PlanningPolicy.name == name).with_for_update()
    ).all()
    known = select(row.id).where(row.policy == name, row.occasion >= occasion).limit(1)
    if session.scalar(known) is not None:
        return None
    done = row(policy=name, occasion=occasion, at=now, plan_id=None, outcome="")
    session.add(done)
    return done


def _propose(session: Session, one: StoredPlanningPolicy, now: datetime) -> tuple[int | None, str]:
    # Plans first, then the turn to spend of groups, and all before anything is audited.
    before = [locked(session, number) for number in _open_plans(session, one.policy.name)]
    under_way = [each.id for each in before if each.state in _UNDER_WAY]
    if under_way:
        return None, f"skipped: plan {under_way[-1]} of this policy is still under way"
    older = [each for each in before if each.state in _REPLACED]
    if one.policy.groups or any(each.groups for each in older):
        group_shares.wait_for_turn(session)
    plan_id = _create(session, one, actor=SCHEDULER, role=Role.OPERATOR, now=now)
    plan = locked(session, plan_id)
    # Who wrote the policy chose what is in the plan: somebody else must approve it.
    plan.authors = sorted({*plan.authors, one.made_by})
    session.flush()
    audit.record(
        session,
        at=now,
        actor=SCHEDULER,
        action=witnesses.AUTHOR,
        subject=f"plan {plan_id}",
        details={"author": one.made_by, "policy": one.policy.name},
    )
    why = f"policy {one.policy.name} was due again"
    for each in older:
        superseding.take_over(session, plan_id, each.id, actor=SCHEDULER, now=now, reason=why)
    plans.propose(session, plan_id, actor=SCHEDULER, role=Role.OPERATOR, now=now)
    replaced = ", ".join(str(each.id) for each in older)
    said = f"; it took the place of plan {replaced}" if replaced else ""
    return plan_id, f"proposed plan {plan_id}{said}"


def _create(
    where: Database | Session,
    stored: StoredPlanningPolicy,
    *,
    actor: str,
    role: Role,
    now: datetime,
    narrowed: Selection = Selection(),  # noqa: B008 -- frozen
    title: str = "",
) -> int:
    policy = stored.policy
    return plan_drafts.create(
        where,
        selection=_narrowed(policy.selection, narrowed),
        title=title or policy.title,
        rings=policy.rings,
        groups=policy.groups,
        approvals_needed=policy.approvals_needed,
        series=policy.series,
        terms=policy.terms,
        policy=policy.label,
        actor=actor,
        role=role,
        now=now,
    )


def _narrowed(asked: Selection, more: Selection) -> Selection:
    """Return what both ask for. Raises `InputError` where that could be nothing."""
    return replace(
        more,
        platforms=_both("platforms", asked.platforms, more.platforms),
        environments=_both("environments", asked.environments, more.environments),
        sites=asked.sites,
        tags=asked.tags,
        any_of=asked.any_of,
    )


def _both(name: str, policy: tuple[str, ...], given: tuple[str, ...]) -> tuple[str, ...]:
    if not policy or not given:
        return policy or given
    found = tuple(one for one in given if one in policy)
    if not found:
        raise InputError({name: f"the policy is for {', '.join(policy)} only"})
    return found


def _open_plans(session: Session, name: str) -> list[int]:
    """Return the open plans of a policy's schedule, the oldest first."""
    plan, done = models.Plan, models.PlanningOccasion
    rows = session.scalars(
        select(plan.id)
        .join(done, done.plan_id == plan.id)
        .where(done.policy == name, plan.state.in_([*_REPLACED, *_UNDER_WAY]))
        .order_by(plan.id)
    )
    return list(rows)
