"""Freezes that recur: on the wall clock, whatever daylight saving does."""

from datetime import UTC, datetime, timedelta

import pytest

from patchmgr.domain.freezes import RecurringFreeze, Times, at_instant, merged
from patchmgr.errors import InputError

HOUR = timedelta(hours=1)
WEEKEND = ("FREQ=WEEKLY;BYDAY=FR;BYHOUR=16", 62)
MONTH_END = ("FREQ=MONTHLY;BYMONTHDAY=-2;BYHOUR=0", 72)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def freeze(rule=WEEKEND, zone="Europe/Berlin", ended=None, **more) -> RecurringFreeze:
    rrule, hours = rule
    return RecurringFreeze(Times("f", rrule, hours * HOUR, zone, **more), "books", ended)


def held(one: RecurringFreeze, after: str, before: str) -> list[str]:
    return [
        f"{each.starts:%m-%d %H:%M} {each.ends:%m-%d %H:%M}"
        for each in one.occurrences(at(after), at(before))
    ]


TABLE = [
    # from Fridays 16:00 to Mondays 06:00, before, over and after the change of clocks
    (WEEKEND, "Europe/Berlin", "2026-03-19", "2026-04-04",
     ["03-20 15:00 03-23 05:00", "03-27 15:00 03-30 04:00", "04-03 14:00 04-06 04:00"]),
    (WEEKEND, "Europe/Berlin", "2026-10-22", "2026-10-31",
     ["10-23 14:00 10-26 05:00", "10-30 15:00 11-02 05:00"]),
    (WEEKEND, "America/New_York", "2026-03-05", "2026-03-11", ["03-06 21:00 03-09 10:00"]),
    (WEEKEND, "Australia/Lord_Howe", "2026-10-01", "2026-10-07", ["10-02 05:30 10-04 19:00"]),
    (MONTH_END, "UTC", "2026-02-03", "2026-04-01",
     ["02-27 00:00 03-02 00:00", "03-30 00:00 04-02 00:00"]),
    # one that has begun before is there too
    (WEEKEND, "UTC", "2026-11-29", "2026-11-30", ["11-27 16:00 11-30 06:00"]),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "zone", "after", "before", "expected"), TABLE)
def test_occurrences(rule, zone, after, before, expected):
    assert held(freeze(rule, zone), after, before) == expected


def test_one_that_is_ended_is_cut_short_and_does_not_come_again():
    one = freeze(zone="UTC", ended=at("2026-11-28T03:00"))

    assert held(one, "2026-11-20", "2026-12-31") == [
        "11-20 16:00 11-23 06:00",
        "11-27 16:00 11-28 03:00",
    ]


def test_an_excluded_weekend_is_free():
    one = freeze(zone="UTC", exdates=("2026-11-27",))

    assert held(one, "2026-11-24", "2026-12-06") == ["12-04 16:00 12-07 06:00"]


def test_overlapping_freezes_hold_until_the_last_has_ended():
    both = [
        *freeze(zone="UTC").occurrences(at("2026-11-24"), at("2026-12-06")),
        *freeze(MONTH_END, "UTC").occurrences(at("2026-11-24"), at("2026-12-06")),
    ]

    assert merged(both)[0] == (at("2026-11-27T16:00"), at("2026-12-02"))
    now = at_instant(both, at("2026-11-29T12:00"))
    assert now.frozen.count("books") == 2
    assert now.frozen_from == at("2026-12-04T16:00")
    assert at_instant(both, at("2026-12-02")).frozen == ""


@pytest.mark.parametrize(("hours", "reason"), [(0, "books"), (24 * 62, "books"), (5, " ")])
def test_what_cannot_be_is_refused(hours, reason):
    with pytest.raises(InputError):
        RecurringFreeze(Times("f", WEEKEND[0], hours * HOUR, "UTC"), reason)
