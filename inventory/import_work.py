"""The job that looks into uploaded files and carries out those that were confirmed.

One process does it at a time, the leading scheduler. Nothing of an import is stored before its one
transaction commits, which also says that the import was applied; so a process may end at any point
and the next run takes up again what the last one left.
"""

import logging
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from inventory import preview, sources, uploads
from inventory.csv_file import Watch
from inventory.csv_header import Reading
from inventory.difference import Difference
from inventory.host_import import EVERYTHING
from patchmgr.db import models
from patchmgr.db.session import Database
from patchmgr.errors import (
    ConflictError,
    DiskFullError,
    NotFoundError,
    PatchmgrError,
    is_full_disk,
)
from patchmgr.services import audit, jobs

log = logging.getLogger(__name__)

ATTEMPTS = 2  # at one step; a file that ends the process each time must not do so for ever
STEP = 5  # percent between two notes of the progress
DOING = {"waiting": "checking", "confirmed": "applying"}

Clock = Callable[[], datetime]


def work(db: Database, folder: Path, clock: Clock) -> str:
    """Do all that uploads wait for, the oldest first; return one line on it.

    What cannot be done is said on the import itself and does not keep the others waiting.
    """
    checked = applied = failed = 0
    while (row := _next(db, clock())) is not None:
        try:
            if row.state == "checking":
                _check(db, row, folder, clock)
                checked += 1
            else:
                _apply(db, row, folder, clock)
                applied += 1
        except Exception as error:  # noqa: BLE001 -- one file must not end the others
            failed += 1
            _give_back(db, row.id, *_told(error, row))
    done = ((checked, "checked"), (applied, "applied"), (failed, "not carried out"))
    return ", ".join(f"{number} {what}" for number, what in done if number)


def _told(error: Exception, row: models.Import) -> tuple[str, str]:
    """Return in what state ``error`` leaves an import, and what is said of it."""
    if is_full_disk(error):
        log.error("no room left on the disk for import %s", row.id)
        return "interrupted", str(error if isinstance(error, DiskFullError) else DiskFullError())
    if isinstance(error, PatchmgrError):
        return "previewed", str(error)
    log.error("import %s failed", row.id, exc_info=error)
    return "interrupted", f"{type(error).__name__}: {error}"


def resume(db: Database, now: datetime) -> None:
    """Ask for the job when an earlier process left it something, so that nobody waits for it."""
    with db.writing() as session:
        left = models.Import.state.in_([*DOING, *DOING.values()])
        if session.scalar(select(models.Import.id).where(left).limit(1)) is not None:
            jobs.want(session, uploads.JOB, now=now)


def _next(db: Database, now: datetime) -> models.Import | None:
    """Return the oldest import that waits, as being worked on now; None when none does.

    One that an earlier run left under way is taken up again, unless it was so often enough.
    """
    with db.writing() as session:
        for row in session.scalars(
            select(models.Import)
            .where(models.Import.state.in_([*DOING, *DOING.values()]))
            .order_by(models.Import.id)
            .with_for_update()
        ):
            if row.state in DOING.values() and row.attempts >= ATTEMPTS:
                row.state = "interrupted"
                row.error = f"the process ended {row.attempts} times before this was done"
                audit.record(
                    session,
                    at=now,
                    actor="scheduler",
                    action="import.interrupt",
                    subject=f"import {row.id}",
                    details={"file": row.filename},
                )
                continue
            row.state = DOING.get(row.state, row.state)
            row.attempts, row.progress = row.attempts + 1, 0
            session.flush()
            session.expunge(row)
            return row
    return None


def _check(db: Database, row: models.Import, folder: Path, clock: Clock) -> None:
    found = preview.look(
        db,
        _file(folder, row.stored),
        kind=row.kind,
        mode=row.mode,
        how=_reading(row),
        source=row.source,
        full_export=bool(row.options.get("full_export")),
        actor=row.uploaded_by,
        now=clock(),
        watch=_noting(db, row.id),
    )
    with db.writing() as session:
        stored = session.get_one(models.Import, row.id)
        if stored.state == "checking":
            stored.state, stored.preview, stored.progress = "previewed", found, 100
            stored.error = ""


def _apply(db: Database, row: models.Import, folder: Path, clock: Clock) -> None:
    path = _file(folder, row.stored)
    now = clock()
    rejects = uploads.rejects_file(folder, row.stored) if row.options.get("take_good") else None
    retire = row.options.get("retire", [])

    def finish(session: Session, difference: Difference) -> None:
        """Say in the import's own transaction that it has happened."""
        stored = session.get(models.Import, row.id, populate_existing=True, with_for_update=True)
        if stored is None or stored.state != "applying":
            raise ConflictError(f"import {row.id} was decided on elsewhere")
        stored.state, stored.finished_at, stored.progress = "applied", now, 100
        stored.preview, stored.error = stored.preview | preview.outcome(difference), ""
        if row.options.get("save") and row.source:
            used = Reading(
                row.mapping,
                difference.layout.preset
                if difference.layout and not row.mapping
                else row.options.get("preset", ""),
                row.options.get("encoding", ""),
            )
            sources.store(session, row.source, row.kind, used, actor=row.confirmed_by, now=now)
        jobs.want(session, "scan", now=now)
        audit.record(
            session,
            at=now,
            actor=row.confirmed_by,
            action="import.apply",
            subject=f"import {row.id}",
            details={"file": row.filename, "kind": row.kind, **difference.summary()},
        )

    with uploads.called(row.filename):
        preview.carry_out(
            db,
            path,
            kind=row.kind,
            mode=row.mode,
            how=_reading(row),
            source=row.source,
            full_export=bool(row.options.get("full_export")),
            retire=EVERYTHING if retire == uploads.ALL else frozenset(retire),
            actor=row.confirmed_by,
            now=now,
            rejects=rejects,
            watch=_noting(db, row.id),
            then=finish,
        )
    path.unlink(missing_ok=True)


def _reading(row: models.Import) -> Reading:
    return uploads.reading(row.mapping, row.options)


def _noting(db: Database, import_id: int) -> Watch:
    """Return what notes how far a file has been read, every few percent."""
    noted = 0

    def note(part: float) -> None:
        nonlocal noted
        percent = min(99, int(part * 100))
        if percent < noted + STEP:
            return
        noted = percent
        with db.writing() as session:
            session.get_one(models.Import, import_id).progress = percent

    return note


def _give_back(db: Database, import_id: int, state: str, why: str) -> None:
    with db.writing() as session:
        row = session.get_one(models.Import, import_id)
        if row.state in DOING.values():
            if row.state == "checking" and state == "previewed":
                row.preview = {"problem": why, "columns": [], "missing": [], "rejected": 0}
            row.state, row.error = state, why
            row.confirmed_by = "" if state == "previewed" else row.confirmed_by


def _file(folder: Path, stored: str) -> Path:
    path = folder / stored
    if not path.is_file():
        raise NotFoundError("uploaded file", stored)
    return path
