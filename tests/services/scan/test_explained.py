"""Why something is found, and whether the host's own repositories offer its fix."""

from operator import attrgetter

import pytest

from patchmgr.db.queries import explained, installable
from patchmgr.db.queries import findings as queries
from patchmgr.db.queries.finding_filters import FindingFilter
from patchmgr.domain.advisories import Match, Severity, Status
from patchmgr.domain.matching import SOURCE_UNKNOWN
from tests.services.scan.conftest import DAY, NOON, advisory, fix


def test_an_explanation_names_every_statement_and_what_it_was_compared_with(fleet):
    fleet.host("a")
    fleet.packages(a=["libx1 1-1 x"])
    fleet.advise(
        advisory("A", fix("x", "1-2", severity=Severity.HIGH), published=NOON - DAY),
        advisory("B", fix("x", "1-1")),
        advisory(
            "C", fix("libx1", status=Status.NOT_AFFECTED, match=Match.BINARY, reason="no SSL")
        ),
        advisory("D", fix("x", status=Status.NO_FIX, reason="postponed")),
    )
    fleet.scan()

    (found,) = fleet.explain("A", "libx1").installed

    said = {each.advisory: each for each in found.considered}
    assert list(said) == ["A", "D", "B", "C"]  # findings first, the worst first
    assert {ref: each.status for ref, each in said.items()} == {
        "A": "affected",
        "B": "not_affected",
        "C": "not_affected",
        "D": "no_fix",
    }
    assert (said["A"].matched_name, said["A"].scheme, said["A"].feed) == ("x", "dpkg", "made-up")
    assert said["A"].comparison == "1-1 is older than 1-2"
    assert (said["A"].first_seen, said["A"].due) == (NOON, NOON + 14 * DAY)
    assert said["A"].due_row == "severity-high"
    assert said["B"].comparison == "1-1 is 1-1"
    assert said["C"].comparison == "no SSL"
    assert explained.sentence(said["D"]) == (
        "no fix: the vendor calls x affected by D and has nothing to install (postponed)"
    )
    assert explained.what_would_change(said["A"]) == (
        "would change: an inventory with source x at 1-2 or newer"
    )


def test_an_explanation_as_of_an_instant_is_of_what_was_said_and_installed_then(fleet):
    fleet.host("a")
    fleet.packages(a=["x 1"])
    fleet.advise(advisory("A", fix("x", "2")))
    fleet.scan()
    fleet.wait(1)
    fleet.packages(a=["x 2"])
    fleet.advise(advisory("A", fix("x", "3")))
    fleet.scan()

    then, now = fleet.explain("a", "x", NOON).installed[0], fleet.explain("a", "x").installed[0]

    assert (then.installed, then.considered[0].fixed) == ("1", "2")
    assert (now.installed, now.considered[0].fixed) == ("2", "3")


def test_a_source_name_explains_all_that_was_built_from_it(fleet):
    fleet.host("a")
    fleet.packages(a=["libx1 1 x", "libx-dev 1 x", "y 1"])

    assert [each.package for each in fleet.explain("a", "x").installed] == ["libx-dev", "libx1"]


BY_HOST = attrgetter("host", "package", "advisory", "package_version_id")


def installables(fleet, **filters):
    """Return host -> advisory -> whether it can be installed there."""
    found = {}
    for line in fleet.lines(**filters):
        found.setdefault(line.host, {})[line.advisory] = str(line.installable)
    return found


def test_applicable_and_installable_are_told_apart(fleet):
    fleet.say("a", ["x 1"], {"x": "2"})
    fleet.say("b", ["x 1"], {})
    fleet.say("c", ["x 1"], None)
    fleet.say("d", ["x 1"], {"x": "2"}, "named")
    fleet.say("e", ["x 1", "y 1"], {"y": "2"}, "named")
    fleet.advise(advisory("A", fix("x", "2")), advisory("B", fix("x", "3")))

    fleet.scan()

    assert installables(fleet) == {
        "a": {"A": "yes", "B": "no"},
        "b": {"A": "no", "B": "no"},
        "c": {"A": "unknown", "B": "unknown"},
        "d": {"A": "yes", "B": "no"},
        "e": {"A": "unknown", "B": "unknown"},
    }
    assert {line.reason for line in fleet.lines(installable="no")} == {
        f"1 is older than 2; {SOURCE_UNKNOWN}; no repository of the host offers 2",
        f"1 is older than 3; {SOURCE_UNKNOWN}; no repository of the host offers 3",
    }


