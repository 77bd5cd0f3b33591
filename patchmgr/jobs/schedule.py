"""What runs how often: the only place that names an interval, and the only one on APScheduler."""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from apscheduler.events import EVENT_JOB_MAX_INSTANCES, JobSubmissionEvent
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger
from sqlalchemy.exc import OperationalError

from patchmgr.config import Settings
from patchmgr.db.queries import jobs as queries
from patchmgr.db.session import Database
from patchmgr.jobs import bodies
from patchmgr.jobs.runner import Runner, reason
from patchmgr.jobs.waiting import Waiting
from patchmgr.services import jobs as record
from patchmgr.services.feeds import look

log = logging.getLogger(__name__)
# The scheduler warns of each single run that it leaves out; `Waiting` says it once for all.
_library_log = logging.getLogger("apscheduler.scheduler")
_library_log.setLevel(logging.ERROR)

REQUESTS = timedelta(seconds=1)  # how often runs asked for are looked for
RECONCILE = timedelta(seconds=30)  # how often enabled feeds are looked for
IMPORTS = timedelta(minutes=5)  # makes up for what a process left that ended
PROPOSE = timedelta(minutes=5)  # how often policies are asked whether a plan is due
FORECAST = timedelta(seconds=15)  # how often plans are asked whether their forecast still holds
DAY = timedelta(days=1)
SPREAD = timedelta(minutes=5)  # keeps a fleet of servers from asking upstream at the same second
THREADS = 6


@dataclass(frozen=True, slots=True)
class Job:
    """A named, repeated call. ``run`` returns one line, "" when there was nothing to do.

    It must be safe to repeat.
    """

    name: str
    every: timedelta
    run: Callable[[], str]
    spread: timedelta = timedelta(0)  # each time is later by up to that much, at random
    hour: int | None = None  # of the day in UTC, for a daily job that runs by night

    def trigger(self) -> BaseTrigger:
        if self.hour is not None:
            return CronTrigger(hour=self.hour, timezone="UTC")
        return IntervalTrigger(
            seconds=self.every.total_seconds(),
            jitter=self.spread.total_seconds() or None,
            timezone="UTC",
        )

    def due(self, last: datetime | None, now: datetime) -> datetime:
        """Return the first time at or after ``now``: a run that was missed is made up once."""
        if last is not None:
            return max(now, self._after(last))
        return now if self.hour is None else self._after(now)

    def _after(self, instant: datetime) -> datetime:
        if self.hour is None:
            return instant + self.every
        later = instant + timedelta(seconds=1)  # the trigger answers "at or after"
        following: datetime = self.trigger().get_next_fire_time(None, later)
        return following


def jobs(
    db: Database,
    settings: Settings,
    clock: Callable[[], datetime],
    imports: Callable[[], str] | None = None,
) -> list[Job]:
    """Return what this service does by itself: a sync per feed it needs, and the fixed jobs.

    ``imports`` does what uploaded files wait for; it is asked for with each of them.
    """
    look(db, settings)
    with db.reading() as session:
        feeds = queries.enabled_feeds(session)
    return [
        *(
            Job(
                f"sync:{feed}",
                timedelta(hours=settings.hours_of(feed)),
                partial(bodies.sync, db, settings, clock, feed),
                SPREAD,
            )
            for feed in feeds
        ),
        Job(
            "scan",
            timedelta(minutes=settings.scan_minutes),
            partial(bodies.scan, db, settings, clock),
        ),
        Job("tick", timedelta(seconds=settings.tick_seconds), partial(bodies.tick, db, clock)),
        *([] if imports is None else [Job("imports", IMPORTS, imports)]),
        Job("propose", PROPOSE, partial(bodies.propose, db, clock)),
        Job("forecast", FORECAST, partial(bodies.forecast, db, clock)),
        Job("report", DAY, partial(bodies.report, db, settings, clock), hour=2),
        Job("housekeeping", DAY, partial(bodies.housekeeping, db, settings, clock), hour=3),
    ]


