"""Fleet, imports: a file is looked into first, and changes something only when confirmed."""

from flask import Blueprint, flash, redirect, render_template, request, send_file, url_for
from flask.typing import ResponseReturnValue
from flask_wtf.file import FileField, FileRequired
from wtforms import RadioField

from inventory import csv_file, uploads
from inventory.uploads import KINDS
from patchmgr.db.queries import imports as queries
from patchmgr.domain.accounts import Role
from patchmgr.errors import BadFileError, InputError, NotFoundError
from web.auth import requires
from web.context import db, now, session, settings, viewer
from web.forms import Form
from web.show import number
from web.tables import Column, Fetched, Filter, Table, View, answer, plain

pages = Blueprint("imports", __name__, url_prefix="/imports")

IMPORTS = Table(
    "imports",
    (
        Column("filename", "File"),
        Column("kind", "Holds"),
        Column("state", "State"),
        Column("rows", "Rows", numeric=True),
        Column("rejected", "Rejected", numeric=True),
        Column("uploaded_by", "By"),
        Column("uploaded_at", "Uploaded"),
    ),
    filters=(
        Filter(
            "state",
            "State",
            (("previewed", "Waiting"), ("applied", "Applied"), ("discarded", "Discarded")),
        ),
        Filter("kind", "Holds", (("hosts", "Hosts"), ("packages", "Packages"))),
    ),
)
REJECTS = Table(
    "rejects",
    (
        Column("row", "Row", lambda bad: bad["row"], numeric=True),
        Column("column", "Column", lambda bad: bad["column"]),
        Column("value", "Value", lambda bad: bad["value"]),
        Column("remedy", "What to do", lambda bad: bad["remedy"]),
    ),
)
CHANGES = Table(
    "changes",
    (
        Column("host", "Host", lambda change: change["host"]),
        Column("kind", "Is", lambda change: change["kind"]),
        Column("details", "What changes", lambda change: ", ".join(change["details"])),
    ),
)
DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab"}


class UploadForm(Form):
    kind = RadioField(
        "What the file holds",
        choices=[("hosts", "Hosts"), ("packages", "Installed packages")],
        default="hosts",
    )
    mode = RadioField(
        "How to read packages",
        choices=[
            ("snapshot", "Snapshot: all that each named host has"),
            ("merge", "Merge: added to what is known"),
        ],
        default="snapshot",
    )
    file = FileField("CSV file", [FileRequired("Choose a file.")])


@pages.get("")
@requires(Role.VIEWER)
def index() -> ResponseReturnValue:
    return _index(UploadForm(formdata=None))


def _index(form: UploadForm) -> ResponseReturnValue:
    def fetch(view: View, limit: int, cursor: str | None) -> Fetched:
        found = queries.listing(
            session(),
            state=view.get("state"),
            kind=view.get("kind"),
            limit=limit,
            cursor=cursor or "",
        )
        return Fetched.of(found)

    return answer(
        "imports/list.html",
        IMPORTS,
        fetch,
        form=form,
        columns={name: (kind.columns, kind.required) for name, kind in KINDS.items()},
        largest=settings().upload_mb,
    )


@pages.post("")
@requires(Role.OPERATOR)
def upload() -> ResponseReturnValue:
    """Keep a file and show what it would do; nothing of the inventory changes yet."""
    form = UploadForm()
    if form.validate_on_submit():
        try:
            import_id = uploads.receive(
                db(),
                form.file.data.stream,
                kind=form.kind.data,
                mode=form.mode.data,
                filename=form.file.data.filename,
                uploads=settings().uploads,
                actor=viewer().name,
                now=now(),
            )
        except InputError as error:
            form.take(error)
        else:
            return redirect(url_for(".show", import_id=import_id), code=303)
    return _index(form), 422  # type: ignore[return-value] # a page and its status


@pages.get("/<int:import_id>")
@requires(Role.VIEWER)
def show(import_id: int) -> ResponseReturnValue:
    return _show(import_id)


def _show(import_id: int, problem: str = "") -> str:
    row = queries.get(session(), import_id)
    preview = row.preview
    left = uploads.rejects_file(settings().uploads, row.stored)
    return render_template(
        "imports/show.html",
        row=row,
        preview=preview,
        summary=preview.get("summary"),
        delimiter=DELIMITERS.get(preview.get("delimiter", ""), ""),
        known=KINDS[row.kind].columns,
        required=KINDS[row.kind].required,
        ignore=csv_file.IGNORE,
        unclear=[column for column in preview["columns"] if not column["ours"]],
        rejects=plain(preview.get("rejects", []), REJECTS),
        changes=plain(preview.get("changes", []), CHANGES),
        has_rejects_file=left.is_file(),
        problem=problem,
    )


@pages.post("/<int:import_id>/mapping")
@requires(Role.OPERATOR)
def remap(import_id: int) -> ResponseReturnValue:
    """Read the file again with the columns chosen: field ``column-<n>`` is for the n-th column."""
    row = queries.get(session(), import_id)
    mapping = {
        column["name"]: ours
        for position, column in enumerate(row.preview["columns"])
        if (ours := request.form.get(f"column-{position}", "")) and ours != column["name"]
    }
    uploads.remap(
        db(),
        import_id,
        mapping,
        mode=request.form.get("mode", ""),
        uploads=settings().uploads,
        actor=viewer().name,
        now=now(),
    )
    return redirect(url_for(".show", import_id=import_id), code=303)


@pages.post("/<int:import_id>/apply")
@requires(Role.OPERATOR)
def apply(import_id: int) -> ResponseReturnValue:
    try:
        made = uploads.apply(
            db(),
            import_id,
            take_good="take_good" in request.form,
            uploads=settings().uploads,
            actor=viewer().name,
            now=now(),
        )
    except BadFileError as error:
        return _show(import_id, f"Nothing was changed. {error.rows[0]}"), 422
    flash(f"Imported {number(made.rows - made.rejected)} rows. A scan has been asked for.")
    return redirect(url_for(".show", import_id=import_id), code=303)


@pages.post("/<int:import_id>/discard")
@requires(Role.OPERATOR)
def discard(import_id: int) -> ResponseReturnValue:
    uploads.discard(db(), import_id, uploads=settings().uploads, actor=viewer().name, now=now())
    flash("The file is discarded. Nothing was changed.")
    return redirect(url_for(".index"), code=303)


@pages.get("/<int:import_id>/rejects.csv")
@requires(Role.VIEWER)
def rejects(import_id: int) -> ResponseReturnValue:
    """Give the rows that cannot be taken, in the form of the file, with a ``reason`` column."""
    row = queries.get(session(), import_id)
    path = uploads.rejects_file(settings().uploads, row.stored)
    if not path.is_file():
        raise NotFoundError("rejects file of import", import_id)
    return send_file(
        path,
        mimetype="text/csv",
        as_attachment=True,
        download_name=f"{row.filename.removesuffix('.csv')}-rejects.csv",
    )
