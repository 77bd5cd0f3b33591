"""The schedule: never two of a job at once, a missed run made up once, failures on record."""

import threading
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.exc import OperationalError

from patchmgr.db import models
from patchmgr.db.queries import jobs as queries
from patchmgr.errors import FeedUnreachableError
from patchmgr.jobs.schedule import Job, Schedule
from patchmgr.services import jobs as service

SOON = timedelta(milliseconds=50)
NEVER = timedelta(days=365)
PATIENCE = 10  # seconds


def clock():
    return datetime.now(UTC)  # noqa: TID251 -- a real scheduler runs on the real clock


class Counting:
    """A job body that counts its calls and lets a test wait for one."""

    def __init__(self, answer="counted"):
        self.calls = 0
        self.answer = answer
        self._called = threading.Semaphore(0)

    def __call__(self):
        self.calls += 1
        self._called.release()
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def wait(self, times=1):
        for _ in range(times):
            assert self._called.acquire(timeout=PATIENCE), "the job did not run"


@pytest.fixture
def running(sqlite_db):
    """Start a schedule of the jobs given; it is stopped after the test."""
    started = []

    def start(*jobs, leads=lambda: True):
        schedule = Schedule(sqlite_db, clock, lambda: jobs, leads)
        schedule.start()
        started.append(schedule)
        return schedule

    yield start
    for schedule in started:
        schedule.stop()
        until(lambda schedule=schedule: not schedule.busy)


def until(holds):
    """Wait until ``holds()``; fail when that takes too long."""
    pause = threading.Event()
    for _ in range(PATIENCE * 100):
        if holds():
            return
        pause.wait(0.01)
    raise AssertionError("did not come about")


def runs(db, job=None):
    with db.reading() as session:
        return queries.history(session, job=job)


def test_a_job_runs_at_once_and_again_after_its_interval(sqlite_db, running):
    body = Counting()

    running(Job("count", SOON, body))
    body.wait(3)

    until(lambda: [run.state for run in runs(sqlite_db)].count("succeeded") >= 3)
    assert {(run.trigger, run.summary) for run in runs(sqlite_db) if run.finished_at} == {
        ("schedule", "counted")
    }


def test_a_failure_is_on_record_and_the_next_run_comes(sqlite_db, running):
    body = Counting(FeedUnreachableError("the vendor is away"))

    running(Job("count", SOON, body))
    body.wait(2)

    until(lambda: any(run.state == "failed" for run in runs(sqlite_db)))
    assert next(run for run in runs(sqlite_db) if run.state == "failed").error == (
        "the vendor is away"
    )


def test_a_bug_is_on_record_too_and_the_others_go_on(sqlite_db, running):
    bug, other = Counting(ZeroDivisionError("division by zero")), Counting()

    running(Job("bug", SOON, bug), Job("other", SOON, other))
    bug.wait(2)
    other.wait(2)

    until(lambda: any(run.state == "failed" for run in runs(sqlite_db, "bug")))
    failed = next(run for run in runs(sqlite_db, "bug") if run.state == "failed")
    assert failed.error == "ZeroDivisionError: division by zero"


def test_a_database_that_does_not_answer_is_one_line_and_no_traceback(sqlite_db, running, caplog):
    locked = OperationalError("BEGIN IMMEDIATE", {}, Exception("database is locked"))
    body = Counting(locked)

    schedule = running(Job("count", SOON, body))
    body.wait(3)
    until(lambda: len(runs(sqlite_db, "count")) >= 2)

    assert runs(sqlite_db, "count")[-1].error == "the database did not answer: database is locked"
    assert caplog.text == ""  # it is on record
    for _ in range(3):
        schedule._tried("requests", Counting(locked))
    (line,) = caplog.messages
    assert "requests, the database did not answer (database is locked)" in line


def test_a_job_never_overlaps_itself_even_when_asked_for(sqlite_db, running, now):
    entered, leave, inside, most = threading.Semaphore(0), threading.Event(), [], []

    def slow():
        inside.append(1)
        most.append(len(inside))
        entered.release()
        leave.wait(PATIENCE)
        inside.pop()
        return "done"

    running(Job("slow", SOON, slow))
    assert entered.acquire(timeout=PATIENCE)
    asked = ask(sqlite_db, "slow", now)
    until(lambda: state_of(sqlite_db, asked) == "queued")
    leave.set()

    until(lambda: state_of(sqlite_db, asked) == "succeeded")
    assert max(most) == 1


