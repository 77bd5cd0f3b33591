"""Reports that hosts send by themselves: the digest first, the body when it is not known yet.

An unchanged report is one look-up by the token and one time stamp. A changed one is read before
anything waits for it, then stored in a transaction of its own beside those of other hosts; in
PostgreSQL they keep out of a scan's way, and a scan out of theirs, by a lock that they share.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from inventory import conflicts, documents, machines, sections
from inventory.formats import REPORT
from inventory.host_rows import set_platform
from inventory.listings import store_report
from inventory.sections import Report
from patchmgr.db import models
from patchmgr.db.session import Database
from patchmgr.errors import InputError
from patchmgr.services import audit, jobs
from patchmgr.services.enrolment import Speaker


@dataclass(frozen=True, slots=True)
class Taken:
    """What a report made of a host."""

    host: str
    changed: bool = False
    wanted: bool = False  # the digest is not known: send the report itself
    packages: int = 0
    packages_added: int = 0
    packages_removed: int = 0
    format: str = ""
    not_judged: int = 0
    not_judged_why: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    unreadable: Mapping[str, str] = field(default_factory=dict)  # section -> why


def ask(db: Database, speaker: Speaker, digest: bytes, *, now: datetime) -> Taken:
    """Take an unchanged report by its digest, or say that the report itself is wanted.

    Raises `OverloadedError` when it could not be written down at once that the host was seen.
    """
    if speaker.report_digest != digest:
        return Taken(speaker.hostname, wanted=True)
    db.last_seen.note(speaker.host_id, now)
    return Taken(speaker.hostname)


def take(
    db: Database,
    body: bytes,
    *,
    speaker: Speaker | None,
    digest: bytes | None = None,
    actor: str,
    now: datetime,
) -> Taken:
    """Store the report in ``body``, of the host that sent its token or of whom it names.

    Raises `InputError` and `BadFileError` for one that cannot be read, `TwoMachinesError`,
    `OverloadedError`; then nothing of it is stored.
    """
    with db.in_turn():
        return _take(db, body, speaker=speaker, digest=digest, actor=actor, now=now)


def _take(
    db: Database,
    body: bytes,
    *,
    speaker: Speaker | None,
    digest: bytes | None,
    actor: str,
    now: datetime,
) -> Taken:
    document = documents.read(body)
    if digest is not None and digest != document.digest:
        raise InputError({"digest": "is not that of the report: it was changed on its way"})
    if speaker is not None and speaker.report_digest == document.digest:
        return ask(db, speaker, document.digest, now=now)
    report = sections.read_report(document)
    try:
        with db.reporting() as session:
            host = machines.recognised(
                session,
                document.host,
                token_of=None if speaker is None else speaker.host_id,
                actor=actor,
                now=now,
            )
            made = _store(session, host, report, document.digest, actor=actor, now=now)
            is_scan_due = made.changed and not _scan_waits(session)
    except conflicts.TwoMachinesError as error:
        conflicts.note(db, error, now=now)
        raise
    if is_scan_due:
        want_scan(db, now=now)
    return made


def want_scan(db: Database, *, now: datetime) -> None:
    """Ask for a scan of what changed, unless one waits: a fleet's reports ask for few."""
    with db.reading() as session:
        if _scan_waits(session):
            return
    with db.touching() as session:
        jobs.want(session, "scan", now=now)


def _scan_waits(session: Session) -> bool:
    """Return whether a scan is asked for that will see what this transaction changed.

    One that starts meanwhile waits for the transaction to end, before it reads.
    """
    run = models.JobRun
    query = select(run.id).where(run.job == "scan", run.state == "queued").limit(1)
    return session.scalar(query) is not None


def _store(
    session: Session,
    host: models.Host,
    report: Report,
    digest: bytes,
    *,
    actor: str,
    now: datetime,
) -> Taken:
    before = host.platform
    set_platform(session, host, report.os, now)
    made = store_report(session, host, report.listing, REPORT, report=report, now=now)
    host.report_digest = digest
    changed = bool(made.new or made.changed) or host.platform != before
    if host.platform != before:
        audit.record(
            session,
            at=now,
            actor=actor,
            action="host.platform",
            subject=f"host {host.hostname}",
            details={"from": before, "to": host.platform},
        )
    return Taken(
        host.hostname,
        changed,
        packages=made.rows,
        packages_added=made.added,
        packages_removed=made.removed,
        format=REPORT,
        not_judged=made.not_judged,
        not_judged_why=made.not_judged_why,
        notes=made.notes,
        unreadable=made.unreadable,
    )
