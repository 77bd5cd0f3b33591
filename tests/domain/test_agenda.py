"""Weeks on the wall clock of a zone, with the true length of their days."""

from datetime import UTC, date, datetime, timedelta

import pytest

from patchmgr.domain.agenda import Entry, change_words, chosen, monday, span, weeks_of


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
