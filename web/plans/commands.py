"""What people do to a plan: propose, approve, start, pause, let pass, cancel, retry.

A refusal is said on the plan's own page, above everything else.
"""

from collections.abc import Callable
from typing import Any

from flask import Response, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from patchmgr.db.queries import plans as queries
from patchmgr.domain.accounts import Role
from patchmgr.domain.rollout.states import AT_WORK, WAITING_TASKS
from patchmgr.errors import ConflictError, InputError, NotFoundError
from patchmgr.services import approvals, superseding
from patchmgr.services import plans as service
from web.auth import requires
from web.context import db, now, session, viewer
from web.forms import ReasonForm
from web.plans.pages import pages, sentence
from web.show import plural


@pages.post("/<int:plan_id>/propose")
@requires(Role.OPERATOR)
def propose(plan_id: int) -> ResponseReturnValue:
    return _done(service.propose, plan_id, "Proposed. An approver who is not an author decides.")


@pages.post("/<int:plan_id>/approve")
@requires(Role.APPROVER)
def approve(plan_id: int) -> ResponseReturnValue:
    """Approve the content that the page showed, or one ring of it."""
    ring = request.form.get("ring", "")
    return _done(
        service.approve,
        plan_id,
        f"Ring {ring} is approved." if ring else "Approved.",
        content_hash=request.form.get("content_hash", ""),
        ring=ring,
        comment=request.form.get("comment", "").strip()[:4000],
    )


@pages.post("/<int:plan_id>/reject")
@requires(Role.APPROVER)
def reject(plan_id: int) -> ResponseReturnValue:
    reason = request.form.get("comment", "").strip() or request.form.get("reason", "").strip()
    if not reason:
        flash("Say why the plan is rejected, in the comment.", "error")
        return redirect(url_for(".show", plan_id=plan_id, _anchor="comment"), code=303)
    return _done(service.reject, plan_id, "Rejected.", reason=reason[:4000])


@pages.post("/<int:plan_id>/start")
@requires(Role.OPERATOR)
def start(plan_id: int) -> ResponseReturnValue:
    return _done(service.start, plan_id, "Started.")


@pages.get("/<int:plan_id>/break-glass")
@requires(Role.APPROVER)
def ask_break_glass(plan_id: int) -> ResponseReturnValue:
    return _break_glass_page(plan_id, ReasonForm(formdata=None))


@pages.post("/<int:plan_id>/break-glass")
@requires(Role.APPROVER)
def break_glass(plan_id: int) -> ResponseReturnValue:
    """Start a plan without its approvals."""
    form = ReasonForm()
    if not form.validate_on_submit():
        return _break_glass_page(plan_id, form), 422
    said = "Started without its approvals. Another person must review that."
    return _done(superseding.break_glass, plan_id, said, reason=form.reason.data)


def _break_glass_page(plan_id: int, form: ReasonForm) -> str:
    plan = queries.get(session(), plan_id, now=now())
    missing = plan.approvals_needed - plan.approvals_given
    hosts = plural(plan.summary["hosts"], "host")
    return render_template(
        "confirm.html",
        title=f"Start plan {plan.id}, {plan.title}, without its approvals",
        consequences=[
            f"{plural(missing, 'approval')} missing: {hosts} get what the plan says all the same.",
            "It is marked on the plan, on the overview and in compliance reports.",
            "Somebody who neither made nor started the plan must review it afterwards.",
        ],
        form=form,
        action=url_for(".break_glass", plan_id=plan_id),
        label="Break the glass and start",
        back=url_for(".show", plan_id=plan_id),
    )


@pages.post("/<int:plan_id>/review")
@requires(Role.APPROVER)
def review(plan_id: int) -> ResponseReturnValue:
    """Sign a start without approvals."""
    return _done(approvals.review, plan_id, "Reviewed.", comment=_reason())


@pages.post("/<int:plan_id>/supersede")
@requires(Role.OPERATOR)
def supersede(plan_id: int) -> ResponseReturnValue:
    """Let the plan take the place of an older one."""
    older = request.form.get("plan", "")
    if not (older.isascii() and older.isdigit() and len(older) < 10):
        raise NotFoundError("plan", older)
    said = f"Plan {older} is superseded. Its hosts at work finish."
    return _done(superseding.supersede, plan_id, said, old_id=int(older), reason=_reason())


