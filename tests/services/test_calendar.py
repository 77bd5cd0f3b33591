"""Windows, who has them, freezes and iCalendar files, on both databases."""

from datetime import timedelta

import pytest
from icalendar import Calendar

from patchmgr.db.queries import agenda
from patchmgr.db.queries import freezes as freeze_queries
from patchmgr.db.queries import windows as queries
from patchmgr.domain.accounts import Role
from patchmgr.domain.freezes import RecurringFreeze, Times
from patchmgr.domain.rings import RingSettings
from patchmgr.domain.windows import Freeze, Window
from patchmgr.errors import BadFileError, ConflictError, ForbiddenError, InputError, NotFoundError
from patchmgr.services import (
    calendar_exports,
    calendar_files,
    forecasts,
    freezes,
    kept_forecasts,
    planned_work,
    windows,
)

HOUR = timedelta(hours=1)
NIGHTS = Window("nights", "FREQ=DAILY;BYHOUR=22", 4 * HOUR, "UTC")
NOONS = Window("noons", "FREQ=DAILY;BYHOUR=12", HOUR, "UTC")
RINGS = (RingSettings("all"),)


def who(fleet, role=Role.OPERATOR):
    return {"actor": "ann", "role": role, "now": fleet.now}


def ask(fleet, query, *arguments, **more):
    with fleet.db.reading() as session:
        return query(session, *arguments, **more)


def added(fleet, *made):
    for window in made or (NIGHTS, NOONS):
        windows.add(fleet.db, window, **who(fleet))


def test_a_host_that_names_several_windows_has_them_united_in_its_plan(fleet):
    added(fleet)
    fleet.set_up(window="noons; nights")

    plan_id = fleet.create(rings=RINGS)

    kept = fleet.get(plan_id).windows
    assert list(kept) == ["nights;noons"]
    both = kept["nights;noons"]
    assert [both["rrule"], both["also"][0]["rrule"]] == [NIGHTS.rrule, NOONS.rrule]
    assert ask(fleet, queries.hosts_by_window) == {"nights": 5, "noons": 5}


def test_a_host_of_whose_windows_one_does_not_exist_is_left_out(fleet):
    added(fleet, NIGHTS)
    fleet.set_up(window="noons;nights")

    with pytest.raises(ConflictError, match="window 'noons' does not exist"):
        fleet.create(rings=RINGS)
    assert ask(fleet, queries.missing_windows) == [("noons", 5)]


def test_a_rule_gives_a_window_to_hosts_that_name_none(fleet):
    added(fleet)
    fleet.set_up(window="")
    rule = windows.assign(fleet.db, "nights", {"platform": "debian:12"}, **who(fleet))
    windows.assign(fleet.db, "noons", {"platform": "debian:12", "tag": "none has it"}, **who(fleet))

    assert list(fleet.get(fleet.create(rings=RINGS)).windows) == ["nights"]
    assert ask(fleet, queries.hosts_by_window)["nights"] == 5
    with pytest.raises(ConflictError, match="already"):
        windows.assign(fleet.db, "nights", {"platform": "debian:12"}, **who(fleet))

    windows.unassign(fleet.db, rule, **who(fleet))
    assert fleet.get(fleet.create(rings=RINGS, title="Later")).windows == {}


def test_a_hosts_own_naming_wins_over_rules(fleet):
    added(fleet)
    fleet.set_up(window="noons")
    windows.assign(fleet.db, "nights", {"platform": "debian:12"}, **who(fleet))

    assert list(fleet.get(fleet.create(rings=RINGS)).windows) == ["noons"]


@pytest.mark.parametrize("fields", [{}, {"colour": "red"}, {"site": ""}])
def test_a_rule_must_say_which_hosts(fleet, fields):
    added(fleet)

    with pytest.raises(InputError):
        windows.assign(fleet.db, "nights", fields, **who(fleet))


