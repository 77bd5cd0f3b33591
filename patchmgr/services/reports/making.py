"""Make a report: read, count, write in each format asked for, sign, keep, hand over."""

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib import metadata
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from patchmgr.config import Settings
from patchmgr.db import models
from patchmgr.db.queries import (
    flaws,
    lifecycle,
    policies,
    report_endings,
    report_exceptions,
    report_plans,
)
from patchmgr.db.queries import reports as queries
from patchmgr.db.session import Database
from patchmgr.domain.compliance import (
    PERIOD,
    Basis,
    Counting,
    Headline,
    KevCatalogue,
    Report,
)
from patchmgr.domain.rules import YEARS
from patchmgr.domain.urgency import Policy
from patchmgr.domain.urgency_presets import PRESETS
from patchmgr.errors import InputError, NotFoundError
from patchmgr.services import audit, history, signing
from patchmgr.services.policies import DEFAULT
from patchmgr.services.reports import manifest, pdf_form
from patchmgr.services.reports.csv_form import CsvForm
from patchmgr.services.reports.forms import Form, iso, plain, provenance
from patchmgr.services.reports.html_form import HtmlForm
from patchmgr.services.reports.json_form import JsonForm
from patchmgr.services.reports.pdf_form import PdfForm
from patchmgr.services.reports.target import target
from patchmgr.services.reports.xlsx_form import XlsxForm

FORMS: dict[str, type[Form]] = {
    "html": HtmlForm,
    "pdf": PdfForm,
    "xlsx": XlsxForm,
    "csv": CsvForm,
    "json": JsonForm,
}
SUFFIXES = frozenset(form.suffix for form in FORMS.values())
KIND = "compliance"


@dataclass(frozen=True, slots=True)
class ReportResult:
    """A report that was made: its kept copy, and what was written where it was asked for."""

    id: int
    as_of: datetime
    headline: Headline
    folder: Path  # the kept copy
    files: Mapping[str, str]  # name -> SHA-256, hex
    fingerprint: str  # of the key that signed
    written: tuple[Path, ...]  # empty when nothing was asked for but the kept copy


def offered() -> tuple[str, ...]:
    """Return the formats that this installation can make: all, but PDF only with its extra."""
    return tuple(name for name in FORMS if name != "pdf" or pdf_form.is_installed())


def make(
    db: Database,
    *,
    at: datetime,
    formats: Sequence[str],
    settings: Settings,
    actor: str,
    now: datetime,
    policy: str | None = None,
    out: Path | None = None,
) -> ReportResult:
    """Make the compliance report as of ``at``, keep it under the home, and write it to ``out``.

    ``policy`` names the one to measure by, its version then; by default the one in force at
    ``at``. ``out`` is a file with the suffix of the only format, or a folder for all files.
    Raises `InputError` for a time, a format or an ``out`` that cannot be, `NotFoundError` for the
    policy.
    """
    chosen = _forms(formats)
    if at.year < YEARS[0]:
        raise InputError({"at": f"{at:%Y-%m-%d} is before {YEARS[0]}, when no feed said anything"})
    if at.year > YEARS[-1]:
        raise InputError({"at": f"{at:%Y-%m-%d} is after {YEARS[-1]}"})
    place = None if out is None else target(out, chosen, SUFFIXES)
    with db.writing() as session:
        history.remember_hosts(session, at=now, silent_days=settings.silent_days)
    draft = _draft(settings.reports)
    try:
        with db.reading() as session:
            basis = _basis(session, at, policy, settings)
            report = _write(session, basis, settings, chosen, draft)
        key = signing.signing_key(settings.home)
        content = _content(report)
        files = {path.name: path for path in sorted(draft.iterdir())}
        manifest.write(draft / manifest.MANIFEST, files, content, key)
        (draft / signing.PUBLIC_FILE).write_bytes(signing.public_pem(key.public_key()))
        folder = _keep(draft, settings.reports, at)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    written = () if place is None else place.write(folder, sorted(files), content, key)
    digests = {name: manifest.digest(folder / name) for name in sorted(files)}
    with db.writing() as session:
        number = _record(
            session,
            report,
            stored=folder.name,
            files=digests,
            formats=list(chosen),
            actor=actor,
            now=now,
        )
    return ReportResult(
        number,
        at,
        report.headline,
        folder,
        digests,
        signing.fingerprint(key.public_key()),
        written,
    )


def stored_folder(session: Session, report_id: int, *, settings: Settings) -> Path:
    """Return where a report is kept, as `verify` takes it. Raises `NotFoundError`."""
    row = session.get(models.Report, report_id)
    if row is None or not (settings.reports / row.stored).is_dir():
        raise NotFoundError("report", report_id)
    return settings.reports / row.stored


