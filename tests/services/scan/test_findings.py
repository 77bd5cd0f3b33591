"""What the scan finds, since when, and what of it is remembered."""

from datetime import timedelta

from sqlalchemy import select

from patchmgr.db import models
from patchmgr.db.queries import findings as queries
from patchmgr.db.queries.finding_filters import FindingFilter
from patchmgr.domain.advisories import Severity, Status
from tests.services.scan.conftest import DAY, NOON, advisory, counts, dues, first_seen, fix


def test_statuses_that_make_a_finding(fleet):
    fleet.host("a")
    fleet.packages(a=["x 1", "y 5", "z 1"])
    fleet.advise(
        advisory("A", fix("x", "2"), fix("y", "5")),
        advisory("B", fix("x", status=Status.NO_FIX, reason="postponed")),
        advisory("C", fix("x", status=Status.UNDETERMINED)),
        advisory("D", fix("x", status=Status.NOT_AFFECTED)),
        advisory("E", fix("z", "2", on="debian:11")),
    )

    fleet.scan()

    assert fleet.findings() == [
        ("a", "x", "1", "A", "affected", "2"),
        ("a", "x", "1", "B", "no_fix", ""),
        ("a", "x", "1", "C", "undetermined", ""),
    ]


def test_a_version_that_cannot_be_read_is_undetermined_and_not_safe(fleet):
    fleet.host("a")
    fleet.packages(a=["x vendor-build"])
    fleet.advise(advisory("A", fix("x", "2")))

    fleet.scan()

    (line,) = fleet.lines()
    assert (line.status, line.fixed, line.due) == ("undetermined", "", None)
    assert "'vendor-build' is not a dpkg version" in line.reason


def test_what_is_written_for_a_release_holds_for_its_minor_releases(fleet):
    fleet.host("a", os_id="rhel", os_release="9.4")
    fleet.host("b", os_id="rhel", os_release="9")
    fleet.packages(a=["x 1"], b=["x 1"])
    fleet.advise(
        advisory("A", fix("x", "2", on="rhel:9")), advisory("B", fix("x", "2", on="rhel:9.4"))
    )

    fleet.scan()

    assert [(line.host, line.advisory) for line in fleet.lines()] == [
        ("a", "A"),
        ("a", "B"),
        ("b", "A"),
    ]


def test_a_python_package_is_not_the_distribution_s_package_of_that_name(fleet):
    fleet.host("a")
    fleet.packages(a=["pypi requests 1", "x 1"])
    fleet.advise(advisory("A", fix("requests", "2")))

    fleet.scan()

    assert fleet.findings() == []
    assert fleet.explain("a", "requests").installed[0].considered == ()


def test_a_platform_without_a_feed_has_no_finding_but_is_known_to_be_blind(fleet):
    fleet.host("a", os_id="plan9", os_release="4")
    fleet.host("b")
    fleet.packages(a=["x 1"], b=["x 1"])
    fleet.advise(advisory("A", fix("x", "2")))

    fleet.scan()

    assert [line.host for line in fleet.lines()] == ["b"]
    assert (fleet.explain("a", "x").has_feed, fleet.explain("b", "x").has_feed) == (False, True)
    with fleet.db.reading() as session:
        snapshot = session.scalars(select(models.Snapshot)).one()
    assert (snapshot.hosts, snapshot.judged) == (2, 1)


def test_a_retired_host_leaves_findings_and_counts_at_once(fleet):
    fleet.host("a")
    fleet.packages(a=["x 1"])
    fleet.advise(advisory("A", fix("x", "2")))
    fleet.scan()

    fleet.wait(1)
    fleet.retire("a")

    assert fleet.findings() == []
    assert fleet.findings(at=fleet.at - timedelta(hours=1)) != []
    with fleet.db.reading() as session:
        assert (counts(session), dues(session)) == ({}, {})


def test_the_total_of_any_instant_is_that_of_its_list(fleet):
    fleet.host("a")
    fleet.host("b")
    fleet.packages(a=["x 1"], b=["x 1", "y 1"])
    fleet.advise(advisory("A", fix("x", "2")), advisory("B", fix("y", "2")))
    fleet.scan()
    fleet.wait(1)
    fleet.retire("a")
    fleet.wait(1)
    fleet.scan()
    fleet.wait(1)
    fleet.packages(b=["x 1", "y 2"])
    fleet.scan()

    half_a_day, found = timedelta(hours=12), []
    with fleet.db.reading() as session:
        for at in (fleet.at - half_a_day * number for number in range(8)):
            for filters in (FindingFilter(), FindingFilter(status="affected")):
                page = queries.listing(session, filters, at=at, limit=1)
                assert page.total == len(list(queries.every(session, filters, at))), at
                found.append(page.total)

    assert set(found) == {0, 1, 2, 3}


