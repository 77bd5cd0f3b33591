"""The past and the fleet's packages on the command line."""

import json
from datetime import timedelta

import pytest
from click.testing import CliRunner

from inventory import host_import, package_import
from patchmgr.cli import main
from patchmgr.cli.app import App
from patchmgr.services import scan

DAY = timedelta(days=1)


@pytest.fixture
def run(tmp_path, now):
    """Call the command in a home where host a was updated yesterday and b was not."""
    environ = {"PATCHMGR_HOME": str(tmp_path / "home")}

    def call(*arguments, **settings):
        result = CliRunner().invoke(main, arguments, obj=App(environ | settings))
        assert result.exception is None or isinstance(result.exception, SystemExit)
        return result.exit_code, result.stdout, result.stderr

    assert call("db", "upgrade")[0] == 0
    app = App(environ)
    hosts, packages = tmp_path / "hosts.csv", tmp_path / "packages.csv"
    hosts.write_text("hostname,os_id,os_release,site\na,debian,12,graz\nb,debian,12,wien\nc,,,\n")
    host_import.import_hosts(app.db, hosts, actor="test", now=now)
    for at, versions in ((now, {"a": "3.0.9", "b": "3.0.9"}), (now + DAY, {"a": "3.0.15"})):
        rows = [f"{host},dpkg,openssl,{version}" for host, version in versions.items()]
        packages.write_text("\n".join(["hostname,manager,name,version", *rows, ""]))
        package_import.import_packages(app.db, packages, actor="test", now=at)
        scan.scan(app.db, now=at, settings=app.settings)
    return call


def listed(run, *arguments, **settings):
    code, out, _ = run(*arguments, "--json", **settings)
    assert code == 0
    return json.loads(out)


def test_a_host_is_shown_as_it_was_known_then(run, now):
    then = listed(run, "hosts", "show", "a", "--at", now.isoformat())

    assert [p["version"] for p in then["package_versions"]] == ["3.0.9"]
    assert (then["site"], then["facts_known"], then["packages"]) == ("graz", True, 1)
    assert [(s["packages"], s["changed"]) for s in then["history"]] == [(1, 1), (1, None)]
    assert "3.0.9" in run("hosts", "show", "a", "--at", now.isoformat())[1]


def test_what_is_not_kept_of_the_past_is_said(run, now):
    at = ("--at", now.isoformat())
    then = listed(run, "hosts", "show", "a", *at)
    changed = listed(run, "hosts", "diff", "a", "--from", now.isoformat())

    for said in (then, changed):
        assert {"arch", "tags", "running_kernel", "held", "offers"} <= {*said["facts_not_kept"]}
    assert listed(run, "hosts", "diff", "a", "b")["facts_not_kept"] == []
    assert "not kept: arch, ring, window, tags, running kernel" in run("hosts", "show", "a", *at)[1]
    text = run("hosts", "diff", "a", "--from", now.isoformat())[1]
    assert "not kept of the past, so not compared: arch, ring" in text
    assert "what its repositories offer" in text


def test_a_host_differs_from_before_its_last_change_unless_told_otherwise(run, now):
    found = listed(run, "hosts", "diff", "a")

    assert found["changed"][0] | {"arch": ""} == {
        "manager": "dpkg",
        "name": "openssl",
        "arch": "",
        "before": ["3.0.9"],
        "after": ["3.0.15"],
        "direction": "newer",
    }
    assert run("hosts", "diff", "a", "--from", (now + DAY).isoformat())[1].endswith(
        "no difference\n"
    )
    assert "1 changed, 0 added, 0 removed" in run("hosts", "diff", "a")[1]


def test_twins_are_compared_in_packages_and_facts(run, now):
    found = listed(run, "hosts", "diff", "a", "b")
    then = listed(run, "hosts", "diff", "a", "b", "--at", now.isoformat())

    assert [c["direction"] for c in found["changed"]] == ["older"]
    assert {"fact": "site", "before": "graz", "after": "wien"} in found["facts"]
    assert then["changed"] == []


