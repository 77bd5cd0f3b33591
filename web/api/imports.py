"""Importing files: in one step, or as a job that is followed and confirmed."""

from flask import Response, request, send_file, url_for
from pydantic import TypeAdapter

from inventory import sources, uploads
from inventory.csv_header import Reading
from inventory.uploads import ALL, Wish
from patchmgr.db.queries import imports as queries
from patchmgr.domain.accounts import Role
from patchmgr.errors import InputError, NotFoundError
from web.api.import_shapes import (
    Confirmation,
    Difference,
    HostsQuery,
    NewColumns,
    NewSource,
    PackagesQuery,
    Source,
    Upload,
    UploadQuery,
)
from web.api.routing import JSON, Raw, actor, route
from web.api.values import PageOf, Paging
from web.context import db, now, session, settings

PACKED = ("text/csv", "application/gzip", "application/octet-stream")
CSV = Raw(
    PACKED,
    "The file, with a header row. Encoding and separator are recognised; it may be packed with "
    "gzip, xz, zstd or zip.",
    is_binary=True,
)


@route(
    "POST", "/imports/hosts", tag="imports", role=Role.OPERATOR, query=HostsQuery, raw=CSV,
    answer=Difference,
)  # fmt: skip
def import_hosts(query: HostsQuery) -> object:
    """Import hosts.csv: all of it, or nothing."""
    return _import("hosts", query, "")


@route(
    "POST", "/imports/packages", tag="imports", role=Role.OPERATOR, query=PackagesQuery, raw=CSV,
    answer=Difference,
)  # fmt: skip
def import_packages(query: PackagesQuery) -> object:
    """Import packages.csv: all of it, or nothing."""
    return _import("packages", query, query.mode)


@route("GET", "/imports", tag="imports", query=Paging, answer=PageOf[Upload])
def list_imports(query: Paging) -> object:
    """List the files that were sent, the newest first."""
    found = queries.listing(session(), limit=query.limit, cursor=query.cursor)
    return {
        "items": [_upload(row) for row in found.lines],
        "total": found.total,
        "next": found.next,
    }


@route(
    "POST", "/imports", tag="imports", role=Role.OPERATOR, query=UploadQuery, raw=CSV,
    answer=Upload, status=202,
    headers={"Content-Encoding": "`gzip`, or nothing."},
)  # fmt: skip
def send_import(query: UploadQuery) -> object:
    """Send a file to be looked into: follow it, then confirm or discard it.

    `Location` says where it is followed. Nothing of the inventory changes before it is confirmed.
    """
    if (coding := request.headers.get("Content-Encoding", "")) not in ("", "identity", "gzip"):
        raise InputError({"Content-Encoding": f"{coding[:40]!r} is not gzip"})
    import_id = uploads.receive(
        db(),
        request.stream,
        wish(query),
        filename=query.filename or f"{query.kind}.csv",
        uploads=settings().uploads,
        actor=actor(),
        now=now(),
    )
    with db().reading() as reading:
        row = queries.get(reading, import_id)
    body = TypeAdapter(Upload).dump_json(Upload.model_validate(_upload(row)))
    place = url_for("api.show_import", import_id=import_id)
    return Response(body, status=202, content_type=JSON, headers={"Location": place})


@route("GET", "/imports/<int:import_id>", tag="imports", answer=Upload)
def show_import(import_id: int) -> object:
    """Show how far an import is, what it would change, and which rows it refuses."""
    return _upload(queries.get(session(), import_id))


@route(
    "POST", "/imports/<int:import_id>/mapping", tag="imports", role=Role.OPERATOR, body=NewColumns,
    answer=Upload,
)  # fmt: skip
def remap_import(import_id: int, body: NewColumns) -> object:
    """Have a file read again with other columns."""
    uploads.remap(
        db(),
        import_id,
        body.mapping,
        preset=body.preset,
        encoding=body.encoding,
        actor=actor(),
        now=now(),
    )
    return _now(import_id)


@route(
    "POST", "/imports/<int:import_id>/confirm", tag="imports", role=Role.OPERATOR,
    body=Confirmation, answer=Upload,
)  # fmt: skip
def confirm_import(import_id: int, body: Confirmation) -> object:
    """Have an import carried out: follow it until it is applied."""
    uploads.confirm(
        db(),
        import_id,
        take_good=body.take_good,
        retire=ALL if body.retire_missing else body.retire,
        actor=actor(),
        now=now(),
    )
    return _now(import_id)


