"""What an explanation says beside its findings: who else tells, what does not count, and why."""

from dataclasses import replace

import pytest
from sqlalchemy import update

from patchmgr.db import models
from patchmgr.db.queries import explained
from patchmgr.domain.advisories import Advisory, Kind, Match, Status
from patchmgr.feeds.crawl import Harvest
from patchmgr.services import feed_store
from tests.services.scan.conftest import Fleet, advisory, fix

OLD, NEW = "linux-image-6.1.0-13-amd64", "linux-image-6.1.0-18-amd64"


@pytest.fixture
def fleet(db, tmp_path):
    made = Fleet(db, tmp_path)
    made.host("a")
    return made


def only(fleet, package):
    (found,) = fleet.explain("a", package).installed
    return found


def test_a_package_that_somebody_else_built_says_so(fleet):
    fleet.packages(a=["nodejs 18.1-1nodesource1"])
    fleet.advise(advisory("A", fix("nodejs", "20")))
    fleet.scan()

    found = only(fleet, "nodejs")

    assert (found.foreign, found.considered, fleet.findings()) == ("nodesource", (), [])
    (other,) = found.unrelated
    assert (other.advisory, other.fixed, other.feed) == ("A", "20", "made-up")
    assert other.why == "nodesource built it, and the vendor speaks of its own builds only"


def test_a_kernel_that_neither_runs_nor_boots_next_is_no_finding_and_says_why(fleet):
    fleet.packages(a=[f"{OLD} 6.1.55-1 linux", f"{NEW} 6.1.76-1 linux"])
    with fleet.db.writing() as session:
        session.execute(update(models.Host).values(running_kernel="6.1.0-18-amd64"))
    fleet.advise(
        advisory("A", fix(OLD, "7", match=Match.BINARY), fix(NEW, "7", match=Match.BINARY))
    )
    fleet.scan()

    old, new = only(fleet, OLD), only(fleet, NEW)

    why = "installed, neither running (6.1.0-18-amd64 is) nor next to boot"
    assert (old.idle, new.idle) == (why, "")
    assert (old.findings, len(new.findings)) == ((), 1)
    assert explained.sentence(old.considered[0]).endswith(f"no finding of its own: {why}")
    assert [line.package for line in fleet.lines()] == [NEW]


def test_statements_for_other_builds_are_told_apart_from_those_that_say_not_affected(fleet):
    fleet.packages(a=["x 5"])
    fleet.advise(
        Advisory("ARM", ("C1",), fixes=(replace(fix("x", "9"), arch="arm64"),)),
        Advisory("ESM", ("C2",), fixes=(replace(fix("x", "9"), channel="eus"),)),
        Advisory("BUG", (), fixes=(fix("x", "9"),), kind=Kind.BUGFIX),
        advisory("OLD", fix("x", "4")),
    )
    fleet.scan()

    found = only(fleet, "x")

    assert fleet.findings() == []
    assert [said.advisory for said in found.considered] == ["OLD"]
    assert {other.advisory: other.why for other in found.unrelated} == {
        "ARM": "it is for arm64, and this build is for amd64",
        "BUG": "the advisory fixes bugs, and only security advisories make findings",
        "ESM": "it is for hosts entitled to eus, and this one is not",
    }
    told = explained.explanation_json(fleet.explain("a", "x"))["packages"][0]["unrelated"]
    assert {each["advisory"] for each in told} == {"ARM", "BUG", "ESM"}


def test_who_else_tells_a_flaw_is_named_with_its_feed(fleet):
    with fleet.db.writing() as session:
        session.add(models.Feed(name="osv", title="", enabled=True, state="never", error=""))
    fleet.packages(a=["x 1"])
    fleet.advise(Advisory("DSA-1", ("CVE-1",), fixes=(fix("x", "2"),)))
    with fleet.db.writing(alone=True) as session:
        again = Harvest((Advisory("OSV-1", ("CVE-1",), fixes=(fix("x", "2"),)),), {}, (), {})
        feed_store.store(session, "osv", again, now=fleet.at, actor="test")
    fleet.scan()

    (finding,) = only(fleet, "x").findings

    assert [line.advisory for line in fleet.lines()] == [finding.advisory] == ["DSA-1"]
    assert finding.also == (("OSV-1", "osv"),)
    told = next(said for said in only(fleet, "x").considered if said.advisory == "OSV-1")
    assert told.yields == "DSA-1 of feed made-up tells the same flaw"


def test_every_statement_says_what_would_turn_it(fleet):
    fleet.packages(a=["x 1.5-1", "odd v1_x"])
    fleet.advise(
        advisory("OLDER", fix("x", "2-1")),
        advisory("PAID", fix("x", "2-1", channel="esm-infra")),
        advisory("NEWER", fix("x", "1-1")),
        advisory("BEFORE", fix("x", "3-1", introduced="2-1")),
        advisory("NOTHING", fix("x", status=Status.NO_FIX)),
        advisory("NEVER", fix("x", status=Status.NOT_AFFECTED)),
        advisory("ASKED", fix("x", status=Status.UNDETERMINED)),
        advisory("PAST", fix("x", status=Status.NO_FIX, last_affected="1-1")),
        advisory("MISWRITTEN", fix("x", "v2_x")),
        advisory("UNREADABLE", fix("odd", "2-1")),
    )
    fleet.scan()

    turns = {
        said.advisory: explained.what_would_change(said)
        for package in ("x", "odd")
        for said in only(fleet, package).considered
    }
    sentences = {said.advisory: explained.sentence(said) for said in only(fleet, "x").considered}

    source = "would change: an inventory with source"
    assert turns == {
        "OLDER": f"{source} x at 2-1 or newer",
        "PAID": f"{source} x at 2-1 or newer",
        "NEWER": f"{source} x before 1-1",
        "BEFORE": f"{source} x at 2-1 or newer",
        "NOTHING": "would change: the vendor publishing a fix, or removing the package",
        "NEVER": "would change: the vendor's verdict",
        "ASKED": "would change: the vendor's verdict",
        "PAST": "would change: the vendor's verdict",
        "MISWRITTEN": "would change: the vendor stating a version that can be read",
        "UNREADABLE": f"{source} odd at a version that can be read",
    }
    assert sentences["OLDER"] == "affected: 1.5-1 is older than 2-1, which fixes OLDER"
    assert sentences["PAID"].endswith("fixes PAID; the fix needs Ubuntu Pro (esm-infra)")
