"""``patchmgr reports`` and ``patchmgr policies``, as a script calls them."""

import json
import shutil

import pytest
from click.testing import CliRunner

from patchmgr.cli import main
from patchmgr.cli.app import App
from patchmgr.domain.urgency_presets import PRESETS


@pytest.fixture
def home(tmp_path):
    return tmp_path / "home"


@pytest.fixture
def call(home):
    """Call the command in ``home``; return exit code, stdout and stderr."""

    def call(*arguments, **environ):
        app = App({"PATCHMGR_HOME": str(home), **environ})
        arguments = [str(argument) for argument in arguments]
        result = CliRunner().invoke(main, arguments, obj=app, catch_exceptions=False)
        return result.exit_code, result.stdout, result.stderr

    return call


def test_a_report_is_made_listed_and_verified(call, tmp_path):
    code, said, _ = call("reports", "compliance", "--out", tmp_path / "now.html")
    assert code == 0
    assert "compliant 0 of 0" in said

    _, listed, _ = call("reports", "list", "--json")
    (line,) = json.loads(listed)
    again = call("reports", "compliance", "--at", line["as_of"], "--out", tmp_path / "again.html")

    assert again[0] == 0
    assert (tmp_path / "now.html").read_bytes() == (tmp_path / "again.html").read_bytes()
    assert call("reports", "verify", tmp_path / "now.html")[0] == 0


def test_verifying_needs_neither_home_nor_database(call, home, tmp_path):
    folder = tmp_path / "report"
    call("reports", "compliance", "--format", "html", "--format", "csv", "--out", folder)
    shutil.rmtree(home)

    code, said, _ = call("reports", "verify", folder, "--key", folder / "report-key.pub")

    assert code == 0
    assert "verified: as of" in said
    assert not home.exists()


def test_a_changed_file_ends_with_one_and_its_name(call, tmp_path):
    folder = tmp_path / "report"
    call("reports", "compliance", "--format", "csv", "--out", folder)
    (folder / "hosts.csv").write_text("host\n")

    code, said, _ = call("reports", "verify", folder)

    assert code == 1
    assert "changed hosts.csv" in said
    assert "not verified" in said


def test_the_key_that_signs_is_shown(call, tmp_path):
    made = json.loads(
        call("reports", "compliance", "--format", "json", "--out", tmp_path / "r", "--json")[1]
    )

    shown = call("reports", "key")[1]

    assert shown.startswith("-----BEGIN PUBLIC KEY-----")
    assert shown.splitlines()[-1] == made["fingerprint"]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("reports", "compliance", "--format", "csv", "--out", "a.html"), 2),
        (("reports", "compliance", "--format", "odt", "--out", "a.odt"), 2),
        (("reports", "compliance", "--at", "soon", "--out", "a.html"), 2),
        (("reports", "compliance", "--policy", "nice", "--out", "a.html"), 1),
        (("reports", "compliance"), 2),
        (("reports", "verify", "nowhere"), 2),
        (("policies", "show", "nice"), 1),
        (("policies", "activate", "nice"), 1),
    ],
)
def test_what_cannot_be_done_is_refused(call, tmp_path, monkeypatch, arguments, code):
    monkeypatch.chdir(tmp_path)

    assert call(*arguments)[0] == code
    assert not list(tmp_path.glob("a.*"))


def test_an_instant_to_come_is_said_to_be_so(call, tmp_path):
    code, _, warned = call(
        "reports", "compliance", "--at", "2199-01-01", "--out", tmp_path / "a.html"
    )

    assert code == 0
    assert "has not come yet" in warned


def test_policies_are_shown_and_put_in_force(call):
    before = json.loads(call("policies", "list", "--json")[1])
    code, said, _ = call("policies", "activate", "severity")
    after = json.loads(call("policies", "list", "--json")[1])

    assert {line["name"] for line in before} == set(PRESETS)
    assert {line["by"] for line in before} == {"preset"}
    assert (code, said) == (0, "severity version 1 is in force\n")
    assert [line["name"] for line in after if line["active"]] == ["severity"]
    assert "within 7 days" in call("policies", "show", "severity")[1]
    assert json.loads(call("policies", "show", "severity", "--json")[1])["name"] == "severity"