@pages.post("/<int:plan_id>/pause")
@requires(Role.OPERATOR)
def pause(plan_id: int) -> ResponseReturnValue:
    said = "Paused. Hosts at work finish; nothing else begins."
    return _done(service.pause, plan_id, said, reason=_reason())


@pages.post("/<int:plan_id>/resume")
@requires(Role.OPERATOR)
def resume(plan_id: int) -> ResponseReturnValue:
    return _done(service.resume, plan_id, "Resumed.", reason=_reason())


@pages.post("/<int:plan_id>/acknowledge")
@requires(Role.OPERATOR)
def acknowledge(plan_id: int) -> ResponseReturnValue:
    return _done(service.acknowledge, plan_id, "Let pass. The plan goes on.", reason=_reason())


@pages.post("/<int:plan_id>/halt")
@requires(Role.OPERATOR)
def halt(plan_id: int) -> ResponseReturnValue:
    return _done(service.halt, plan_id, "Halted.", reason=_reason())


@pages.get("/<int:plan_id>/cancel")
@requires(Role.OPERATOR)
def ask_cancel(plan_id: int) -> ResponseReturnValue:
    return _cancel_page(plan_id, ReasonForm(formdata=None))


@pages.post("/<int:plan_id>/cancel")
@requires(Role.OPERATOR)
def cancel(plan_id: int) -> ResponseReturnValue:
    form = ReasonForm()
    if not form.validate_on_submit():
        return _cancel_page(plan_id, form), 422
    return _done(service.cancel, plan_id, "Cancelled.", reason=form.reason.data)


def _consequences(waiting: int, at_work: int) -> list[str]:
    """Return what cancelling means for the hosts that wait and for those at work."""
    said = []
    if waiting:
        said.append(f"{plural(waiting, 'host')} will not get what the plan says.")
    if at_work:
        finish = "finishes" if at_work == 1 else "finish"
        said.append(f"{plural(at_work, 'host')} at work {finish}; results are still taken.")
    said.append(
        "What is installed stays installed. A cancelled plan cannot be taken up again; "
        "make a new one."
    )
    return said


def _cancel_page(plan_id: int, form: ReasonForm) -> str:
    plan = queries.get(session(), plan_id, now=now())
    waiting = sum(plan.counts.get(state.value, 0) for state in WAITING_TASKS)
    at_work = sum(plan.counts.get(state.value, 0) for state in AT_WORK)
    return render_template(
        "confirm.html",
        title=f"Cancel plan {plan.id}, {plan.title}",
        consequences=_consequences(waiting, at_work),
        form=form,
        action=url_for(".cancel", plan_id=plan_id),
        label="Cancel the plan",
        back=url_for(".show", plan_id=plan_id),
    )


@pages.post("/<int:plan_id>/retry")
@requires(Role.OPERATOR)
def retry(plan_id: int) -> ResponseReturnValue:
    """Give hosts that ended without success another turn."""
    try:
        service.retry(
            db(),
            plan_id,
            request.form.getlist("host"),
            reason=_reason(),
            actor=viewer().name,
            role=viewer().role,
            now=now(),
        )
    except (InputError, ConflictError, NotFoundError) as error:
        flash(sentence(error), "error")
    else:
        flash("It gets another turn.")
    return redirect(url_for(".show", plan_id=plan_id), code=303)


def _done(command: Callable[..., object], plan_id: int, said: str, **values: Any) -> Response:
    """Give a command and go back to the plan; a refusal is said there, above everything else."""
    try:
        command(db(), plan_id, actor=viewer().name, role=viewer().role, now=now(), **values)
    except (InputError, ConflictError) as error:
        flash(sentence(error), "error")
    else:
        flash(said)
    return redirect(url_for(".show", plan_id=plan_id), code=303)  # type: ignore[return-value] # Flask's own


def _reason() -> str:
    return request.form.get("reason", "").strip()[:4000]
