"""The page on which people follow a rollout: rings and their gates, hosts, failures first."""

from collections.abc import Mapping
from typing import Any

from flask import Response, make_response, request, url_for
from flask.typing import ResponseReturnValue

from patchmgr.db.queries import plan_progress
from patchmgr.db.queries import plans as queries
from patchmgr.db.queries.plan_progress import TaskLine
from patchmgr.db.queries.plans import PlanDetail
from patchmgr.domain.accounts import Role
from patchmgr.domain.rollout.events import Outcome
from patchmgr.domain.rollout.states import (
    ACTIVE_PLANS,
    AT_WORK,
    UNSUCCESSFUL,
    UNVERIFIED,
    WAITING_TASKS,
    TaskState,
)
from web import tables
from web.auth import requires
from web.context import now, session, viewer
from web.plans import live
from web.plans.frame import around, for_all
from web.plans.pages import pages
from web.plans.review import changes_page
from web.plans.rights import rights
from web.show import words
from web.tables import Column, Fetch, Fetched, Filter, Table, View, answer

TASKS = Table(
    "tasks",
    (
        Column("host", "Host"),
        Column("ring", "Ring"),
        Column("state", "State"),
        Column("attempt", "Attempt", numeric=True),
        Column("said", "What happened", lambda row: row.reason or row.output),
        Column("next", "What happens next"),
        Column("act", "Report", lambda _: ""),
    ),
    filters=(
        Filter("state", "State", tuple((s.value, s.value.replace("_", " ")) for s in TaskState)),
        Filter("ring", "Ring", is_choice=False),
    ),
    search="Host name",
)


@pages.get("/<int:plan_id>")
@requires(Role.VIEWER)
def show(plan_id: int) -> ResponseReturnValue:
    """Show what matters now: the rollout of a plan that was started, else what it changes."""
    plan = queries.get(session(), plan_id, now=now())
    return _rollout_page(plan) if plan.started_at else changes_page(plan)


@pages.get("/<int:plan_id>/rollout")
@requires(Role.VIEWER)
def rollout(plan_id: int) -> ResponseReturnValue:
    return _rollout_page(queries.get(session(), plan_id, now=now()))


@pages.get("/<int:plan_id>/_rollout")
@requires(Role.VIEWER)
def rollout_fragment(plan_id: int) -> ResponseReturnValue:
    """Answer with what moves on the page, or that nothing has.

    Everything that a step changes is in the plan's stamp. What time alone changes, the browser
    counts by itself, and it gets all of it anew once a minute.
    """
    moment = live.moment(plan_id, lambda: _read(plan_id))
    mine = rights(moment.plan, viewer())
    mark = live.mark(moment, mine)
    if request.if_none_match.contains_weak(mark):
        answered = Response(status=304)
    else:
        answered = make_response(live.text(moment, mine))
    answered.set_etag(mark, weak=True)
    answered.headers["Cache-Control"] = "private, no-cache"
    return answered


def _read(plan_id: int) -> tuple[PlanDetail, Mapping[str, Any]]:
    """Return a plan, and what of its page moves and is the same whoever looks."""
    plan = queries.get(session(), plan_id, now=now())
    listing = tables.listing(TASKS, _fetch(plan_id), path=url_for(".show", plan_id=plan_id))
    return plan, {"listing": listing, **_values(plan), **for_all(plan, "rollout")}


def _rollout_page(plan: PlanDetail) -> ResponseReturnValue:
    return answer(
        "plans/rollout.html",
        TASKS,
        _fetch(plan.id),
        path=url_for(".show", plan_id=plan.id),
        clock=now().isoformat(),
        **_values(plan),
        **around(plan, "rollout"),
    )


def _fetch(plan_id: int) -> Fetch:
    def fetch(view: View, limit: int, cursor: str | None) -> Fetched:
        found = plan_progress.tasks(
            session(),
            plan_id,
            ring=view.get("ring"),
            state=view.get("state"),
            search=view.q,
            limit=limit,
            cursor=cursor or "",
        )
        return Fetched.of(found)

    return fetch


def _values(plan: PlanDetail) -> dict[str, Any]:
    return {
        "said": _said(plan),
        "live_arguments": {name: request.args.getlist(name) for name in request.args},
        "LIVE_EVERY": live.EVERY.seconds,
        "groups": GROUPS,
        "may_report": _may_report,
        "outcomes": Outcome,
        "is_live": plan.state in ACTIVE_PLANS or (plan.started_at and plan.live > 0),
    }


def _said(plan: PlanDetail) -> str:
    """Return what is read aloud when it changes: states, and why it stands still; no counts."""
    rings = ", ".join(f"ring {one.name} {words(one.state)}" for one in plan.rings)
    why = "".join(f" {stop.why}." for stop in plan.stops)
    return f"The plan is {words(plan.state)}: {rings}.{why}"


GROUPS: Mapping[str, tuple[tuple[TaskState, ...], str]] = {
    "verified": ((TaskState.VERIFIED,), "good"),
    "unverified": (UNVERIFIED, "info"),
    "at work": (AT_WORK, "live"),
    "without success": (UNSUCCESSFUL, "bad"),
    "waiting": (WAITING_TASKS, "quiet"),
    "skipped": ((TaskState.SKIPPED,), "quiet"),
    "cancelled": ((TaskState.CANCELLED,), "quiet"),
}
_REPORTABLE = (
    *AT_WORK,
    TaskState.REBOOT_PENDING,
    TaskState.TIMED_OUT,
    TaskState.FAILED,
)


def _may_report(task: TaskLine) -> bool:
    return task.attempt > 0 and task.state in _REPORTABLE
