"""Machines that report by themselves: how they enrol, and those of which it is not clear who."""

from dataclasses import dataclass
from pathlib import Path

from flask import Blueprint, Response, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

import inventory
from inventory import conflicts
from patchmgr.db.queries import identity as queries
from patchmgr.db.queries.identity import ConflictLine
from patchmgr.domain.accounts import Role
from patchmgr.errors import ConflictError, InputError, NotFoundError
from patchmgr.services import enrolment
from web.auth import public, requires
from web.context import db, now, session, viewer
from web.forms import EnrolmentForm, ResolveForm
from web.tables import Column, Table, plain

pages = Blueprint("machines", __name__)

COLLECTORS = {"agent.py": "text/x-python", "agent.sh": "text/x-shellscript"}
KINDS = {
    "cloned": "Cloned image, or renamed",
    "alternating": "Two machines in turn",
    "same_name": "Two machines, one name",
    "name_taken": "Renamed to a known name",
    "same_hardware": "Reinstalled under another name",
    "other_machine": "A host's token elsewhere",
}
CONFLICTS = Table(
    "conflicts",
    (
        Column("host", "Known host"),
        Column("says", "Machine says"),
        Column("kind", "May be"),
        Column("times", "Refused", numeric=True),
        Column("last_at", "Last"),
    ),
)
SAID = Table(
    "said",
    (
        Column("what", "Says"),
        Column("known", "Known host"),
        Column("refused", "Refused machine"),
    ),
)
TOKENS = Table(
    "tokens",
    (
        Column("name", "Name"),
        Column("host", "For"),
        Column("state", "State"),
        Column("uses_left", "Uses left", numeric=True),
        Column("expires_at", "Expires"),
        Column("created_by", "Made by"),
        Column("actions", ""),
    ),
)


@dataclass(frozen=True, slots=True)
class Said:
    """What two machines say of themselves; empty where one does not."""

    what: str
    known: str
    refused: str


@pages.get("/agent.py", endpoint="agent_py")
@pages.get("/agent.sh", endpoint="agent_sh")
@public
def collector() -> ResponseReturnValue:
    """Give a collector to whoever asks: it is a program without secrets."""
    name = request.path.lstrip("/")
    text = (Path(inventory.__file__).parent / name).read_bytes()
    return Response(text, content_type=f"{COLLECTORS[name]}; charset=utf-8")


@pages.get("/admin/users/enrolment")
@requires(Role.ADMIN)
def enrolment_page() -> ResponseReturnValue:
    return _enrolment(EnrolmentForm(formdata=None))


@pages.post("/admin/users/enrolment")
@requires(Role.ADMIN)
def add_token() -> ResponseReturnValue:
    """Make an enrolment token and show its key: the only page that ever does."""
    form = EnrolmentForm()
    if form.validate_on_submit():
        try:
            token_id, key = enrolment.create_token(
                db(),
                form.name.data,
                uses=form.uses.data or 0,
                hours=form.hours.data or 0,
                host=(form.host.data or "").strip(),
                actor=viewer().name,
                now=now(),
            )
        except InputError as error:
            form.take(error)
        except NotFoundError as error:
            form.take(InputError({"host": str(error)}))
        else:
            return render_template(
                "machines/token.html",
                name=form.name.data,
                token_id=token_id,
                key=key,
                address=_address(),
            )
    return _enrolment(form), 422


@pages.get("/conflicts/<int:conflict_id>")
@requires(Role.VIEWER)
def conflict(conflict_id: int) -> ResponseReturnValue:
    found = queries.conflict(session(), conflict_id)
    return _conflict(found, ResolveForm(formdata=None))


@pages.post("/conflicts/<int:conflict_id>")
@requires(Role.ADMIN)
def resolve(conflict_id: int) -> ResponseReturnValue:
    """Say which host a refused machine is."""
    form = ResolveForm()
    if form.validate_on_submit():
        try:
            conflicts.resolve(
                db(),
                conflict_id,
                form.resolution.data,
                new_name=(form.new_name.data or "").strip(),
                actor=viewer().name,
                now=now(),
            )
        except InputError as error:
            form.take(error)
        except ConflictError as error:
            form.take(InputError({"as": str(error)}))
        else:
            flash("It holds when the machine comes again.")
            return redirect(url_for("coverage.index", _anchor="conflicts"), code=303)
    return _conflict(queries.conflict(session(), conflict_id), form), 422


def _enrolment(form: EnrolmentForm) -> str:
    found = queries.enrolment_tokens(session())
    return render_template(
        "machines/enrolment.html", tokens=plain(found, TOKENS), form=form, address=_address()
    )


def _conflict(found: ConflictLine, form: ResolveForm) -> str:
    known = queries.machine(session(), found.host_id)
    both = [
        Said("Calls itself", known.reported_name, found.says),
        Said("Machine-id", known.machine_id, found.machine_id),
        Said("Product UUID", known.product_uuid, found.product_uuid),
        Said("Boot id", known.boot_id, found.boot_id),
        Said("Address", known.last_address, found.address),
    ]
    return render_template(
        "machines/conflict.html",
        conflict=found,
        both=plain(both, SAID),
        kind=KINDS.get(found.kind, found.kind),
        form=form,
    )


def _address() -> str:
    return request.url_root.rstrip("/")
