"""What is done to patch plans: approval, rollout, work by hand and its results."""

from flask import Response, request

from patchmgr.domain.accounts import Role
from patchmgr.domain.rollout.events import Outcome
from patchmgr.errors import BadFileError, InputError
from patchmgr.services import approvals, exports, result_files, rollouts, superseding
from patchmgr.services import plans as service
from patchmgr.services.rollouts import ResultRow
from web.api.plan_bodies import (
    AcknowledgeIn,
    ApprovalIn,
    ExportQuery,
    ReasonIn,
    ResultsIn,
    ResumeIn,
    RetryIn,
    SupersedeIn,
)
from web.api.plan_shapes import PlanInFull, ResultsTaken
from web.api.plans import plan_in_full
from web.api.routing import JSON, Raw, read_json, route, who
from web.context import db


@route("POST", "/plans/<int:plan_id>/propose", tag="plans", role=Role.OPERATOR, answer=PlanInFull)
def propose_plan(plan_id: int) -> object:
    """Ask for approval."""
    service.propose(db(), plan_id, **who())
    return plan_in_full(plan_id)


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
        **who(),
    )
    return plan_in_full(plan_id)


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
    service.reject(db(), plan_id, reason=body.reason, **who())
    return plan_in_full(plan_id)


@route("POST", "/plans/<int:plan_id>/start", tag="plans", role=Role.OPERATOR, answer=PlanInFull)
def start_plan(plan_id: int) -> object:
    """Start an approved plan."""
    service.start(db(), plan_id, **who())
    return plan_in_full(plan_id)


@route(
    "POST",
    "/plans/<int:plan_id>/break-glass",
    tag="plans",
    role=Role.APPROVER,
    body=ReasonIn,
    answer=PlanInFull,
)
def break_glass(plan_id: int, body: ReasonIn) -> object:
    """Start a plan without its approvals; another person must review that afterwards."""
    superseding.break_glass(db(), plan_id, reason=body.reason, **who())
    return plan_in_full(plan_id)


@route(
    "POST",
    "/plans/<int:plan_id>/review",
    tag="plans",
    role=Role.APPROVER,
    body=ReasonIn,
    answer=PlanInFull,
)
def review_plan(plan_id: int, body: ReasonIn) -> object:
    """Sign a start without approvals; neither who did it nor an author of the plan can."""
    approvals.review(db(), plan_id, comment=body.reason, **who())
    return plan_in_full(plan_id)


@route(
    "POST",
    "/plans/<int:plan_id>/supersede",
    tag="plans",
    role=Role.OPERATOR,
    body=SupersedeIn,
    answer=PlanInFull,
)
def supersede_plan(plan_id: int, body: SupersedeIn) -> object:
    """End an older plan, for this one does all that is left of it."""
    superseding.supersede(db(), plan_id, body.plan, reason=body.reason, **who())
    return plan_in_full(plan_id)


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
    service.pause(db(), plan_id, reason=body.reason, **who())
    return plan_in_full(plan_id)


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
    service.resume(db(), plan_id, reason=body.reason, **who())
    return plan_in_full(plan_id)


@route(
    "POST",
    "/plans/<int:plan_id>/acknowledge",
    tag="plans",
    role=Role.OPERATOR,
    body=AcknowledgeIn,
    answer=PlanInFull,
)
def acknowledge_plan(plan_id: int, body: AcknowledgeIn) -> object:
    """Let every open halt signal pass, or accept hosts that ended without success."""
    service.acknowledge(db(), plan_id, reason=body.reason, hosts=body.hosts, **who())
    return plan_in_full(plan_id)


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
    service.halt(db(), plan_id, reason=body.reason, **who())
    return plan_in_full(plan_id)


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
    service.cancel(db(), plan_id, reason=body.reason, **who())
    return plan_in_full(plan_id)


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
    service.retry(db(), plan_id, body.hosts, reason=body.reason, **who())
    return plan_in_full(plan_id)


@route(
    "GET",
    "/plans/<int:plan_id>/export",
    tag="plans",
    role=Role.VIEWER,
    query=ExportQuery,
    gives=Raw(
        ("text/csv", "application/yaml", "application/zip"), "The work as a file.", is_binary=True
    ),
)
def export_plan(plan_id: int, query: ExportQuery) -> Response:
    """Download the work that may be done now, as CSV or for Ansible.

    That needs an operator; `whole`, which is for reading, does not.
    """
    made = exports.export(
        db(), plan_id, query.format, whole=query.whole, rollback=query.rollback, **who()
    )
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
            db(), plan_id, request.get_data(), file="results.csv", **who()
        )
    body = read_json(ResultsIn)
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
        return rollouts.report_results(db(), plan_id, rows, **who())
    except BadFileError as error:
        raise InputError(
            {f"results.{bad.row - 1}.{bad.column}": bad.remedy for bad in error.rows}
        ) from error
