"""``patchmgr scan`` and ``findings`` as scripts use them (design.md 5.2)."""

import csv
import gzip
import io
import json

import pytest
from click.testing import CliRunner

from patchmgr.cli import main
from patchmgr.cli.app import App

HEADER = (
    "host,platform,manager,package,arch,installed,fixed,status,advisory,cves,severity,kev,"
    "first_seen,due,exception,reason"
)
HOSTS = "hostname,os_id,os_release\nweb1,debian,12\nweb0,debian,12\nold,plan9,4\n"
PACKAGES = """hostname,manager,name,version,arch,source,source_version
web1,dpkg,libssl3,3.0.1-1,amd64,openssl,3.0.1-1
web1,dpkg,Xlib,1,all,,
web1,dpkg,bash,5.2-1,amd64,,
web0,dpkg,libssl3,3.0.1-1,amd64,openssl,3.0.1-1
old,dpkg,bash,1,amd64,,
"""


def record(status, fixed="", urgency="high", **more):
    release = {"status": status, "urgency": urgency, "repositories": {"bookworm": "1"}} | more
    return {"releases": {"bookworm": release | ({"fixed_version": fixed} if fixed else {})}}


TRACKER = {
    "openssl": {
        "CVE-2026-0002": record("resolved", "3.0.1-2"),
        "CVE-2026-0001": record("open", nodsa="Minor issue"),
        "CVE-2026-0003": record("resolved", "3.0.1-1"),
        "CVE-2026-0004": record("undetermined"),
    },
    "Xlib": {"CVE-2026-0002": record("resolved", "2", urgency="low")},
    "bash": {"CVE-2026-0009": record("resolved", "0")},
}


@pytest.fixture
def run(tmp_path, sqlite_url):
    app = App({"PATCHMGR_HOME": str(tmp_path / "home"), "PATCHMGR_DATABASE_URL": sqlite_url})

    def run(*words):
        words = [str(word) for word in words]
        result = CliRunner().invoke(main, words, obj=app, catch_exceptions=False)
        return result.exit_code, result.stdout, result.stderr

    yield run
    app.db.close()


@pytest.fixture
def scanned(run, tmp_path):
    for name, text in {"hosts.csv": HOSTS, "packages.csv": PACKAGES}.items():
        (tmp_path / name).write_text(text)
    tracker = tmp_path / "tracker.json.gz"
    tracker.write_bytes(gzip.compress(json.dumps(TRACKER).encode(), mtime=0))
    assert run("hosts", "import", tmp_path / "hosts.csv")[0] == 0
    assert run("packages", "import", tmp_path / "packages.csv")[0] == 0
    assert run("feeds", "sync", "debian", "--from", tracker)[0] == 0
    return run("scan")


def rows(text):
    return list(csv.DictReader(io.StringIO(text)))


def test_a_scan_says_what_it_found(scanned):
    code, out, err = scanned

    assert (code, err) == (0, "")
    assert out.startswith("7 findings open; 4 package versions judged, ")


def test_the_csv_has_exactly_its_columns_and_its_order(run, scanned):
    code, out, err = run("findings", "--format", "csv")

    assert (code, err) == (0, "")
    assert out.splitlines()[0] == HEADER
    assert "\r" not in out
    assert [(row["host"], row["package"], row["advisory"], row["status"]) for row in rows(out)] == [
        ("web0", "libssl3", "CVE-2026-0001", "no_fix"),
        ("web0", "libssl3", "CVE-2026-0002", "affected"),
        ("web0", "libssl3", "CVE-2026-0004", "undetermined"),
        ("web1", "Xlib", "CVE-2026-0002", "affected"),
        ("web1", "libssl3", "CVE-2026-0001", "no_fix"),
        ("web1", "libssl3", "CVE-2026-0002", "affected"),
        ("web1", "libssl3", "CVE-2026-0004", "undetermined"),
    ]


def test_a_row_of_the_csv_says_all_there_is_to_it(run, scanned):
    affected, no_fix = (
        next(row for row in rows(run("findings", "--format", "csv")[1]) if row["status"] == status)
        for status in ("affected", "no_fix")
    )

    first_seen, due = affected.pop("first_seen"), affected.pop("due")
    assert affected == {
        "host": "web0",
        "platform": "debian:12",
        "manager": "dpkg",
        "package": "libssl3",
        "arch": "amd64",
        "installed": "3.0.1-1",
        "fixed": "3.0.1-2",
        "status": "affected",
        "advisory": "CVE-2026-0002",
        "cves": "CVE-2026-0002",
        "severity": "high",
        "kev": "",
        "exception": "",
        "reason": "3.0.1-1 is older than 3.0.1-2",
    }
    assert first_seen[10] == due[10] == "T"
    assert first_seen[-1] == due[-1] == "Z"
    assert due > first_seen
    assert (no_fix["fixed"], no_fix["due"]) == ("", "")
    assert "Minor issue" in no_fix["reason"]


