"""Fleet, imports: a file is looked into first, and changes something only when confirmed."""

from collections.abc import Mapping
from typing import IO, Any

from flask import Blueprint, flash, redirect, render_template, request, send_file, url_for
from flask.typing import ResponseReturnValue
from flask_wtf.file import FileField, FileRequired
from wtforms import BooleanField, RadioField, SelectField, StringField
from wtforms.fields.choices import SelectChoice

from inventory import csv_header, pieces, presets, sources, text_file, uploads
from inventory.csv_header import Reading
from inventory.presets import IGNORE
from inventory.sources import KINDS
from inventory.uploads import Wish
from patchmgr.db.queries import imports as queries
from patchmgr.domain.accounts import Role
from patchmgr.errors import ConflictError, InputError, NotFoundError
from web.auth import requires
from web.context import db, now, session, settings, viewer
from web.forms import Form
from web.tables import Column, Fetched, Filter, Table, View, answer, plain

pages = Blueprint("imports", __name__, url_prefix="/imports")

IMPORTS = Table(
    "imports",
    (
        Column("filename", "File"),
        Column("kind", "Holds"),
        Column("source", "Source"),
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
            (
                ("previewed", "Waits for confirmation"),
                ("applied", "Applied"),
                ("discarded", "Discarded"),
                ("interrupted", "Interrupted"),
            ),
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
UNFINISHED = Table(
    "unfinished",
    (
        Column("filename", "File"),
        Column("kind", "Holds"),
        Column("received", "Sent"),
        Column("uploaded_by", "By"),
        Column("heard_at", "Last piece"),
        Column("next", ""),
    ),
)
SOURCES = Table(
    "sources",
    (
        Column("name", "Source"),
        Column("kind", "Holds"),
        Column("preset", "Read as"),
        Column("mapping", "Columns"),
        Column("hosts", "Hosts", numeric=True),
        Column("saved_at", "Saved"),
        Column("delete", ""),
    ),
)


# Of a file that nobody has looked into yet.
NOT_YET: Mapping[str, Any] = {"problem": "", "columns": [], "missing": [], "rejected": 0}


class UploadForm(Form):
    kind = RadioField(
        "What the file holds",
        choices=[SelectChoice("hosts", "Hosts"), SelectChoice("packages", "Installed packages")],
        default="hosts",
    )
    mode = RadioField(
        "How to read packages",
        choices=[
            SelectChoice("snapshot", "Snapshot: all that each named host has"),
            SelectChoice("merge", "Merge: added to what is known"),
        ],
        default="snapshot",
    )
    source = StringField("Source")
    full_export = BooleanField("It names all hosts of this source")
    encoding = SelectField(
        "Encoding",
        choices=[
            SelectChoice("", "as recognised"),
            *(SelectChoice(each, each) for each in text_file.ENCODINGS),
        ],
        default="",
    )
    file = FileField("CSV file", [FileRequired("Choose a file.")])


@pages.get("")
@requires(Role.VIEWER)
def index() -> ResponseReturnValue:
    unfinished = queries.unfinished(session())
    wanted = request.args.get("resume", "")
    resumed = next((one for one in unfinished if str(one.id) == wanted), None)
    said = {**resumed.wish, **resumed.wish["how"]} if resumed else {}
    filled = {name: value for name, value in said.items() if value}
    return _index(UploadForm(formdata=None, data=filled), unfinished, resumed)


def _index(
    form: UploadForm,
    unfinished: list[queries.UploadLine],
    resumed: queries.UploadLine | None = None,
) -> ResponseReturnValue:
    def fetch(view: View, limit: int, cursor: str | None) -> Fetched:
        found = queries.listing(
            session(),
            state=view.get("state"),
            kind=view.get("kind"),
            limit=limit,
            cursor=cursor or "",
        )
        return Fetched.of(found)

    saved = queries.sources(session())
    return answer(
        "imports/list.html",
        IMPORTS,
        fetch,
        form=form,
        unfinished=plain(unfinished, UNFINISHED),
        resumed=resumed,
        columns={name: (kind.columns, kind.required) for name, kind in KINDS.items()},
        largest=settings().upload_mb,
        sources=plain(saved, SOURCES),
        titles={each.name: each.title for each in presets.presets().values()},
    )


@pages.post("")
@requires(Role.OPERATOR)
def upload() -> ResponseReturnValue:
    """Keep a file and have it looked into; nothing of the inventory changes yet."""
    form = UploadForm()
    if form.validate_on_submit():
        try:
            import_id = _receive(form, form.file.data.stream, form.file.data.filename)
        except InputError as error:
            form.take(error)
        else:
            return redirect(url_for(".show", import_id=import_id), code=303)
    return _index(form, queries.unfinished(session())), 422  # type: ignore[return-value] # a page and its status


@pages.post("/uploads/<int:upload_id>/discard")
@requires(Role.OPERATOR)
def discard_upload(upload_id: int) -> ResponseReturnValue:
    """Throw away what is kept of a file that did not arrive whole."""
    folder = settings().uploads
    name = pieces.discard(db(), upload_id, uploads=folder, actor=viewer().name, now=now())
    flash(f"What was kept of {name} is thrown away.")
    return redirect(url_for(".index"), code=303)


def _receive(form: UploadForm, content: IO[bytes], filename: str) -> int:
    wish = Wish(
        kind=form.kind.data,
        mode=form.mode.data,
        source=(form.source.data or "").strip(),
        full_export=form.full_export.data,
        how=Reading(encoding=form.encoding.data or ""),
    )
    return uploads.receive(
        db(),
        content,
        wish,
        filename=filename,
        uploads=settings().uploads,
        actor=viewer().name,
        now=now(),
    )


@pages.get("/<int:import_id>")
@requires(Role.VIEWER)
def show(import_id: int) -> ResponseReturnValue:
    return _show(import_id)


def _show(import_id: int, problem: str = "") -> str:
    row = queries.get(session(), import_id)
    found: Mapping[str, Any] = row.preview or NOT_YET
    left = uploads.rejects_file(settings().uploads, row.stored)
    return render_template(
        "imports/show.html",
        row=row,
        preview=found,
        summary=found.get("summary"),
        known=KINDS[row.kind].columns,
        required=KINDS[row.kind].required,
        ignore=IGNORE,
        unclear=[column for column in found["columns"] if not column["ours"]],
        rejects=plain(found.get("rejects", []), REJECTS),
        changes=plain(found.get("changes", []), CHANGES),
        has_rejects_file=left.is_file(),
        preset=presets.presets().get(found.get("preset", "")),
        fitting=[each for each in presets.presets().values() if each.kind == row.kind],
        encodings=text_file.ENCODINGS,
        no_preset=csv_header.NO_PRESET,
        problem=problem,
    )


@pages.post("/<int:import_id>/mapping")
@requires(Role.OPERATOR)
def remap(import_id: int) -> ResponseReturnValue:
    """Read the file again with the columns chosen: field ``column-<n>`` is for the n-th column.

    A preset that is chosen instead says what they stand for.
    """
    row = queries.get(session(), import_id)
    before = row.preview.get("preset", "") or csv_header.NO_PRESET
    preset = request.form.get("preset", before)
    columns = row.preview.get("columns", [])
    chosen = {
        column["name"]: ours
        for position, column in enumerate(columns)
        if (ours := request.form.get(f"column-{position}", "")) and ours != column["name"]
    }
    by_hand = any(
        request.form.get(f"column-{position}", "") not in ("", column["ours"])
        for position, column in enumerate(columns)
    )
    other_preset = preset not in (before, csv_header.NO_PRESET)
    uploads.remap(
        db(),
        import_id,
        {} if other_preset or not (by_hand or preset == csv_header.NO_PRESET) else chosen,
        mode=request.form.get("mode", ""),
        preset=preset if other_preset or not by_hand else csv_header.NO_PRESET,
        encoding=request.form.get("encoding"),
        actor=viewer().name,
        now=now(),
    )
    return redirect(url_for(".show", import_id=import_id), code=303)


@pages.post("/<int:import_id>/apply")
@requires(Role.OPERATOR)
def apply(import_id: int) -> ResponseReturnValue:
    """Have the import carried out as it was shown, and the hosts ticked retired."""
    try:
        uploads.confirm(
            db(),
            import_id,
            take_good="take_good" in request.form,
            retire=request.form.getlist("retire"),
            save="save" in request.form,
            actor=viewer().name,
            now=now(),
        )
    except ConflictError as error:
        if queries.get(session(), import_id).state != "previewed":
            raise
        return _show(import_id, f"Nothing was changed: {error}."), 422
    return redirect(url_for(".show", import_id=import_id), code=303)


@pages.post("/<int:import_id>/retry")
@requires(Role.OPERATOR)
def retry(import_id: int) -> ResponseReturnValue:
    uploads.retry(db(), import_id, actor=viewer().name, now=now())
    return redirect(url_for(".show", import_id=import_id), code=303)


@pages.post("/<int:import_id>/discard")
@requires(Role.OPERATOR)
def discard(import_id: int) -> ResponseReturnValue:
    uploads.discard(db(), import_id, uploads=settings().uploads, actor=viewer().name, now=now())
    flash("The file is discarded. Nothing was changed.")
    return redirect(url_for(".index"), code=303)


@pages.post("/sources/<name>/delete")
@requires(Role.OPERATOR)
def forget_source(name: str) -> ResponseReturnValue:
    """Forget how the files of a source are read; its hosts stay."""
    sources.delete(db(), name, actor=viewer().name, now=now())
    flash(f"How files of {name} are read is forgotten. Its hosts stay.")
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
