"""Rules on the wall clock: excluded starts, first days, several at once, and zones that jump."""

from datetime import UTC, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

import hypothesis.strategies as st
import pytest
from dateutil.rrule import rrulestr
from hypothesis import given, settings

from patchmgr.domain.rules import Recurrence, complaints, starts
from patchmgr.domain.windows import (
    Window,
    Windows,
    canonical,
    from_json,
    open_until,
    openings,
    united,
)
from patchmgr.errors import InputError

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
NIGHT = "FREQ=DAILY;BYHOUR=2;BYMINUTE=30"


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def window(rrule=NIGHT, hours=1, zone="Europe/Berlin", **more) -> Window:
    return Window("night", rrule, hours * HOUR, zone, **more)


def begun(win: Window, after: str, before: str) -> list[str]:
    return [f"{start:%d %H:%M}" for start, _ in openings(win, at(after), at(before))]


# zone, rule, more, from, until, starts in UTC
TABLE = [
    # the start that spring skips is excluded by the time that the rule says
    ("Europe/Berlin", NIGHT, {"exdates": ("2026-03-29T02:30:00",)}, "2026-03-28", "2026-03-31",
     ["28 01:30", "30 00:30"]),
    # ... or with its whole day
    ("Europe/Berlin", NIGHT, {"exdates": ("2026-03-29",)}, "2026-03-28", "2026-03-31",
     ["28 01:30", "30 00:30"]),
    # a start that is none excludes nothing
    ("Europe/Berlin", NIGHT, {"exdates": ("2026-03-29T03:00:00",)}, "2026-03-28", "2026-03-31",
     ["28 01:30", "29 01:00", "30 00:30"]),
    # the repeated start is one, so it is excluded once
    ("Europe/Berlin", NIGHT, {"exdates": ("2026-10-25T02:30:00",)}, "2026-10-24", "2026-10-27",
     ["24 00:30", "26 01:30"]),
    ("America/New_York", NIGHT, {}, "2026-03-07", "2026-03-10",
     ["07 07:30", "08 07:00", "09 06:30"]),
    ("America/New_York", "FREQ=DAILY;BYHOUR=1;BYMINUTE=30", {}, "2026-10-31", "2026-11-03",
     ["31 05:30", "01 05:30", "02 06:30"]),
    # half an hour: 02:15 is skipped on 4 October, 01:45 comes twice on 5 April
    ("Australia/Lord_Howe", "FREQ=DAILY;BYHOUR=2;BYMINUTE=15", {}, "2026-10-02", "2026-10-05",
     ["02 15:45", "03 15:30", "04 15:15"]),
    ("Australia/Lord_Howe", "FREQ=DAILY;BYHOUR=1;BYMINUTE=45", {}, "2026-04-03", "2026-04-06",
     ["03 14:45", "04 14:45", "05 15:15"]),
    # a day that never was, 30 December 2011: its start is the first moment after it
    ("Pacific/Apia", "FREQ=DAILY;BYHOUR=2", {}, "2011-12-29", "2012-01-01",
     ["29 12:00", "30 10:00", "30 12:00", "31 12:00"]),
    ("Pacific/Apia", "FREQ=DAILY;BYHOUR=2", {"exdates": ("2011-12-30",)}, "2011-12-29",
     "2012-01-01", ["29 12:00", "30 12:00", "31 12:00"]),
    # the clock goes back for Ramadan and forward after it
    ("Africa/Casablanca", NIGHT, {}, "2026-02-14", "2026-02-17",
     ["14 01:30", "15 01:30", "16 02:30"]),
    ("Africa/Casablanca", NIGHT, {}, "2026-03-21", "2026-03-24",
     ["21 02:30", "22 02:00", "23 01:30"]),
    ("UTC", NIGHT, {}, "2026-03-28", "2026-03-30", ["28 02:30", "29 02:30"]),
    # a first start says the hour, the day and the weeks that are counted
    ("Europe/Berlin", "FREQ=WEEKLY;INTERVAL=2", {"first": "2026-11-07T22:00:00"}, "2026-11-01",
     "2026-12-10", ["07 21:00", "21 21:00", "05 21:00"]),
    ("UTC", "FREQ=MONTHLY", {"first": "2026-01-31T06:00:00"}, "2025-12-01", "2026-06-01",
     ["31 06:00", "31 06:00", "31 06:00"]),
    # every day at the hour of a first start: the rule is held against that, not against midnight
    ("UTC", "FREQ=HOURLY;INTERVAL=24;BYHOUR=9", {"first": "2026-11-02T09:00:00"}, "2026-11-01",
     "2026-11-04", ["02 09:00", "03 09:00"]),
    # Sunday is the first day of this week, so the second week begins a day earlier
    ("UTC", "FREQ=WEEKLY;INTERVAL=2;WKST=SU;BYDAY=SU,TU", {"first": "2026-11-03T00:00:00"},
     "2026-11-01", "2026-11-20", ["03 00:00", "15 00:00", "17 00:00"]),
]  # fmt: skip


