"""The real case: a Debian 12 machine of 710 packages, and every finding that it must have.

The files are in the forms that people have; only the command line of design.md 5.2 is used.
"""

import csv
import gzip
import io
import json
from pathlib import Path

import pytest

DATA = Path(__file__).parent / "data" / "apt-bookworm"
TRACKER = DATA / "tracker-bookworm.json.gz"
HOST = "apt-bookworm"

# Packages that apt would upgrade from the security archive, although the feed has no CVE for them:
# new certificates and time zones, and changelogs that could not be read or that name none.
WITHOUT_A_CVE = {
    "ca-certificates": "ca-certificates",
    "openjdk-17-jdk": "openjdk-17",
    "openjdk-17-jdk-headless": "openjdk-17",
    "openjdk-17-jre": "openjdk-17",
    "openjdk-17-jre-headless": "openjdk-17",
    "tzdata": "tzdata",
    "unzip": "unzip",
}


def text_of(name):
    return gzip.decompress((DATA / name).read_bytes()).decode()


def rows_of(text):
    return list(csv.DictReader(io.StringIO(text)))


EXPECTED = [(row["package"], row["id"]) for row in rows_of(text_of("expected.csv.gz"))]


def from_csv(run, folder):
    packages = folder / "packages.csv"
    packages.write_text(text_of("packages.csv.gz"))
    run("hosts", "import", DATA / "hosts.csv")
    run("packages", "import", packages)


def from_listing(name):
    options = ("--host", HOST, "--os", "debian:12", "--format", "dpkg")
    return lambda run, _folder: run("report", "submit", *options, "-", text=text_of(name))


INVENTORIES = {
    "csv": from_csv,
    "status": from_listing("dpkg-status.gz"),
    "dpkg-query": from_listing("dpkg-query.tsv.gz"),
}


@pytest.mark.parametrize("bring_in", INVENTORIES.values(), ids=INVENTORIES)
def test_exactly_the_expected_findings_in_order(bring_in, run, tmp_path):
    bring_in(run, tmp_path)
    run("feeds", "sync", "debian", "--from", TRACKER)
    run("scan")

    findings = rows_of(run("findings", "--format", "csv"))

    found = [(row["package"], row["advisory"]) for row in findings]
    assert found == sorted(EXPECTED)
    assert {row["host"] for row in findings} == {HOST}


def test_a_later_feed_and_a_full_scan_come_to_the_same(run, tmp_path):
    from_csv(run, tmp_path)
    run("scan")  # before there is a feed
    run("feeds", "sync", "debian", "--from", TRACKER)
    run("scan")
    incremental = run("findings", "--format", "csv")

    run("scan", "--full")

    assert run("findings", "--format", "csv") == incremental
    assert len(rows_of(incremental)) == len(EXPECTED)


ARCHIVE = ("archive", "--from", DATA / "security-Packages.gz", "--platform", "debian:12")


def updates_of(run):
    return json.loads(run("hosts", "show", HOST, "--json"))["updates"]


def test_exactly_what_apt_would_upgrade_is_an_available_update(run, tmp_path):
    from_csv(run, tmp_path)
    run("feeds", "sync", *ARCHIVE)

    updates = updates_of(run)

    pending = rows_of((DATA / "security-pending.csv").read_text())
    assert [(each["package"], each["installed"], each["offered"]) for each in updates] == sorted(
        (row["name"], row["installed"], row["security_version"]) for row in pending
    )
    assert {(*each["suites"], each["held"]) for each in updates} == {("security", False)}


def test_an_explanation_says_that_the_security_archive_offers_the_fix(run, tmp_path):
    from_csv(run, tmp_path)
    run("feeds", "sync", *ARCHIVE)
    run("feeds", "sync", "debian", "--from", TRACKER)
    run("scan")

    (libssl,) = json.loads(run("findings", "explain", HOST, "libssl3", "--json"))["packages"]

    (offered,) = [each["offered"] for each in updates_of(run) if each["package"] == "libssl3"]
    said = {each["offered"] for each in libssl["considered"] if each["status"] == "affected"}
    assert said == {f"security offers {offered}"}


def test_what_apt_would_upgrade_has_a_finding_unless_the_feed_has_no_cve_for_it():
    pending = rows_of((DATA / "security-pending.csv").read_text())
    packages = {package for package, _cve in EXPECTED}
    tracker = json.loads(text_of("tracker-bookworm.json.gz"))

    without = {row["name"]: row["source"] for row in pending if row["name"] not in packages}

    assert without == WITHOUT_A_CVE
    assert not set(without.values()) & set(tracker)
