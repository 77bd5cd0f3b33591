"""What each job does: one call of a service, and one line that says what came of it."""

from collections.abc import Callable
from datetime import datetime

from patchmgr.config import Settings
from patchmgr.db.session import Database
from patchmgr.errors import ConflictError
from patchmgr.services import (
    approvals,
    kept_forecasts,
    outbox,
    planning_policies,
    probing,
    reports,
    rollouts,
)
from patchmgr.services import housekeeping as tidying
from patchmgr.services import jobs as record
from patchmgr.services import scan as scanning
from patchmgr.services import sync as syncing

Clock = Callable[[], datetime]
SCHEDULER = "scheduler"  # whom the audit log names for what happens by itself
REPORT_FORMATS = ("html", "csv", "json")


def sync(db: Database, settings: Settings, clock: Clock, feed: str) -> str:
    """Bring one feed up to date, and ask for a scan when that changed what is said."""
    result = syncing.sync(db, feed, settings=settings, now=clock(), actor=SCHEDULER)
    if not result.changed:
        return result.note or "unchanged"
    with db.writing() as session:
        record.want(session, "scan", now=clock())
    counts = ", ".join(f"{number} {what}" for what, number in result.counts.items())
    return f"{counts}; {result.note}" if result.note else counts


def scan(db: Database, settings: Settings, clock: Clock) -> str:
    result = scanning.scan(db, now=clock(), settings=settings)
    if not (result.versions or result.hosts):
        return ""
    return (
        f"{result.versions} versions judged, {result.hosts} hosts looked at, "
        f"{result.opened} exposures opened, {result.closed} closed"
    )


def tick(db: Database, clock: Clock) -> str:
    """Move plans on. Raises `ConflictError` naming those that could not be, after the others."""
    probing.probe(db, now=clock())
    result = rollouts.tick(db, now=clock())
    outbox.deliver(db, now=clock())
    if result.failed:
        raise ConflictError("; ".join(f"plan {plan}: {why}" for plan, why in result.failed.items()))
    if not result.changed:
        return ""
    return (
        f"{result.changed} of {result.plans} plans moved, {result.dispatched} hosts dispatched, "
        f"{result.verified} verified"
    )


def propose(db: Database, clock: Clock) -> str:
    """Propose the plans whose policies have come due."""
    seen = planning_policies.propose_due(db, now=clock())
    return "; ".join(f"{one.policy}: {one.outcome}" for one in seen)


def forecast(db: Database, clock: Clock) -> str:
    """Make forecasts anew where plans have moved on. Raises `ConflictError` naming what failed."""
    done = kept_forecasts.refresh(db, now=clock())
    if done.failed:
        raise ConflictError("; ".join(f"plan {plan}: {why}" for plan, why in done.failed.items()))
    return f"forecasts of {done.made} plans made" if done.made else ""


def report(db: Database, settings: Settings, clock: Clock) -> str:
    """Make the compliance report of this moment, to the second."""
    now = clock()
    made = reports.make(
        db,
        at=now.replace(microsecond=0),
        formats=REPORT_FORMATS,
        settings=settings,
        actor=SCHEDULER,
        now=now,
    )
    return f"report {made.id}: {', '.join(sorted(made.files))}"


def housekeeping(db: Database, settings: Settings, clock: Clock) -> str:
    """Throw away what has served its purpose, and remind people of what waits for them."""
    tidied = str(tidying.tidy(db, settings=settings, now=clock()))
    reminded = approvals.remind(db, now=clock())
    said = f"reminded of {reminded} starts that nobody has reviewed" if reminded else ""
    return "; ".join(filter(None, (tidied, said)))
