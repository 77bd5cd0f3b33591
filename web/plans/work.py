"""Work by hand: handing out what may be done now, and taking results back."""

from flask import Response, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from patchmgr.db.queries import plans as queries
from patchmgr.domain.accounts import Role
from patchmgr.domain.rollout.events import Outcome
from patchmgr.errors import BadFileError, ConflictError, InputError, NotFoundError
from patchmgr.services import exports, result_files, rollouts
from patchmgr.services.rollouts import ResultRow
from web.auth import requires
from web.context import db, now, session, viewer
from web.plans.pages import pages, sentence
from web.show import plural

FORMS = {"csv": "csv", "yml": "ansible", "zip": "ansible-zip"}  # by the suffix of the file


@pages.get("/<int:plan_id>/work.<suffix>")
@requires(Role.VIEWER)
def export(plan_id: int, suffix: str) -> ResponseReturnValue:
    """Give the work that may be done now as a file; ``?whole=yes`` gives the plan for reading.

    ``?rollback=yes`` gives the way back of hosts that must be rolled back. The service asks for an
    operator unless it is for reading.
    """
    if suffix not in FORMS:
        raise NotFoundError("form of the work", suffix)
    made = exports.export(
        db(),
        plan_id,
        FORMS[suffix],
        whole=request.args.get("whole") == "yes",
        rollback=request.args.get("rollback") == "yes",
        actor=viewer().name,
        role=viewer().role,
        now=now(),
    )
    return Response(
        made.body,
        content_type=made.media_type,
        headers={"Content-Disposition": f'attachment; filename="{made.name}"'},
    )


@pages.post("/<int:plan_id>/results")
@requires(Role.OPERATOR)
def upload_results(plan_id: int) -> ResponseReturnValue:
    """Take a file of results, all of it or none; show every row that cannot be true."""
    sent = request.files.get("file")
    body = sent.stream.read() if sent else b""
    if not sent or not body:
        flash("Choose a results file: host, result, and if you like package and output.", "error")
        return redirect(url_for(".show", plan_id=plan_id), code=303)
    try:
        taken = result_files.report_file(
            db(),
            plan_id,
            body,
            file=sent.filename or "results.csv",
            actor=viewer().name,
            role=viewer().role,
            now=now(),
        )
    except BadFileError as error:
        plan = queries.get(session(), plan_id, now=now())
        return render_template("plans/results.html", plan=plan, rows=error.rows), 422
    old = f", {taken.unchanged} said nothing new" if taken.unchanged else ""
    flash(f"Taken: {plural(taken.changed, 'result')}{old}.")
    return redirect(url_for(".show", plan_id=plan_id), code=303)


@pages.post("/<int:plan_id>/hosts/<host>/result")
@requires(Role.OPERATOR)
def report(plan_id: int, host: str) -> ResponseReturnValue:
    """Take one host's result from a button."""
    try:
        row = ResultRow(
            host,
            Outcome(request.form.get("outcome", "")),
            package=request.form.get("package", "").strip()[:200],
            output=request.form.get("output", "").strip()[:20_000],
            reboot_pending="reboot" in request.form,
        )
        rollouts.report_results(
            db(), plan_id, [row], actor=viewer().name, role=viewer().role, now=now()
        )
    except ValueError:
        flash("That is no result.", "error")
    except BadFileError as error:
        flash(f"{host}: {error.rows[0].remedy}.", "error")
    except (InputError, ConflictError) as error:
        flash(sentence(error), "error")
    else:
        counts = " It counts once its next inventory shows the new versions."
        said = f"{host}: {row.outcome.value.replace('_', ' ')}."
        flash(said + (counts if row.outcome is Outcome.INSTALLED else ""))
    return redirect(url_for(".show", plan_id=plan_id), code=303)