def test_nothing_new_is_no_work(fleet):
    fleet.host("a")
    fleet.packages(a=["x 1"])
    fleet.advise(advisory("A", fix("x", "2")))
    fleet.scan()

    again = fleet.scan()

    assert (again.versions, again.hosts, again.opened, again.closed) == (0, 0, 0, 0)
    assert again.findings == 1


def test_an_update_to_a_version_that_is_vulnerable_as_well_does_not_restart_the_clock(fleet):
    fleet.host("a")
    fleet.packages(a=["x 1"])
    fleet.advise(advisory("A", fix("x", "3")))
    fleet.scan()

    fleet.wait(5)
    fleet.packages(a=["x 2"])  # which nobody has had before
    fleet.scan()

    assert fleet.findings() == [("a", "x", "2", "A", "affected", "3")]
    assert first_seen(fleet) == {("a", "A"): 0}


def test_a_host_that_gets_a_vulnerable_version_later_has_the_finding_since_then(fleet):
    fleet.host("a")
    fleet.host("b")
    fleet.packages(a=["x 1"], b=["x 3"])
    fleet.advise(advisory("A", fix("x", "3")))
    fleet.scan()

    fleet.wait(5)
    fleet.packages(b=["x 2"])
    fleet.scan()

    assert first_seen(fleet) == {("a", "A"): 0, ("b", "A"): 5}


def test_a_changed_fix_keeps_the_time_of_first_sight(fleet):
    fleet.host("a")
    fleet.packages(a=["x 1"])
    fleet.advise(advisory("A", fix("x", status=Status.NO_FIX)))
    fleet.scan()

    fleet.wait(5)
    fleet.advise(advisory("A", fix("x", "2", severity=Severity.HIGH)))
    fleet.scan()

    assert fleet.findings() == [("a", "x", "1", "A", "affected", "2")]
    assert first_seen(fleet) == {("a", "A"): 0}


def test_a_version_that_an_advisory_takes_in_later_is_found_then(fleet):
    fleet.host("a")
    fleet.host("b")
    fleet.packages(a=["x 1"], b=["x 2"])
    fleet.advise(advisory("A", fix("x", "2")), advisory("B", fix("x", "9")))
    fleet.scan()

    fleet.wait(5)
    fleet.advise(advisory("A", fix("x", "3")), advisory("B", fix("x", "9")))
    fleet.scan()

    assert first_seen(fleet) == {("a", "A"): 0, ("a", "B"): 0, ("b", "A"): 5, ("b", "B"): 0}


def test_a_finding_that_went_and_came_back_is_new(fleet):
    fleet.host("a")
    fleet.packages(a=["x 1"])
    fleet.advise(advisory("A", fix("x", "2")))
    fleet.scan()
    fleet.wait(1)
    fleet.packages(a=["x 2"])
    fleet.scan()

    fleet.wait(1)
    fleet.packages(a=["x 1"])
    fleet.scan()

    assert first_seen(fleet) == {("a", "A"): 2}


def test_findings_as_of_an_instant_are_what_was_known_then(fleet):
    fleet.host("a")
    fleet.packages(a=["x 1"])
    fleet.advise(advisory("A", fix("x", "2")))
    fleet.wait(1)
    fleet.scan()
    fleet.wait(1)
    fleet.advise(advisory("A", fix("x", status=Status.NO_FIX)), advisory("B", fix("x", "2")))
    fleet.scan()
    fleet.wait(1)
    fleet.packages(a=["x 2"])
    fleet.scan()

    def known(day):
        return [(line.advisory, line.status) for line in fleet.lines(NOON + day * DAY)]

    assert known(0) == []  # imported, and not yet scanned
    assert known(1) == [("A", "affected")]
    assert known(1.9) == [("A", "affected")]
    assert known(2) == [("A", "no_fix"), ("B", "affected")]
    assert known(3) == [("A", "no_fix")]
