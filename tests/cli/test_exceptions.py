"""``patchmgr exceptions``, as scripts and people call it."""

import csv
import io
import json
from datetime import timedelta

import pytest
from click.testing import CliRunner

from patchmgr.cli import main
from patchmgr.cli.app import App
from patchmgr.domain.accounts import Role
from patchmgr.services import accounts
from tests.cli.test_findings import HOSTS, PACKAGES, TRACKER

SOON = f"{App({}).now + timedelta(days=30):%Y-%m-%d}"
WHY = ("--type", "risk_accepted", "--reason", "no network")


@pytest.fixture
def app(tmp_path, sqlite_url):
    made = App({"PATCHMGR_HOME": str(tmp_path / "home"), "PATCHMGR_DATABASE_URL": sqlite_url})
    yield made
    made.db.close()


@pytest.fixture
def run(app, tmp_path):
    """Return the command over a scanned fleet."""

    def run(*words):
        result = CliRunner().invoke(main, [*map(str, words)], obj=app, catch_exceptions=False)
        return result.exit_code, result.stdout, result.stderr

    for name, text in {"hosts.csv": HOSTS, "packages.csv": PACKAGES}.items():
        (tmp_path / name).write_text(text)
    tracker = tmp_path / "tracker.json"
    tracker.write_text(json.dumps(TRACKER))
    run("hosts", "import", tmp_path / "hosts.csv")
    run("packages", "import", tmp_path / "packages.csv")
    run("feeds", "sync", "debian", "--from", tracker)
    run("scan")
    return run


def named(run, *words):
    """Return the exception of each finding."""
    out = run("findings", "--format", "csv", *words)[1]
    return [row["exception"] for row in csv.DictReader(io.StringIO(out))]


def add(run, *words):
    return run("exceptions", "add", *WHY, "--expires", SOON, *words)


def test_an_exception_from_the_shell_is_in_force_until_it_is_revoked(run):
    before = named(run)

    code, said, _ = add(run, "--package", "openssl")

    after = named(run)
    covered = sum(each == "1 risk_accepted" for each in after)
    assert (code, said) == (
        0,
        f"exception 1 is in force; it covers {covered} open findings\n",
    )
    assert covered > 0
    assert len(after) == len(before)
    assert len(named(run, "--exception", "excepted")) == covered
    assert set(named(run, "--exception", "open")) == {""}
    assert run("exceptions", "revoke", "1", "--reason", "gone")[0] == 0
    assert named(run) == before


def test_exceptions_are_listed_as_table_and_as_json(run):
    assert run("exceptions", "list") == (0, "nothing to show\n", "")
    add(run, "--host", "WEB1", "--owner", "the web team")

    table = run("exceptions", "list")[1].splitlines()
    (line,) = json.loads(run("exceptions", "list", "--json")[1])

    assert table[0].split()[:4] == ["ID", "TYPE", "STATE", "SCOPE"]
    assert "host web1" in table[1]
    assert (line["id"], line["host"], line["owner"], line["state"]) == (
        1,
        "web1",
        "the web team",
        "in_force",
    )
    assert json.loads(run("exceptions", "list", "--state", "over", "--json")[1]) == []


def test_what_a_user_proposes_another_one_approves(run, app):
    people = {"ann": Role.OPERATOR, "bob": Role.APPROVER}
    for name, role in people.items():
        accounts.add_user(app.db, name, role, "a long enough phrase", actor="test", now=app.now)

    proposed = add(run, "--package", "openssl", "--as", "ann")
    refused = run("exceptions", "approve", "1", "--as", "ann")

    assert "exception 1 is proposed, needs approval" in proposed[1]
    assert set(named(run)) == {""}
    assert (refused[0], "needs the role approver" in refused[2]) == (1, True)
    assert run("exceptions", "approve", "1", "--as", "bob")[1] == "exception 1 is in force\n"
    assert "1 risk_accepted" in named(run)


@pytest.mark.parametrize(
    ("words", "code", "why"),
    [
        ((), 2, "scope: name at least one of cve, advisory, package, host, tag"),
        (("--host", "wbe1"), 1, "no host 'wbe1'"),
        (("--cve", "CVE-1999-1"), 1, "no CVE 'CVE-1999-1'"),
        (("--package", "openssl", "--expires", "2020-01-01"), 2, "expires: must be after now"),
        (("--package", "openssl", "--reason", " "), 2, "reason: say why"),
    ],
)
def test_what_cannot_be_recorded_is_refused_in_one_line(run, words, code, why):
    status, out, error = add(run, *words)

    assert (status, out) == (code, "")
    assert error.startswith(f"patchmgr: {why}")
    assert error.count("\n") == 1


def test_an_exception_that_is_not_there_cannot_be_revoked(run):
    assert run("exceptions", "revoke", "7") == (1, "", "patchmgr: no exception 7\n")


def test_an_explanation_names_the_exception(run):
    add(run, "--package", "openssl")

    _, out, _ = run("findings", "explain", "web1", "libssl3")

    assert "covered by exception 1 risk_accepted until" in out
    assert "no network" in out
