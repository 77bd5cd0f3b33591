"""Recorded cases, from the files that people have to the findings: import, sync, scan, list.

Only the command line of design.md 5.2 is used. Where a case is complete, anything else that is
found is a false positive; where another tool differs, each difference has its reason here.
"""

import csv
import io
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner

from patchmgr.cli import main
from patchmgr.cli.app import App

DATA = Path(__file__).parent / "data"
CASES = DATA / "cases"
HOST = "case"


@dataclass(frozen=True)
class Case:
    name: str
    os: str
    feed: str
    documents: Path
    packages: Path
    manager: str = ""  # of files that do not say
    platform: str = ""  # of documents that do not say


def of_table(name, os, **more):
    folder = CASES / name
    return Case(name, os, "csv", folder / "advisories.csv", folder / "packages.csv", **more)


COMPLETE = (
    of_table("trivy-alpine-310", "alpine:3.10"),
    of_table("trivy-debian-10", "debian:10"),
    of_table("trivy-opensuse-leap-15.1", "opensuse-leap:15.1"),
    of_table("trivy-centos-6", "centos:6"),  # rebuilt from RHEL 6, package by package
    of_table("wazuh-001", "debian:12"),
    of_table("wazuh-002", "rhel:7.9"),
    of_table("wazuh-008", "windows:10.0.19045"),
)


def rows_of(path):
    return list(csv.DictReader(io.StringIO(path.read_text())))


@pytest.fixture
def found(tmp_path, db):
    """Bring a case in, and return its findings as rows of the CSV."""
    address = db.engine.url.render_as_string(hide_password=False)
    app = App({"PATCHMGR_HOME": str(tmp_path / "home"), "PATCHMGR_DATABASE_URL": address})

    def run(*words):
        result = CliRunner().invoke(main, [str(word) for word in words], obj=app)
        assert result.exit_code == 0, result.stderr
        return result.stdout

    def findings(case):
        os_id, release = case.os.split(":")
        hosts, packages = tmp_path / "hosts.csv", tmp_path / "packages.csv"
        hosts.write_text(f"hostname,os_id,os_release\n{HOST},{os_id},{release}\n")
        packages.write_text(inventory(case))
        run("hosts", "import", hosts)
        run("packages", "import", packages)
        platform = ["--platform", case.platform] if case.platform else []
        run("feeds", "sync", case.feed, "--from", case.documents, *platform)
        run("scan")
        return list(csv.DictReader(io.StringIO(run("findings", "--format", "csv"))))

    yield findings
    app.db.close()


COLUMNS = ("manager", "name", "version", "arch", "source", "source_version")


def inventory(case):
    """Return the case's packages as packages.csv of one host."""
    lines = [f"hostname,{','.join(COLUMNS)}"]
    for row in rows_of(case.packages):
        name = row["name"] if "name" in row else row["source_name"]
        cells = dict.fromkeys(COLUMNS, "") | {"manager": case.manager} | row | {"name": name}
        lines.append(",".join([HOST, *(cells[column] for column in COLUMNS)]))
    return "\n".join(lines) + "\n"


def triples(rows, package="package", installed="installed", advisory="advisory"):
    return Counter((row[package], row[installed], row[advisory]) for row in rows)


@pytest.mark.parametrize("case", COMPLETE, ids=lambda case: case.name)
def test_what_a_complete_case_lists_is_found_and_nothing_else(case, found):
    expected = rows_of(CASES / case.name / "expected.csv")
    versions = {row["name"]: row["version"] for row in rows_of(case.packages)}
    if "id" in expected[0]:
        expected = [
            {
                "package": row["package"],
                "installed": versions[row["package"]],
                "advisory": row["id"],
            }
            for row in expected
        ]

    assert triples(found(case)) == triples(expected)


def test_debian_lts_advisories_are_found_by_source_as_dpkg_judges_them(found, tmp_path):
    folder = CASES / "osv-debian9-postgres"
    case = Case(
        "osv-debian9-postgres", "debian:9", "debian", folder, folder / "packages.csv", "dpkg"
    )

    rows = found(case)

    expected = rows_of(folder / "expected_source_aware.csv")
    assert triples(rows) == triples(expected, package="binary")
    assert {row["fixed"] for row in rows} == {row["fixed"] for row in expected}


# One id of Alpine's own, about busybox, which osv.dev does not publish.
ALPINE_ALONE = {"ALPINE-13661"}


@pytest.mark.parametrize("release", ["3.18", "3.20"])
def test_what_osv_and_secdb_agree_on_is_found(release, found):
    folder = CASES / f"osv-alpine-{release}"
    case = Case(
        folder.name,
        f"alpine:{release}",
        "alpine",
        folder / "secdb.json",
        folder / "inventory.csv",
        "apk",
    )

    listed = {(row["package"], row["advisory"]) for row in found(case)}

    agreed = {(row["source_name"], row["cve"]) for row in rows_of(folder / "expected.csv")}
    disputed = {(row["source_name"], row["cve"]) for row in rows_of(folder / "disagreements.csv")}
    assert agreed <= listed
    assert {pair for pair in listed - agreed - disputed if pair[1] not in ALPINE_ALONE} == set()


def test_python_packages_are_found_as_osv_recorded_them(found):
    folder = DATA / "feeds" / "osv" / "pypi-requirements"
    case = Case(
        "osv-pypi-requirements",
        "debian:12",
        "osv",
        folder / "advisories.jsonl",
        folder / "inventory.csv",
        "pypi",
    )

    assert triples(found(case)) == triples(
        rows_of(folder / "expected.csv"), package="name", installed="version"
    )


def test_notices_of_other_releases_and_of_fixed_packages_find_nothing(found):
    folder = DATA / "feeds" / "ubuntu" / "focal"
    case = Case(
        "osv-ubuntu-20.04",
        "ubuntu:20.04",
        "ubuntu",
        folder / "notices.jsonl",
        folder / "inventory.csv",
        "dpkg",
    )

    assert found(case) == []


def test_almalinux_errata_are_found_and_none_that_people_called_wrong(found):
    folder = CASES / "anchore-almalinux-8"
    case = Case(
        folder.name,
        "almalinux:8",
        "osv",
        folder / "almalinux8.jsonl",
        folder / "packages.csv",
    )

    rows = found(case)

    expected = triples(rows_of(folder / "expected.csv"))
    assert expected - triples(rows) == Counter()
    wrong = {
        (row["package"], row["cve"])
        for row in rows_of(folder / "labels.csv")
        if row["label"] == "FP"
    }
    named = {(row["package"], cve) for row in rows for cve in row["cves"].split()}
    assert named & wrong == set()
    assert {row["status"] for row in rows} == {"affected"}