@pytest.mark.parametrize(("zone", "rrule", "more", "after", "before", "expected"), TABLE)
def test_starts(zone, rrule, more, after, before, expected):
    win = window(rrule, 0.25, zone, **more)

    assert begun(win, after, before) == expected


@pytest.mark.parametrize(
    ("more", "complaint"),
    [
        ({"exdates": ("tomorrow",)}, "no time on a wall clock"),
        ({"exdates": ("2026-12-25T22:00:00Z",)}, "no time on a wall clock"),
        ({"exdates": tuple(f"2026-01-01T{n // 60:02}:{n % 60:02}:00" for n in range(501))}, "most"),
        ({"first": "2026-12-25"}, "no time on a wall clock"),
        (
            {"rrule": "FREQ=HOURLY;INTERVAL=24;BYHOUR=0", "first": "2026-12-25T09:00:00"},
            "no RFC 5545",
        ),
        ({"first": "9999-12-25T00:00:00"}, "no time on a wall clock"),
    ],
)
def test_what_is_no_time_of_the_wall_clock_is_refused(more, complaint):
    with pytest.raises(InputError, match=complaint):
        window(**more)


def test_windows_that_are_united_open_when_one_of_them_does():
    evenings = Window("evenings", "FREQ=DAILY;BYHOUR=20", 3 * HOUR, "UTC")
    nights = Window("nights", "FREQ=DAILY;BYHOUR=23", 2 * HOUR, "Europe/London")
    both = Windows({"evenings": evenings, "nights": nights})["evenings;nights"]

    assert openings(both, at("2026-11-23T12:00"), at("2026-11-24T12:00")) == (
        (at("2026-11-23T20:00"), at("2026-11-24T01:00")),
    )
    assert open_until(both, at("2026-11-23T21:00")) == at("2026-11-24T01:00")
    assert both.longest == 3 * HOUR


def test_names_of_windows_are_kept_in_one_order():
    assert canonical(" b ; a;;b") == "a;b"


def test_a_name_without_a_window_makes_the_whole_unknown():
    windows = Windows({"a": window()})

    assert "a;b" not in windows
    assert windows.complaint("a;b") == "its maintenance window 'b' does not exist"
    assert windows.complaint("b;c") == "its maintenance windows 'b' and 'c' do not exist"
    assert windows.complaint("a") == ""
    assert "longer than 200" in Windows({"a" * n: window() for n in range(1, 30)}).complaint(
        ";".join("a" * n for n in range(1, 30))
    )
    many = {name: united(name, [window()] * 30) for name in "ab"}
    assert Windows(many).complaint("a;b") == (
        "its maintenance windows have more than 50 recurrences together"
    )


def test_a_window_as_it_was_before_has_the_form_it_had():
    assert window().to_json() == {
        "name": "night", "rrule": NIGHT, "duration": 3600, "zone": "Europe/Berlin",
    }  # fmt: skip


def test_a_window_comes_back_from_its_form():
    whole = united(
        "a;b",
        [
            window(exdates=("2026-12-25",), first="2026-11-01T02:30:00"),
            window("FREQ=WEEKLY;BYDAY=SU", 3, "UTC"),
        ],
    )

    assert from_json(whole.to_json()) == whole


DAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
PARTS = st.tuples(
    st.sets(st.sampled_from(range(7)), min_size=1),
    st.integers(0, 3),
    st.sampled_from((0, 15, 30, 45)),
    st.integers(1, 30),  # hours
)
CHANGES = st.sampled_from(
    [  # zone, a day on which or near which its clocks change
        ("Europe/Berlin", "2026-03-29"),
        ("Europe/Berlin", "2026-10-25"),
        ("America/New_York", "2026-11-01"),
        ("Australia/Lord_Howe", "2026-10-04"),
        ("Australia/Lord_Howe", "2026-04-05"),
        ("Pacific/Apia", "2011-12-30"),
        ("Africa/Casablanca", "2026-02-15"),
        ("UTC", "2026-06-01"),
    ]
)


def walked(parts, excluded, zone, since, until):
    """Return the minutes in which a window is open, by walking a clock through every one.

    Each minute of the wall clock is reached once: by showing it, or by jumping over it.
    """
    there = ZoneInfo(zone)
    open_for = {}
    now = since - timedelta(days=3)
    shown = now.astimezone(there).replace(tzinfo=None) - MINUTE
    minutes = set()
    while now < until:
        local = now.astimezone(there).replace(tzinfo=None)
        while shown < local:
            shown += MINUTE
            for number, (days, hour, minute, hours) in enumerate(parts):
                is_start = (shown.weekday() in days, shown.hour, shown.minute) == (
                    True,
                    hour,
                    minute,
                )
                if is_start and f"{shown:%Y-%m-%d}" not in excluded:
                    open_for[number] = max(open_for.get(number, now), now + hours * HOUR)
        if now >= since and any(end > now for end in open_for.values()):
            minutes.add(now)
        now += MINUTE
    return minutes


@settings(max_examples=25, deadline=None)
@given(st.lists(PARTS, min_size=1, max_size=2), CHANGES, st.booleans(), st.data())
def test_it_is_open_in_exactly_the_minutes_that_a_clock_shows(parts, change, is_excluded, data):
    zone, day = change
    since, until = at(day) - timedelta(days=1), at(day) + timedelta(days=1, hours=12)
    excluded = (day,) if is_excluded else ()
    each = [
        Window(
            f"w{number}",
            f"FREQ=WEEKLY;BYDAY={','.join(DAYS[n] for n in sorted(days))}"
            f";BYHOUR={hour};BYMINUTE={minute}",
            hours * HOUR,
            zone,
            excluded,
        )
        for number, (days, hour, minute, hours) in enumerate(parts)
    ]
    win = united("all", each)
    truly = walked(parts, excluded, zone, since, until)

    found = openings(win, since, until)
    instant = since + data.draw(st.integers(0, 60 * 60 - 1)) * MINUTE
    assert (open_until(win, instant) is not None) == (instant in truly)
    by_openings = {
        since + n * MINUTE
        for n in range((until - since) // MINUTE)
        if any(start <= since + n * MINUTE < end for start, end in found)
    }
    assert by_openings == truly


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(
        ["DAILY", "WEEKLY", "WEEKLY;BYDAY=SU,WE", "WEEKLY;WKST=SU;BYDAY=SU,MO", "MONTHLY",
         "MONTHLY;BYDAY=-1FR", "YEARLY", "HOURLY"]
    ),
    st.integers(1, 5),
    st.integers(0, 3 * 365 * 24).map(lambda hours: datetime(2025, 1, 1) + hours * HOUR),  # noqa: DTZ001 -- wall
    st.integers(0, 200),
)  # fmt: skip
def test_a_first_day_counts_as_rfc_5545_counts_from_dtstart(freq, interval, first, days):
    rule = f"FREQ={freq};INTERVAL={interval}"
    one = Recurrence(rule, "UTC", first.isoformat())
    after = first + timedelta(days=days)
    expected = rrulestr(rule, dtstart=first).xafter(after, count=4, inc=True)

    if complaints(one):  # 29 February, seen too seldom
        return
    found = [local for _, local in islice(starts(one, after.replace(tzinfo=UTC)), 4)]
    assert found  # fewer than four only where they are more than ten years away
    assert found == list(expected)[: len(found)]
