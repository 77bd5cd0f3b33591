"""Jobs that cannot run: one line in the log when it begins, one when it is over."""

from datetime import timedelta

from patchmgr.jobs.waiting import WORTH_TELLING, Waiting

SECOND = timedelta(seconds=1)


def test_a_long_wait_is_told_once_and_its_end_once(now):
    waiting = Waiting()
    lines = [waiting.kept("requests", now + n * SECOND) for n in range(90)]
    lines += [waiting.kept("tick", now + n * SECOND) for n in range(0, 90, 5)]

    (told,) = filter(None, lines)
    assert told.startswith("jobs wait since 2026-03-02 09:30:00 UTC: requests, a run has not ended")
    assert lines.index(told) == WORTH_TELLING // SECOND
    assert waiting.went("scan", now + 94 * SECOND) == ""  # it did not wait
    ended = waiting.went("tick", now + 95 * SECOND)
    assert ended == "jobs go on after 95 s; runs left out: requests 90, tick 18"
    assert waiting.went("tick", now + 96 * SECOND) == ""


def test_a_run_that_lasts_a_little_longer_than_its_interval_is_not_told(now):
    waiting = Waiting()

    for n in range(0, 300, 10):
        assert waiting.kept("tick", now + n * SECOND) == ""
        assert waiting.went("tick", now + (n + 6) * SECOND) == ""


def test_a_database_that_does_not_answer_is_told_at_once_and_for_all_jobs_together(now):
    waiting = Waiting()

    told = waiting.kept("tick", now, "database is locked")
    assert "tick, the database did not answer (database is locked)" in told
    assert waiting.kept("forecast", now + SECOND, "database is locked") == ""
    assert "forecast 1, tick 1" in waiting.went("tick", now + 2 * SECOND)
    assert waiting.kept("tick", now + 60 * SECOND, "database is locked") != ""
