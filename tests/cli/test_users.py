"""``patchmgr users`` and ``patchmgr tokens``."""

import json

import pytest
from click.testing import CliRunner

from inventory import conflicts, machines
from patchmgr.cli import main
from patchmgr.cli.app import App
from patchmgr.domain.identity import Identity


@pytest.fixture
def run(tmp_path):
    app = App({"PATCHMGR_HOME": str(tmp_path)})

    def call(*words, said=""):
        return CliRunner().invoke(main, words, obj=app, input=said)

    return call


def test_a_user_is_added_with_a_password_from_stdin(run):
    added = run(
        "users", "add", "alice", "--role", "admin", "--password-stdin", said="a phrase so long\n"
    )
    listed = json.loads(run("users", "list", "--json").stdout)

    assert (added.exit_code, added.stdout) == (0, "added alice (admin)\n")
    assert [(one["name"], one["role"], one["state"]) for one in listed] == [
        ("alice", "admin", "active")
    ]


def test_a_generated_password_is_printed_once(run):
    added = run("users", "add", "alice", "--role", "viewer", "--generate")

    assert len(added.stdout.split("password: ")[1].strip()) == 24
    assert "password" not in run("users", "list").stdout


def test_without_a_terminal_the_password_must_come_from_somewhere(run):
    refused = run("users", "add", "alice", "--role", "viewer")

    assert refused.exit_code == 2
    assert "--password-stdin or --generate" in refused.stderr


@pytest.mark.parametrize(
    ("password", "said"), [("short", "at least 12 characters"), ("", "at least 12 characters")]
)
def test_a_bad_password_is_bad_input(run, password, said):
    refused = run("users", "add", "a", "--role", "viewer", "--password-stdin", said=f"{password}\n")

    assert refused.exit_code == 2
    assert said in refused.stderr


def test_a_user_can_be_given_a_role_a_password_and_be_disabled(run):
    run("users", "add", "alice", "--role", "viewer", "--generate")

    assert run("users", "role", "alice", "--role", "operator").exit_code == 0
    assert run("users", "passwd", "alice", "--generate").exit_code == 0
    assert run("users", "disable", "alice").stdout == "disabled alice\n"
    assert run("users", "disable", "alice").exit_code == 1
    assert "disabled" in run("users", "list").stdout
    assert run("users", "enable", "alice").exit_code == 0
    assert run("users", "disable", "nobody").exit_code == 1


def test_the_key_of_a_token_is_printed_once_and_alone(run):
    made = run("tokens", "create", "ci", "--role", "operator")
    listed = json.loads(run("tokens", "list", "--json").stdout)

    assert made.stdout.startswith("pm_")
    assert made.stdout.count("\n") == 1
    assert [(one["id"], one["name"], one["state"]) for one in listed] == [(1, "ci", "active")]
    assert run("tokens", "revoke", "1").stdout == "revoked token 1\n"
    assert run("tokens", "revoke", "1").exit_code == 1
    assert run("tokens", "revoke", "7").exit_code == 1


def test_an_enrolment_token_is_printed_once_and_listed_without_its_key(run):
    made = run("tokens", "enrol", "site", "--uses", "3", "--hours", "2", "--json")
    refused = run("tokens", "enrol", "site", "--uses", "0")

    key = json.loads(made.stdout)["key"]
    listed = run("tokens", "list", "--enrol", "--json")
    (token,) = json.loads(listed.stdout)
    assert (token["name"], token["state"], token["uses_left"]) == ("site", "active", 3)
    assert key.startswith("pme_")
    assert key not in listed.stdout
    assert json.loads(run("tokens", "list", "--json").stdout) == []
    assert (refused.exit_code, "uses" in refused.stderr) == (2, True)
    assert run("tokens", "revoke", str(token["id"])).exit_code == 0
    assert json.loads(run("tokens", "list", "--enrol", "--json").stdout)[0]["state"] == "revoked"


def test_refused_machines_are_listed_and_resolved(run, tmp_path):
    key = run("tokens", "enrol", "site", "--uses", "9").stdout.strip()
    app = App({"PATCHMGR_HOME": str(tmp_path)})
    first, other = Identity("web", "1" * 31 + "a"), Identity("web", "1" * 31 + "b")
    machines.enrol(app.db, key, first, address="", now=app.now)
    with pytest.raises(conflicts.TwoMachinesError):
        machines.enrol(app.db, key, other, address="", now=app.now)

    (conflict,) = json.loads(run("hosts", "conflicts", "--json").stdout)
    number = str(conflict["id"])
    refused = run("hosts", "resolve", number, "--as", "new")
    done = run("hosts", "resolve", number, "--as", "new", "--name", "web-2")
    again = run("hosts", "resolve", number, "--as", "same")

    assert (conflict["host"], conflict["kind"]) == ("web", "same_name")
    assert [each.exit_code for each in (refused, done, again)] == [2, 0, 1]
    assert "nothing to show" in run("hosts", "conflicts").stdout
    assert "same_name" in run("hosts", "conflicts", "--all").stdout
