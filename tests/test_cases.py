"""Recorded cases, from the files that people have to the findings: import, sync, scan, list.

Only the command line of design.md 5.2 is used. Where a case is complete, anything else that is
found is a false positive; where another tool differs, each difference has its reason here.
"""

import csv
import io
import json
import subprocess
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest

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
    of_table("wazuh-002", "centos:7.9"),  # by what Red Hat says
    of_table("wazuh-008", "windows:10.0.19045"),
)


def rows_of(path):
    return list(csv.DictReader(io.StringIO(path.read_text())))


@pytest.fixture
def found(tmp_path, run):
    """Bring a case in, and return its findings as rows of the CSV."""

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

    return findings


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


@pytest.mark.parametrize("case", COMPLETE, ids=lambda case: f"{case.name}-{case.os}")
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
def test_what_osv_and_secdb_agree_on_is_found_and_else_just_what_secdb_says(release, found):
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
    disputed = {
        (row["source_name"], row["cve"]): row["which"]
        for row in rows_of(folder / "disagreements.csv")
    }
    # We say what the secdb says that we were given: all that it alone has, nothing that it lacks.
    of_secdb = {pair for pair, which in disputed.items() if which == "secdb_only"}
    assert {pair for pair in listed if pair[1] not in ALPINE_ALONE} == agreed | of_secdb
    assert set(disputed.values()) <= {"secdb_only", "osv_only"}


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


VERCMP = r"""%%{lua:
for line in io.lines('%s') do
  print(rpm.vercmp(string.match(line, '(.*)\t'), string.match(line, '\t(.*)')) .. '\n')
end}"""


def older_to_rpm(folder, tmp_path):
    """Return what is installed and older than a fix, read without our reader, judged by rpm."""
    installed = {row["name"]: row["version"] for row in rows_of(folder / "packages.csv")}
    fixes = {
        (affected["package"]["name"], installed[affected["package"]["name"]], record["id"], fixed)
        for record in map(json.loads, (folder / "almalinux8.jsonl").read_text().splitlines())
        for affected in record["affected"]
        if affected["package"]["name"] in installed and record["id"].startswith("ALSA-")
        for span in affected["ranges"]
        for fixed in (event["fixed"] for event in span["events"] if "fixed" in event)
    }
    pairs = sorted(fixes)
    (tmp_path / "pairs").write_text("".join(f"{pair[1]}\t{pair[3]}\n" for pair in pairs))
    command = ["rpm", "--eval", VERCMP % (tmp_path / "pairs")]
    said = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.split()
    older = {pair[:3] for pair, word in zip(pairs, said, strict=True) if word == "-1"}
    return Counter(older)


def test_almalinux_errata_are_found_and_none_that_people_called_wrong(found, tmp_path):
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
    # What is found beyond, of years that were not labelled yet, is what rpm itself calls older.
    assert triples(rows) == older_to_rpm(folder, tmp_path)
    wrong = {
        (row["package"], row["cve"])
        for row in rows_of(folder / "labels.csv")
        if row["label"] == "FP"
    }
    named = {(row["package"], cve) for row in rows for cve in row["cves"].split()}
    assert named & wrong == set()
    assert {row["status"] for row in rows} == {"affected"}


def test_nothing_is_found_where_every_lts_advisory_is_installed(found, run):
    """What people call true there has no fix in any advisory: only Debian's CVE list names it."""
    folder = CASES / "anchore-debian-7"
    lists = CASES / "osv-debian9-postgres" / "DLA.list.gz"
    case = Case(folder.name, "debian:7", "debian", lists, folder / "packages.csv", "dpkg")

    rows = found(case)

    assert rows == []
    openssl = json.loads(run("findings", "explain", HOST, "libssl1.0.0", "--json"))
    considered = openssl["packages"][0]["considered"]
    assert len(considered) == 5
    assert {each["sentence"].partition(":")[0] for each in considered} == {"not affected"}


# What became of each inventory of the collection: the case that judges it, or why none can.
JUDGED = {
    ("anchore-labels", "almalinux-8.csv"): "anchore-almalinux-8",
    ("anchore-labels", "debian-7.csv"): "anchore-debian-7",
    ("osv-recorded", "alpine-3.20.inventory.csv"): "osv-alpine-3.20",
    ("osv-recorded", "ubuntu-20.04.inventory.csv"): "../feeds/ubuntu/focal",
    ("osv-alpine-3.18", "inventory.csv"): "osv-alpine-3.18",
    ("osv-alpine-3.20", "inventory.csv"): "osv-alpine-3.20",
    ("osv-debian9-postgres", "inventory.csv"): "osv-debian9-postgres",
    ("trivy-alpine-310", "inventory.csv"): "trivy-alpine-310",
    ("trivy-centos-6", "inventory.csv"): "trivy-centos-6",
    ("trivy-debian-10", "inventory.csv"): "trivy-debian-10",
    ("trivy-opensuse-leap-15.1", "inventory.csv"): "trivy-opensuse-leap-15.1",
    ("wazuh-001", "input_001.json"): "wazuh-001",
    ("wazuh-002", "input_001.json"): "wazuh-002",
    ("wazuh-002", "input_002.json"): "wazuh-002",
    ("wazuh-008", "input_001.json"): "wazuh-008",
    ("wazuh-008", "input_002.json"): "wazuh-008",
    # Elsewhere in the tests' data.
    ("apt-bookworm", "inventory.csv"): "../apt-bookworm",
    ("dnf-advisories", "security-security.json"): "../dnf-advisories",
    ("dnf-advisories", "security-upgrade.json"): "../dnf-advisories",
    ("dnf-advisories", "updateinfo.json"): "../dnf-advisories",
    ("osv-pypi-requirements", "inventory.csv"): "../feeds/osv/pypi-requirements",
    ("osv-ubuntu-20.04", "inventory.csv"): "../feeds/ubuntu/focal",
}
CANNOT_BE_JUDGED = {
    ("anchore-labels", "alpine.csv"): (
        "Alpine 3.2: its secdb is not in the collection, whose oldest is that of 3.10"
    ),
    ("anchore-labels", "sle15.csv"): (
        "SLE 15: none of SUSE's CVRF documents in the collection is about its packages"
    ),
    ("anchore-labels", "ubuntu-1830.csv"): (
        "Ubuntu 12.04: the collection has no notice and no CVE record of that release"
    ),
    ("anchore-labels", "ubuntu-881a.csv"): (
        "Ubuntu 14.04: the collection has no notice and no CVE record about its packages"
    ),
    ("osv-recorded", "maven-java-image.inventory.csv"): (
        "Maven: the answers name GHSA records, and those are not in the collection"
    ),
}


def test_every_inventory_of_the_collection_is_judged_or_has_a_reason_why_not():
    there = {(row["case"], row["inventory"]) for row in rows_of(CASES / "collection.csv")}

    assert JUDGED.keys() | CANNOT_BE_JUDGED.keys() == there
    assert JUDGED.keys() & CANNOT_BE_JUDGED.keys() == set()


def test_every_case_that_is_kept_judges_an_inventory():
    kept = {folder.name for folder in CASES.iterdir() if folder.is_dir()}

    assert {name for name in JUDGED.values() if not name.startswith("..")} == kept
    assert all((CASES / name).is_dir() for name in JUDGED.values())
