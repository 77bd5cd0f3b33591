"""Jobs as the console and the doctor see them: what runs when, and how it went."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from patchmgr.db import models
from patchmgr.errors import NotFoundError


@dataclass(frozen=True, slots=True)
class RunLine:
    """One run of a job."""

    id: int
    job: str
    trigger: str  # "schedule" or "manual"
    state: str  # "queued", "running", "succeeded", "failed", "interrupted"
    started_at: datetime  # while queued: when it was asked for
    finished_at: datetime | None
    summary: str
    error: str


@dataclass(frozen=True, slots=True)
class JobLine:
    """A scheduled job, and its last run."""

    name: str
    every: timedelta
    next_at: datetime
    last: RunLine | None


def listing(session: Session) -> list[JobLine]:
    """Return the scheduled jobs by name, each with its last run. Two queries."""
    last = last_runs(session)
    jobs = session.execute(
        select(
            models.ScheduledJob.name, models.ScheduledJob.every, models.ScheduledJob.next_at
        ).order_by(models.ScheduledJob.name)
    )
    return [
        JobLine(name, timedelta(seconds=every), next_at, last.get(name))
        for name, every, next_at in jobs
    ]


def last_runs(session: Session) -> dict[str, RunLine]:
    """Return the last run of each job that ever ran. One query."""
    newest = select(func.max(models.JobRun.id)).group_by(models.JobRun.job)
    return {run.job: run for run in _runs(session, models.JobRun.id.in_(newest))}


def history(
    session: Session, *, job: str | None = None, before: int | None = None, limit: int = 50
) -> list[RunLine]:
    """Return runs, the newest first: of ``job`` alone, or older than run ``before``. One query."""
    conditions = []
    if job is not None:
        conditions.append(models.JobRun.job == job)
    if before is not None:
        conditions.append(models.JobRun.id < before)
    return _runs(session, *conditions, limit=limit)


def run(session: Session, run_id: int) -> RunLine:
    """Return one run. Raises `NotFoundError`."""
    found = _runs(session, models.JobRun.id == run_id)
    if not found:
        raise NotFoundError("job run", run_id)
    return found[0]


def queued(session: Session) -> list[RunLine]:
    """Return what was asked for and has not started, the oldest first."""
    return _runs(session, models.JobRun.state == "queued")[::-1]


def last_starts(session: Session) -> dict[str, datetime]:
    """Return when each job last started; a feed's sync counts however it was started."""
    runs = session.execute(
        select(models.JobRun.job, func.max(models.JobRun.started_at))
        .where(models.JobRun.state != "queued")
        .group_by(models.JobRun.job)
    )
    starts = dict(iter(runs))
    for name, at in session.execute(select(models.Feed.name, models.Feed.attempted_at)):
        if at is not None:
            starts[f"sync:{name}"] = max(at, starts.get(f"sync:{name}", at))
    return starts


def enabled_feeds(session: Session) -> list[str]:
    """Return the names of the feeds that are to be synced: of those on, all that are not idle."""
    row = models.Feed
    return list(session.scalars(select(row.name).where(row.enabled, ~row.idle).order_by(row.name)))


def _runs(session: Session, *conditions: object, limit: int | None = None) -> list[RunLine]:
    rows = session.execute(
        select(
            models.JobRun.id,
            models.JobRun.job,
            models.JobRun.trigger,
            models.JobRun.state,
            models.JobRun.started_at,
            models.JobRun.finished_at,
            models.JobRun.summary,
            models.JobRun.error,
        )
        .where(*conditions)  # type: ignore[arg-type] # column expressions, whose type is not public
        .order_by(models.JobRun.id.desc())
        .limit(limit)
    )
    return [RunLine(*row) for row in rows]
