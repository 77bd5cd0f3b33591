"""Windows: RFC 5545 on the wall clock of a zone, daylight saving included."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import hypothesis.strategies as st
import pytest
from hypothesis import given

from patchmgr.domain.windows import Freeze, Window, next_opening, open_until, openings
from patchmgr.errors import InputError

HOUR = timedelta(hours=1)


def window(rrule="FREQ=DAILY;BYHOUR=2;BYMINUTE=30", hours=4, zone="Europe/Berlin") -> Window:
    return Window("night", rrule, hours * HOUR, zone)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def starts(win: Window, after: str, before: str) -> list[str]:
    return [f"{start:%d %H:%M}" for start, _ in openings(win, at(after), at(before))]


# rule, zone, from, until, starts in UTC
TABLE = [
    # daylight saving begins: 02:30 does not exist on 29 March, it opens at 03:00 summer time
    ("FREQ=DAILY;BYHOUR=2;BYMINUTE=30", "Europe/Berlin", "2026-03-28", "2026-03-31",
     ["28 01:30", "29 01:00", "30 00:30"]),
    # it ends: 02:30 comes twice on 25 October, it opens at the first
    ("FREQ=DAILY;BYHOUR=2;BYMINUTE=30", "Europe/Berlin", "2026-10-24", "2026-10-27",
     ["24 00:30", "25 00:30", "26 01:30"]),
    # every hour of the wall clock: the skipped one is no second opening
    ("FREQ=HOURLY", "Europe/Berlin", "2026-03-29T00:00", "2026-03-29T03:00",
     ["29 00:00", "29 01:00", "29 02:00"]),
    # half an hour of daylight saving
    ("FREQ=DAILY;BYHOUR=2;BYMINUTE=15", "Australia/Lord_Howe", "2026-10-02", "2026-10-05",
     ["02 15:45", "03 15:30", "04 15:15"]),
    # southern hemisphere
    ("FREQ=DAILY;BYHOUR=2;BYMINUTE=30", "America/Santiago", "2026-04-04", "2026-04-06",
     ["04 05:30", "05 06:30"]),
    # the gap at midnight
    ("FREQ=DAILY;BYHOUR=0", "Africa/Cairo", "2026-04-23", "2026-04-25",
     ["23 22:00", "24 21:00"]),
    ("FREQ=WEEKLY;BYDAY=SA;BYHOUR=22", "UTC", "2026-11-01", "2026-11-15", ["07 22:00", "14 22:00"]),
    # the second Tuesday of the month
    ("FREQ=MONTHLY;BYDAY=TU;BYSETPOS=2;BYHOUR=20", "UTC", "2026-11-01", "2026-12-31",
     ["10 20:00", "08 20:00"]),
    ("FREQ=MONTHLY;BYDAY=-1SU;BYHOUR=3", "UTC", "2026-11-01", "2026-12-31",
     ["29 03:00", "27 03:00"]),
    ("FREQ=MONTHLY;BYMONTHDAY=31", "UTC", "2026-01-01", "2026-06-01",
     ["31 00:00", "31 00:00", "31 00:00"]),
    ("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29", "UTC", "2026-01-01", "2033-01-01",
     ["29 00:00", "29 00:00"]),
    # every second week counts from Monday 2020-01-06, 356 weeks before 2026-11-02
    ("FREQ=WEEKLY;INTERVAL=2;BYDAY=MO", "UTC", "2026-11-02", "2026-12-01",
     ["02 00:00", "16 00:00", "30 00:00"]),
    ("FREQ=DAILY;UNTIL=20261102T000000Z;BYHOUR=1", "UTC", "2026-11-01", "2026-11-05", ["01 01:00"]),
    ("FREQ=DAILY;UNTIL=20261102;BYHOUR=1", "UTC", "2026-11-01", "2026-11-05",
     ["01 01:00", "02 01:00"]),
    ("FREQ=DAILY;UNTIL=99991231;BYHOUR=1", "America/New_York", "2026-11-02", "2026-11-03",
     ["02 06:00"]),
    ("FREQ=DAILY;BYHOUR=2,4;BYSETPOS=-1,5", "UTC", "2026-11-02", "2026-11-03", ["02 04:00"]),
]  # fmt: skip


@pytest.mark.parametrize(("rrule", "zone", "after", "before", "expected"), TABLE)
def test_openings(rrule, zone, after, before, expected):
    assert starts(window(rrule, 0.5, zone), after, before) == expected


def test_a_window_stays_open_for_elapsed_time_on_every_day():
    long = openings(window("FREQ=DAILY;BYHOUR=1"), at("2026-03-28"), at("2026-03-30"))

    assert {end - start for start, end in long} == {4 * HOUR}


def test_it_is_open_from_its_start_until_before_its_end():
    win = window("FREQ=DAILY;BYHOUR=22", 4, "UTC")

    assert open_until(win, at("2026-11-23T21:59:59")) is None
    assert open_until(win, at("2026-11-23T22:00")) == at("2026-11-24T02:00")
    assert open_until(win, at("2026-11-24T01:59:59")) == at("2026-11-24T02:00")
    assert open_until(win, at("2026-11-24T02:00")) is None


def test_openings_that_overlap_or_touch_are_one():
    win = window("FREQ=WEEKLY;BYDAY=SA,SU;BYHOUR=0", 24, "UTC")
    long = window("FREQ=WEEKLY;BYDAY=SA,SU;BYHOUR=0", 30, "UTC")

    assert openings(win, at("2026-11-23"), at("2026-11-30")) == (
        (at("2026-11-28"), at("2026-11-30")),
    )
    assert open_until(win, at("2026-11-28T03:00")) == at("2026-11-30")
    assert open_until(long, at("2026-11-28T03:00")) == at("2026-11-30T06:00")
    assert next_opening(win, at("2026-11-23")) == (at("2026-11-28"), at("2026-11-30"))


def test_a_window_that_never_closes_is_open_for_a_week_at_least():
    win = window("FREQ=DAILY;BYHOUR=0", 30, "UTC")

    assert open_until(win, at("2026-11-24T03:00")) >= at("2026-12-01T03:00")


def test_the_next_opening_may_be_now():
    win = window("FREQ=WEEKLY;BYDAY=SA;BYHOUR=22", 4, "UTC")

    assert next_opening(win, at("2026-11-23")) == (at("2026-11-28T22:00"), at("2026-11-29T02:00"))
    assert next_opening(win, at("2026-11-28T22:00")) == next_opening(win, at("2026-11-23"))
    assert next_opening(window("FREQ=DAILY;UNTIL=20260101"), at("2026-11-23")) is None


RULES = st.builds(
    lambda freq, interval, hour: f"FREQ={freq};INTERVAL={interval};BYHOUR={hour}",
    st.sampled_from(["DAILY", "WEEKLY;BYDAY=TU,SA", "MONTHLY;BYDAY=TU;BYSETPOS=2"]),
    st.integers(1, 7),
    st.integers(0, 23),
)
ZONES = st.sampled_from(
    ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata"]
)
INSTANTS = st.integers(0, 7 * 365 * 24 * 60).map(
    lambda minutes: datetime(2025, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
)


@given(RULES, ZONES, INSTANTS, st.integers(1, 100))
def test_what_is_asked_from_a_later_instant_is_the_same(rrule, zone, instant, hours):
    """The rule counts from one fixed day, whenever it is asked."""
    win = window(rrule, 2, zone)
    whole = openings(win, instant, instant + timedelta(days=200))
    later = openings(win, instant + hours * HOUR, instant + timedelta(days=200))

    assert [one for one in whole if one[1] > instant + hours * HOUR] == list(later)


@given(RULES, ZONES, INSTANTS)
def test_a_window_opens_at_the_hour_of_its_zone_or_after_a_gap(rrule, zone, instant):
    win = window(rrule, 2, zone)
    start, end = next_opening(win, instant)
    hour = int(rrule.rpartition("BYHOUR=")[2])
    local = start.astimezone(ZoneInfo(zone))

    assert start >= instant
    assert open_until(win, start) == end
    gap = local.utcoffset() != (start - timedelta(seconds=1)).astimezone(ZoneInfo(zone)).utcoffset()
    assert local.hour == hour or gap


@pytest.mark.parametrize(
    ("rrule", "complaint"),
    [
        ("", "needs FREQ="),
        ("FREQ=MINUTELY", "needs FREQ="),
        ("FREQ=SECONDLY;INTERVAL=30", "needs FREQ="),
        ("FREQ=DAILY;COUNT=3", "COUNT has no meaning"),
        ("FREQ=WEEKLY", "must name the day"),
        ("FREQ=MONTHLY;BYHOUR=3", "must name the day"),
        ("FREQ=WEEKLY;BYDAY=XX", "no RFC 5545"),
        ("FREQ=DAILY;BYHOUR=25", "no RFC 5545"),
        ("FREQ=DAILY;BYEASTER=1", "no part of"),
        ("FREQ=DAILY;INTERVAL=0", "INTERVAL"),
        ("FREQ=DAILY;UNTIL=soon", "no RFC 5545"),
        ("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", "does not open within 10 years"),
        ("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29;BYDAY=SA", "does not open within 10 years"),
        ("FREQ=HOURLY;BYMONTH=2;BYMONTHDAY=31", "does not open within 10 years"),
        ("FREQ=DAILY;UNTIL=00010101T000000", "does not open within 10 years"),
        ("FREQ=HOURLY;BYSETPOS=2", "never opens"),
        ("FREQ=DAILY;BYHOUR=2,4;BYSETPOS=-3,3", "never opens"),
        ("DTSTART:20260101T000000\nRRULE:FREQ=DAILY", "one rule on one line"),
    ],
)
def test_a_rule_that_cannot_be_is_refused(rrule, complaint):
    with pytest.raises(InputError, match=complaint):
        window(rrule)


@pytest.mark.parametrize("hours", [0, -1, 24 * 7])
def test_a_window_is_shorter_than_a_week(hours):
    with pytest.raises(InputError, match="shorter than 7 days"):
        window(hours=hours)


@pytest.mark.parametrize("zone", ["", "Mars/Olympus", "../etc/passwd", "Europe/"])
def test_a_zone_must_exist(zone):
    with pytest.raises(InputError, match="no IANA time zone"):
        window(zone=zone)


def test_a_freeze_has_an_end_and_a_reason():
    freeze = Freeze("f", at("2026-12-24"), at("2026-12-27"), "holidays")

    assert freeze.covers(at("2026-12-24"))
    assert not freeze.covers(at("2026-12-27"))
    with pytest.raises(InputError, match="until"):
        Freeze("f", at("2026-12-24"), at("2026-12-24"), "holidays")
    with pytest.raises(InputError, match="reason"):
        Freeze("f", at("2026-12-24"), at("2026-12-25"), " ")