class Schedule:
    """The jobs of one leading process, running from `start` until `stop`."""

    def __init__(
        self,
        db: Database,
        clock: Callable[[], datetime],
        make: Callable[[], Iterable[Job]],
        leads: Callable[[], bool] = lambda: True,
    ) -> None:
        self._db = db
        self._clock = clock
        self._make = make
        self._runner = Runner(db, clock, leads)
        self._jobs: dict[str, Job] = {}
        self._published: dict[str, tuple[timedelta, datetime]] = {}
        self._waiting = Waiting()
        self._scheduler = BackgroundScheduler(
            timezone="UTC", executors={"default": ThreadPoolExecutor(THREADS)}
        )
        self._scheduler.add_listener(self._left_out, EVENT_JOB_MAX_INSTANCES)

    def start(self) -> None:
        """Start the jobs. Runs that a dead process left "running" become "interrupted"."""
        record.interrupt(self._db, now=self._clock())
        self._reconcile()
        for name, every, run in (
            ("reconcile", RECONCILE, self._reconcile),
            ("requests", REQUESTS, self._requests),
        ):
            self._repeat(name, run, Job(name, every, str).trigger(), self._clock())
        self._scheduler.start()

    def stop(self) -> None:
        """Start no further run. Those under way go on; a job is whole or not at all anyway."""
        self._scheduler.shutdown(wait=False)

    @property
    def busy(self) -> frozenset[str]:
        """The names of the jobs that run now."""
        return self._runner.busy

    def _reconcile(self) -> None:
        """Schedule what is new, drop what is gone: feeds are enabled while the service runs."""
        wanted = {job.name: job for job in self._make()}
        for name in self._jobs.keys() - wanted.keys():
            self._scheduler.remove_job(name)
        fresh = wanted.keys() - self._jobs.keys()
        if fresh:
            with self._db.reading() as session:
                starts = queries.last_starts(session)
            for name in fresh:
                job = wanted[name]
                run = partial(self._runner.run, name, job.run)
                self._repeat(name, run, job.trigger(), job.due(starts.get(name), self._clock()))
        self._jobs = wanted

    def _repeat(
        self, name: str, run: Callable[[], None], trigger: BaseTrigger, at: datetime
    ) -> None:
        self._scheduler.add_job(
            partial(self._tried, name, run),
            trigger,
            id=name,
            next_run_time=at,
            max_instances=1,
            coalesce=True,
            misfire_grace_time=None,
        )

    def _tried(self, name: str, run: Callable[[], None]) -> None:
        """Run a job; where the database does not answer, say so once for all that wait for it."""
        try:
            run()
        except OperationalError as error:
            _say(self._waiting.kept(name, self._clock(), reason(error)))
        else:
            _say(self._waiting.went(name, self._clock()))

    def _left_out(self, event: JobSubmissionEvent) -> None:
        _say(self._waiting.kept(event.job_id, self._clock()))

    def _requests(self) -> None:
        """Start the runs that were asked for, and write down when each job is due next."""
        with self._db.reading() as session:
            waiting = queries.queued(session)
        for run in waiting:
            job = self._jobs.get(run.job)
            if job is not None and run.job not in self._runner.busy:
                asked = partial(self._runner.run, job.name, job.run, queued=run.id)
                self._scheduler.add_job(
                    partial(self._tried, job.name, asked),
                    id=f"run {run.id}",
                    replace_existing=True,
                    misfire_grace_time=None,
                )
        self._publish()

    def _publish(self) -> None:
        due = {
            name: (job.every, scheduled.next_run_time)
            for name, job in self._jobs.items()
            if (scheduled := self._scheduler.get_job(name)) is not None
        }
        if due != self._published:
            record.publish(self._db, due)
            self._published = due


def _say(line: str) -> None:
    if line:
        log.warning(line)
