"""Storing what one host says it has installed, in the transaction of who brought it."""

from datetime import datetime

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from inventory import host_facts, host_sets, sets
from inventory.difference import Change, Difference, kind_of
from inventory.host_rows import judged_platform
from inventory.report import Listing
from inventory.sections import Report
from patchmgr.db import models, package_sets
from patchmgr.db.bulk import among
from patchmgr.db.package_sets import Ids
from patchmgr.domain.packages import Package
from patchmgr.services import installations


def store_report(
    session: Session,
    row: models.Host,
    listing: Listing,
    format: str,  # noqa: A002 -- the word of the command line and the API
    *,
    report: Report | None = None,
    now: datetime,
) -> Difference:
    """Store what ``listing`` says a host has installed, in the transaction of who brought it.

    What of it cannot be judged replaces what the last report of this ``format`` left so. With a
    whole ``report`` also what else the host says; without one that stays as it is.
    """
    difference = Difference(
        rows=len(listing.packages),
        host=row.hostname,
        not_judged=listing.not_judged,
        not_judged_why=listing.not_judged_why,
        notes=listing.notes,
    )
    is_new = row.package_set_id is None
    if listing.held is not None:
        row.held = sorted(listing.held)
    _keep_not_judged(row, listing, format)
    row.reported_at = now
    if row.retired_at is not None:
        row.retired_at = None
        row.judged_set_id = None
        installations.count(session, [row.id])
    told: list[str] = []
    with session.no_autoflush:  # the host is written once, when all is known of it
        if report is not None:
            difference.unreadable = report.facts.unreadable
            host_facts.entitle(row, report)  # before the listing: versions are judged by it
            told = host_facts.store(session, row, report, now)
        changed = _store_listing(session, row, listing, difference, now)
    kind = kind_of(is_new=is_new, changed=changed or bool(told))
    difference.count(Change(row.hostname, kind, tuple(told)))
    return difference


def _keep_not_judged(row: models.Host, listing: Listing, form: str) -> None:
    of = {name: left for name, left in row.not_judged_of.items() if name != form}
    if listing.not_judged:
        of[form] = [listing.not_judged, list(listing.not_judged_why)]
    if of != row.not_judged_of:
        row.not_judged_of, row.not_judged = of, sum(count for count, _ in of.values())


def _store_listing(
    session: Session, row: models.Host, listing: Listing, difference: Difference, now: datetime
) -> bool:
    packages = list(listing.packages)
    encoded = sets.encode(session, judged_platform(row), packages)
    near = package_sets.near(session, row.package_set_id)
    had = package_sets.unpack(b"") if near is None else near.members
    if near is not None and np.array_equal(np.sort(encoded.ids), had):
        return False
    gone = np.setdiff1d(had, encoded.ids)
    if kept := _of_others(session, gone, listing):
        packages = list(listing.packages.union(kept))
        encoded = sets.encode(session, judged_platform(row), packages)
    (set_id,) = sets.store(session, encoded, [np.arange(len(packages))], now, near=near)
    if set_id == row.package_set_id:
        return False
    difference.added += len(np.setdiff1d(encoded.ids, had))
    difference.removed += len(np.setdiff1d(had, encoded.ids))
    host_sets.move(session, row, set_id, had, np.unique(encoded.ids), now)
    return True


def _of_others(session: Session, gone: Ids, listing: Listing) -> list[Package]:
    """Return which of the members ``gone`` are packages that ``listing`` does not speak for."""
    if not len(gone):
        return []
    version = models.PackageVersion
    of_others = version.manager.not_in(listing.speaks_for)
    query = select(version).where(among(session, version.id, gone.tolist()), of_others)
    return list(map(sets.package, session.scalars(query)))
