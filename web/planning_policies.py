"""Planning policies: how plans are made, each a document that is edited and kept in versions."""

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from patchmgr.db.queries import planning_policies as queries
from patchmgr.domain.accounts import Role
from patchmgr.domain.numbers import whole
from patchmgr.domain.planning_policies import KIND, brief
from patchmgr.errors import ConflictError, InputError, NotFoundError
from patchmgr.services import planning_policies as service
from patchmgr.services import policy_files
from web.auth import requires
from web.context import db, now, session, viewer
from web.forms import PolicyForm
from web.plans.pages import sentence

pages = Blueprint("planning_policies", __name__, url_prefix="/planning-policies")

EXAMPLE = """\
kind = "planning"
name = "monthly"
title = "Monthly security updates"
targets = "exact"

[approval]
needed = 1

[hosts]
environments = ["production"]

[[findings]]
severity_at_least = "high"

[[findings]]
kev = true

[[rings]]
name = "canary"
representative = 12
max_failures = 0
soak = "24h"

[[rings]]
name = "broad"

[[groups]]
by = "cluster"
max_unavailable = 1

[schedule]
every = "patch-tuesday"
weekday = "thursday"
at = "08:00"
zone = "UTC"
"""


@pages.get("/new")
@requires(Role.ADMIN)
def new() -> ResponseReturnValue:
    form = PolicyForm(formdata=None)
    form.document.data = EXAMPLE
    return render_template("policies/edit.html", form=form, name="")


@pages.post("/new")
@requires(Role.ADMIN)
def add() -> ResponseReturnValue:
    return _taken("")


@pages.get("/show/<name>")
@requires(Role.VIEWER)
def show(name: str) -> ResponseReturnValue:
    """Show a version of a policy, without ``?version=`` the last one, and what its schedule did."""
    stored = queries.get(session(), name, whole(request.args.get("version", "")))
    last = queries.last_occasions(session())
    return render_template(
        "policies/planning.html",
        stored=stored,
        text=policy_files.written(brief(stored.policy), "toml"),
        versions=queries.versions(session(), name),
        occasions=queries.occasions(session(), name),
        next_due=service.next_occasion(session(), stored, last, now()),
    )


@pages.get("/edit/<name>")
@requires(Role.ADMIN)
def edit(name: str) -> ResponseReturnValue:
    stored = queries.get(session(), name)
    form = PolicyForm(formdata=None)
    form.document.data = policy_files.written(brief(stored.policy), "toml")
    return render_template("policies/edit.html", form=form, name=name)


@pages.post("/edit/<name>")
@requires(Role.ADMIN)
def save(name: str) -> ResponseReturnValue:
    return _taken(name)


@pages.post("/plan/<name>")
@requires(Role.OPERATOR)
def plan(name: str) -> ResponseReturnValue:
    """Make a draft by the policy."""
    try:
        plan_id = service.create_plan(
            db(), name, actor=viewer().name, role=viewer().role, now=now()
        )
    except (ConflictError, InputError) as error:
        flash(sentence(error), "error")
        return redirect(url_for(".show", name=name), code=303)
    flash("The draft is made. Nothing happens before it is proposed, approved and started.")
    return redirect(url_for("plans.show", plan_id=plan_id), code=303)


def _document(text: str, name: str) -> Mapping[str, Any]:
    document = policy_files.parsed(text.replace("\r\n", "\n"), "toml")
    if document.get("kind") != KIND:
        raise InputError({"kind": f'must be "{KIND}"'})
    if name and document.get("name") != name:
        raise InputError({"name": f"this is policy {name!r}; make another for another name"})
    return document


def _taken(name: str) -> ResponseReturnValue:
    """Take what was typed as the next version; ``name`` is the policy that is edited."""
    form = PolicyForm()
    if not form.validate_on_submit():
        return render_template("policies/edit.html", form=form, name=name), 422
    try:
        document = _document(form.document.data, name)
        _, made, version = policy_files.take(
            db(), document, actor=viewer().name, role=viewer().role, now=now()
        )
    except (InputError, NotFoundError) as error:
        form.document.errors = [sentence(error)]
        return render_template("policies/edit.html", form=form, name=name), 422
    flash(f"Policy {made} is at version {version}.")
    return redirect(url_for(".show", name=made), code=303)
