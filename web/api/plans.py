"""Patch plans: content, approval, rollout, results; windows and freezes."""

from typing import Annotated, Any, Literal

from flask import Response, request
from pydantic import BeforeValidator, Field

from patchmgr.db.queries import plan_content, plan_progress
from patchmgr.db.queries import plans as queries
from patchmgr.db.queries import windows as window_queries
from patchmgr.domain import durations
from patchmgr.domain.accounts import Role
from patchmgr.domain.advisories import Severity
from patchmgr.domain.plans import Selection
from patchmgr.domain.rings import DEFAULT_RINGS, series_from_json
from patchmgr.domain.rollout.events import Outcome
from patchmgr.domain.windows import Freeze, Window
from patchmgr.errors import BadFileError, InputError
from patchmgr.services import exports, result_files, rollouts
from patchmgr.services import plans as service
from patchmgr.services import windows as window_service
from patchmgr.services.rollouts import ResultRow
from web.api.routing import JSON, Raw, actor, problems, route
from web.api.values import (
    Document,
    Flag,
    In,
    Out,
    PageOf,
    Paging,
    Plain,
    SeverityWord,
    Text,
    When,
    Words,
    page,
)
from web.context import db, now, session, viewer

MOST_RESULTS = 10_000  # rows of a JSON body; a CSV may have more


class Plan(Out):
    """A patch plan in a list."""

    id: int
    title: str
    state: str
    state_since: When
    author: str
    reason: str
    due: When | None
    hosts: int
    changes: int
    findings: int
    severity: str
    created_at: When
    approvals_needed: int


class Condition(Out):
    """A line of a gate's checklist."""

    name: str
    have: str
    need: str
    holds: bool


class Ring(Out):
    """A stage of a plan, and what its gate asks for."""

    name: str
    position: int
    state: str
    state_since: When | None
    started_at: When | None
    soak_until: When | None
    finished_at: When | None
    reason: str
    hosts: int
    counts: dict[str, int] = Field(description="task state -> hosts")
    gate: list[Condition]
    settings: Annotated[Document, BeforeValidator(lambda ring: ring.to_json())]


class Approval(Out):
    """A person's decision on exact content."""

    decision: str
    ring: str
    by: str
    at: When
    content_hash: str
    comment: str
    void_at: When | None = Field(description="Since then it no longer counts.")
    void_reason: str


class Signal(Out):
    """A reason to stop."""

    kind: str
    subject: str
    level: int
    why: str
    at: When


class PlanInFull(Out):
    """One plan with its rings, decisions and halt signals."""

    id: int
    title: str
    state: str
    state_since: When
    state_by: str
    reason: str
    author: str
    authors: Words
    content_hash: str
    approvals_needed: int
    approvals_given: int
    approvals: list[Approval]
    selection: Document
    summary: Document
    windows: Document
    due: When | None
    created_at: When
    proposed_at: When | None
    approved_at: When | None
    started_at: When | None
    finished_at: When | None
    expires_at: When | None
    signals: list[Signal]
    rings: list[Ring]
    live: int = Field(description="Hosts that are not over.")
    awaits: str = Field(description="Who must act before it goes on; empty: nobody.")
    commands: Words = Field(description="What its state allows.")
    frozen: str = Field(description="Why nothing may change now; empty: it may.")


class Change(Out):
    """A package from one version to another."""

    platform: str
    manager: str
    package: str
    arch: str
    source: str
    from_version: str
    to_version: str
    match: str = Field(description="Whether `to_version` is the source's or the package's own.")
    severity: SeverityWord
    advisories: Words
    hosts: int


class Task(Out):
    """One host's part of a plan."""

    host: str
    ring: str
    window: str | None
    state: str
    state_since: When
    attempt: int
    deadline: When | None
    package: str
    reason: str
    output: str
    reported_by: str
    next: str


class SelectionIn(In):
    """What a plan is asked to close; an empty field does not restrict."""

    advisories: list[Plain] = Field(default=[], max_length=500)
    cves: list[Plain] = Field(default=[], max_length=500)
    packages: list[Plain] = Field(default=[], max_length=500)
    hosts: list[Plain] = Field(default=[], max_length=5000)
    severity_at_least: SeverityWord = "unknown"


