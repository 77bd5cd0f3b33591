"""Words that no command can do anything with: one line of what is wrong, and never a traceback."""

import pytest
from click.testing import CliRunner

from patchmgr.cli import main
from patchmgr.cli.app import App
from patchmgr.cli.plans import plans

TOO_LARGE = str(2**63)  # one more than a database's integer holds
NOT_UTF8 = "\udcff"  # how Python shows the byte FF in a word of the shell


@pytest.fixture
def run(tmp_path):
    def call(*words):
        environ = {"PATCHMGR_HOME": str(tmp_path / "home")}
        result = CliRunner().invoke(main, words, obj=App(environ))
        assert result.exception is None or isinstance(result.exception, SystemExit)
        return result.exit_code, result.stderr

    return call


@pytest.mark.parametrize(
    ("words", "more"),
    [
        ("exceptions approve", ""),
        ("exceptions revoke", ""),
        ("holds confirm", ""),
        ("hosts resolve --as new", ""),
        ("plans pause --reason x", ""),
        ("plans retry --reason x", "web-1"),
        ("plans show", ""),
        ("plans supersede --reason x", "1"),
        ("simulate", ""),
        ("tokens revoke", ""),
        ("windows unassign", ""),
    ],
)
def test_a_number_beyond_what_is_numbered_is_bad_input(run, words, more):
    code, error = run(*words.split(), TOO_LARGE, *more.split())

    assert code == 2
    assert f"{TOO_LARGE} is not in the range" in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    "words",
    [
        ("users", "disable", NOT_UTF8),
        ("hosts", "show", NOT_UTF8),
        ("holds", "add", NOT_UTF8, "--reason", "x"),
        ("plans", "list", "--state", NOT_UTF8),
    ],
    ids=lambda words: " ".join(words[:2]),
)
def test_a_word_that_is_not_utf8_is_bad_input(run, words):
    code, error = run(*words)

    assert code == 2
    assert "\\udcff" in error
    assert error.startswith("patchmgr: ")
    assert error.count("\n") == 1


def test_a_value_without_end_does_not_fill_the_terminal(run):
    code, error = run("versions", "compare", "dpkg", "x" * 100_000, "1")

    assert code == 2
    assert len(error) < 2100
    assert error.endswith("is not a dpkg version\n")


@pytest.mark.parametrize(
    "words",
    [
        ("hosts", "import"),
        ("plans", "create", "--all", "--rings"),
        ("feeds", "sync", "debian", "--from"),
    ],
    ids=lambda words: " ".join(words[:2]),
)
def test_a_name_with_a_line_break_stays_in_its_line(run, words):
    code, error = run(*words, "no\nsuch.csv")

    assert code == 2
    assert "no\\nsuch.csv" in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("day", ["0001-01-01", "1969-01-01", "9999-12-31"])
def test_weeks_that_no_calendar_has_are_bad_input(run, day):
    code, error = run("calendar", "--from", day)

    assert code == 2
    assert "the years 1970 to 2200" in error


def test_a_report_of_a_time_that_no_calendar_has_is_bad_input(run, tmp_path):
    asked = ("reports", "compliance", "--out", str(tmp_path / "out"), "--at")

    assert run(*asked, "0001-01-01")[0] == 2
    assert run(*asked, "0001-01-01")[1].endswith("is before 1970, when no feed said anything\n")


def test_every_verb_of_plans_that_does_not_write_work_answers_as_json():
    without = {
        name
        for name, command in plans.commands.items()
        if all("--json" not in option.opts for option in command.params)
    }

    assert without == {"export"}