def ask(db, name, now):
    until(lambda: name in published(db))
    return service.request(db, name, actor="ann", now=now)


def published(db):
    with db.reading() as session:
        return {line.name for line in queries.listing(session)}


def state_of(db, run_id):
    with db.reading() as session:
        return queries.run(session, run_id).state


def test_a_run_asked_for_is_carried_out_once(sqlite_db, running, now):
    body = Counting()
    service.begin(sqlite_db, "count", now=clock())  # so that the next one is due in a year
    running(Job("count", NEVER, body))

    asked = ask(sqlite_db, "count", now)

    until(lambda: state_of(sqlite_db, asked) == "succeeded")
    assert body.calls == 1
    assert [(run.trigger, run.state) for run in runs(sqlite_db)] == [
        ("manual", "succeeded"),
        ("schedule", "interrupted"),
    ]


@pytest.mark.parametrize(("last", "expected"), [(timedelta(hours=7), 1), (timedelta(hours=1), 0)])
def test_a_run_missed_while_nobody_served_is_made_up_once(sqlite_db, running, last, expected):
    body, other = Counting(), Counting()
    service.finish(
        sqlite_db, service.begin(sqlite_db, "sync", now=clock() - last), now=clock(), summary="ok"
    )

    running(Job("sync", timedelta(hours=6), body), Job("other", SOON, other))
    other.wait(4)

    assert body.calls == expected


def test_what_a_dead_process_left_running_becomes_interrupted(sqlite_db, running, now):
    dead = service.begin(sqlite_db, "count", now=now)

    running()

    assert state_of(sqlite_db, dead) == "interrupted"


def test_who_lost_the_lead_runs_nothing(sqlite_db, running):
    body, asked = Counting(), Counting()

    def leads():
        asked()
        return False

    running(Job("count", SOON, body), leads=leads)
    asked.wait(3)

    assert body.calls == 0
    assert runs(sqlite_db) == []


def test_the_schedule_is_published_for_other_processes(sqlite_db, running):
    running(Job("count", NEVER, Counting()))

    until(lambda: published(sqlite_db) == {"count"})
    with sqlite_db.reading() as session:
        (line,) = queries.listing(session)
    assert line.every == NEVER
    assert line.next_at > clock()


def test_a_nightly_job_keeps_its_hour():
    report = Job("report", timedelta(days=1), str, hour=2)
    evening = datetime(2026, 3, 2, 20, tzinfo=UTC)
    night = datetime(2026, 3, 3, 2, tzinfo=UTC)

    assert report.due(None, evening) == night
    assert report.due(evening - timedelta(hours=18), evening) == night
    assert report.due(evening - timedelta(days=3), evening) == evening  # missed: made up now


def test_idle_runs_leave_one_row_not_thousands(db, now):
    for summary in ("moved 1 task", "", "", "", "moved 2 tasks", "", ""):
        service.finish(db, service.begin(db, "tick", now=now), now=now, summary=summary)

    assert [run.summary for run in runs(db)] == ["", "moved 2 tasks", "", "moved 1 task"]


def test_asking_twice_waits_for_one_run_and_is_audited_twice(db, now):
    service.publish(db, {"scan": (NEVER, now)})

    first = service.request(db, "scan", actor="ann", now=now)
    second = service.request(db, "scan", actor="bob", now=now)

    assert first == second
    with db.reading() as session:
        assert [entry.actor for entry in session.query(models.AuditEntry)] == ["ann", "bob"]


def test_a_queued_run_is_taken_once(db, now):
    service.publish(db, {"scan": (NEVER, now)})
    asked = service.request(db, "scan", actor="ann", now=now)

    assert [service.begin_queued(db, asked, now=now) for _ in range(2)] == [True, False]


def test_old_runs_are_forgotten_job_by_job(db, now):
    for job in ("scan", "scan", "scan", "report"):
        service.finish(db, service.begin(db, job, now=now), now=now, summary="did it")

    with db.writing() as session:
        gone = service.forget(session, keep=2)

    assert gone == 1
    assert sorted(run.job for run in runs(db)) == ["report", "scan", "scan"]
