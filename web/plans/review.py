"""The pages on which people decide: what a plan changes, where, why, when, what may go wrong."""

from flask import render_template, request
from flask.typing import ResponseReturnValue

from patchmgr.db.queries import (
    change_history,
    holds,
    plan_content,
    plan_progress,
    plan_review,
)
from patchmgr.db.queries import plans as queries
from patchmgr.db.queries.change_history import History
from patchmgr.db.queries.plans import PlanDetail
from patchmgr.domain.accounts import Role
from web.auth import requires
from web.context import now, session
from web.plans.frame import around, risks_of
from web.plans.pages import pages
from web.tables import Column, Fetched, Filter, Table, View, answer

CHANGES = Table(
    "changes",
    (
        Column("package", "Package"),
        Column("change", "From and to", lambda row: f"{row.from_version} to {row.to_version}"),
        Column("hosts", "Hosts", numeric=True),
        Column("severity", "Worst"),
        Column("closes", "Closes", lambda row: " ".join(row.advisories)),
        Column("before", "Before", lambda _: ""),
        Column("platform", "Platform"),
    ),
    search="Package, source or version",
)
NOT_PLANNED = Table(
    "not-planned",
    (
        Column("package", "Package"),
        Column("version", "Installed"),
        Column("hosts", "Hosts", numeric=True),
        Column("reason", "Why it is not in the plan"),
        Column("advisories", "Advisories"),
        Column("platform", "Platform"),
    ),
    search="Package or reason",
)
LEFT_OUT = 200  # hosts that the page names
HOSTS = Table(
    "hosts",
    (
        Column("host", "Host"),
        Column("ring", "Ring"),
        Column("window", "Window", lambda row: row.window or "any time"),
        Column("state", "State"),
        Column(
            "changes",
            "What changes",
            lambda row: [f"{one.package} {one.to_version}" for one in row.changes],
        ),
    ),
    filters=(Filter("ring", "Ring"),),
    search="Host name",
)
WHY = Table(
    "closes",
    (
        Column("ref", "Advisory"),
        Column("severity", "Severity"),
        Column("findings", "Findings closed", numeric=True),
        Column("packages", "Packages"),
        Column("cves", "CVEs"),
        Column("published", "Published"),
    ),
)


@pages.get("/<int:plan_id>/changes")
@requires(Role.VIEWER)
def changes(plan_id: int) -> ResponseReturnValue:
    return changes_page(queries.get(session(), plan_id, now=now()))


def changes_page(plan: PlanDetail) -> ResponseReturnValue:
    history: dict[int, History] = {}

    def fetch(view: View, limit: int, cursor: str | None) -> Fetched:
        found = plan_content.changes(
            session(),
            plan.id,
            search=view.q,
            limit=limit,
            cursor=cursor or "",
            of=plan.summary["changes"],
        )
        numbers = [line.id for line in found.lines[:500]]
        history.update(change_history.of_changes(session(), plan.id, numbers))
        return Fetched.of(found)

    bad = holds.of_plan(session(), plan.id, now(), proposed=True)
    held = {
        (one.package, one.platform, one.to_version): hold.words
        for one, hold in bad
        if not hold.is_proposed
    }
    return answer(
        "plans/changes.html",
        CHANGES,
        fetch,
        history=history,
        held=held,
        **around(plan, "changes", held=bad),
    )


@pages.get("/<int:plan_id>/not-planned")
@requires(Role.VIEWER)
def not_planned(plan_id: int) -> ResponseReturnValue:
    """Show what was asked for and is left out, and why: thousands, where a fleet is large."""
    plan = queries.get(session(), plan_id, now=now())

    def fetch(view: View, limit: int, cursor: str | None) -> Fetched:
        found = plan_content.exclusions(
            session(), plan_id, search=view.q, limit=limit, cursor=cursor or ""
        )
        return Fetched.of(found)

    return answer(
        "plans/not_planned.html",
        NOT_PLANNED,
        fetch,
        named=LEFT_OUT,
        **around(plan, "not_planned"),
    )


@pages.get("/<int:plan_id>/hosts")
@requires(Role.VIEWER)
def hosts(plan_id: int) -> ResponseReturnValue:
    plan = queries.get(session(), plan_id, now=now())

    def fetch(view: View, limit: int, cursor: str | None) -> Fetched:
        found = plan_content.hosts(
            session(),
            plan_id,
            ring=view.get("ring"),
            search=view.q,
            limit=limit,
            cursor=cursor or "",
        )
        return Fetched.of(found)

    options = {"ring": [(ring.name, ring.name) for ring in plan.rings]}
    return answer("plans/hosts.html", HOSTS, fetch, options=options, **around(plan, "hosts"))


@pages.get("/<int:plan_id>/why")
@requires(Role.VIEWER)
def why(plan_id: int) -> ResponseReturnValue:
    plan = queries.get(session(), plan_id, now=now())

    def fetch(_: View, limit: int, cursor: str | None) -> Fetched:
        closes = plan_review.advisories(session(), plan_id)
        start = int(cursor) if cursor and cursor.isascii() and cursor.isdigit() else 0
        rest = str(start + limit) if len(closes) > start + limit else ""
        return Fetched(closes[start : start + limit], len(closes), rest)

    return answer("plans/why.html", WHY, fetch, **around(plan, "why"))


@pages.get("/<int:plan_id>/risks")
@requires(Role.VIEWER)
def risk_list(plan_id: int) -> ResponseReturnValue:
    plan = queries.get(session(), plan_id, now=now())
    found = risks_of(plan)
    return render_template("plans/risks.html", risks=found, **around(plan, "risk_list", found))


@pages.get("/<int:plan_id>/history")
@requires(Role.VIEWER)
def history(plan_id: int) -> ResponseReturnValue:
    plan = queries.get(session(), plan_id, now=now())
    with_hosts = request.args.get("hosts") == "yes"
    cursor, host = request.args.get("cursor", ""), request.args.get("host", "")
    found = plan_progress.events(
        session(), plan_id, host=host, tasks=with_hosts, limit=100, cursor=cursor
    )
    return render_template(
        "plans/history.html",
        events=found,
        with_hosts=with_hosts,
        of_host=host,
        **around(plan, "history"),
    )
