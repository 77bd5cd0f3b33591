"""A host's listing or whole report, handed in by somebody for it: one transaction each.

Everything is checked before anything is written; a call that raises has changed nothing.
"""

from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from inventory import documents, formats, hosts_csv, sections
from inventory.difference import Difference
from inventory.formats import REPORT
from inventory.host_rows import new_host, set_platform
from inventory.listings import store_report
from inventory.report import Listing
from patchmgr.db import models
from patchmgr.db.session import Database
from patchmgr.domain import os_names
from patchmgr.errors import InputError, NotFoundError
from patchmgr.services import audit

NEW = "correct the name, or say its system (--os, such as debian:12) and it joins the inventory"


def submit_report(
    db: Database,
    *,
    host: str,
    os: str,
    format: str,  # noqa: A002 -- the word of the command line and the API
    text: str,
    actor: str,
    now: datetime,
) -> Difference:
    """Store a host's own listing, or a whole `REPORT`; a new host joins the inventory.

    ``os`` is ``ID:RELEASE``, empty when the host is known already or the report says it itself;
    ``format`` is empty when it is to be recognised; ``host`` may be empty for a whole report, which
    names its own. What the host has of managers that the report does not speak for stays. Raises
    `InputError` and `BadFileError`; `NotFoundError` for an unknown host of which nobody says the
    system.
    """
    report = None
    if format == REPORT or (not format and documents.recognises(text.encode())):
        report = sections.read_report(documents.read(text.encode()))
        format, listing, host = REPORT, report.listing, host or report.hostname  # noqa: A001 -- the API's word
    if (why := hosts_csv.wrong("hostname", host)) is not None:
        raise InputError({"host": f"{host[:80]!r} {why}"})
    os = _checked_os(os)
    if report is None:
        format, listing = formats.read(text, format)  # noqa: A001 -- see above
    system = _system(os, listing)
    with db.writing(alone=True) as session:
        row = _reporting_host(session, host, system, now, is_given=bool(os))
        difference = store_report(session, row, listing, format, report=report, now=now)
        difference.format = format
        if difference.new or difference.changed:
            details = {"format": format, **difference.summary()}
            if listing.not_judged:
                details["not_judged"] = listing.not_judged
            audit.record(
                session,
                at=now,
                actor=actor,
                action="report.submit",
                subject=f"host {row.hostname}",
                details=details,
            )
    return difference


def _checked_os(os: str) -> str:
    """Return ``os``, given as ``ID:RELEASE``, with its ID in lower case. Raises `InputError`."""
    os_id, _, os_release = os.partition(":")
    os_id = os_id.lower()  # os-release(5): ID is in lower case
    bad_word = hosts_csv.wrong("os_id", os_id) or hosts_csv.wrong("os_release", os_release)
    if os and (not os_id or not os_release or bad_word):
        raise InputError({"os": f"{os[:80]!r} is not ID:RELEASE, such as debian:12"})
    return f"{os_id}:{os_release}" if os else ""


def _system(os: str, listing: Listing) -> str:
    """Return the host's system, as was given or as the report says. Raises `InputError`."""
    if os and listing.system and not os_names.agree(os, listing.system):
        raise InputError({"os": f"{os[:80]!r} is not what the report is of: {listing.system}"})
    return os or listing.system


def _reporting_host(
    session: Session, name: str, system: str, now: datetime, *, is_given: bool
) -> models.Host:
    """Return the host that reports, of ``system`` from now on.

    What a report says of it by itself, not ``is_given``, may be less exact than what is known.
    """
    row = session.scalar(
        select(models.Host).where(func.lower(models.Host.hostname) == name.lower())
    )
    if row is None:
        if not system:
            raise NotFoundError("host", name, NEW)
        row = new_host(name, now)
        session.add(row)
    set_platform(session, row, system, now, is_given=is_given)
    return row
