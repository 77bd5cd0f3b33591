"""A maintenance window in words: exactly what its rule says, or nothing."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patchmgr.domain.recurrence import in_words, rule_in_words
from patchmgr.domain.windows import Window, openings
from patchmgr.errors import InputError

SAID = [
    ("FREQ=WEEKLY;BYDAY=SA;BYHOUR=22", "Saturdays 22:00"),
    ("FREQ=WEEKLY;BYDAY=TU,TH;BYHOUR=2", "Tuesdays and Thursdays 02:00"),
    ("FREQ=WEEKLY;BYDAY=FR,MO,WE,TU,TH;BYHOUR=1;BYMINUTE=30", "Mondays to Fridays 01:30"),
    ("FREQ=WEEKLY;BYDAY=MO,WE,FR;BYHOUR=1,13", "Mondays, Wednesdays and Fridays 01:00 and 13:00"),
    ("FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR,SA,SU;BYHOUR=4", "Every day 04:00"),
    ("FREQ=WEEKLY;INTERVAL=2;BYDAY=SU;BYHOUR=3", "Every 2 weeks, Sundays 03:00"),
    ("FREQ=WEEKLY;BYDAY=SU", "Sundays 00:00"),
    ("FREQ=DAILY;BYHOUR=3", "Every day 03:00"),
    ("FREQ=DAILY;INTERVAL=3;BYHOUR=3", "Every 3 days 03:00"),
    ("FREQ=DAILY;BYDAY=SA,SU;BYHOUR=3", "Saturdays and Sundays 03:00"),
    ("FREQ=DAILY;BYMONTH=12;BYHOUR=3", "Every day 03:00 in December"),
    ("FREQ=MONTHLY;BYDAY=2TU;BYHOUR=20", "Second Tuesday of every month 20:00"),
    ("FREQ=MONTHLY;BYDAY=TU;BYSETPOS=2;BYHOUR=20", "Second Tuesday of every month 20:00"),
    ("FREQ=MONTHLY;BYDAY=-1FR;BYHOUR=20", "Last Friday of every month 20:00"),
    ("FREQ=MONTHLY;BYDAY=SA;BYHOUR=20", "Saturdays 20:00"),
    (
        "FREQ=MONTHLY;BYDAY=1SA,3SA;BYHOUR=6",
        "First Saturday and third Saturday of every month 06:00",
    ),
    ("FREQ=MONTHLY;BYMONTHDAY=1,15;BYHOUR=5", "Day 1 and day 15 of every month 05:00"),
    ("FREQ=MONTHLY;BYMONTHDAY=-1;BYHOUR=5", "Last day of every month 05:00"),
    (
        "FREQ=MONTHLY;INTERVAL=3;BYDAY=1SU;BYHOUR=5",
        "First Sunday of January, April, July and October 05:00",
    ),
    ("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29;BYHOUR=5", "Day 29 of February 05:00"),
    ("FREQ=YEARLY;BYMONTH=6;BYDAY=1SA;BYHOUR=5", "First Saturday of June 05:00"),
    ("FREQ=HOURLY;BYMINUTE=15", "Every hour at :15"),
    ("FREQ=DAILY;BYHOUR=3;UNTIL=20270131", "Every day 03:00, until 2027-01-31"),
    ("FREQ=DAILY;BYHOUR=3;UNTIL=20270131T120000Z", "Every day 03:00, until 2027-01-31 12:00 UTC"),
]
UNSAID = [
    "FREQ=WEEKLY;INTERVAL=2;WKST=SU;BYDAY=SU;BYHOUR=3",
    "FREQ=WEEKLY;BYDAY=SA;BYHOUR=1,2,3,4,5,6,7",
    "FREQ=WEEKLY;BYDAY=2SA;BYHOUR=22",
    "FREQ=MONTHLY;BYDAY=FR;BYMONTHDAY=13;BYHOUR=1",
    "FREQ=MONTHLY;BYDAY=MO,TU;BYSETPOS=-1;BYHOUR=1",
    "FREQ=MONTHLY;BYDAY=TU;BYSETPOS=2;BYHOUR=1,2",
    "FREQ=MONTHLY;INTERVAL=5;BYDAY=1SU",
    "FREQ=YEARLY;BYDAY=20MO;BYHOUR=1",
    "FREQ=YEARLY;BYWEEKNO=20;BYDAY=MO",
    "FREQ=YEARLY;BYYEARDAY=100",
    "FREQ=HOURLY;INTERVAL=6",
    "FREQ=DAILY;BYHOUR=3;BYSECOND=30",
]


@pytest.mark.parametrize(("rule", "words"), SAID)
def test_a_rule_is_said_in_words(rule, words):
    assert rule_in_words(rule) == words


@pytest.mark.parametrize("rule", UNSAID)
def test_what_has_no_exact_words_is_left_as_it_is_written(rule):
    assert rule_in_words(rule) == ""
    assert in_words(Window("odd", rule, timedelta(hours=1), "UTC")) == ""


def test_a_window_says_its_length_and_zone():
    window = Window("night", "FREQ=WEEKLY;BYDAY=SA;BYHOUR=22", timedelta(hours=4), "Europe/Berlin")

    assert in_words(window) == "Saturdays 22:00 for 4 h, Europe/Berlin"


DAYS = st.lists(st.sampled_from(["MO", "TU", "SA", "SU", "1MO", "-1SA", "+2TU", "6SU"]), max_size=3)
PARTS = st.fixed_dictionaries(
    {"FREQ": st.sampled_from(["YEARLY", "MONTHLY", "WEEKLY", "DAILY", "HOURLY"])},
    optional={
        "INTERVAL": st.sampled_from(["1", "2", "3", "5"]),
        "BYDAY": DAYS.map(",".join).filter(bool),
        "BYMONTHDAY": st.sampled_from(["1", "15,1", "-1", "-3", "31"]),
        "BYMONTH": st.sampled_from(["1", "7,1", "12"]),
        "BYSETPOS": st.sampled_from(["1", "-1", "2,1"]),
        "BYHOUR": st.sampled_from(["0", "22", "14,2"]),
        "BYMINUTE": st.sampled_from(["0", "30"]),
    },
)
SAID_FIRST: dict[tuple[str, str], tuple[str, object]] = {}
START = datetime(2026, 1, 1, tzinfo=UTC)


@given(PARTS, st.randoms())
def test_two_rules_that_are_said_alike_open_alike(parts, random):
    """Whatever the rule, and in whichever order its parts are written."""
    shuffled = list(parts.items())
    random.shuffle(shuffled)
    rule = ";".join(f"{name}={value}" for name, value in shuffled)
    try:
        window = Window("any", rule, timedelta(hours=1), "UTC")
    except InputError:
        return
    said = rule_in_words(rule)
    if not said:
        return
    opens = openings(window, START, START + timedelta(days=400))

    first, same = SAID_FIRST.setdefault((said, "UTC"), (rule, opens))

    assert opens == same, (rule, first)
