"""What the console's frame and its first page show: what is wrong, what awaits, how things go."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    String,
    case,
    cast,
    exists,
    func,
    literal,
    null,
    or_,
    select,
    type_coerce,
    union_all,
)
from sqlalchemy.orm import InstrumentedAttribute, Session

from patchmgr.db import models
from patchmgr.db.queries import exceptions, plan_lists
from patchmgr.domain.rollout.states import OPEN_PLANS

OVERDUE_JOB = timedelta(minutes=5)  # a scheduled job this late says that no scheduler leads


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something wrong with the service itself; ``about`` and ``name`` say where to look."""

    about: str  # "feed", "job", "scheduler"
    name: str
    message: str


@dataclass(frozen=True, slots=True)
class Presses:
    """What every page says above its own."""

    troubles: list[Trouble]  # with the service itself; none is healthy
    exceptions: int  # proposed ones that wait for the viewer's approval
    approvals: int  # of plans and rings, likewise


def troubles(session: Session, *, now: datetime, stale_hours: int) -> list[Trouble]:
    """Return what is wrong with feeds, jobs and the scheduler; empty is healthy. One query."""
    return presses(session, now=now, stale_hours=stale_hours).troubles


def presses(
    session: Session, *, now: datetime, stale_hours: int, approver: str = "", role: str = ""
) -> Presses:
    """Return what is wrong, and what waits for ``approver`` in ``role``, if any. One query.

    A sync that failed is told once, as its feed's.
    """
    newest = (
        select(func.max(models.JobRun.id))
        .where(models.JobRun.state.in_(("succeeded", "failed", "interrupted")))
        .group_by(models.JobRun.job)
    )
    feeds = select(
        literal("feed").label("about"),
        models.Feed.name,
        models.Feed.state,
        models.Feed.succeeded_at.label("at"),
        models.Feed.error,
    ).where(
        or_(models.Feed.enabled & ~models.Feed.idle, models.Feed.bundled_at.is_not(None)),
        models.Feed.attempted_at.is_not(None),
    )
    jobs = select(
        literal("job"),
        models.JobRun.job,
        models.JobRun.state,
        models.JobRun.started_at,
        models.JobRun.error,
    ).where(models.JobRun.id.in_(newest), models.JobRun.state == "failed")
    schedule = select(
        literal("scheduler"),
        literal(""),
        literal(""),
        func.min(models.ScheduledJob.next_at),
        literal(""),
    )
    asked: list[Any] = [feeds, jobs, schedule]
    if approver:
        number = cast(exceptions.awaiting(approver, now=now).scalar_subquery(), String)
        nothing = (literal(""), cast(null(), BigInteger), literal(""))
        asked.append(select(literal("exceptions"), number, *nothing))
        wanted = plan_lists.approvals_asked(approver).subquery()
        authors, terms, settings = wanted.c
        at = cast(null(), BigInteger)
        asked.append(select(literal("approval"), authors, terms, at, settings))
    found, waiting, approvals = [], 0, 0
    rows: Iterable[Any] = session.execute(union_all(*asked))
    for about, name, state, at, error in rows:
        if about == "exceptions":
            waiting = int(name)
        elif about == "approval":
            approvals += plan_lists.may_give(name, state, error, approver, role)
        elif message := _trouble(about, name, state, at, error, now, timedelta(hours=stale_hours)):
            found.append(Trouble(about, name, message))
    feeds_told = {f"sync:{trouble.name}" for trouble in found if trouble.about == "feed"}
    found = [one for one in found if one.about != "job" or one.name not in feeds_told]
    found.sort(key=lambda trouble: (trouble.about != "scheduler", trouble.message))
    return Presses(found, waiting, approvals)


