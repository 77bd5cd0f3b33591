"""A whole report by the command line, and what ``hosts show`` and ``findings`` tell of it."""

import json

import pytest
from click.testing import CliRunner

from patchmgr.cli import main
from patchmgr.cli.app import App

ADVISORIES = (
    "advisory,platform,package,match,status,fixed,severity\n"
    "ORG-1,debian:12,openssl,binary,affected,3.0.16-1,high\n"
    "ORG-2,debian:12,openssl,binary,affected,3.0.18-1,high\n"
)


@pytest.fixture
def run(tmp_path, sqlite_url):
    app = App({"PATCHMGR_HOME": str(tmp_path / "home"), "PATCHMGR_DATABASE_URL": sqlite_url})

    def run(*words, text=None):
        result = CliRunner().invoke(main, list(map(str, words)), obj=app, input=text)
        return result.exit_code, result.stdout, result.stderr

    yield run
    app.db.close()


def document(**sections):
    named = {name.replace("_", "-"): text for name, text in sections.items()}
    return json.dumps(
        {
            "version": 1,
            "collected_at": "2026-03-02T09:30:00Z",
            "host": {"hostname": "web01"},
            "sections": {
                "os-release": "ID=debian\nVERSION_ID=12\n",
                "dpkg": "openssl\t3.0.15-1\tamd64\n",
                "apt-upgradable": "openssl/stable 3.0.17-1 amd64 [upgradable from: 3.0.15-1]\n",
                **named,
            },
        }
    )


def submit(run, text):
    return run("report", "submit", "--format", "report", "-", text=text)


def test_a_report_is_stored_and_shown(run):
    code, out, err = submit(run, document(reboot_required="libc6\n", uname="?\n"))

    assert (code, out) == (
        0,
        "web01: 1 packages stored (+1 -0)\nchanged: facts, what its repositories offer\n",
    )
    assert err == (
        "-: section uname: line 1: '?' is not what uname -r prints; what it says is not known\n"
    )
    shown = run("hosts", "show", "web01")[1]
    assert "  reboot: pending: /run/reboot-required, left by libc6\n" in shown
    assert "  services to restart: not reported\n" in shown
    assert "  could not be read: uname: line 1: '?' is not what uname -r prints\n" in shown
    told = json.loads(run("hosts", "show", "web01", "--json")[1])
    assert told["facts"]["reboot_pending"] is True
    assert told["facts"]["kernels"] is None
    assert [each["offered"] for each in told["updates"]] == ["3.0.17-1"]


def test_findings_say_whether_they_can_be_installed(run, tmp_path):
    submit(run, document())
    (tmp_path / "advisories.csv").write_text(ADVISORIES)
    assert run("feeds", "sync", "csv", "--from", tmp_path / "advisories.csv")[0] == 0
    assert run("scan")[0] == 0

    lines = json.loads(run("findings", "--json")[1])
    wanted = json.loads(run("findings", "--installable", "no", "--json")[1])
    why = run("findings", "explain", "web01", "openssl")[1]

    assert {each["advisory"]: each["installable"] for each in lines} == {
        "ORG-1": "yes",
        "ORG-2": "no",
    }
    assert [each["advisory"] for each in wanted] == ["ORG-2"]
    assert "installable" not in run("findings", "--format", "csv")[1].splitlines()[0]
    assert "the host's repositories offer 3.0.17-1 from stable\n" in why
    assert "no repository of the host offers 3.0.18-1\n" in why


def test_a_listing_that_cannot_be_read_names_section_and_line(run):
    assert submit(run, document(dpkg="no columns\n")) == (
        2,
        "",
        (
            "patchmgr: -: section dpkg: row 1: 'no columns' is not dpkg-query output; see "
            "docs/inventory.md for the command\n"
        ),
    )
