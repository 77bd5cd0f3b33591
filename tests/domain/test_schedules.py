"""Schedules: when something is due, on the wall clock of a zone."""

from datetime import UTC, date, datetime, time, timedelta

import hypothesis.strategies as st
import pytest
from hypothesis import given

from patchmgr.domain.schedules import (
    DAYS,
    Every,
    Schedule,
    from_json,
    next_due,
    patch_tuesday,
)
from patchmgr.errors import InputError

DAY = timedelta(days=1)


def at(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("schedule", "last", "now", "due"),
    [
        (Schedule(Every.WEEK, "monday"), "2026-03-02T08:00", "2026-03-03", "2026-03-09T08:00"),
        # three were missed: the latest is made up, and only that one
        (Schedule(Every.WEEK, "monday"), "2026-03-02T08:00", "2026-03-24", "2026-03-23T08:00"),
        (Schedule(Every.WEEK, "monday"), "2026-03-23T08:00", "2026-03-24", "2026-03-30T08:00"),
        (Schedule(Every.MONTH, day=31), "2026-01-31T08:00", "2026-02-01", "2026-02-28T08:00"),
        (Schedule(Every.MONTH, day=1), "2025-12-01T08:00", "2025-12-02", "2026-01-01T08:00"),
        # Patch Tuesday of March 2026 is the 10th
        (Schedule(Every.PATCH_TUESDAY, "thursday"), "2026-03-01", "2026-03-02", "2026-03-12T08:00"),
        (Schedule(Every.PATCH_TUESDAY, "tuesday"), "2026-03-01", "2026-03-02", "2026-03-17T08:00"),
        (
            Schedule(Every.PATCH_TUESDAY, "monday", nth=4),
            "2026-03-10",
            "2026-04-05",
            "2026-04-06T08:00",
        ),
        # in summer Vienna is two hours ahead, in winter one
        (
            Schedule(Every.WEEK, "sunday", at=time(3), zone="Europe/Vienna"),
            "2026-03-23",
            "2026-03-23",
            "2026-03-29T01:00",
        ),
        # 02:30 does not exist on that day: as much later
        (
            Schedule(Every.WEEK, "sunday", at=time(2, 30), zone="Europe/Vienna"),
            "2026-03-23",
            "2026-03-23",
            "2026-03-29T01:30",
        ),
        # 02:30 is there twice: the first
        (
            Schedule(Every.WEEK, "sunday", at=time(2, 30), zone="Europe/Vienna"),
            "2026-10-20",
            "2026-10-20",
            "2026-10-25T00:30",
        ),
    ],
)
def test_the_next_occasion(schedule, last, now, due):
    assert next_due(schedule, at(last), at(now)) == at(due)


SCHEDULES = st.builds(
    Schedule,
    every=st.sampled_from(Every),
    weekday=st.sampled_from(DAYS),
    nth=st.integers(1, 4),
    day=st.integers(1, 31),
    at=st.times().map(lambda one: one.replace(second=0, microsecond=0)),
    zone=st.sampled_from(["UTC", "Europe/Vienna", "America/St_Johns", "Pacific/Apia"]),
)
TIMES = st.integers(0, 15 * 365 * 24 * 60).map(
    lambda minutes: datetime(2020, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
)


@given(SCHEDULES, TIMES, st.timedeltas(timedelta(0), timedelta(days=400)))
def test_whoever_sees_to_what_is_due_is_then_done(schedule, last, later):
    now = last + later
    due = next_due(schedule, last, now)

    assert due > last
    if due <= now:
        following = next_due(schedule, due, now)
        assert following > now
        assert next_due(schedule, last, due) == due
    else:
        assert due - now <= 70 * DAY


@given(st.integers(1990, 2100), st.integers(1, 12))
def test_patch_tuesday_is_the_second_one(year, month):
    day = patch_tuesday(year, month)

    assert (day.weekday(), 8 <= day.day <= 14) == (1, True)
    assert isinstance(day, date)


@given(SCHEDULES)
def test_a_schedule_comes_back_from_its_document_as_far_as_it_asks(schedule):
    document = schedule.to_json()

    assert from_json(document).to_json() == document
    assert from_json(document).words == schedule.words


@pytest.mark.parametrize(
    "document",
    [
        [],
        {},
        {"every": "day"},
        {"every": "week", "weekday": "mon"},
        {"every": "week", "nth": 0},
        {"every": "week", "nth": True},
        {"every": "week", "at": "noon"},
        {"every": "week", "zone": "Mars/Base"},
        {"every": "week", "zone": 1},
        {"every": "month", "day": 32},
        {"every": "month", "hour": 1},
    ],
)
def test_a_schedule_that_cannot_be_is_refused(document):
    with pytest.raises(InputError, match="schedule"):
        from_json(document)
