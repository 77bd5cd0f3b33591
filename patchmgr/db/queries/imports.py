"""Files brought in through the browser or the API: what became of each."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from patchmgr.db import models
from patchmgr.db.queries import paging
from patchmgr.db.queries.paging import Page
from patchmgr.errors import NotFoundError

upload = models.Import


@dataclass(frozen=True, slots=True)
class SourceLine:
    """How the files of a source are read, and how many hosts it named last."""

    name: str
    kind: str
    mapping: Mapping[str, str]
    preset: str
    encoding: str
    saved_by: str
    saved_at: datetime
    hosts: int


@dataclass(frozen=True, slots=True)
class ImportLine:
    """An uploaded file; ``preview`` is what `inventory.uploads` found in it."""

    id: int
    kind: str  # "hosts" or "packages"
    mode: str  # of packages: "snapshot" or "merge"
    filename: str  # as the uploader named it; for people, never a path
    stored: str
    state: str  # as `models.Import` lists them
    source: str
    mapping: Mapping[str, str]
    options: Mapping[str, Any]
    preview: Mapping[str, Any]  # empty until the file was looked into
    size: int  # bytes
    progress: int  # percent of the step under way
    uploaded_by: str
    uploaded_at: datetime
    confirmed_by: str
    finished_at: datetime | None
    error: str

    @property
    def under_way(self) -> bool:
        """Say whether this changes by itself, so that it pays to look again."""
        return self.state in ("waiting", "checking", "confirmed", "applying")

    @property
    def rows(self) -> int | None:
        summary = self.preview.get("summary")
        return None if summary is None else int(summary["rows"])

    @property
    def rejected(self) -> int:
        return int(self.preview.get("rejected", 0))


@dataclass(frozen=True, slots=True)
class UploadLine:
    """A file that arrives in pieces: how far it is."""

    id: int
    filename: str
    wish: Mapping[str, Any]  # what was said of it
    size: int  # bytes, of the whole file
    received: int
    piece: int  # bytes of each piece but the last
    digest: str  # of what was received, see `inventory.pieces`
    uploaded_by: str
    begun_at: datetime
    heard_at: datetime
    import_id: int | None  # once it is whole

    @property
    def kind(self) -> str:
        return str(self.wish["kind"])


def listing(
    session: Session,
    *,
    state: str = "",
    kind: str = "",
    limit: int = paging.PAGE,
    cursor: str = "",
) -> Page[ImportLine]:
    """Return a page of uploads, the newest first. Two queries."""
    conditions = [
        column == value for column, value in ((upload.state, state), (upload.kind, kind)) if value
    ]
    total = session.scalar(select(func.count(upload.id)).where(*conditions)) or 0
    query = select(upload).where(*conditions).order_by(upload.id.desc()).limit(limit + 1)
    if cursor:
        query = query.where(upload.id < paging.decode_id(cursor))
    rows = session.scalars(query).all()
    shown = tuple(_line(row) for row in rows[:limit])
    return Page(shown, total, paging.encode([shown[-1].id]) if len(rows) > limit else None)


def get(session: Session, import_id: int) -> ImportLine:
    """Return one upload. Raises `NotFoundError`."""
    row = session.get(upload, import_id)
    if row is None:
        raise NotFoundError("import", import_id)
    return _line(row)


def unfinished(session: Session) -> list[UploadLine]:
    """Return the uploads of which pieces are missing, the latest begun first."""
    row = models.Upload
    query = select(row).where(row.import_id.is_(None)).order_by(row.id.desc())
    return [_upload(found) for found in session.scalars(query)]


def upload_line(session: Session, upload_id: int) -> UploadLine:
    """Return one upload. Raises `NotFoundError`."""
    row = session.get(models.Upload, upload_id)
    if row is None:
        raise NotFoundError("upload", upload_id)
    return _upload(row)


def sources(session: Session) -> list[SourceLine]:
    """Return the saved sources by name. Two queries."""
    host = models.Host
    counts = session.execute(
        select(host.source, func.count())
        .where(host.source != "", host.retired_at.is_(None))
        .group_by(host.source)
    )
    hosts = dict(iter(counts))
    rows = session.scalars(select(models.ImportSource).order_by(models.ImportSource.name))
    return [
        SourceLine(
            row.name,
            row.kind,
            row.mapping,
            row.preset,
            row.encoding,
            row.saved_by,
            row.saved_at,
            hosts.get(row.name, 0),
        )
        for row in rows
    ]


def source(session: Session, name: str) -> SourceLine:
    """Return one saved source. Raises `NotFoundError`."""
    found = next((line for line in sources(session) if line.name == name), None)
    if found is None:
        raise NotFoundError("source", name)
    return found


def _line(row: models.Import) -> ImportLine:
    return ImportLine(
        row.id,
        row.kind,
        row.mode,
        row.filename,
        row.stored,
        row.state,
        row.source,
        row.mapping,
        row.options,
        row.preview,
        row.size,
        row.progress,
        row.uploaded_by,
        row.uploaded_at,
        row.confirmed_by,
        row.finished_at,
        row.error,
    )


def _upload(row: models.Upload) -> UploadLine:
    return UploadLine(
        row.id,
        row.filename,
        row.wish,
        row.size,
        row.received,
        row.piece,
        row.digest,
        row.uploaded_by,
        row.begun_at,
        row.heard_at,
        row.import_id,
    )
