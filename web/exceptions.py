"""Exceptions: what is left alone, why, and until when."""

from datetime import datetime, timedelta

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from patchmgr.db.queries import exceptions as queries
from patchmgr.domain.accounts import Role
from patchmgr.domain.exceptions import LONGEST_FALSE_POSITIVE, Scope, State, Type
from patchmgr.errors import InputError, NotFoundError
from patchmgr.services import exceptions as service
from patchmgr.services.exceptions import Added
from web import times
from web.auth import requires
from web.context import db, now, session, settings, viewer
from web.forms import ExceptionForm, RevokeForm
from web.show import plural
from web.tables import Column, Fetched, Filter, Options, Table, View, answer

pages = Blueprint("exceptions", __name__, url_prefix="/exceptions")

TYPES: Options = tuple((each.value, each.value.replace("_", " ").capitalize()) for each in Type)
STATES: Options = (
    (State.PROPOSED.value, "Proposed"),
    (State.IN_FORCE.value, "In force"),
    ("over", "Expired or revoked"),
    ("all", "All"),
)
EXCEPTIONS = Table(
    "exceptions",
    (
        Column("id", "Exception"),
        Column("type", "Type"),
        Column("scope", "What for", lambda row: str(row.scope)),
        Column("findings", "Findings", numeric=True),
        Column("reason", "Why"),
        Column("state", "State"),
        Column("expires_at", "Until"),
        Column("owner", "Owner"),
        Column("approved_by", "Approved by", shown=False),
        Column("created_by", "Recorded by", shown=False),
        Column("created_at", "Recorded", shown=False),
    ),
    filters=(Filter("state", "Proposed or in force", STATES), Filter("type", "Type", TYPES)),
    search="Scope, reason, owner",
)
SOON = timedelta(days=queries.SOON)
USUAL = timedelta(days=90)
SCOPE = ("cve", "advisory", "package", "host", "tag")


@pages.get("")
@requires(Role.VIEWER)
def index() -> ResponseReturnValue:
    def fetch(view: View, limit: int, cursor: str | None) -> Fetched:
        found = queries.listing(
            session(),
            now=now(),
            state=view.get("state") or "current",
            type_=view.get("type"),
            search=view.q,
            limit=min(limit, 200),  # each is counted
            cursor=cursor or "",
        )
        return Fetched.of(found)

    return answer("exceptions/list.html", EXCEPTIONS, fetch, soon=now() + SOON)


@pages.get("/new")
@requires(Role.OPERATOR)
def new() -> ResponseReturnValue:
    """Show the form, filled in as the address says: ``?host=`` and the like."""
    form = ExceptionForm(formdata=None)
    for name in (*SCOPE, "type"):
        if name in request.args:
            form[name].data = request.args[name]
    form.owner.data = viewer().name
    form.expires.data = _day(now() + min(USUAL, timedelta(days=settings().exception_days)))
    return _form(form)


@pages.post("/new")
@requires(Role.OPERATOR)
def add() -> ResponseReturnValue:
    form = ExceptionForm()
    if not form.validate_on_submit():
        return _form(form), 422
    try:
        scope = Scope(*(_typed(form, name) for name in SCOPE))
        added = record(
            scope, Type(form.type.data), form.reason.data, form.expires.data, form.owner.data
        )
    except InputError as error:
        form.take(error)
        return _form(form), 422
    except NotFoundError as error:
        form.form_errors.append(f"There is {error}.")
        return _form(form), 422
    flash(words_of(added))
    return redirect(url_for(".show", number=added.id), code=303)


def _typed(form: ExceptionForm, name: str) -> str:
    text = (form[name].data or "").strip()
    return text.upper() if name == "cve" else text


def record(scope: Scope, type_: Type, reason: str, expires: str, owner: str = "") -> Added:
    """Record an exception as the viewer asks; ``expires`` is the last day. Raises `InputError`."""
    return service.add(
        db(),
        scope,
        type_,
        reason=reason,
        expires_at=times.read(expires, "expires") + timedelta(days=1),
        owner=owner,
        actor=viewer().name,
        role=viewer().role,
        now=now(),
        settings=settings(),
    )


def words_of(added: Added) -> str:
    if added.needs_approval:
        return f"Exception {added.id} is proposed; it covers nothing until somebody approves it."
    return f"Exception {added.id} is in force."


def _form(form: ExceptionForm) -> str:
    days, years = settings().exception_days, LONGEST_FALSE_POSITIVE // 365
    form.expires.description = f"At most {days} days; a false positive may last {years} years."
    return render_template(
        "exceptions/new.html",
        form=form,
        alone=viewer().role.covers(Role.APPROVER) and not settings().exception_four_eyes,
    )


def _day(at: datetime) -> str:
    return times.typed(at)[:10]


@pages.get("/<int:number>")
@requires(Role.VIEWER)
def show(number: int) -> ResponseReturnValue:
    line = queries.get(session(), number, now=now())
    may_approve = (
        line.state is State.PROPOSED
        and viewer().role.covers(Role.APPROVER)
        and viewer().name != line.created_by
    )
    return render_template(
        "exceptions/show.html", line=line, may_approve=may_approve, soon=now() + SOON
    )


@pages.post("/<int:number>/approve")
@requires(Role.APPROVER)
def approve(number: int) -> ResponseReturnValue:
    service.approve(db(), number, actor=viewer().name, role=viewer().role, now=now())
    flash(f"Exception {number} is in force.")
    return redirect(url_for(".show", number=number), code=303)


@pages.get("/<int:number>/revoke")
@requires(Role.OPERATOR)
def ask_revoke(number: int) -> ResponseReturnValue:
    line = queries.get(session(), number, now=now())
    covers = f"It covers {plural(line.findings, 'open finding')} now."
    after = "They are due again from then on." if line.state is State.IN_FORCE else ""
    return render_template(
        "confirm.html",
        title=f"Revoke exception {number} ({line.scope})",
        consequences=[
            f"{covers} {after}".strip(),
            "It stays in the register, and cannot be taken back.",
        ],
        form=RevokeForm(formdata=None),
        action=url_for(".revoke", number=number),
        label=f"Revoke exception {number}",
        back=url_for(".show", number=number),
    )


@pages.post("/<int:number>/revoke")
@requires(Role.OPERATOR)
def revoke(number: int) -> ResponseReturnValue:
    service.revoke(
        db(),
        number,
        actor=viewer().name,
        role=viewer().role,
        now=now(),
        reason=request.form.get("reason", ""),
    )
    flash(f"Exception {number} is revoked; what it covered is open again.")
    return redirect(url_for(".show", number=number), code=303)