@pytest.mark.parametrize("few", [0, installable.FEW], ids=["walked", "named"])
@pytest.mark.parametrize("wanted", ["yes", "no", "unknown"])
def test_a_filter_finds_and_counts_what_is_installable(fleet, wanted, few, monkeypatch):
    monkeypatch.setattr(installable, "FEW", few)
    fleet.say("a", ["x 1", "y 1"], {"x": "2"})
    fleet.say("b", ["x 1"], None)
    fleet.advise(advisory("A", fix("x", "2"), fix("y", "9")), advisory("B", fix("x", "3")))
    fleet.advise(
        advisory("A", fix("x", "2"), fix("y", "9")),
        advisory("B", fix("x", "3")),
        advisory("C", fix("x", status=Status.NO_FIX)),
    )
    fleet.scan()
    every = fleet.lines()

    mine = [(x.host, x.package, x.advisory) for x in every if x.installable == wanted]

    assert mine
    assert [(x.host, x.package, x.advisory) for x in fleet.lines(installable=wanted)] == mine
    with fleet.db.reading() as session:
        for sort in ("host", "package", "severity", "due"):
            for more in ({}, {"host": "a"}, *({"search": each} for each in "xaz")):
                filters = FindingFilter(installable=wanted, **more)
                page = queries.listing(session, filters, now=fleet.at, sort=sort)
                here = [x for x in page.lines if x.installable == wanted]
                there = list(queries.every(session, filters))
                assert sorted(here, key=BY_HOST) == there
                assert (page.total, len(here)) == (len(page.lines), len(page.lines))
                short = queries.listing(session, filters, now=fleet.at, sort=sort, limit=1)
                assert short.total == page.total
    assert [x for x in every if x.installable is None and x.advisory != "C"] == []


def test_what_is_offered_later_counts_from_the_next_scan(fleet):
    fleet.say("a", ["x 1"], {})
    fleet.advise(advisory("A", fix("x", "2")))
    fleet.scan()
    (before,) = fleet.lines()
    fleet.wait(1)

    assert fleet.say("a", ["x 1"], {"x": "2"}).changed == 1
    fleet.scan()

    (line,) = fleet.lines()
    assert (before.installable, line.installable) == ("no", "yes")
    assert line.first_seen == before.first_seen
    fleet.wait(1)
    assert fleet.say("a", ["x 1"], {"x": "2"}).unchanged == 1
    assert fleet.scan().changed is False


def test_a_changed_fix_is_compared_without_a_report(fleet):
    fleet.say("a", ["x 1"], {"x": "2"})
    fleet.advise(advisory("A", fix("x", "3")))
    fleet.scan()
    assert installables(fleet) == {"a": {"A": "no"}}

    fleet.advise(advisory("A", fix("x", "2")))
    fleet.scan()

    assert installables(fleet) == {"a": {"A": "yes"}}


def test_what_was_on_offer_then_is_not_remembered(fleet):
    fleet.say("a", ["x 1"], {"x": "2"})
    fleet.advise(advisory("A", fix("x", "2")))
    fleet.scan()
    then = fleet.at
    fleet.wait(3)
    fleet.say("a", ["x 1"], {"x": "3"})
    fleet.scan()

    assert [x.installable for x in fleet.lines(then)] == ["unknown"]
    (said,) = fleet.explain("a", "x", then).installed[0].considered
    assert (said.installable, said.offered) == ("unknown", "")
    (said,) = fleet.explain("a", "x").installed[0].considered
    assert (said.installable, said.offered) == (
        "yes",
        "the host's repositories offer 3 from stable",
    )


def test_a_kernel_whose_successor_has_another_name_is_not_said_to_be_missing(fleet):
    kernel = "linux-image-6.1.0-18-amd64"
    fleet.say("a", [f"{kernel} 6.1.76-1"], {})
    fleet.advise(advisory("A", fix(kernel, "6.1.90-1")))

    fleet.scan()

    assert installables(fleet) == {"a": {"A": "unknown"}}


def test_the_kernel_that_a_report_says_runs_is_the_one_that_counts(fleet):
    kernels = ["linux-image-6.1.0-18-amd64 6.1.76-1", "linux-image-6.1.0-40-amd64 6.1.153-1"]
    fleet.advise(advisory("A", *(fix(each.split()[0], "6.1.99-1") for each in kernels)))
    fleet.say("a", kernels, None, kernel="6.1.0-18-amd64")
    fleet.scan()
    assert [x.package for x in fleet.lines()] == ["linux-image-6.1.0-18-amd64"]

    fleet.wait(1)
    fleet.say("a", kernels, None, kernel="6.1.0-40-amd64")
    fleet.scan()

    assert fleet.lines() == []
