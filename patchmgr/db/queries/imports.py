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
class ImportLine:
    """An uploaded file; ``preview`` is what `inventory.uploads` found in it."""

    id: int
    kind: str  # "hosts" or "packages"
    mode: str  # of packages: "snapshot" or "merge"
    filename: str  # as the uploader named it; for people, never a path
    stored: str
    state: str  # "previewed", "applied", "discarded"
    mapping: Mapping[str, str]
    preview: Mapping[str, Any]
    uploaded_by: str
    uploaded_at: datetime
    finished_at: datetime | None
    error: str

    @property
    def rows(self) -> int | None:
        summary = self.preview.get("summary")
        return None if summary is None else int(summary["rows"])

    @property
    def rejected(self) -> int:
        return int(self.preview.get("rejected", 0))


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


def _line(row: models.Import) -> ImportLine:
    return ImportLine(
        row.id,
        row.kind,
        row.mode,
        row.filename,
        row.stored,
        row.state,
        row.mapping,
        row.preview,
        row.uploaded_by,
        row.uploaded_at,
        row.finished_at,
        row.error,
    )
