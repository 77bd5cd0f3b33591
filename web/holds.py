"""Holds: package versions that are known to be bad, which no plan may install."""

from datetime import timedelta

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from patchmgr.db.queries import holds as queries
from patchmgr.domain.accounts import Role
from patchmgr.domain.holds import USUAL, Hold
from patchmgr.errors import ConflictError, InputError
from patchmgr.services import holds as service
from web import times
from web.auth import requires
from web.context import db, now, session, viewer
from web.forms import HoldForm, RevokeForm
from web.plans.pages import sentence
from web.tables import Column, Fetched, Filter, Table, View, answer

pages = Blueprint("holds", __name__, url_prefix="/holds")

HOLDS = Table(
    "holds",
    (
        Column("id", "Hold"),
        Column("what", "What is held"),
        Column("reason", "Why"),
        Column("state", "State"),
        Column("expires_at", "Until"),
        Column("owner", "Owner"),
        Column("created_by", "Recorded by", shown=False),
        Column("created_at", "Recorded", shown=False),
    ),
    filters=(
        Filter(
            "state",
            "Proposed or in force",
            (
                ("proposed", "Proposed"),
                ("in_force", "In force"),
                ("expired", "Expired"),
                ("revoked", "Revoked"),
                ("all", "All"),
            ),
        ),
    ),
    search="Package, version, reason, owner",
)


@pages.get("")
@requires(Role.VIEWER)
def index() -> ResponseReturnValue:
    def fetch(view: View, limit: int, cursor: str | None) -> Fetched:
        found = queries.listing(
            session(),
            now=now(),
            state=view.get("state") or "current",
            search=view.q,
            limit=limit,
            cursor=cursor or "",
        )
        return Fetched.of(found)

    return answer("holds/list.html", HOLDS, fetch)


@pages.get("/new")
@requires(Role.OPERATOR)
def new() -> ResponseReturnValue:
    """Show the form, filled in as the address says: ``?package=`` and the like."""
    form = HoldForm(formdata=None)
    for name in ("package", "versions", "platform"):
        form[name].data = request.args.get(name, "")
    form.owner.data = viewer().name
    form.expires.data = times.typed(now() + USUAL)[:10]
    return render_template("holds/new.html", form=form)


@pages.post("/new")
@requires(Role.OPERATOR)
def add() -> ResponseReturnValue:
    form = HoldForm()
    if not form.validate_on_submit():
        return render_template("holds/new.html", form=form), 422
    try:
        number = service.add(
            db(),
            Hold(
                form.package.data.strip(),
                (form.versions.data or "").strip(),
                (form.platform.data or "").strip(),
                form.reason.data,
            ),
            expires_at=times.read(form.expires.data, "expires") + timedelta(days=1),
            owner=form.owner.data or "",
            actor=viewer().name,
            role=viewer().role,
            now=now(),
        )
    except InputError as error:
        form.take(error)
        return render_template("holds/new.html", form=form), 422
    flash(f"Hold {number} is in force: plans leave it out, and open ones that have it stop.")
    return redirect(url_for(".index"), code=303)


@pages.post("/<int:number>/confirm")
@requires(Role.OPERATOR)
def confirm(number: int) -> ResponseReturnValue:
    """Put a hold in force that failures of hosts proposed."""
    try:
        service.confirm(db(), number, actor=viewer().name, role=viewer().role, now=now())
    except ConflictError as error:
        flash(sentence(error), "error")
    else:
        flash(f"Hold {number} is in force.")
    return redirect(url_for(".index"), code=303)


@pages.get("/<int:number>/revoke")
@requires(Role.OPERATOR)
def ask_revoke(number: int) -> ResponseReturnValue:
    line = queries.get(session(), number, now=now())
    return render_template(
        "confirm.html",
        title=f"Revoke hold {number} ({line.what})",
        consequences=[
            "Plans may install it again from then on.",
            "A plan that it stopped stays stopped until somebody lets its signal pass.",
        ],
        form=RevokeForm(formdata=None),
        action=url_for(".revoke", number=number),
        label=f"Revoke hold {number}",
        back=url_for(".index"),
    )


@pages.post("/<int:number>/revoke")
@requires(Role.OPERATOR)
def revoke(number: int) -> ResponseReturnValue:
    reason = request.form.get("reason", "")
    try:
        service.revoke(
            db(), number, reason=reason, actor=viewer().name, role=viewer().role, now=now()
        )
    except ConflictError as error:
        flash(sentence(error), "error")
    else:
        flash(f"Hold {number} is revoked.")
    return redirect(url_for(".index"), code=303)
