"""dnf's own scenarios: which advisories apply to what is installed, and where we differ and why."""

import json
import re
from collections import Counter
from pathlib import Path

import pytest

from patchmgr.domain.advisories import Status
from patchmgr.domain.matching import Subject, assess
from patchmgr.feeds import FEEDS
from patchmgr.feeds.crawl import Document, crawl

HERE = Path(__file__).parents[1] / "data" / "dnf-advisories"
SCENARIOS = json.loads((HERE / "scenarios.json").read_text())
NEVRA = re.compile(r"(.+)-(?:0:)?([^-]+-[^-]+)\.([^.]+)")


def read_file(url, *, unless_known):
    return Document(Path(url).read_bytes())


def advisories(repositories):
    start = [str(HERE / name / "updateinfo.xml") for name in repositories]
    harvest = crawl(FEEDS["updateinfo"], start, read_file, platform="fedora:29")
    return FEEDS["updateinfo"].join(harvest.advisories) if harvest else ()


def applies(fix, installed):
    name, version, arch = NEVRA.fullmatch(installed).groups()
    subject = Subject(fix.platform, "rpm", name, version, "", "", arch)
    verdict = assess(subject, fix) if fix.package == name else None
    return verdict is not None and verdict.status is Status.AFFECTED


def applying(scenario):
    """Return "advisory package" for each installed package that an advisory wants newer."""
    return [
        f"{advisory.ref} {fix.package}"
        for advisory in advisories(scenario["repositories"])
        if scenario["kinds"] in ("all", advisory.kind)
        for fix in advisory.fixes
        for installed in scenario["installed"]
        if applies(fix, installed)
    ]


@pytest.mark.parametrize("scenario", SCENARIOS, ids=[each["scenario"] for each in SCENARIOS])
def test_the_advisories_that_apply_are_those_dnf_names(scenario):
    assert Counter(applying(scenario)) == Counter(scenario.get("ours", scenario["dnf"]))


def test_where_we_differ_there_is_a_reason():
    differing = [each for each in SCENARIOS if each.get("ours", each["dnf"]) != each["dnf"]]

    assert all(each["why"] for each in differing)
    assert len(differing) == sum("ours" in each for each in SCENARIOS)


def test_an_id_of_several_kinds_makes_no_bug_fix_a_security_update():
    """DNF-2019-1 stands for three bug fixes and a security update in one repository."""
    found = {each.ref: each for each in advisories(["dnf-ci-security"])}

    assert [fix.package for fix in found["DNF-2019-1"].fixes] == ["security_A"]
    assert [fix.package for fix in found["DNF-2019-1 (bugfix)"].fixes] == [
        "bugfix_A",
        "bugfix_B",
        "bugfix_C",
    ]
    assert found["DNF-2019-1 (bugfix)"].aliases == ("DNF-2019-1",)
