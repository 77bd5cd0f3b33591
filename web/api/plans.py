"""Patch plans: making them, their content, and their hosts."""

from dataclasses import asdict

from patchmgr.db.queries import change_history, holds, plan_content, plan_lists, plan_progress
from patchmgr.db.queries import plans as queries
from patchmgr.db.queries.paging import Page
from patchmgr.domain import groups
from patchmgr.domain.accounts import Role
from patchmgr.domain.advisories import Severity
from patchmgr.domain.plans import Selection
from patchmgr.domain.rings import DEFAULT_RINGS, series_from_json
from patchmgr.domain.terms import Terms
from patchmgr.errors import InputError
from patchmgr.services import plan_drafts, planning_policies, policy_selection
from web.api.plan_bodies import ChangeQuery, PlanEditIn, PlanIn, PlanQuery, TaskQuery
from web.api.plan_shapes import Change, Plan, PlanInFull, Task
from web.api.routing import route, who
from web.api.values import PageOf, page
from web.context import db, now, session


def plan_in_full(plan_id: int) -> object:
    """Return a plan as it is answered after each command."""
    return queries.get(session(), plan_id, now=now())


@route("GET", "/plans", tag="plans", query=PlanQuery, answer=PageOf[Plan])
def list_plans(query: PlanQuery) -> object:
    """List plans, the newest first."""
    states = (query.state,) if query.state else ()
    found = plan_lists.listing(
        session(), states=states, search=query.search, limit=query.limit, cursor=query.cursor
    )
    return page(found)


@route(
    "POST", "/plans", tag="plans", role=Role.OPERATOR, body=PlanIn, answer=PlanInFull, status=201
)
def create_plan(body: PlanIn) -> object:
    """Make a draft from the open findings that the selection names."""
    asked = body.selection
    selection = Selection(
        tuple(asked.advisories),
        tuple(asked.cves),
        tuple(asked.packages),
        tuple(asked.hosts),
        Severity[asked.severity_at_least.upper()],
        platforms=tuple(asked.platforms),
        environments=tuple(asked.environments),
    )
    by_planning = False
    if body.policy:
        with db().reading() as reading:
            by_planning = policy_selection.is_planning(reading, body.policy)
            if not by_planning:
                selection = policy_selection.dated_by(reading, body.policy, selection)
    if by_planning:
        if body.model_fields_set - {"policy", "selection", "title"}:
            raise InputError({"policy": "says rings, groups, approvals and terms itself"})
        plan_id = planning_policies.create_plan(
            db(), body.policy, narrowed=selection, title=body.title, **who()
        )
        return plan_in_full(plan_id)
    plan_id = plan_drafts.create(
        db(),
        selection=selection,
        title=body.title,
        terms=body.terms.over(Terms()),
        rings=DEFAULT_RINGS if body.rings is None else series_from_json(body.rings),
        groups=[groups.from_json(one) for one in body.groups],
        approvals_needed=body.approvals_needed,
        **who(),
    )
    return plan_in_full(plan_id)


@route(
    "POST",
    "/plans/<int:plan_id>/edit",
    tag="plans",
    role=Role.OPERATOR,
    body=PlanEditIn,
    answer=PlanInFull,
)
def edit_plan(plan_id: int, body: PlanEditIn) -> object:
    """Give a plan that has not started other rings, groups, approvals or terms; approvals fall."""
    plan_drafts.edit(
        db(),
        plan_id,
        rings=None if body.rings is None else series_from_json(body.rings),
        groups=None if body.groups is None else [groups.from_json(one) for one in body.groups],
        approvals_needed=body.approvals_needed,
        terms=body.terms.over,
        content_hash=body.content_hash,
        **who(),
    )
    return plan_in_full(plan_id)


@route("GET", "/plans/<int:plan_id>", tag="plans", answer=PlanInFull)
def get_plan(plan_id: int) -> object:
    """Get one plan with its rings and their gates."""
    return plan_in_full(plan_id)


@route("GET", "/plans/<int:plan_id>/changes", tag="plans", query=ChangeQuery, answer=PageOf[Change])
def list_changes(plan_id: int, query: ChangeQuery) -> object:
    """List what a plan changes, the worst first."""
    queries.get(session(), plan_id, now=now())
    found = plan_content.changes(
        session(), plan_id, search=query.search, limit=query.limit, cursor=query.cursor
    )
    known = change_history.of_changes(session(), plan_id, [line.id for line in found.lines])
    held = {
        (one.package, one.platform, one.to_version): hold.words
        for one, hold in holds.of_plan(session(), plan_id, now())
    }
    lines = tuple(
        asdict(line)
        | {
            "history": known[line.id],
            "held": held.get((line.package, line.platform, line.to_version), ""),
        }
        for line in found.lines
    )
    return page(Page(lines, found.total, found.next))


@route("GET", "/plans/<int:plan_id>/tasks", tag="plans", query=TaskQuery, answer=PageOf[Task])
def list_tasks(plan_id: int, query: TaskQuery) -> object:
    """List a plan's hosts, failures first."""
    queries.get(session(), plan_id, now=now())
    found = plan_progress.tasks(
        session(),
        plan_id,
        ring=query.ring,
        state=query.state,
        search=query.search,
        limit=query.limit,
        cursor=query.cursor,
    )
    return page(found)
