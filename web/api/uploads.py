"""Sending a large file in pieces: what breaks off goes on where it stopped."""

from inventory import pieces
from patchmgr.db.queries import imports as queries
from patchmgr.domain.accounts import Role
from web import bodies
from web.api.import_shapes import NewUpload, PieceQuery, Unfinished
from web.api.imports import wish
from web.api.routing import Raw, actor, route
from web.context import db, now, session, settings

PIECE = Raw(("application/octet-stream",), "The next bytes of the file.", is_binary=True)


@route("GET", "/uploads", tag="imports", answer=list[Unfinished])
def list_uploads() -> object:
    """List the files of which pieces are missing."""
    return queries.unfinished(session())


@route("POST", "/uploads", tag="imports", role=Role.OPERATOR, body=NewUpload, answer=Unfinished)
def begin_upload(body: NewUpload) -> object:
    """Begin to send a file in pieces, or find how far you came with it.

    A file is the same when its name, size and time of change are: then hold `digest` against your
    file, and go on at `received`. What is said of the file is as you say it last. You may have 5
    at a time; what is not gone on with is thrown away after 7 days.
    """
    upload_id = pieces.begin(
        db(),
        wish(body),
        filename=body.filename,
        size=body.size,
        modified=body.modified,
        anew=body.anew,
        largest=settings().upload_mb * pieces.MEBIBYTE,
        uploads=settings().uploads,
        actor=actor(),
        now=now(),
    )
    return _now(upload_id)


@route("GET", "/uploads/<int:upload_id>", tag="imports", answer=Unfinished)
def show_upload(upload_id: int) -> object:
    """Show how much of a file is kept."""
    return queries.upload_line(session(), upload_id)


@route(
    "POST", "/uploads/<int:upload_id>/pieces", tag="imports", role=Role.OPERATOR, query=PieceQuery,
    raw=PIECE, answer=Unfinished,
)  # fmt: skip
def send_piece(upload_id: int, query: PieceQuery) -> object:
    """Send the next piece; with the last one the file becomes an import, which is looked into.

    The same piece again changes nothing. A piece that does not follow what is kept is refused
    with 409: see there where to go on. One that is damaged, or of another file, with 422.
    """
    pieces.take(
        db(),
        upload_id,
        bodies.read(pieces.PIECE),
        offset=query.offset,
        digest=query.digest,
        uploads=settings().uploads,
        actor=actor(),
        now=now(),
    )
    return _now(upload_id)


@route("DELETE", "/uploads/<int:upload_id>", tag="imports", role=Role.OPERATOR)
def discard_upload(upload_id: int) -> object:
    """Throw away what is kept of a file that is not whole."""
    pieces.discard(db(), upload_id, uploads=settings().uploads, actor=actor(), now=now())
    return None


def _now(upload_id: int) -> object:
    with db().reading() as reading:
        return queries.upload_line(reading, upload_id)