def _trouble(
    about: str,
    name: str,
    state: str,
    at: datetime | None,
    error: str,
    now: datetime,
    stale: timedelta,
) -> str:
    """Return what is wrong, empty when nothing is."""
    if about == "job":
        return f"Job {name} failed: {error}"
    if about == "scheduler":
        late = at is not None and at < now - OVERDUE_JOB
        return "No scheduler is running: syncs, scans and rollouts stand still" if late else ""
    if state == "failed":
        return f"Feed {name}: {error or 'the last sync failed'}"
    if state == "held":
        return f"Feed {name} is held until somebody confirms that it became so much smaller"
    if at is None or at < now - stale:
        return f"Feed {name} has had no good sync for {stale // timedelta(hours=1)} h"
    return ""


@dataclass(frozen=True, slots=True)
class Point:
    """How the fleet stood after a scan."""

    at: datetime
    hosts: int
    reporting: int
    judged: int
    compliant: int
    open_findings: int
    fixable: int
    overdue: int
    undetermined: int
    by_severity: dict[str, int]


def trend(session: Session, *, now: datetime, days: int = 90) -> list[Point]:
    """Return how the fleet stood at the end of each of the last ``days`` days, oldest first.

    The last one is how it stands now; empty before the first scan. One query.
    """
    last_of_day = (
        select(func.max(models.Snapshot.id))
        .where(models.Snapshot.at > now - timedelta(days=days), models.Snapshot.at <= now)
        .group_by(_day(models.Snapshot.at))
    )
    rows = session.scalars(
        select(models.Snapshot)
        .where(models.Snapshot.id.in_(last_of_day))
        .order_by(models.Snapshot.at)
    )
    return [
        Point(
            row.at,
            row.hosts,
            row.reporting,
            row.judged,
            row.compliant,
            row.open_findings,
            row.fixable,
            row.overdue,
            row.undetermined,
            dict(row.by_severity),
        )
        for row in rows
    ]


def _day(column: InstrumentedAttribute[datetime]) -> ColumnElement[int]:
    return type_coerce(column, BigInteger) // 86_400_000_000  # microseconds


@dataclass(frozen=True, slots=True)
class DueSoon:
    """What becomes overdue within a time."""

    findings: int
    hosts: int
    unplanned: int  # of the hosts: in no plan that is still to end


def due_soon(session: Session, *, now: datetime, within: timedelta) -> DueSoon:
    """Return what becomes overdue within ``within`` of ``now``. One query."""
    due = models.HostDue
    # By host first: counting distinct hosts of every due date would sort them all.
    late = (
        select(due.host_id, func.sum(due.findings).label("findings"))
        .where(due.due >= now, due.due < now + within)
        .group_by(due.host_id)
        .subquery()
    )
    planned = exists().where(
        models.Task.host_id == late.c.host_id,
        models.Task.plan_id == models.Plan.id,
        models.Plan.state.in_([state.value for state in OPEN_PLANS]),
    )
    found = session.execute(
        select(
            func.sum(late.c.findings),
            func.count(),
            func.sum(case((planned, 0), else_=1)),
        )
    ).one()
    return DueSoon(*(int(number or 0) for number in found))


@dataclass(frozen=True, slots=True)
class HostWork:
    """A host's part in a plan."""

    plan_id: int
    title: str
    plan_state: str
    ring: str
    state: str
    since: datetime
    reason: str


def work_of(session: Session, host_id: int, limit: int = 20) -> list[HostWork]:
    """Return a host's tasks, the latest plan first. One query."""
    rows = session.execute(
        select(
            models.Plan.id,
            models.Plan.title,
            models.Plan.state,
            models.Ring.name,
            models.Task.state,
            models.Task.state_since,
            models.Task.reason,
        )
        .join(models.Plan, models.Plan.id == models.Task.plan_id)
        .join(models.Ring, models.Ring.id == models.Task.ring_id)
        .where(models.Task.host_id == host_id)
        .order_by(models.Plan.id.desc())
        .limit(limit)
    )
    return [HostWork(*row) for row in rows]