class PlanIn(In):
    selection: SelectionIn = SelectionIn()
    title: Plain = ""
    rings: list[Document] | None = Field(
        None, description="Ring settings (docs/plans.md); by default canary, early, broad."
    )
    approvals_needed: int = Field(1, ge=1, le=5)


class ApprovalIn(In):
    content_hash: Plain = Field(description="Of the content that was looked at.")
    ring: Plain = Field("", description="A ring that needs an approval of its own.")
    comment: Text = ""


class ReasonIn(In):
    reason: Text = Field(min_length=1)


class ResumeIn(In):
    reason: Text = ""


class RetryIn(ReasonIn):
    hosts: list[Plain] = Field(min_length=1, max_length=500)


class ResultIn(In):
    """What became of a host."""

    host: Plain
    result: Literal["running", "installed", "failed", "rolled_back", "skipped"]
    package: Plain = Field("", description="The one that failed.")
    output: Annotated[str, Field(max_length=100_000, pattern=r"^[^\x00]*$")] = ""
    attempt: int | None = Field(None, ge=1, le=999_999)
    reboot: bool = False


class ResultsIn(In):
    results: list[ResultIn] = Field(min_length=1, max_length=MOST_RESULTS)


class ResultsTaken(Out):
    """What became of reported results."""

    changed: int
    unchanged: int = Field(description="Repeated, or out of order.")


class PlanQuery(Paging):
    state: Plain = ""
    search: Plain = ""


class ChangeQuery(Paging):
    search: Plain = ""


class TaskQuery(Paging):
    ring: Plain = ""
    state: Plain = ""
    search: Plain = Field("", description="Part of a host name.")


class ExportQuery(In):
    format: Literal["csv", "ansible", "ansible-zip"] = "csv"
    whole: Flag = Field(False, description="The whole plan for reading, not only what is due now.")


class WindowIn(In):
    name: Plain
    rrule: Plain = Field(description="RFC 5545, without DTSTART.")
    duration: Plain = Field(description="4h, 90m, 1d12h or PT4H")
    zone: Plain = Field("UTC", description="IANA name.")


class WindowOut(Out):
    """A maintenance window."""

    name: str
    rrule: str
    duration: int = Field(description="seconds")
    zone: str
    hosts: int
    open_until: When | None
    next_opens: When | None
    next_closes: When | None


class FreezeIn(In):
    name: Plain
    starts: When
    ends: When
    reason: Plain


class FreezeOut(Out):
    """A time in which nothing may change."""

    name: str
    starts: When
    ends: When
    reason: str
    created_by: str
    in_force: bool


def _who() -> dict[str, Any]:
    return {"actor": actor(), "role": viewer().role, "now": now()}


def _plan(plan_id: int) -> object:
    return queries.get(session(), plan_id, now=now())


@route("GET", "/plans", tag="plans", query=PlanQuery, answer=PageOf[Plan])
def list_plans(query: PlanQuery) -> object:
    """List plans, the newest first."""
    states = (query.state,) if query.state else ()
    found = queries.listing(
        session(), states=states, search=query.search, limit=query.limit, cursor=query.cursor
    )
    return page(found)


@route(
    "POST", "/plans", tag="plans", role=Role.OPERATOR, body=PlanIn, answer=PlanInFull, status=201
)
def create_plan(body: PlanIn) -> object:
    """Make a draft from the open findings that the selection names."""
    asked = body.selection
    plan_id = service.create(
        db(),
        selection=Selection(
            tuple(asked.advisories),
            tuple(asked.cves),
            tuple(asked.packages),
            tuple(asked.hosts),
            Severity[asked.severity_at_least.upper()],
        ),
        title=body.title,
        rings=DEFAULT_RINGS if body.rings is None else series_from_json(body.rings),
        approvals_needed=body.approvals_needed,
        **_who(),
    )
    return _plan(plan_id)


@route("GET", "/plans/<int:plan_id>", tag="plans", answer=PlanInFull)
def get_plan(plan_id: int) -> object:
    """Get one plan with its rings and their gates."""
    return _plan(plan_id)


