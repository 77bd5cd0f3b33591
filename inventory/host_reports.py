"""Reports that hosts send by themselves: the digest first, the body when it is not known yet.

An unchanged report is one look-up by the token and one time stamp. A changed one is read before
anything waits for it, then stored in a transaction of its own beside those of other hosts; in
PostgreSQL they keep out of a scan's way, and a scan out of theirs, by a lock that they share.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from inventory import documents, machines, os_release
from inventory.intake import set_platform, store_report
from inventory.managers import READERS
from inventory.report import Listing
from patchmgr.db import models
from patchmgr.db.session import Database
from patchmgr.domain.packages import Package
from patchmgr.errors import InputError
from patchmgr.services import audit, jobs
from patchmgr.services.enrolment import Speaker

READER_OF_SECTION = {
    "dpkg": "dpkg",
    "dpkg-status": "dpkg",
    "rpm": "rpm",
    "apk": "apk",
    "pip": "pip",
}


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


@dataclass(frozen=True, slots=True)
class Content:
    """What the sections of a report say."""

    system: str  # ID:RELEASE; "" where the report does not say
    formats: tuple[str, ...]
    listing: Listing


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
    document = documents.read(body)
    if digest is not None and digest != document.digest:
        raise InputError({"digest": "is not that of the report: it was changed on its way"})
    if speaker is not None and speaker.report_digest == document.digest:
        return ask(db, speaker, document.digest, now=now)
    content = read_content(document.sections)
    try:
        with db.reporting() as session:
            host = machines.recognised(
                session,
                document.host,
                token_of=None if speaker is None else speaker.host_id,
                actor=actor,
                now=now,
            )
            made = _store(session, host, content, document.digest, actor=actor, now=now)
    except machines.TwoMachinesError as error:
        machines.note(db, error, now=now)
        raise
    if made.changed:
        want_scan(db, now=now)
    return made


def read_content(sections: Mapping[str, str]) -> Content:
    """Return what a report says the host is and has installed. Raises `InputError`."""
    said = sections.get("os-release") or sections.get("redhat-release") or ""
    system = os_release.read(said).system if said else ""
    read = {name: each for name, each in READER_OF_SECTION.items() if name in sections}
    if not read:
        known = ", ".join(READER_OF_SECTION)
        raise InputError({"sections": f"has no list of packages that is read here ({known})"})
    listings = [READERS[reader].read(sections[name]) for name, reader in read.items()]
    held = [each.held for each in listings if each.held is not None]
    listing = Listing(
        frozenset[Package]().union(*(each.packages for each in listings)),
        frozenset[str]().union(*held) if held else None,
        managers=frozenset[str]().union(*(each.managers for each in listings)),
        not_judged=sum(each.not_judged for each in listings),
        not_judged_why=tuple(why for each in listings for why in each.not_judged_why),
        notes=tuple(note for each in listings for note in each.notes),
    )
    return Content(system, tuple(read.values()), listing)


def want_scan(db: Database, *, now: datetime) -> None:
    """Ask for a scan of what changed, unless one waits: a fleet's reports ask for few."""
    run = models.JobRun
    with db.reading() as session:
        if session.scalar(select(run.id).where(run.job == "scan", run.state == "queued").limit(1)):
            return
    with db.touching() as session:
        jobs.want(session, "scan", now=now)


def _store(
    session: Session,
    host: models.Host,
    content: Content,
    digest: bytes,
    *,
    actor: str,
    now: datetime,
) -> Taken:
    before = host.platform
    set_platform(session, host, content.system, now)
    made = store_report(session, host, content.listing, now=now)
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
        format=" ".join(content.formats),
        not_judged=made.not_judged,
        not_judged_why=made.not_judged_why,
        notes=made.notes,
    )