@pytest.mark.parametrize(
    ("options", "count"),
    [
        (("--host", "web1"), 4),
        (("--host", "WEB1"), 4),
        (("--host", "old"), 0),
        (("--platform", "debian:12"), 7),
        (("--platform", "debian:11"), 0),
        (("--package", "openssl"), 6),
        (("--package", "Xlib"), 1),
        (("--advisory", "CVE-2026-0002"), 3),
        (("--cve", "CVE-2026-000"), 0),
        (("--cve", "CVE-2026-0002"), 3),
        (("--status", "no_fix"), 2),
        (("--severity", "high"), 6),
        (("--at", "2020-01-01"), 0),
        (("--at", "9999-12-31"), 7),
    ],
)
def test_a_listing_can_be_narrowed(run, scanned, options, count):
    code, out, _ = run("findings", "--format", "csv", *options)

    assert code == 0
    assert len(rows(out)) == count


def test_json_and_table_say_the_same(run, scanned):
    as_csv = rows(run("findings", "--format", "csv")[1])

    as_json = json.loads(run("findings", "--format", "json")[1])
    table = run("findings")[1].splitlines()

    # Nobody said what is offered; and of what has no fix it is not asked.
    assert {row.pop("installable") for row in as_json} == {None, "unknown"}
    assert [{k: v or "" for k, v in row.items()} for row in as_json] == as_csv
    assert run("findings", "--json")[1] == run("findings", "--format", "json")[1]
    assert table[0].split() == [
        "HOST",
        "PACKAGE",
        "INSTALLED",
        "FIXED",
        "STATUS",
        "ADVISORY",
        "SEVERITY",
        "DUE",
    ]
    assert len(table) == 1 + len(as_csv)


def test_without_findings_the_csv_is_its_header_and_the_json_an_empty_list(run):
    assert run("findings", "--format", "csv") == (0, HEADER + "\n", "")
    assert json.loads(run("findings", "--json")[1]) == []


def test_a_host_that_does_not_exist_is_no_host_without_findings(run, scanned):
    assert run("findings", "--host", "wbe1") == (1, "", "patchmgr: no host 'wbe1'\n")


def test_explaining_says_which_statement_of_which_revision_and_what_would_change(run, scanned):
    code, out, _ = run("findings", "explain", "WEB1", "libssl3")

    assert code == 0
    lines = [line.strip() for line in out.splitlines()]
    assert lines[0] == ("libssl3 3.0.1-1 on web1 (debian:12), judged as source openssl 3.0.1-1")
    assert (
        "CVE-2026-0002: affected: 3.0.1-1 is older than 3.0.1-2, which fixes CVE-2026-0002" in lines
    )
    assert any(
        line.startswith("debian revision 1 of 2")
        and "matched on source openssl" in line
        and "compared as dpkg; due 2" in line
        and "by severity-high" in line
        for line in lines
    )
    assert "would change: an inventory with source openssl at 3.0.1-2 or newer" in lines
    assert "CVE-2026-0003: not affected: 3.0.1-1 is 3.0.1-1" in lines
    assert "would change: an inventory with source openssl before 3.0.1-1" in lines
    assert any(", document " in line and "; matched on source openssl;" in line for line in lines)


def test_explaining_what_has_no_finding_says_why(run, scanned):
    never = run("findings", "explain", "web1", "bash")
    blind = run("findings", "explain", "old", "bash")

    assert "CVE-2026-0009: not affected" in never[1]
    assert "no feed speaks of this platform" in blind[1]


def test_an_explanation_is_json_when_asked(run, scanned):
    said = json.loads(run("findings", "explain", "web1", "openssl", "--json")[1])

    assert (said["host"], said["has_feed"]) == ("web1", True)
    (package,) = said["packages"]
    assert (package["package"], package["source"]) == ("libssl3", "openssl")
    affected = next(each for each in package["considered"] if each["status"] == "affected")
    assert affected["fixed"] == "3.0.1-2"
    assert affected["feed"] == "debian"
    assert len(package["considered"]) == 4


@pytest.mark.parametrize(
    ("words", "why"),
    [(("nohost", "bash"), "no host 'nohost'"), (("web1", "zsh"), "no package on web1 'zsh'")],
)
def test_explaining_what_is_not_there_is_refused(run, scanned, words, why):
    assert run("findings", "explain", *words) == (1, "", f"patchmgr: {why}\n")


def test_a_full_scan_and_a_second_one_find_the_same(run, scanned):
    before = run("findings", "--format", "csv")

    again = json.loads(run("scan", "--json")[1])
    full = json.loads(run("scan", "--full", "--json")[1])

    assert (again["full"], again["versions"], again["findings"]) == (False, 0, 7)
    assert (full["full"], full["findings"], full["opened"], full["closed"]) == (True, 7, 0, 0)
    assert run("findings", "--format", "csv") == before
