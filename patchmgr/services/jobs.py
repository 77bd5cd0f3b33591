"""The record of jobs: asked for, started, ended. `patchmgr.jobs` decides when they run."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from patchmgr.db import models
from patchmgr.db.session import Database
from patchmgr.errors import NotFoundError
from patchmgr.services import audit

LINE = 2000  # characters of a summary or an error that are kept


def request(db: Database, name: str, *, actor: str, now: datetime, known: bool = False) -> int:
    """Ask for a run of the job ``name``; return the run's id. The leading scheduler picks it up.

    A run that already waits is the one returned. Raises `NotFoundError` for a job that no
    scheduler has published, unless the caller knows better (``known``).
    """
    with db.writing() as session:
        if not known and session.get(models.ScheduledJob, name) is None:
            raise NotFoundError("job", name)
        audit.record(session, at=now, actor=actor, action="job.run", subject=f"job {name}")
        return want(session, name, now=now)


def want(session: Session, name: str, *, now: datetime) -> int:
    """Queue a run, inside the transaction that made it necessary; return the id of what waits.

    A process without a scheduler may call it too: the run waits for the next one that has.
    """
    waiting = session.scalar(
        select(models.JobRun.id).where(models.JobRun.job == name, models.JobRun.state == "queued")
    )
    return _add(session, name, "manual", "queued", now) if waiting is None else waiting


def begin(db: Database, name: str, *, now: datetime) -> int:
    """Record that the schedule starts a run; return its id."""
    with db.writing() as session:
        return _add(session, name, "schedule", "running", now)


def begin_queued(db: Database, run_id: int, *, now: datetime) -> bool:
    """Record that a queued run starts; False when somebody else has started it."""
    with db.writing() as session:
        taken = session.execute(
            update(models.JobRun)
            .where(models.JobRun.id == run_id, models.JobRun.state == "queued")
            .values(state="running", started_at=now)
        )
        return bool(taken.rowcount)  # type: ignore[attr-defined] # an update's result has one


def finish(db: Database, run_id: int, *, now: datetime, summary: str = "", error: str = "") -> None:
    """Record the outcome of a run: failed when there is an ``error``.

    A run that found nothing to do (neither summary nor error) takes the place of the one before if
    that found nothing either, so that a frequent job does not bury the runs that did something.
    """
    with db.writing() as session:
        run = session.get_one(models.JobRun, run_id)
        run.state = "failed" if error else "succeeded"
        run.finished_at = now
        run.summary = summary[:LINE]
        run.error = error[:LINE]
        if not summary and not error:
            _drop_idle_before(session, run)


def interrupt(db: Database, *, now: datetime) -> int:
    """Mark runs that are still "running" as interrupted; return how many there were.

    Only the leading scheduler may call it, before it starts any: these are runs whose process died.
    """
    with db.writing() as session:
        left = session.execute(
            update(models.JobRun)
            .where(models.JobRun.state == "running")
            .values(state="interrupted", finished_at=now, error="the process ended before the job")
        )
        return int(left.rowcount)  # type: ignore[attr-defined] # an update's result has one


def publish(db: Database, schedule: Mapping[str, tuple[timedelta, datetime]]) -> None:
    """Write down what is scheduled, for other processes: name -> (every, next time)."""
    with db.writing() as session:
        rows = {row.name: row for row in session.scalars(select(models.ScheduledJob))}
        for name in rows.keys() - schedule.keys():
            session.delete(rows[name])
        for name, (every, next_at) in schedule.items():
            seconds = int(every.total_seconds())
            if name not in rows:
                session.add(models.ScheduledJob(name=name, every=seconds, next_at=next_at))
            elif (rows[name].every, rows[name].next_at) != (seconds, next_at):
                rows[name].every, rows[name].next_at = seconds, next_at


def forget(session: Session, *, keep: int, before: datetime | None = None) -> int:
    """Delete all but the newest ``keep`` runs of each job; return how many went.

    Those that ended before ``before`` go too.
    """
    gone = 0
    if before is not None:
        old = delete(models.JobRun).where(models.JobRun.finished_at < before)
        gone += session.execute(old).rowcount  # type: ignore[attr-defined] # a delete's result has one
    for job in session.scalars(select(models.JobRun.job).distinct()).all():
        oldest_kept = session.scalar(
            select(models.JobRun.id)
            .where(models.JobRun.job == job)
            .order_by(models.JobRun.id.desc())
            .offset(keep - 1)
            .limit(1)
        )
        if oldest_kept is not None:
            deleted = session.execute(
                delete(models.JobRun).where(
                    models.JobRun.job == job, models.JobRun.id < oldest_kept
                )
            )
            gone += deleted.rowcount  # type: ignore[attr-defined] # a delete's result has one
    return gone


def _drop_idle_before(session: Session, run: models.JobRun) -> None:
    before = session.scalar(
        select(models.JobRun)
        .where(models.JobRun.job == run.job, models.JobRun.id < run.id)
        .order_by(models.JobRun.id.desc())
        .limit(1)
    )
    if before is not None and (before.state, before.summary) == ("succeeded", ""):
        session.delete(before)


def _add(session: Session, name: str, trigger: str, state: str, now: datetime) -> int:
    run = models.JobRun(
        job=name, trigger=trigger, state=state, started_at=now, summary="", error=""
    )
    session.add(run)
    session.flush()
    return run.id