def stored_file(session: Session, report_id: int, name: str, *, settings: Settings) -> Path:
    """Return the path of a kept report's file, its manifest or public key among them.

    Raises `NotFoundError` for a report or a file that there is not.
    """
    folder = stored_folder(session, report_id, settings=settings)
    if name not in {path.name for path in folder.iterdir()}:
        raise NotFoundError("file of the report", name)
    return folder / name


def _forms(formats: Sequence[str]) -> dict[str, type[Form]]:
    if unknown := [name for name in formats if name not in FORMS]:
        raise InputError({"format": f"{unknown[0]!r} is not one of {', '.join(FORMS)}"})
    if not formats:
        raise InputError({"format": f"name at least one of {', '.join(FORMS)}"})
    return {name: FORMS[name] for name in FORMS if name in formats}


def _basis(session: Session, at: datetime, policy: str | None, settings: Settings) -> Basis:
    chosen, since = _policy(session, at, policy)
    told = lifecycle.said(session, at)
    names = queries.platform_names(session, at)
    return Basis(
        as_of=at,
        policy=chosen,
        policy_since=since,
        scanned_at=queries.scanned_at(session, at),
        silent_days=settings.silent_days,
        stale_feed_hours=settings.stale_feed_hours,
        feeds=queries.feeds(session, at, names, stale_hours=settings.stale_feed_hours),
        platforms=queries.platforms(session, at, names, told),
        kev=_catalogue(session, at),
        plans=report_plans.plans(session, at - PERIOD, at),
        standings=queries.standings(session, at),
        packages=queries.packages(session, at),
        exceptions=report_exceptions.register(session, at),
        generator=f"patchmgr {metadata.version('patchmgr')}",
    )


def _catalogue(session: Session, at: datetime) -> KevCatalogue | None:
    found = flaws.catalogue(session, at)
    return None if found is None else KevCatalogue(found.title, found.entries, found.made_at)


def _policy(session: Session, at: datetime, name: str | None) -> tuple[Policy, datetime | None]:
    if name is None:
        stored = policies.in_force(session, at)
        return (DEFAULT, None) if stored is None else (stored.policy, stored.made_at)
    stored = policies.latest(session, name, at)
    if stored is not None:
        return stored.policy, stored.made_at
    if name not in PRESETS:
        raise NotFoundError("policy", name)
    return PRESETS[name], None


def _write(
    session: Session,
    basis: Basis,
    settings: Settings,
    chosen: Mapping[str, type[Form]],
    folder: Path,
) -> Report:
    """Count the report, giving each host to each form as it goes by."""
    fleet = queries.hosts(
        session,
        basis.as_of,
        scanned=basis.scanned_at,
        silent_days=settings.silent_days,
        told=lifecycle.said(session, basis.as_of),
    )
    counting = Counting(basis)
    forms = [form(folder) for form in chosen.values()]
    for host, findings in queries.findings(session, basis.as_of, fleet):
        line, dated = counting.add(host, findings)
        for form in forms:
            form.add(line, dated)
    for ended in report_endings.closed(session, basis.period_start, basis.as_of, fleet):
        counting.close(ended)
    report = counting.report()
    for form in forms:
        form.finish(report)
    return report


def _content(report: Report) -> dict[str, object]:
    return {
        "kind": KIND,
        "as_of": iso(report.basis.as_of),
        "headline": plain(report.headline),
        "provenance": provenance(report),
    }


def _draft(reports: Path) -> Path:
    reports.mkdir(mode=0o700, parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(prefix=".making-", dir=reports))


def _keep(draft: Path, reports: Path, at: datetime) -> Path:
    """Give the finished folder its name, which says its content: the same report is kept once."""
    digest = manifest.digest(draft / manifest.MANIFEST)
    folder = reports / f"{KIND}-{at:%Y%m%dT%H%M%SZ}-{digest[:16]}"
    if folder.exists():
        folder.touch()  # it may be without a row yet, and housekeeping is not to take it for a rest
    else:
        draft.rename(folder)
    return folder


def _record(
    session: Session,
    report: Report,
    *,
    stored: str,
    files: Mapping[str, str],
    formats: list[str],
    actor: str,
    now: datetime,
) -> int:
    """Return the id of the report's row; a report that came out the same keeps its first one."""
    basis = report.basis
    row = session.scalar(select(models.Report).where(models.Report.stored == stored).limit(1))
    if row is None:
        row = models.Report(
            kind=KIND,
            as_of=basis.as_of,
            made_at=now,
            made_by=actor,
            parameters={
                "policy": basis.policy.name,
                "policy_version": basis.policy.version,
                "formats": formats,
            },
            headline=plain(report.headline),
            files=dict(files),
            stored=stored,
        )
        session.add(row)
        session.flush()
    audit.record(
        session,
        at=now,
        actor=actor,
        action="report.make",
        subject=f"report {row.id}",
        details={"as_of": iso(basis.as_of), "formats": formats, "stored": stored},
    )
    return row.id