def test_a_plan_keeps_a_window_that_is_changed_or_removed(fleet):
    added(fleet, NIGHTS)
    fleet.set_up(window="nights")
    plan_id = fleet.create(rings=RINGS)
    before = fleet.get(plan_id).content_hash
    later = Window("nights", "FREQ=DAILY;BYHOUR=23", 4 * HOUR, "UTC")

    touched = windows.change(fleet.db, later, **who(fleet))

    assert touched.words == f"plan {plan_id} keeps it as it was"
    assert ask(fleet, queries.get, "nights") == later
    with pytest.raises(ConflictError, match="5 hosts have it"):
        windows.remove(fleet.db, "nights", **who(fleet))
    assert windows.remove(fleet.db, "nights", force=True, **who(fleet)).plans == (plan_id,)
    assert fleet.get(plan_id).content_hash == before
    assert fleet.get(plan_id).windows["nights"] == NIGHTS.to_json()
    with pytest.raises(NotFoundError):
        windows.change(fleet.db, later, **who(fleet))


def test_removing_a_window_removes_its_rules(fleet):
    added(fleet)
    windows.assign(fleet.db, "nights", {"site": "nowhere"}, **who(fleet))

    windows.remove(fleet.db, "nights", **who(fleet))

    assert ask(fleet, queries.rules) == []


@pytest.mark.parametrize("name", ["a;b", " a", "own"])
def test_a_name_that_means_something_else_is_refused(fleet, name):
    with pytest.raises(InputError, match="name"):
        added(fleet, Window(name, NIGHTS.rrule, HOUR, "UTC"))


def test_viewers_change_nothing(fleet):
    with pytest.raises(ForbiddenError):
        windows.add(fleet.db, NIGHTS, **who(fleet, Role.VIEWER))
    with pytest.raises(ForbiddenError):
        freezes.end(fleet.db, "f", **who(fleet, Role.VIEWER))


def weekly(fleet, name="again") -> RecurringFreeze:
    """Return a freeze of 62 hours that began an hour ago, and comes every week."""
    since = fleet.now - HOUR
    rule = f"FREQ=WEEKLY;BYDAY={since:%a}".upper()[: len("FREQ=WEEKLY;BYDAY=MO")]
    return RecurringFreeze(
        Times(name, f"{rule};BYHOUR={since.hour};BYMINUTE={since.minute}", 62 * HOUR, "UTC"),
        "books",
    )


def test_a_freeze_that_recurs_is_in_force_again_and_again_until_it_is_ended(fleet):
    freezes.add(fleet.db, weekly(fleet), **who(fleet))

    now = ask(fleet, freeze_queries.freezes_at, fleet.now)
    assert "books" in now.frozen
    assert now.frozen_from > fleet.now + timedelta(days=6)
    assert ask(fleet, freeze_queries.freezes_at, fleet.now + timedelta(days=7)).frozen
    assert not ask(fleet, freeze_queries.freezes_at, fleet.now + timedelta(days=4)).frozen

    assert freezes.end(fleet.db, "again", **who(fleet)) == "ended"

    assert ask(fleet, freeze_queries.freezes_at, fleet.now).frozen == ""
    assert ask(fleet, freeze_queries.freezes, now=fleet.now, over=False) == []
    (line,) = ask(fleet, freeze_queries.freezes, now=fleet.now)
    assert line.is_over


def test_a_running_plan_heeds_a_freeze_that_recurs(fleet):
    freezes.add(fleet.db, weekly(fleet), **who(fleet))
    plan_id = fleet.started()
    assert set(fleet.states(plan_id).values()) == {"queued"}

    freezes.end(fleet.db, "again", **who(fleet))
    fleet.tick(HOUR)

    assert "leased" in fleet.states(plan_id).values()


def test_ending_a_freeze_that_has_not_begun_removes_it(fleet):
    for _ in range(2):
        freeze = Freeze("f", fleet.now + HOUR, fleet.now + 2 * HOUR, "books")
        number = freezes.add(fleet.db, freeze, **who(fleet))

    with pytest.raises(ConflictError, match="say which"):
        freezes.end(fleet.db, "f", **who(fleet))
    assert freezes.end(fleet.db, str(number), **who(fleet)) == "removed"
    assert len(ask(fleet, freeze_queries.freezes, now=fleet.now)) == 1
    with pytest.raises(NotFoundError):
        freezes.end(fleet.db, "g", **who(fleet))


