"""What the console asks of jobs: few statements, the newest first."""

from datetime import timedelta

import pytest

from patchmgr.db import models
from patchmgr.db.queries import jobs as queries
from patchmgr.errors import NotFoundError
from patchmgr.services import jobs as service

HOUR = timedelta(hours=1)


def run(db, job, at, summary="did it", error=""):
    number = service.begin(db, job, now=at)
    service.finish(db, number, now=at + HOUR / 60, summary=summary, error=error)
    return number


def test_jobs_are_listed_with_their_last_run_in_two_statements(db, now, statements):
    service.publish(db, {"scan": (HOUR, now + HOUR), "report": (24 * HOUR, now)})
    run(db, "scan", now - 2 * HOUR)
    run(db, "scan", now - HOUR, error="disk full")
    statements.clear()

    with db.reading() as session:
        lines = queries.listing(session)

    assert len(statements) == 2
    assert [(line.name, line.every, line.next_at) for line in lines] == [
        ("report", 24 * HOUR, now),
        ("scan", HOUR, now + HOUR),
    ]
    assert lines[0].last is None
    assert (lines[1].last.state, lines[1].last.error) == ("failed", "disk full")


def test_history_goes_back_page_by_page(db, now):
    numbers = [run(db, "scan", now + hour * HOUR) for hour in range(5)]
    run(db, "report", now)

    with db.reading() as session:
        newest = queries.history(session, job="scan", limit=2)
        older = queries.history(session, job="scan", limit=2, before=newest[-1].id)

    assert [line.id for line in newest + older] == numbers[:0:-1]


def test_what_waits_is_not_a_start(db, now):
    service.publish(db, {"scan": (HOUR, now)})
    run(db, "scan", now - HOUR)
    service.request(db, "scan", actor="ann", now=now)

    with db.reading() as session:
        assert queries.last_starts(session) == {"scan": now - HOUR}
        assert [line.job for line in queries.queued(session)] == ["scan"]


def test_a_sync_by_hand_counts_as_the_feeds_last(db, now):
    with db.writing() as session:
        session.add(
            models.Feed(
                name="debian", title="", enabled=True, state="ok", error="", attempted_at=now
            )
        )
    run(db, "sync:debian", now - HOUR)

    with db.reading() as session:
        assert queries.last_starts(session) == {"sync:debian": now}


def test_a_run_that_is_not_there_is_said_so(db):
    with db.reading() as session, pytest.raises(NotFoundError, match="job run 7"):
        queries.run(session, 7)
