"""Compliance reports: made, kept, verified, downloaded."""

from pathlib import Path

from flask import Blueprint, flash, redirect, render_template, request, send_file, url_for
from flask.typing import ResponseReturnValue
from werkzeug.datastructures import MultiDict

from patchmgr.db.queries import policies, reports_made
from patchmgr.domain.accounts import Role
from patchmgr.errors import InputError, NotFoundError
from patchmgr.services import reports as service
from web import times
from web.auth import requires
from web.context import db, now, session, settings, viewer
from web.tables import Column, Fetched, Table, View, answer

pages = Blueprint("reports", __name__, url_prefix="/reports")

REPORTS = Table(
    "reports",
    (
        Column("as_of", "As of"),
        Column("compliant", "Compliant hosts", lambda row: str(row.compliant)),
        Column("unknown", "Unknown hosts", lambda row: str(row.unknown)),
        Column("overdue", "Overdue findings", lambda row: str(row.overdue)),
        Column("formats", "Formats"),
        Column("policy", "Policy", lambda row: f"{row.policy} {row.policy_version}"),
        Column("made_by", "Made by"),
        Column("made_at", "Made"),
    ),
)
FORMATS = {
    "html": ("HTML", "to read and print"),
    "pdf": ("PDF", "tagged, to hand over"),
    "xlsx": ("XLSX", "for a spreadsheet"),
    "csv": ("CSV", "one line a finding"),
    "json": ("JSON", "for programs"),
}
USUAL = ("html", "xlsx", "csv")


@pages.get("")
@requires(Role.VIEWER)
def index() -> ResponseReturnValue:
    return _index(MultiDict([("format", name) for name in USUAL]), {})


def _index(given: MultiDict[str, str], problems: dict[str, str]) -> ResponseReturnValue:
    def fetch(_: View, limit: int, cursor: str | None) -> Fetched:
        before = int(cursor) if cursor and cursor.isascii() and cursor.isdigit() else None
        found = reports_made.listing(session(), limit=limit + 1, before=before)
        rest = str(found[limit - 1].id) if len(found) > limit else ""
        return Fetched(found[:limit], reports_made.count(session()), rest)

    return answer(
        "reports/list.html",
        REPORTS,
        fetch,
        formats={name: FORMATS[name] for name in service.offered()},
        chosen=given.getlist("format"),
        at=given.get("at", ""),
        measured=given.get("policy", ""),
        latest=times.typed(now()),
        policies=sorted({stored.policy.name for stored in policies.listing(session())}),
        problems=problems,
    )


@pages.post("")
@requires(Role.OPERATOR)
def make() -> ResponseReturnValue:
    """Make a report as of the instant asked for, by default now."""
    try:
        text = request.form.get("at", "").strip()
        made = service.make(
            db(),
            at=times.read(text, "at") if text else now(),
            formats=request.form.getlist("format"),
            policy=request.form.get("policy") or None,
            settings=settings(),
            actor=viewer().name,
            now=now(),
        )
    except InputError as error:
        return _index(request.form, error.problems), 422  # type: ignore[return-value] # page, status
    flash("The report is made and signed.")
    return redirect(url_for(".show", report_id=made.id), code=303)


@pages.get("/<int:report_id>")
@requires(Role.VIEWER)
def show(report_id: int) -> ResponseReturnValue:
    """Show a kept report with the state of each file, verified against its manifest now."""
    report = reports_made.get(session(), report_id)
    try:
        folder = _file(report_id, MANIFEST).parent
        verified = service.verify(folder)
    except (NotFoundError, InputError):
        folder, verified = None, None
    sizes = {
        name: path.stat().st_size
        for name in report.files
        if folder and (path := folder / name).is_file()
    }
    return render_template(
        "reports/show.html",
        report=report,
        verified=verified,
        states={file.name: file.state for file in verified.files} if verified else {},
        sizes=sizes,
        beside=(MANIFEST, f"{MANIFEST}.sig", "report-key.pub"),
    )


MANIFEST = "manifest.json"


@pages.get("/<int:report_id>/files/<name>")
@requires(Role.VIEWER)
def download(report_id: int, name: str) -> ResponseReturnValue:
    return send_file(_file(report_id, name), as_attachment=True, download_name=name)


def _file(report_id: int, name: str) -> Path:
    return service.stored_file(session(), report_id, name, settings=settings())