@route("GET", "/plans/<int:plan_id>/changes", tag="plans", query=ChangeQuery, answer=PageOf[Change])
def list_changes(plan_id: int, query: ChangeQuery) -> object:
    """List what a plan changes, the worst first."""
    queries.get(session(), plan_id, now=now())
    found = plan_content.changes(
        session(), plan_id, search=query.search, limit=query.limit, cursor=query.cursor
    )
    return page(found)


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


@route("POST", "/plans/<int:plan_id>/propose", tag="plans", role=Role.OPERATOR, answer=PlanInFull)
def propose_plan(plan_id: int) -> object:
    """Ask for approval."""
    service.propose(db(), plan_id, **_who())
    return _plan(plan_id)


@route(
    "POST",
    "/plans/<int:plan_id>/approve",
    tag="plans",
    role=Role.APPROVER,
    body=ApprovalIn,
    answer=PlanInFull,
)
def approve_plan(plan_id: int, body: ApprovalIn) -> object:
    """Consent to exactly the content with this hash, or to one ring of it."""
    service.approve(
        db(),
        plan_id,
        content_hash=body.content_hash,
        ring=body.ring,
        comment=body.comment,
        **_who(),
    )
    return _plan(plan_id)


@route(
    "POST",
    "/plans/<int:plan_id>/reject",
    tag="plans",
    role=Role.APPROVER,
    body=ReasonIn,
    answer=PlanInFull,
)
def reject_plan(plan_id: int, body: ReasonIn) -> object:
    """Refuse a plan for good."""
    service.reject(db(), plan_id, reason=body.reason, **_who())
    return _plan(plan_id)


@route("POST", "/plans/<int:plan_id>/start", tag="plans", role=Role.OPERATOR, answer=PlanInFull)
def start_plan(plan_id: int) -> object:
    """Start an approved plan."""
    service.start(db(), plan_id, **_who())
    return _plan(plan_id)


@route(
    "POST",
    "/plans/<int:plan_id>/pause",
    tag="plans",
    role=Role.OPERATOR,
    body=ReasonIn,
    answer=PlanInFull,
)
def pause_plan(plan_id: int, body: ReasonIn) -> object:
    """Hand out nothing more; hosts at work finish."""
    service.pause(db(), plan_id, reason=body.reason, **_who())
    return _plan(plan_id)


@route(
    "POST",
    "/plans/<int:plan_id>/resume",
    tag="plans",
    role=Role.OPERATOR,
    body=ResumeIn,
    answer=PlanInFull,
)
def resume_plan(plan_id: int, body: ResumeIn) -> object:
    """Let a paused plan go on."""
    service.resume(db(), plan_id, reason=body.reason, **_who())
    return _plan(plan_id)


@route(
    "POST",
    "/plans/<int:plan_id>/acknowledge",
    tag="plans",
    role=Role.OPERATOR,
    body=ReasonIn,
    answer=PlanInFull,
)
def acknowledge_plan(plan_id: int, body: ReasonIn) -> object:
    """Let every open halt signal pass; a halted plan then goes on."""
    service.acknowledge(db(), plan_id, reason=body.reason, **_who())
    return _plan(plan_id)


@route(
    "POST",
    "/plans/<int:plan_id>/halt",
    tag="plans",
    role=Role.OPERATOR,
    body=ReasonIn,
    answer=PlanInFull,
)
def halt_plan(plan_id: int, body: ReasonIn) -> object:
    """Stop a plan until somebody acknowledges why."""
    service.halt(db(), plan_id, reason=body.reason, **_who())
    return _plan(plan_id)


@route(
    "POST",
    "/plans/<int:plan_id>/cancel",
    tag="plans",
    role=Role.OPERATOR,
    body=ReasonIn,
    answer=PlanInFull,
)
def cancel_plan(plan_id: int, body: ReasonIn) -> object:
    """End a plan; hosts at work finish, and their results are still taken."""
    service.cancel(db(), plan_id, reason=body.reason, **_who())
    return _plan(plan_id)