def test_what_is_exported_is_unchanged_when_it_comes_back(fleet):
    added(fleet, NIGHTS, Window("until", "FREQ=DAILY;UNTIL=20991231", HOUR, "Europe/Berlin",
                                ("2026-12-25",)))  # fmt: skip
    freezes.add(fleet.db, weekly(fleet), **who(fleet))
    body = ask(fleet, calendar_exports.windows, now=fleet.now)

    found = calendar_files.import_windows(fleet.db, "w.ics", body, **who(fleet))
    assert found.unchanged == ("nights", "until")

    body = ask(fleet, calendar_exports.freezes, now=fleet.now)
    assert calendar_files.import_freezes(fleet.db, "f.ics", body, **who(fleet)).unchanged == (
        "again",
    )


def test_a_dry_run_says_what_a_file_changes_and_stores_nothing(fleet):
    added(fleet, NIGHTS)
    body = ask(fleet, calendar_exports.windows, now=fleet.now)
    body = body.replace(b"PT4H", b"PT5H") if b"PT4H" in body else body

    found = calendar_files.import_windows(fleet.db, "w.ics", body, dry_run=True, **who(fleet))

    assert found.changed == ("nights",)
    assert ask(fleet, queries.get, "nights") == NIGHTS


def test_a_file_with_one_bad_event_changes_nothing(fleet):
    added(fleet, NIGHTS)
    body = ask(fleet, calendar_exports.windows, now=fleet.now)
    body = body.replace(b"SUMMARY:nights", b"SUMMARY:a\\;b")

    with pytest.raises(BadFileError, match="separates names"):
        calendar_files.import_windows(fleet.db, "w.ics", body, **who(fleet))
    assert list(ask(fleet, queries.known_windows)) == ["nights"]


def test_approved_work_is_an_event_a_ring_under_the_same_name_for_ever(fleet):
    plan_id = fleet.started()
    freezes.add(fleet.db, Freeze("f", fleet.now + HOUR, fleet.now + 2 * HOUR, "b"), **who(fleet))
    kept_forecasts.refresh(fleet.db, now=fleet.now)

    body = ask(fleet, planned_work.feed, now=fleet.now).replace(b"\r\n ", b"").decode()

    uids = [line for line in body.splitlines() if line.startswith("UID:")]
    assert uids[0].startswith(f"UID:plan-{plan_id}-ring-0-")
    assert uids[-1].startswith("UID:freeze-")
    assert "SEQUENCE:" in body
    fleet.tick(HOUR)
    kept_forecasts.refresh(fleet.db, now=fleet.now)
    later = ask(fleet, planned_work.feed, now=fleet.now).replace(b"\r\n ", b"").decode()
    assert [line for line in later.splitlines() if line.startswith("UID:plan")] == uids[:-1]


def test_the_feed_has_the_instants_of_the_forecast_and_says_which_are_only_expected(fleet):
    plan_id = fleet.started()
    fleet.tick(HOUR)
    kept_forecasts.refresh(fleet.db, now=fleet.now)
    with fleet.db.reading() as session:
        made = forecasts.forecast(session, plan_id, now=fleet.now).forecast

    events = Calendar.from_ical(ask(fleet, planned_work.feed, now=fleet.now)).walk("VEVENT")

    assert [(one["DTSTART"].dt, one["DTEND"].dt) for one in events] == [
        (ring.starts, ring.ends) for ring in made.rings
    ]
    assert [str(one["STATUS"]) for one in events] == ["CONFIRMED", "TENTATIVE"]


def test_a_plan_without_a_forecast_is_named_and_has_no_rings_yet(fleet):
    plan_id = fleet.started()

    ahead = ask(fleet, agenda.rings_ahead)
    assert (ahead.rings, [number for number, _ in ahead.unknown]) == ((), [plan_id])

    kept_forecasts.refresh(fleet.db, now=fleet.now)
    ahead = ask(fleet, agenda.rings_ahead)
    assert ([one.ring.name for one in ahead.rings], ahead.unknown) == (["canary", "broad"], ())
