"""Windows, freezes and the calendar at the command line."""

import json

import pytest
from click.testing import CliRunner

from patchmgr.cli import main
from patchmgr.cli.app import App

TIMES = ("--rrule", "FREQ=WEEKLY;BYDAY=SA;BYHOUR=22", "--duration", "4h", "--zone", "Europe/Berlin")
WEEKEND = ("--rrule", "FREQ=WEEKLY;BYDAY=FR;BYHOUR=16", "--duration", "62h")


@pytest.fixture
def run(tmp_path):
    """Run a command; return exit code, standard output and standard error."""
    app = App({"PATCHMGR_HOME": str(tmp_path / "home")})

    def call(*arguments, stdin=None):
        result = CliRunner().invoke(main, [str(word) for word in arguments], input=stdin, obj=app)
        assert result.exception is None or isinstance(result.exception, SystemExit)
        return result.exit_code, result.stdout, result.stderr

    return call


def listed(answer):
    code, out, _ = answer
    assert code == 0
    return json.loads(out)


def test_a_window_is_added_changed_assigned_and_removed(run):
    assert run("windows", "add", "sat", *TIMES, "--exdate", "2026-12-26")[0] == 0
    assert run("windows", "add", "sat", *TIMES)[0] == 1
    more = ("--rrule", "FREQ=DAILY;BYHOUR=1", "--first", "2026-11-07T22:00")
    assert run("windows", "change", "sat", *TIMES, *more)[1] == "changed window sat\n"

    (window,) = listed(run("windows", "list", "--json"))
    assert window["exdates"] == []
    assert window["first"] == "2026-11-07T22:00:00"
    assert [one["rrule"] for one in window["also"]] == ["FREQ=DAILY;BYHOUR=1"]

    assert run("windows", "assign", "sat", "--environment", "production", "--tag", "db")[0] == 0
    (rule,) = listed(run("windows", "rules", "--json"))
    assert rule["fields"] == {"environment": "production", "tag": "db"}
    assert run("windows", "unassign", rule["id"])[0] == 0
    assert run("windows", "remove", "sat")[0] == 0
    assert run("windows", "remove", "sat")[0] == 1


def test_openings_of_several_windows_are_listed_as_one(run):
    for name, hour in (("a", 20), ("b", 21)):
        run("windows", "add", name, "--rrule", f"FREQ=DAILY;BYHOUR={hour}", "--duration", "2h")

    found = listed(run("windows", "openings", "a;b", "--weeks", "1", "--json"))

    assert {(one["opens"][11:16], one["closes"][11:16]) for one in found} == {("20:00", "23:00")}
    assert run("windows", "openings", "a;c")[0] == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ("windows", "add", "w", *TIMES, "--exdate", "soon"),
        ("windows", "add", "w", *TIMES, "--first", "soon"),
        ("windows", "add", "a;b", *TIMES),
        ("windows", "import", "nowhere.ics"),
        ("freezes", "add", "f", "--reason", "r"),
        ("freezes", "add", "f", "--reason", "r", "--rrule", "FREQ=DAILY"),
        ("freezes", "add", "f", "--reason", "r", *WEEKEND, "--from", "2026-01-01"),
        ("freezes", "add", "f", "--reason", "r", "--from", "2026-01-01", "--duration", "4h"),
        ("freezes", "add", "f", "--reason", "r", "--rrule", "FREQ=DAILY;UNTIL=20250101",
         "--duration", "4h"),
        ("calendar", "--zone", "Mars/Olympus"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line(run, arguments):
    code, out, err = run(*arguments)

    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1


def test_files_go_out_and_come_in(run, tmp_path):
    run("windows", "add", "sat", *TIMES)
    run("freezes", "add", "weekend", *WEEKEND, "--reason", "nobody is here")
    assert run("windows", "export", tmp_path / "w.ics")[0] == 0
    _, freezes, _ = run("freezes", "export")

    assert run("windows", "import", tmp_path / "w.ics")[1].splitlines() == [
        "unchanged window sat",
        "1 unchanged",
    ]
    renamed = freezes.replace("SUMMARY:weekend", "SUMMARY:other")
    said = run("freezes", "import", "-", "--dry-run", stdin=renamed)[1]
    assert said.splitlines() == ["new freeze other", "would be: 1 new"]
    assert len(listed(run("freezes", "list", "--json"))) == 1
    code, _, err = run("windows", "import", "-", stdin=freezes.replace("RRULE", "RDATE"))
    assert code == 2
    assert "column RDATE" in err


def test_a_freeze_that_recurs_is_listed_and_ended(run):
    run("freezes", "add", "weekend", *WEEKEND, "--zone", "Europe/Berlin", "--reason", "r")

    (freeze,) = listed(run("freezes", "list", "--json"))
    assert freeze["recurs"]["duration"] == 62 * 3600
    assert freeze["state"] in ("in force", "to come")
    assert run("freezes", "end", "weekend")[0] == 0
    assert run("freezes", "end", "weekend")[0] == 1


def test_the_calendar_lists_weeks_in_a_zone(run):
    run("windows", "add", "sat", *TIMES)
    asked = ("--from", "2026-03-25", "--weeks", "1", "--zone", "Europe/Berlin")

    assert "Sat 2026-03-28 22:00" in run("calendar", *asked)[1]
    (entry,) = listed(run("calendar", *asked, "--json"))
    assert (entry["kind"], entry["starts"]) == ("window", "2026-03-28T21:00:00Z")
    assert listed(run("calendar", *asked, "--show", "freeze", "--json")) == []