@route(
    "POST",
    "/plans/<int:plan_id>/retry",
    tag="plans",
    role=Role.OPERATOR,
    body=RetryIn,
    answer=PlanInFull,
)
def retry_hosts(plan_id: int, body: RetryIn) -> object:
    """Give hosts that ended without success another turn."""
    service.retry(db(), plan_id, body.hosts, reason=body.reason, **_who())
    return _plan(plan_id)


@route(
    "GET",
    "/plans/<int:plan_id>/export",
    tag="plans",
    role=Role.OPERATOR,
    query=ExportQuery,
    gives=Raw(
        ("text/csv", "application/yaml", "application/zip"), "The work as a file.", is_binary=True
    ),
)
def export_plan(plan_id: int, query: ExportQuery) -> Response:
    """Download the work that may be done now, as CSV or for Ansible."""
    made = exports.export(db(), plan_id, query.format, whole=query.whole, **_who())
    disposition = f'attachment; filename="{made.name}"'
    return Response(
        made.body,
        content_type=made.media_type,
        headers={"Content-Disposition": disposition},
    )


@route(
    "POST",
    "/plans/<int:plan_id>/results",
    tag="plans",
    role=Role.OPERATOR,
    raw=Raw(("text/csv",), "host,result[,package,output,attempt,reboot]", is_binary=True),
    alternative=ResultsIn,
    answer=ResultsTaken,
)
def report_results(plan_id: int) -> object:
    """Report what became of hosts, as CSV or JSON: all of it is taken, or none."""
    if request.mimetype != JSON:
        return result_files.report_file(
            db(), plan_id, request.get_data(), file="results.csv", **_who()
        )
    try:
        body = ResultsIn.model_validate_json(request.get_data(), strict=True)
    except ValueError as error:
        raise problems(error) from error
    rows = [
        ResultRow(
            one.host,
            Outcome(one.result),
            one.package,
            one.output,
            one.attempt,
            one.reboot,
            row=number,
        )
        for number, one in enumerate(body.results, start=1)
    ]
    try:
        return rollouts.report_results(db(), plan_id, rows, **_who())
    except BadFileError as error:
        raise InputError(
            {f"results.{bad.row - 1}.{bad.column}": bad.remedy for bad in error.rows}
        ) from error


@route("GET", "/windows", tag="calendar", answer=list[WindowOut])
def list_windows() -> object:
    """List maintenance windows."""
    return [
        {
            "name": line.window.name,
            "rrule": line.window.rrule,
            "duration": int(line.window.duration.total_seconds()),
            "zone": line.window.zone,
            "hosts": line.hosts,
            "open_until": line.open_until,
            "next_opens": line.next[0] if line.next else None,
            "next_closes": line.next[1] if line.next else None,
        }
        for line in window_queries.windows(session(), now=now())
    ]


@route(
    "POST",
    "/windows",
    tag="calendar",
    role=Role.OPERATOR,
    body=WindowIn,
    answer=list[WindowOut],
    status=201,
)
def add_window(body: WindowIn) -> object:
    """Add a maintenance window; answers all of them."""
    window = Window(body.name, body.rrule, durations.parse(body.duration), body.zone)
    window_service.add(db(), window, **_who())
    return list_windows()


@route("GET", "/freezes", tag="calendar", answer=list[FreezeOut])
def list_freezes() -> object:
    """List the freezes that are not over."""
    return [
        {
            "name": line.freeze.name,
            "starts": line.freeze.starts,
            "ends": line.freeze.ends,
            "reason": line.freeze.reason,
            "created_by": line.created_by,
            "in_force": line.in_force,
        }
        for line in window_queries.freezes(session(), now=now(), over=False)
    ]


@route(
    "POST",
    "/freezes",
    tag="calendar",
    role=Role.OPERATOR,
    body=FreezeIn,
    answer=list[FreezeOut],
    status=201,
)
def add_freeze(body: FreezeIn) -> object:
    """Add a freeze; answers all that are not over."""
    freeze = Freeze(body.name, body.starts, body.ends, body.reason)
    window_service.add_freeze(db(), freeze, **_who())
    return list_freezes()
