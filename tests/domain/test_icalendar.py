"""iCalendar files in and out: what is kept, what is refused and at which line."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from io import StringIO
from zoneinfo import ZoneInfo

import hypothesis.strategies as st
import pytest
from dateutil.tz import tzical
from hypothesis import given, settings
from icalendar import Calendar

from patchmgr.domain import icalendar_in, icalendar_out
from patchmgr.domain.freezes import RecurringFreeze, Times
from patchmgr.domain.icalendar_lines import DEEPEST, LARGEST, LONGEST_LINE, MOST_EVENTS
from patchmgr.domain.icalendar_out import Version, freeze_event, window_events, written
from patchmgr.domain.windows import Freeze, Window, openings, united
from patchmgr.errors import BadFileError, InputError

HOUR = timedelta(hours=1)
VERSION = Version("w-1@test", datetime(2026, 11, 1, tzinfo=UTC), 2)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def file(*lines: str, head: tuple[str, ...] = ()) -> bytes:
    """Return a calendar with one event of ``lines``; its first line is the third of the file."""
    around = ("BEGIN:VCALENDAR", *head, "BEGIN:VEVENT", *lines, "END:VEVENT", "END:VCALENDAR")
    return "\r\n".join((*around, "")).encode()


def one(*lines: str, zone: str = "", **more) -> Window:
    (window,) = icalendar_in.windows("f.ics", file("SUMMARY:night", *lines, **more), zone)
    return window


WEEKLY = "RRULE:FREQ=WEEKLY;BYDAY=SA;BYHOUR=22;BYMINUTE=0;BYSECOND=0"

READ = [
    # a named zone, and a rule that says all: the first start need not be kept
    (("DTSTART;TZID=Europe/Berlin:20200111T220000", "DURATION:PT4H", WEEKLY),
     ("Europe/Berlin", 4, "", ())),
    # one that begins later keeps it
    (("DTSTART;TZID=Europe/Berlin:20261128T220000", "DTEND;TZID=Europe/Berlin:20261129T020000",
      WEEKLY), ("Europe/Berlin", 4, "2026-11-28T22:00:00", ())),
    (("DTSTART:20261128T220000Z", "DTEND:20261129T020000Z", "RRULE:FREQ=WEEKLY"),
     ("UTC", 4, "2026-11-28T22:00:00", ())),
    # without a zone it is the reader's
    (("DTSTART:20261128T220000", "DURATION:PT90M", "RRULE:FREQ=DAILY"),
     ("Asia/Kolkata", 1.5, "2026-11-28T22:00:00", ())),
    # a day
    (("DTSTART;VALUE=DATE:20261128", "RRULE:FREQ=WEEKLY;BYDAY=SA"),
     ("Asia/Kolkata", 24, "2026-11-28T00:00:00", ())),
    (("DTSTART;VALUE=DATE:20261128", "DTEND;VALUE=DATE:20261130", "RRULE:FREQ=WEEKLY"),
     ("Asia/Kolkata", 48, "2026-11-28T00:00:00", ())),
    # excluded: on the same clock, in UTC, a day, two on a line
    (("DTSTART;TZID=Europe/Berlin:20261128T220000", "DURATION:PT4H", "RRULE:FREQ=DAILY",
      "EXDATE;TZID=Europe/Berlin:20261201T220000,20261202T220000", "EXDATE:20261203T210000Z",
      "EXDATE;VALUE=DATE:20261204"),
     ("Europe/Berlin", 4, "2026-11-28T22:00:00",
      ("2026-12-01T22:00:00", "2026-12-02T22:00:00", "2026-12-03T22:00:00", "2026-12-04"))),
]  # fmt: skip


@pytest.mark.parametrize(("lines", "expected"), READ)
def test_what_an_event_says(lines, expected):
    zone, hours, first, exdates = expected
    window = one(*lines, zone="Asia/Kolkata")

    assert (window.zone, window.duration, window.first) == (zone, hours * HOUR, first)
    assert window.exdates == exdates


def test_a_file_may_name_the_zone_of_times_without_one():
    lines = ("DTSTART:20261128T220000", "DURATION:PT4H", "RRULE:FREQ=DAILY")

    assert one(*lines, head=("X-WR-TIMEZONE:Europe/Vienna",)).zone == "Europe/Vienna"
    assert one(*lines, head=("X-WR-TIMEZONE:Our own",)).zone == "UTC"
    with pytest.raises(InputError, match="no IANA time zone"):
        one(*lines, zone="Our own")


def test_a_count_becomes_an_until():
    window = one("DTSTART:20261128T220000Z", "DURATION:PT4H", "RRULE:FREQ=WEEKLY;COUNT=3")

    found = openings(window, at("2026-01-01"), at("2028-01-01"))
    assert [f"{start:%m-%d}" for start, _ in found] == ["11-28", "12-05", "12-12"]


def test_an_event_without_a_rule_comes_once():
    window = one("DTSTART;TZID=Europe/Berlin:20270328T023000", "DURATION:PT1H")

    assert openings(window, at("2026-01-01"), at("2029-01-01")) == (
        (at("2027-03-28T01:00"), at("2027-03-28T02:00")),
    )


def test_events_of_one_name_are_one_window_and_cancelled_ones_none():
    body = file(
        "SUMMARY:night", "DTSTART:20261128T220000Z", "DURATION:PT1H", "RRULE:FREQ=DAILY",
        "END:VEVENT", "BEGIN:VEVENT",
        "SUMMARY:night", "DTSTART:20261128T120000Z", "DURATION:PT1H", "RRULE:FREQ=WEEKLY",
        "END:VEVENT", "BEGIN:VEVENT",
        "SUMMARY:gone", "STATUS:CANCELLED", "DTSTART:20261128T120000Z", "DURATION:PT1H",
    )  # fmt: skip

    (window,) = icalendar_in.windows("f.ics", body)

    assert len(window.parts) == 2


def test_escapes_and_folded_lines_are_undone():
    (freeze,) = icalendar_in.freezes(
        "f.ics",
        file("SUMMARY:Year\\, end", "DTSTART:20261220T000000Z", "DTEND:20270104T060000Z",
             "DESCRIPTION:closing", "  the books"),
    )  # fmt: skip

    assert freeze == Freeze(
        "Year, end", at("2026-12-20"), at("2027-01-04T06:00"), "closing the books"
    )


START = ("DTSTART;TZID=Europe/Berlin:20261128T220000", "DURATION:PT4H")

REFUSED = [
    (("DURATION:PT4H",), "row 2, column DTSTART", "needs it"),
    ((*START, "RDATE:20261201T000000Z"), "row 6, column RDATE", "make an event of each"),
    ((*START, "EXRULE:FREQ=DAILY"), "row 6, column EXRULE", "exclude each start"),
    ((*START, WEEKLY, "RRULE:FREQ=DAILY"), "row 7, column RRULE", "one rule for each event"),
    ((*START, "RRULE:FREQ=SECONDLY"), "row 6, column RRULE", "needs FREQ="),
    ((*START, "RRULE:FREQ=DAILY;COUNT=99999"), "row 6, column RRULE", "from 1 to 10000"),
    ((*START, "RRULE:FREQ=DAILY;COUNT=2;UNTIL=20271231"), "row 6", "only one can be"),
    ((*START, "RRULE:FREQ=WEEKLY;BYDAY=MO"), "row 4, column DTSTART", "not among the starts"),
    ((*START, "RRULE:FREQ=DAILY", "EXDATE:soon"), "row 7, column EXDATE", "is no time"),
    (("DTSTART;TZID=Our own:20261128T220000", "DURATION:PT4H"), "row 4", "no IANA time zone"),
    ((*START, "UID:a", "RRULE:FREQ=DAILY", "END:VEVENT", "BEGIN:VEVENT", "UID:a",
      "RECURRENCE-ID;RANGE=THISANDFUTURE:20261201T210000Z", *START), "row 11", "end the event"),
    # The event that it changes may be in another file.
    ((*START, "RECURRENCE-ID;RANGE=THISANDFUTURE:20261201T210000Z"), "row 6", "end the event"),
    (("DTSTART:20261128T220000",), "row 2, column DTEND", "needs an end"),
    (("DTSTART:20261128T220000", "DTEND;VALUE=DATE:20261130"), "row 5", "not of DTSTART's kind"),
    (("DTSTART:20261128T220000", "DTEND:20261128T200000"), "duration", "longer than nothing"),
    (("DTSTART:20261128T220000", "DURATION:P9D"), "duration", "shorter than 7 days"),
    (("DTSTART:20261128T220000", "DURATION:long"), "row 5, column DURATION", "is no duration"),
]  # fmt: skip


@pytest.mark.parametrize(("lines", "where", "why"), REFUSED)
def test_what_cannot_be_kept_is_refused_with_its_line(lines, where, why):
    with pytest.raises(BadFileError) as refused:
        one(*lines)

    assert where in str(refused.value)
    assert why in str(refused.value)


# What programs write. The zone of each is Europe/Berlin, and its event is on Wednesdays at 22:00.
OUTLOOK = """BEGIN:VCALENDAR
PRODID:-//Microsoft Corporation//Outlook 16.0 MIMEDIR//EN
VERSION:2.0
METHOD:PUBLISH
X-MS-OLK-FORCEINSPECTOROPEN:TRUE
BEGIN:VTIMEZONE
TZID:W. Europe Standard Time
BEGIN:STANDARD
DTSTART:16011028T030000
RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=10
TZOFFSETFROM:+0200
TZOFFSETTO:+0100
END:STANDARD
END:VTIMEZONE
BEGIN:VEVENT
CLASS:PUBLIC
ORGANIZER;CN="Ops "night" team":mailto:ops@example.org
DESCRIPTION:Patching\\n
DTSTART;TZID="W. Europe Standard Time":20261202T220000
DTEND;TZID="W. Europe Standard Time":20261203T020000
RRULE:FREQ=WEEKLY;BYDAY=WE;WKST=SU
EXDATE;TZID="W. Europe Standard Time":20261223T220000
SUMMARY;LANGUAGE=de:Wartung, nachts
UID:040000008200E00074C5B7101A82E008
X-ALT-DESC;FMTTYPE=text/html:LONG
X-MICROSOFT-CDO-ALLDAYEVENT:FALSE
BEGIN:VALARM
TRIGGER:-PT15M
DTSTART:19700101T000000
END:VALARM
END:VEVENT
END:VCALENDAR
""".replace("LONG", "<p>" + "x" * LONGEST_LINE)
EXCHANGE = """BEGIN:VCALENDAR
PRODID:Microsoft Exchange Server 2010
VERSION:2.0
X-WR-TIMEZONE:W. Europe Standard Time
BEGIN:VEVENT
UID:1
SUMMARY:Wartung, nachts
DTSTART:20261202T220000
DTEND:20261203T020000
RRULE:FREQ=WEEKLY;UNTIL=20281231T210000Z;INTERVAL=1;BYDAY=WE
EXDATE:20261223T220000
END:VEVENT
END:VCALENDAR
"""
GOOGLE = """BEGIN:VCALENDAR
PRODID:-//Google Inc//Google Calendar 70.9054//EN
CALSCALE:GREGORIAN
X-WR-TIMEZONE:America/New_York
BEGIN:VEVENT
DTSTART;TZID=Europe/Berlin:20261202T220000
DTEND;TZID=Europe/Berlin:20261203T020000
RRULE:FREQ=WEEKLY;BYDAY=WE
DTSTAMP:20261128T080000Z
UID:x@google.com
SUMMARY:Wartung\\, nachts
TRANSP:OPAQUE
END:VEVENT
BEGIN:VEVENT
DTSTART;TZID=Europe/Berlin:20261223T220000
DTEND;TZID=Europe/Berlin:20261224T020000
UID:x@google.com
RECURRENCE-ID;TZID=Europe/Berlin:20261223T220000
STATUS:CANCELLED
SUMMARY:Wartung\\, nachts
END:VEVENT
END:VCALENDAR
"""
EVOLUTION = """BEGIN:VCALENDAR
PRODID:-//Ximian//NONSGML Evolution Calendar//EN
VERSION:2.0
BEGIN:VTIMEZONE
TZID:Local
X-LIC-LOCATION:Europe/Berlin
END:VTIMEZONE
BEGIN:VEVENT
UID:1
DTSTART;TZID=/freeassociation.sourceforge.net/Tzfile/Europe/Berlin:20261202T220000
DTEND;TZID=Local:20261203T020000
RRULE:FREQ=WEEKLY
EXDATE;TZID=Local:20261223T220000
SUMMARY:Wartung\\, nachts
END:VEVENT
END:VCALENDAR
"""


@pytest.mark.parametrize("program", [OUTLOOK, EXCHANGE, GOOGLE, EVOLUTION])
def test_what_programs_write_opens_when_they_say(program):
    body = b"\xef\xbb\xbf" + program.replace("\n", "\r\n").encode()

    (window,) = icalendar_in.windows("f.ics", body)

    assert (window.name, window.zone) == ("Wartung, nachts", "Europe/Berlin")
    opens = [
        f"{start:%m-%d %H}" for start, _ in openings(window, at("2026-12-01"), at("2027-01-01"))
    ]
    assert opens == ["12-02 21", "12-09 21", "12-16 21", "12-30 21"]
    assert openings(window, at("2027-06-01"), at("2027-06-08"))[0][0] == at("2027-06-02T20:00")


def test_a_changed_instance_takes_the_place_of_its_own():
    body = file(
        *("SUMMARY:night", "UID:a", "DTSTART:20261201T220000Z", "DURATION:PT1H"),
        *("RRULE:FREQ=DAILY;COUNT=3", "END:VEVENT", "BEGIN:VEVENT", "SUMMARY:night", "UID:a"),
        *("RECURRENCE-ID:20261202T220000Z", "DTSTART:20261202T120000Z", "DURATION:PT2H"),
    )

    (window,) = icalendar_in.windows("f.ics", body)

    assert openings(window, at("2026-12-01"), at("2027-01-01")) == (
        (at("2026-12-01T22:00"), at("2026-12-01T23:00")),
        (at("2026-12-02T12:00"), at("2026-12-02T14:00")),
        (at("2026-12-03T22:00"), at("2026-12-03T23:00")),
    )


def test_a_line_may_be_folded_inside_of_a_character():
    body = file("SUMMARY:Nächte", *START)
    folded = body.replace("ä".encode(), b"\xc3\r\n \xa4")

    assert icalendar_in.windows("f.ics", folded) == icalendar_in.windows("f.ics", body)


GOOD = file("SUMMARY:night", *START, WEEKLY)

HOSTILE = [
    (b"", "cut off"),
    (b"hostname,window\nweb-1,nights\n", "is no line of iCalendar"),
    (GOOD[: len(GOOD) // 2], "no line of iCalendar|cut off"),
    (b"\xff\xfe" + GOOD, "not UTF-8"),
    (GOOD + b" " * LARGEST, "larger than"),
    (file("SUMMARY:" + "x" * LONGEST_LINE), "too long a line"),
    (file(*["END:VEVENT\r\nBEGIN:VEVENT"] * MOST_EVENTS), "more than 2,000 events"),
    (b"BEGIN:VCALENDAR\n" + b"BEGIN:X\n" * DEEPEST, "too much within"),
    (b"BEGIN:VCALENDAR\nEND:VEVENT\n", "ends what did not begin"),
    (b"END:VCALENDAR\n", "begins no VCALENDAR"),
    (file("SUMMARY:x\x00y", *START), "printable"),
]


@pytest.mark.parametrize(("body", "why"), HOSTILE)
def test_a_file_that_is_none_or_too_much_is_refused(body, why):
    with pytest.raises(BadFileError, match=why):
        icalendar_in.windows("f.ics", body)


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=200), st.integers(0, len(GOOD)))
def test_no_bytes_do_anything_but_be_read_or_refused(noise, place):
    for body in (noise, GOOD[:place] + noise + GOOD[place:]):
        with suppress(InputError):
            found = icalendar_in.windows("f.ics", body)
            assert all(each.name for each in found)


RULES = st.sampled_from(
    [
        "FREQ=DAILY;BYHOUR=2;BYMINUTE=30",
        "FREQ=WEEKLY;INTERVAL=3;BYDAY=TU,SA;BYHOUR=22",
        "FREQ=MONTHLY;BYDAY=-1FR;BYHOUR=0",
        "FREQ=MONTHLY;INTERVAL=2;BYMONTHDAY=31",
        "FREQ=YEARLY;BYMONTH=3;BYDAY=-1SU;BYHOUR=2",
        "FREQ=WEEKLY;BYDAY=SU;UNTIL=20270328",
        "FREQ=DAILY;INTERVAL=5;UNTIL=20270101T000000",
    ]
)
WINDOWS = st.builds(
    lambda rule, hours, zone, exdates, first: Window(
        "w", rule, timedelta(hours=hours), zone, tuple(sorted(exdates)), first
    ),
    RULES,
    st.integers(1, 100),
    st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"]),
    st.sets(st.sampled_from(["2026-03-29", "2026-10-25", "2026-11-07T22:00:00", "2026-12-05"])),
    st.just(""),
)


@settings(max_examples=40, deadline=None)
@given(st.lists(WINDOWS, min_size=1, max_size=3))
def test_a_window_that_goes_out_and_in_opens_at_the_same_times(parts):
    window = parts[0] if len(parts) == 1 else united("w", parts)

    (back,) = icalendar_in.windows("f.ics", written(window_events(window, VERSION), "w"))

    since, until = at("2026-01-01"), at("2027-06-01")
    assert openings(back, since, until) == openings(window, since, until)
    assert written(window_events(back, VERSION), "w") == written(
        window_events(window, VERSION), "w"
    )


@pytest.mark.parametrize(
    "zone", ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca"]
)
def test_a_file_has_the_rules_of_the_zones_that_it_names(zone):
    """Read by dateutil, which knows of the zone only what the file says (RFC 5545, 3.6.5)."""
    window = Window("w", "FREQ=DAILY", HOUR, zone)
    body = written(window_events(window, VERSION), "w").decode().replace("\r\n ", "")
    told = tzical(StringIO(body[body.index("BEGIN:VTIMEZONE") : body.index("BEGIN:VEVENT")]))

    days = [at("2026-01-01") + number * 6 * HOUR for number in range(8 * 365)]
    known = [day.astimezone(ZoneInfo(zone)).utcoffset() for day in days]
    assert len(set(known)) == 2
    assert [day.astimezone(told.get(zone)).utcoffset() for day in days] == known


def test_freezes_go_out_and_in_as_they_were():
    once = Freeze("Year end", at("2026-12-20"), at("2027-01-04T06:00"), "books; all, of them\nnow")
    times = Times("weekend", "FREQ=WEEKLY;BYHOUR=16;BYDAY=FR", 62 * HOUR, "Europe/Berlin")
    again = RecurringFreeze(times, "weekend")

    body = written([freeze_event(each, VERSION) for each in (once, again)], "freezes")

    assert icalendar_in.freezes("f.ics", body) == [once, again]


def test_a_file_without_events_has_a_component_all_the_same():
    (zone,) = Calendar.from_ical(written([], "patchmgr freezes")).subcomponents

    assert (zone.name, str(zone["TZID"])) == ("VTIMEZONE", "UTC")
    assert [one["TZOFFSETTO"].td for one in zone.subcomponents] == [timedelta(0)]


def test_the_same_is_written_alike_and_says_its_version():
    body = written(window_events(one(*START, WEEKLY), VERSION), "w")

    assert body == written(window_events(one(*START, WEEKLY), VERSION), "w")
    assert b"UID:w-1@test\r\n" in body
    assert b"SEQUENCE:2\r\n" in body
    assert b"LAST-MODIFIED:20261101T000000Z\r\n" in body
    assert icalendar_out.uid("window", 1, at("2026-11-01")) != icalendar_out.uid(
        "window", 1, at("2026-11-02")
    )