@route("POST", "/imports/<int:import_id>/retry", tag="imports", role=Role.OPERATOR, answer=Upload)
def retry_import(import_id: int) -> object:
    """Take up again what was interrupted."""
    uploads.retry(db(), import_id, actor=actor(), now=now())
    return _now(import_id)


@route("POST", "/imports/<int:import_id>/discard", tag="imports", role=Role.OPERATOR, answer=Upload)
def discard_import(import_id: int) -> object:
    """Forget a file; nothing was changed."""
    uploads.discard(db(), import_id, uploads=settings().uploads, actor=actor(), now=now())
    return _now(import_id)


@route(
    "GET", "/imports/<int:import_id>/rejects", tag="imports",
    gives=Raw(("text/csv",), "The rows in the form of the file, each with its reason."),
)  # fmt: skip
def download_rejects(import_id: int) -> object:
    """Download the rows that cannot be taken."""
    row = queries.get(session(), import_id)
    path = uploads.rejects_file(settings().uploads, row.stored)
    if not path.is_file():
        raise NotFoundError("rejects file of import", import_id)
    return send_file(path, mimetype="text/csv")


@route("GET", "/import-sources", tag="imports", answer=list[Source])
def list_sources() -> object:
    """List how the files of each source are read."""
    return queries.sources(session())


@route("GET", "/import-sources/<name>", tag="imports", answer=Source)
def show_source(name: str) -> object:
    """Show how the files of a source are read."""
    return queries.source(session(), name)


@route(
    "PUT", "/import-sources/<name>", tag="imports", role=Role.OPERATOR, body=NewSource,
    answer=Source,
)  # fmt: skip
def save_source(name: str, body: NewSource) -> object:
    """Save how the files of a source are read."""
    how = Reading(body.mapping, body.preset, body.encoding)
    sources.save(db(), name, body.kind, how, actor=actor(), now=now())
    with db().reading() as reading:
        return queries.source(reading, name)


@route("DELETE", "/import-sources/<name>", tag="imports", role=Role.OPERATOR)
def delete_source(name: str) -> object:
    """Forget how the files of a source are read; its hosts stay."""
    sources.delete(db(), name, actor=actor(), now=now())
    return None


def wish(said: UploadQuery) -> Wish:
    """Return what the sender says of a file."""
    return Wish(
        said.kind,
        said.mode,
        said.source,
        said.full_export,
        said.save_mapping,
        Reading(_mapping(said.map), said.preset, said.encoding),
    )


def _now(import_id: int) -> object:
    with db().reading() as reading:
        return _upload(queries.get(reading, import_id))


def _upload(row: queries.ImportLine) -> dict[str, object]:
    found = row.preview
    rejects = url_for("api.download_rejects", import_id=row.id) if found.get("rejected") else ""
    same = ("id", "kind", "mode", "filename", "source", "state", "progress", "size", "error")
    who = ("uploaded_by", "uploaded_at", "finished_at")
    return {
        **{name: getattr(row, name) for name in (*same, *who)},
        "problem": found.get("problem", ""),
        "read": found.get("said", ""),
        "missing": found.get("missing", []),
        "columns": found.get("columns", []),
        "difference": found.get("summary"),
        "changes": found.get("changes", []),
        "gone": found.get("gone", []),
        "releases_without_feed": found.get("unfed", []),
        "not_judged": found.get("not_judged", 0),
        "not_judged_why": found.get("not_judged_why", []),
        "new_source": found.get("new_source", False),
        "rejects": found.get("rejects", []),
        "rejects_address": rejects,
    }


def _mapping(text: str) -> dict[str, str]:
    pairs = (pair.rpartition("=") for pair in text.split(",") if pair.strip())
    return {theirs.strip(): ours.strip() for theirs, _, ours in pairs}


def _import(kind: str, query: HostsQuery, mode: str) -> object:
    made = uploads.direct(
        db(),
        request.stream,
        kind=kind,
        mode=mode,
        mapping=_mapping(query.map),
        dry_run=query.dry_run,
        uploads=settings().uploads,
        actor=actor(),
        now=now(),
    )
    left = {"not_judged": made.not_judged, "not_judged_why": made.not_judged_why}
    return {"dry_run": query.dry_run, "changes": made.changes, **left, **made.summary()}
