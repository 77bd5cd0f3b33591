"""Weeks on the wall clock of a zone, with the true length of their days."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patchmgr.domain.agenda import (
    Entry,
    change_words,
    chosen,
    monday,
    span,
    stretches,
    weeks_of,
)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def entry(kind: str, starts: str, ends: str, name: str = "n") -> Entry:
    return Entry(kind, name, at(starts), at(ends), "")


@pytest.mark.parametrize(
    ("zone", "first", "said"),
    [
        ("Europe/Berlin", "2026-03-23", ["", "", "", "", "", "", "clocks go forward 1 h"]),
        ("Europe/Berlin", "2026-10-19", ["", "", "", "", "", "", "clocks go back 1 h"]),
        ("Australia/Lord_Howe", "2026-09-28", [""] * 6 + ["clocks go forward 30 min"]),
        ("Pacific/Apia", "2011-12-26", ["", "", "", "", "clocks go forward 24 h", "", ""]),
        ("UTC", "2026-03-23", [""] * 7),
    ],
)
def test_days_say_what_clocks_do(zone, first, said):
    (week,) = weeks_of([], date.fromisoformat(first), 1, zone)

    assert [change_words(day) for day in week.days] == said
    assert (week.starts, week.ends) == span(date.fromisoformat(first), 1, zone)


def test_what_lies_in_two_weeks_is_in_both():
    over = entry("ring", "2026-11-29T12:00", "2026-11-30T12:00")
    before = entry("window", "2026-11-22T12:00", "2026-11-23T00:00")

    first, second = weeks_of([over, before], date(2026, 11, 23), 2, "UTC")

    assert first.entries == second.entries == (over,)


def test_a_week_begins_on_monday():
    assert {monday(date(2026, 11, 23) + n * timedelta(days=1)) for n in range(7)} == {
        date(2026, 11, 23)
    }


def test_a_name_chooses_among_windows_only():
    found = [
        entry("window", "2026-11-23", "2026-11-24", "a"),
        entry("window", "2026-11-23", "2026-11-24", "b"),
        entry("freeze", "2026-11-23", "2026-11-24", "c"),
    ]

    assert [one.name for one in chosen(found, ("window", "freeze"), "a")] == ["a", "c"]
    assert [one.name for one in chosen(found, ("window",), "")] == ["a", "b"]


MONDAY = date(2026, 11, 23)


def said(entries, weeks=3, zone="UTC"):
    """Say the list as lines: days, what begins on them, and the last day of what goes on."""
    return [
        (
            f"{one.first:%d}-{one.last:%d}",
            "repeat" if one.is_repeat else [f"{run.entry.name} {run.last:%d}" for run in one.runs],
        )
        for one in stretches(entries, MONDAY, weeks, zone)
    ]


def nights(*days, name="nights", hours=4):
    begun = [at(f"2026-11-{day:02}T21:00") for day in days]
    return [Entry("window", name, one, one + timedelta(hours=hours), "") for one in begun]


def test_what_begins_alike_day_after_day_is_said_once():
    assert said(nights(23, 24, 25, 27), weeks=1) == [
        ("23-23", ["nights 25"]), ("26-26", []), ("27-27", ["nights 27"]), ("28-29", []),
    ]  # fmt: skip
    longer = [*nights(23), *nights(24, hours=5)]
    assert said(longer, weeks=1)[:2] == [("23-23", ["nights 23"]), ("24-24", ["nights 24"])]


def test_days_that_begin_nothing_are_one_also_beyond_a_week():
    assert said(nights(23), weeks=2) == [("23-23", ["nights 23"]), ("24-06", [])]
    assert said([], weeks=2) == [("23-06", [])]


def test_weeks_like_the_one_before_are_one():
    week = timedelta(weeks=1)
    every = [
        replace(one, starts=one.starts + n * week, ends=one.ends + n * week)
        for n in range(4)
        for one in nights(23, 24)
    ]
    ring = entry("ring", "2026-12-14T08:00", "2026-12-15T08:00", "canary")

    assert said([*every, ring], weeks=4) == [
        ("23-23", ["nights 24"]),
        ("25-29", []),
        ("30-13", "repeat"),
        ("14-14", ["canary 14", "nights 15"]),
        ("16-20", []),
    ]


def test_the_wall_clock_says_what_is_alike_also_when_clocks_change():
    noons = [at("2026-10-24T10:00"), at("2026-10-25T11:00")]
    entries = [Entry("window", "n", one, one + timedelta(hours=1), "") for one in noons]

    (noon,) = [
        one for one in stretches(entries, date(2026, 10, 19), 1, "Europe/Berlin") if one.runs
    ]

    assert [(run.day.day, run.last.day) for run in noon.runs] == [(24, 25)]


@given(
    st.lists(
        st.tuples(st.integers(-3, 27), st.sampled_from((1, 9)), st.sampled_from("ab")), max_size=40
    )
)
def test_a_list_tells_every_entry_and_no_other(chosen):
    """Written out again, runs and repeats are what was to be listed."""
    entries = [
        Entry("window", name, begins, begins + timedelta(hours=2), "")
        for day, hour, name in chosen
        for begins in [at("2026-11-23T00:00") + timedelta(days=day, hours=hour)]
    ]
    told: dict[date, list[tuple[str, int]]] = {}
    for one in stretches(entries, MONDAY, 4, "UTC"):
        days = [one.first + timedelta(days=n) for n in range((one.last - one.first).days + 1)]
        for day in days if one.is_repeat else ():
            if before := told.get(day - timedelta(weeks=1)):
                told[day] = list(before)
        for run in one.runs:
            for n in range((run.last - run.day).days + 1):
                what = (run.entry.name, run.entry.starts.hour)
                told.setdefault(run.day + timedelta(days=n), []).append(what)

    wanted: dict[date, list[tuple[str, int]]] = {}
    for one in entries:
        wanted.setdefault(one.starts.date(), []).append((one.name, one.starts.hour))
    assert {day: sorted(each) for day, each in told.items()} == {
        day: sorted(each) for day, each in wanted.items()
    }
