"""Making a plan, and giving one other rings and groups."""

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from patchmgr.db.queries import plans as queries
from patchmgr.db.queries import windows as window_queries
from patchmgr.db.queries.plans import PlanDetail
from patchmgr.domain.accounts import Role
from patchmgr.errors import ConflictError, InputError, NotFoundError
from patchmgr.services import plan_drafts
from web import choices, group_form
from web.auth import requires
from web.context import db, now, session, viewer
from web.plan_form import FIELDS, PlanForm, row_of, window_options
from web.plans.pages import pages, sentence
from web.plans.rights import rights
from web.tables import Options
from web.terms_form import EXECUTIONS, TARGETS, TermsRow


@pages.get("/new")
@requires(Role.OPERATOR)
def new() -> ResponseReturnValue:
    return _form_page(PlanForm.fresh(request.args))


@pages.post("/new")
@requires(Role.OPERATOR)
def create() -> ResponseReturnValue:
    """Make a draft; a button of the form that adds or removes a row only sends it back."""
    form = PlanForm.read(request.form)
    if form.change_rows(request.form):
        return _form_page(form)
    try:
        plan_id = plan_drafts.create(
            db(),
            selection=form.selection(),
            title=form.title,
            rings=form.ring_settings(),
            groups=form.group_settings(),
            approvals_needed=form.approvals_needed(),
            terms=form.terms(),
            actor=viewer().name,
            role=viewer().role,
            now=now(),
        )
    except InputError as error:
        form.take(error)
    except (ConflictError, NotFoundError) as error:
        form.problems.append(sentence(error))
    else:
        flash("The draft is made. Nothing happens before it is proposed, approved and started.")
        return redirect(url_for(".show", plan_id=plan_id), code=303)
    return _form_page(form), 422


@pages.get("/<int:plan_id>/rings")
@requires(Role.OPERATOR)
def edit(plan_id: int) -> ResponseReturnValue:
    plan = queries.get(session(), plan_id, now=now())
    form = PlanForm(
        title=plan.title,
        approvals=str(plan.approvals_needed),
        terms_row=TermsRow.of(plan.terms),
        rings=[row_of(ring.settings) for ring in plan.rings],
        groups=group_form.rows_of(plan.groups),
    )
    return _form_page(form, plan)


@pages.post("/<int:plan_id>/rings")
@requires(Role.OPERATOR)
def save(plan_id: int) -> ResponseReturnValue:
    """Give a plan other rings and groups; approvals fall when anything changed."""
    with db().reading() as reading:
        before = queries.get(reading, plan_id, now=now())
    kept = [ring.settings for ring in before.rings]
    form = PlanForm.read(request.form, kept)
    if not form.change_rows(request.form):
        try:
            changed = plan_drafts.edit(
                db(),
                plan_id,
                rings=form.ring_settings(),
                groups=form.group_settings(),
                approvals_needed=form.approvals_needed(),
                terms=form.terms,
                content_hash=form.seen,
                actor=viewer().name,
                role=viewer().role,
                now=now(),
            )
        except InputError as error:
            form.take(error)
        except ConflictError as error:
            form.problems.append(sentence(error))
        else:
            said = f"Changed: {'; '.join(changed)}." if changed else "Nothing was changed."
            flash(said[:600])
            return redirect(url_for(".times", plan_id=plan_id), code=303)
    status = 422 if form.is_refused else 200
    return _form_page(form, queries.get(session(), plan_id, now=now())), status


def _form_page(form: PlanForm, plan: PlanDetail | None = None) -> str:
    return render_template(
        "plans/form.html",
        form=form,
        plan=plan,
        loses_approval=plan is not None and rights(plan, viewer()).loses_approval,
        fields=FIELDS,
        executions=EXECUTIONS,
        targets=TARGETS,
        kinds=group_form.KINDS,
        choices={} if plan else _choices(),
        windows=window_options(window_queries.known_windows(session())),
        missing=window_queries.missing_windows(session()),
    )


def _choices() -> dict[str, Options]:
    of_hosts = choices.of_hosts("platform", "environment")
    return {**of_hosts, "severity": choices.SEVERITIES}