def test_who_had_an_older_version_on_a_day(run, now):
    day = f"{now:%Y-%m-%d}"
    search = ("packages", "search", "openssl", "--below", "3.0.15")

    assert [h["hostname"] for h in listed(run, *search)["hosts"]] == ["b"]
    assert [h["hostname"] for h in listed(run, *search, "--at", day)["hosts"]] == ["a", "b"]
    assert run(*search, "--at", day)[1].splitlines()[1].split()[:4] == [
        "a",
        "debian:12",
        "openssl",
        "3.0.9",
    ]


def test_packages_of_the_fleet_are_listed_with_their_hosts(run):
    assert listed(run, "packages", "list", "SSL") == [
        {"manager": "dpkg", "name": "openssl", "platforms": 1, "versions": 2, "hosts": 2}
    ]
    assert listed(run, "packages", "list", "--doubt", "no_source") != []


def test_packages_of_the_fleet_are_listed_as_of_an_instant(run, now):
    (then,) = listed(run, "packages", "list", "--at", now.isoformat())

    assert (then["name"], then["versions"], then["hosts"]) == ("openssl", 1, 2)


def test_coverage_is_said_in_numbers_and_names(run):
    found = listed(run, "hosts", "coverage")

    assert (found["hosts"], found["never_reported"], found["unknown_platform"]) == (3, 1, 1)
    assert found["silent"] == found["went_silent"] + found["never_reported"]
    assert "never reported: 1" in run("hosts", "coverage")[1]


def test_what_is_no_longer_kept_is_said_aloud(run, now):
    settings = {"PATCHMGR_KEEP_HISTORY_DAYS": "1", "PATCHMGR_KEEP_FINDINGS_DAYS": "1"}
    then = ("--at", "2020-01-01")

    for command in (
        ("hosts", "show", "a"),
        ("packages", "search", "openssl"),
        ("packages", "list"),
        ("findings",),
    ):
        assert "kept since" in run(*command, *then, **settings)[2]
        assert "kept since" not in run(*command, *then)[2]


def test_before_anything_is_known_no_is_not_the_answer(run, now):
    then = ("--at", "2020-01-01")

    assert "packages: not known" in run("hosts", "show", "a", *then)[1]
    for command in (("search", "openssl"), ("list",)):
        assert "of no host is it known as of 2020" in run("packages", *command, *then)[2]
    assert "packages are not compared" in run("hosts", "diff", "a", "--from", "2020-01-01")[1]
    first = f"the first scan was {now:%Y-%m-%d}"
    assert first in run("findings", *then)[2]
    assert run("findings", "--at", f"{now + DAY:%Y-%m-%d}")[2] == ""
    found = listed(run, "packages", "search", "openssl", "--at", f"{now:%Y-%m-%d}")
    assert found["hosts_known"] == 2


BAD = {
    "both hosts and instants": ("hosts", "diff", "a", "b", "--from", "2026-01-01"),
    "at of one": ("hosts", "diff", "a", "--at", "2026-01-01"),
    "nothing before": ("hosts", "diff", "b"),
    "two limits": ("packages", "search", "openssl", "--below", "1", "--above", "2"),
    "no version": ("packages", "search", "openssl", "--below", "not a version"),
    "manager": ("packages", "search", "openssl", "--manager", "nobody"),
}


@pytest.mark.parametrize("arguments", BAD.values(), ids=BAD)
def test_what_cannot_be_asked_is_bad_input(run, arguments):
    code, out, error = run(*arguments)

    assert (code, out) == (2, "")
    assert error.startswith("patchmgr: ")
    assert error.count("\n") == 1


def test_a_host_that_nobody_knows_is_refused(run):
    assert run("hosts", "diff", "a", "nobody") == (1, "", "patchmgr: no host 'nobody'\n")
    assert (
        run("packages", "search", "nothing")[2]
        == "patchmgr: no host ever had a package called so\n"
    )


def test_the_counts_are_checked_and_can_be_made_anew(run):
    assert "counts" in run("db", "check")[1]
    assert run("db", "recount")[0] == 0
    assert run("db", "check")[0] == 0
