"""Throw away what has served its purpose: sign-ins, runs, uploads, half a sync. Never the audit.

What is kept only for so long, by a setting, is `patchmgr.services.retention`'s.
"""

import shutil
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from patchmgr.config import Settings
from patchmgr.db import models
from patchmgr.db.session import Database
from patchmgr.services import audit, jobs, outbox, retention, sign_ins
from patchmgr.services.retention import Forgotten

RUNS_KEPT = 500  # newest runs of each job
EFFECTS_KEPT = timedelta(days=30)  # orders and messages that have left
UPLOADS_KEPT = timedelta(days=7)  # files that nobody confirmed, or sent the rest of
FETCHED_KEPT = timedelta(days=2)  # documents of a sync that was cut short and not gone on with
KEPT = ("waiting", "checking", "previewed", "confirmed", "applying", "interrupted")
REJECTS = ".rejects.csv"  # of an upload, after its own name
UPLOADING = timedelta(days=1)  # a file younger than that may belong to an upload under way
MAKING = timedelta(days=1)  # likewise a folder of a report


@dataclass(frozen=True, slots=True)
class Tidied:
    """How many of each went."""

    sign_ins: int
    runs: int
    effects: int  # orders and messages that have left
    uploads: int
    unfinished: int  # uploads of which no further piece came
    reported: int  # sets of facts and offers that no host reports any more
    forgotten: Forgotten

    def __str__(self) -> str:
        counts = {
            "old sign-ins and attempts": self.sign_ins,
            "old job runs": self.runs,
            "orders and messages that have left": self.effects,
            "stale uploads": self.uploads,
            "unfinished uploads": self.unfinished,
            "sets of facts and offers": self.reported,
            "reports": self.forgotten.reports,
            "past states of hosts": self.forgotten.history,
            "closed findings": self.forgotten.findings,
            "unused package sets": self.forgotten.sets,
        }
        return ", ".join(f"{number} {what}" for what, number in counts.items() if number)


def tidy(db: Database, *, settings: Settings, now: datetime) -> Tidied:
    """Delete what is too old to matter, then the uploaded files that nothing refers to."""
    ended = sign_ins.forget_old(db, now=now, longest=timedelta(hours=settings.session_hours))
    with db.writing() as session:
        runs = jobs.forget(
            session, keep=RUNS_KEPT, before=retention.before(now, settings.keep_jobs_days)
        )
        effects = outbox.forget(session, before=now - EFFECTS_KEPT)
        uploads = _discard_uploads(session, now)
        unfinished = _forget_unfinished(session, now)
        kept = {
            *session.scalars(select(models.Import.stored).where(models.Import.state.in_(KEPT))),
            *session.scalars(select(models.Upload.stored).where(models.Upload.import_id.is_(None))),
        }
    _remove_files(settings.uploads, kept, before=now - UPLOADING)
    for folder in _folders(settings.fetched):
        _remove_files(folder, set(), before=now - FETCHED_KEPT)
    forgotten = retention.forget(db, settings=settings, now=now)
    _remove_reports(db, settings.reports, before=now - MAKING)
    return Tidied(ended, runs, effects, uploads, unfinished, _forget_reported(db), forgotten)


def _forget_reported(db: Database) -> int:
    """Delete the facts and offers that no host reports any more; alone, so that none comes back."""
    host, gone = models.Host, 0
    with db.writing(alone=True) as session:
        for model, used in (
            (models.FactSet, host.fact_set_id),
            (models.OfferSet, host.offer_set_id),
        ):
            unused = ~select(host.id).where(used == model.id).exists()
            made = session.scalars(delete(model).where(unused).returning(model.id))
            gone += len(made.all())
    return gone


def _discard_uploads(session: Session, now: datetime) -> int:
    stale = session.scalars(
        select(models.Import).where(
            models.Import.state.in_(("previewed", "interrupted")),
            models.Import.uploaded_at < now - UPLOADS_KEPT,
        )
    ).all()
    for upload in stale:
        upload.state = "discarded"
        upload.finished_at = now
    return len(stale)


def _forget_unfinished(session: Session, now: datetime) -> int:
    """Forget the uploads of which nothing has come for long; return how many were not whole."""
    stale = session.scalars(
        select(models.Upload).where(models.Upload.heard_at < now - UPLOADS_KEPT)
    ).all()
    unfinished = [row for row in stale if row.import_id is None]
    for row in unfinished:
        audit.record(
            session,
            at=now,
            actor=retention.ACTOR,
            action="upload.forget",
            subject=f"upload {row.id}",
            details={"file": row.filename, "size": row.size, "received": row.received},
        )
    for row in stale:
        session.delete(row)
    return len(unfinished)


def _folders(place: Path) -> list[Path]:
    return [each for each in place.iterdir() if each.is_dir()] if place.is_dir() else []


def _remove_reports(db: Database, reports: Path, *, before: datetime) -> None:
    """Remove what a process left that ended while it made a report, or while it forgot one."""
    with db.reading() as session:
        named = set(session.scalars(select(models.Report.stored)))
    for folder in _folders(reports):
        if folder.name not in named and folder.stat().st_mtime < before.timestamp():
            shutil.rmtree(folder, ignore_errors=True)


def _remove_files(folder: Path, kept: set[str], *, before: datetime) -> None:
    if not folder.is_dir():
        return
    for file in folder.iterdir():
        if (
            file.name.removesuffix(REJECTS) not in kept
            and file.is_file()
            and file.stat().st_mtime < before.timestamp()
        ):
            file.unlink(missing_ok=True)
