"""dnf's own scenarios, from the files that people have to the findings: import, sync, scan, list.

A finding is a flaw, so what dnf names of bug fixes and enhancements is none: which of those apply
is judged in `tests/feeds/test_dnf_scenarios.py`. Where we differ otherwise, the scenario says why.
All scenarios of the same repositories are hosts of one fleet.
"""

import csv
import io
import json
import re
import shutil
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

DATA = Path(__file__).parent / "data" / "dnf-advisories"
SCENARIOS = json.loads((DATA / "scenarios.json").read_text())
NEVRA = re.compile(r"(.+)-([^-]+-[^-]+)\.([^.]+)")
RELEASE = "29"  # of hosts whose packages, and of advisories which, do not say for which they are
SOURCES = sorted({tuple(sorted(each["repositories"])) for each in SCENARIOS})


def security(repositories):
    """Return the (id, package) pairs that are called security, read without our reader."""
    return {
        (update.findtext("id"), package.get("name"))
        for name in repositories
        for update in ET.parse(DATA / name / "updateinfo.xml").iter("update")
        if update.get("type") == "security"
        for package in update.iter("package")
    }


def expected(scenario):
    flaws = security(scenario["repositories"])
    named = (tuple(line.rsplit(" ", 1)) for line in scenario.get("ours", scenario["dnf"]))
    return Counter(pair for pair in named if pair in flaws)


def fleet(scenarios):
    """Return hosts.csv and packages.csv of a host a scenario, called by its number."""
    hosts, packages = ["hostname,os_id,os_release"], ["hostname,manager,name,version,arch"]
    for number, scenario in enumerate(scenarios):
        built_for = re.search(r"\.fc([0-9]+)\.", " ".join(scenario["installed"]))
        hosts.append(f"host-{number},fedora,{built_for[1] if built_for else RELEASE}")
        for each in scenario["installed"]:
            name, version, arch = NEVRA.fullmatch(each).groups()
            packages.append(f"host-{number},rpm,{name},{version},{arch}")
    return "\n".join([*hosts, ""]), "\n".join([*packages, ""])


@pytest.mark.parametrize("repositories", SOURCES, ids=lambda names: "+".join(names) or "none")
def test_the_findings_are_the_security_advisories_that_dnf_names(repositories, run, tmp_path):
    scenarios = [each for each in SCENARIOS if tuple(sorted(each["repositories"])) == repositories]
    hosts, packages, feed = tmp_path / "hosts.csv", tmp_path / "packages.csv", tmp_path / "feed"
    for file, text in zip((hosts, packages), fleet(scenarios), strict=True):
        file.write_text(text)
    for name in repositories:
        shutil.copytree(DATA / name, feed / name)

    run("hosts", "import", hosts)
    run("packages", "import", packages)
    if repositories:
        run("feeds", "sync", "updateinfo", "--from", feed, "--platform", f"fedora:{RELEASE}")
    run("scan")
    found = list(csv.DictReader(io.StringIO(run("findings", "--format", "csv"))))

    assert {row["status"] for row in found} <= {"affected"}
    for number, scenario in enumerate(scenarios):
        named = Counter(
            (row["advisory"], row["package"]) for row in found if row["host"] == f"host-{number}"
        )
        assert named == expected(scenario), scenario["scenario"]


def test_most_scenarios_are_about_flaws():
    """The comparison above must not become one of nothing with nothing."""
    assert sum(expected(each).total() for each in SCENARIOS) == 26
