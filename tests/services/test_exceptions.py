"""Exceptions: proposed, approved, in force, over; in lists, counts, plans, reports and the past."""

import json
from datetime import timedelta

import pytest
from sqlalchemy import select

from patchmgr.db import models
from patchmgr.db.queries import exceptions as queries
from patchmgr.db.queries import findings
from patchmgr.db.queries.finding_filters import FindingFilter
from patchmgr.domain.accounts import Role
from patchmgr.domain.advisories import Advisory, Severity
from patchmgr.domain.exceptions import Scope, State, Type
from patchmgr.domain.plans import Selection
from patchmgr.domain.rings import RingSettings
from patchmgr.errors import ConflictError, ForbiddenError, NotFoundError
from patchmgr.services import audit, exceptions, plan_drafts
from patchmgr.services import reports as report_service
from tests.services.scan.conftest import DAY, NOON, Fleet, advisory, counted, counts, dues, fix

MEDIUM_DAYS = 30


@pytest.fixture
def fleet(db, tmp_path):
    """Two hosts with openssl and curl behind, found at noon."""
    made = Fleet(db, tmp_path)
    made.host("a", tags="web prod")
    made.host("b", tags="db")
    made.packages(a=["libssl3 1 openssl", "curl 1"], b=["libssl3 1 openssl"])
    made.advise(
        advisory("DSA-1", fix("openssl", "2")),
        Advisory("DSA-2", ("CVE-1", "CVE-2"), fixes=(fix("openssl", "3"),)),
        Advisory("DSA-3", ("CVE-3",), fixes=(fix("curl", "2"),)),
    )
    made.scan()
    made.wait(1)
    return made


def propose(fleet, actor="ann", role=Role.OPERATOR, days=20, owner="", **scope):
    return exceptions.add(
        fleet.db,
        Scope(**scope),
        Type.DEFERRAL,
        reason="after the move",
        expires_at=fleet.at + days * DAY,
        owner=owner,
        actor=actor,
        role=role,
        now=fleet.at,
        settings=fleet.settings,
    )


def approve(fleet, number, actor="bob", role=Role.APPROVER):
    exceptions.approve(fleet.db, number, actor=actor, role=role, now=fleet.at)


def excepted(fleet, at=None):
    """Return (host, advisory) of each finding that names an exception, with its name."""
    return {(x.host, x.advisory): x.exception for x in fleet.lines(at) if x.exception}


def listed(fleet, now=None, **filters):
    with fleet.db.reading() as session:
        asked = FindingFilter(**filters)
        return findings.listing(session, asked, now=now or fleet.at, limit=500)


def stands(fleet):
    """Hold the kept counts and the totals of lists to the findings themselves."""
    lines = fleet.lines()
    with fleet.db.reading() as session:
        assert counts(session) == counted(lines)
        assert sum(dues(session).values()) == sum(bool(x.due) and not x.exception for x in lines)
    agrees(fleet)


def agrees(fleet, now=None):
    """Hold the totals of lists to their lines, whether or not a scan has counted them."""
    lines = fleet.lines()
    for filters in ({}, {"host": "a"}, {"package": "openssl"}, {"search": "SSL"}):
        for which in ("open", "excepted"):
            page = listed(fleet, now, exception=which, **filters)
            plain = listed(fleet, now, **filters).lines
            assert page.lines == tuple(x for x in plain if bool(x.exception) is (which != "open"))
            assert page.total == len(page.lines)
    late = fleet.at + 100 * DAY
    page = listed(fleet, late, overdue=True)
    assert page.total == len(page.lines)
    assert all(not line.exception for line in page.lines)
    return lines


# --- who decides ---------------------------------------------------------------------------------


def test_what_an_operator_records_covers_nothing_until_somebody_else_approves_it(fleet):
    added = propose(fleet, advisory="DSA-1")

    assert added.needs_approval
    assert excepted(fleet) == {}
    with pytest.raises(ForbiddenError, match="needs the role approver"):
        approve(fleet, added.id, role=Role.OPERATOR)
    with pytest.raises(ForbiddenError, match="somebody else"):
        approve(fleet, added.id, actor="ann")
    approve(fleet, added.id)
    assert excepted(fleet) == dict.fromkeys(
        [("a", "DSA-1"), ("b", "DSA-1")], f"{added.id} deferral"
    )


def test_who_may_approve_decides_alone_unless_the_settings_ask_for_four_eyes(fleet):
    alone = propose(fleet, role=Role.APPROVER, advisory="DSA-1")
    fleet.settings = type(fleet.settings)(
        fleet.settings.home, fleet.settings.database_url, "", exception_four_eyes=True
    )
    not_alone = propose(fleet, role=Role.ADMIN, advisory="DSA-2")

    assert (alone.needs_approval, not_alone.needs_approval) == (False, True)
    assert set(excepted(fleet).values()) == {f"{alone.id} deferral"}
    with fleet.db.reading() as session:
        assert queries.get(session, alone.id, now=fleet.at).is_own


def test_a_viewer_decides_nothing(fleet):
    with pytest.raises(ForbiddenError):
        propose(fleet, role=Role.VIEWER, advisory="DSA-1")
    number = propose(fleet, advisory="DSA-1").id
    with pytest.raises(ForbiddenError):
        exceptions.revoke(fleet.db, number, actor="eve", role=Role.VIEWER, now=fleet.at)


@pytest.mark.parametrize(
    ("scope", "what"),
    [
        ({"host": "c"}, "no host 'c'"),
        ({"package": "ssl"}, "no package 'ssl'"),
        ({"advisory": "DSA-9"}, "no advisory 'DSA-9'"),
        ({"cve": "CVE-9"}, "no CVE 'CVE-9'"),
        ({"tag": "pro"}, "no host with the tag 'pro'"),
    ],
)
def test_a_scope_that_nobody_has_heard_of_is_refused(fleet, scope, what):
    with pytest.raises(NotFoundError, match=what):
        propose(fleet, **scope)


def test_each_decision_is_audited_and_asks_for_a_scan(fleet):
    number = propose(fleet, owner="the ssl team", advisory="DSA-1", host="A").id
    approve(fleet, number)
    fleet.wait(1)
    exceptions.revoke(
        fleet.db, number, actor="cid", role=Role.OPERATOR, now=fleet.at, reason="moved"
    )

    with fleet.db.reading() as session:
        entries = session.scalars(
            select(models.AuditEntry).where(models.AuditEntry.action.startswith("exception."))
        ).all()
        waiting = session.scalars(select(models.JobRun.job)).all()
        assert audit.first_broken(session) is None
    assert [(each.action, each.actor, each.subject) for each in entries] == [
        ("exception.add", "ann", f"exception {number}"),
        ("exception.approve", "bob", f"exception {number}"),
        ("exception.revoke", "cid", f"exception {number}"),
    ]
    assert entries[0].details["scope"] == "advisory DSA-1, host a"
    assert entries[2].details == {"reason": "moved"}
    assert waiting == ["scan"]


def test_what_is_over_can_be_neither_approved_nor_revoked(fleet):
    number = propose(fleet, days=3, advisory="DSA-1").id
    fleet.wait(3)

    with pytest.raises(ConflictError, match="expired"):
        approve(fleet, number)
    with pytest.raises(ConflictError, match="expired already"):
        exceptions.revoke(fleet.db, number, actor="ann", role=Role.ADMIN, now=fleet.at)


# --- what it means -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scope", "covered"),
    [
        ({"advisory": "DSA-1"}, {("a", "DSA-1"), ("b", "DSA-1")}),
        ({"package": "openssl", "host": "b"}, {("b", "DSA-1"), ("b", "DSA-2")}),
        ({"package": "libssl3", "tag": "web"}, {("a", "DSA-1"), ("a", "DSA-2")}),
        ({"cve": "CVE-3"}, {("a", "DSA-3")}),
        ({"cve": "CVE-1"}, set()),  # DSA-2 names another one, which is still to be dealt with
        ({"tag": "prod"}, {("a", "DSA-1"), ("a", "DSA-2"), ("a", "DSA-3")}),
        ({"host": "b", "tag": "prod"}, set()),
    ],
)
def test_lists_heed_an_exception_at_once_and_counts_with_the_next_scan(fleet, scope, covered):
    added = propose(fleet, role=Role.ADMIN, **scope)

    assert excepted(fleet).keys() == covered
    agrees(fleet)
    with fleet.db.reading() as session:
        assert queries.get(session, added.id, now=fleet.at).findings == len(covered)
    assert fleet.scan().changed is bool(covered)
    stands(fleet)
    assert {(x.host, x.advisory) for x in listed(fleet, exception_id=added.id).lines} == covered


def test_what_is_covered_stays_an_open_finding_and_is_never_overdue(fleet):
    propose(fleet, role=Role.ADMIN, days=100, advisory="DSA-1")
    before = fleet.lines()
    fleet.wait(60)
    fleet.scan()

    with fleet.db.reading() as session:
        snapshot = session.scalars(select(models.Snapshot).order_by(models.Snapshot.id)).all()[-1]
    assert len(fleet.lines()) == len(before) == snapshot.open_findings == 5
    assert snapshot.overdue == 3
    assert all(line.due for line in fleet.lines())  # what it would be


def test_a_host_is_compliant_when_all_that_is_overdue_is_excepted(fleet):
    fleet.wait(60)
    fleet.packages(a=["libssl3 1 openssl", "curl 1"], b=["libssl3 1 openssl"])
    with fleet.db.writing() as session:
        for host in session.scalars(select(models.Host)):
            host.reported_at = fleet.at
    propose(fleet, role=Role.ADMIN, host="b")

    fleet.scan()

    with fleet.db.reading() as session:
        snapshot = session.scalars(select(models.Snapshot).order_by(models.Snapshot.id)).all()[-1]
    assert (snapshot.judged, snapshot.compliant) == (2, 1)


@pytest.mark.parametrize("end", ["expiry", "revocation"])
def test_an_exception_that_ends_reopens_its_findings_by_itself(fleet, end):
    number = propose(fleet, role=Role.ADMIN, days=10, package="openssl").id
    fleet.scan()
    assert len(excepted(fleet)) == 4

    fleet.wait(10)
    if end == "revocation":
        fleet.at -= timedelta(seconds=1)
        fleet.revoke(number)

    assert excepted(fleet) == {}
    agrees(fleet)  # before a scan has counted it
    assert fleet.scan().hosts == 2
    stands(fleet)
    assert fleet.scan().changed is False


def test_a_tag_is_heeded_as_scans_find_it(fleet):
    propose(fleet, role=Role.ADMIN, days=90, tag="prod", package="openssl")
    fleet.scan()
    fleet.wait(1)
    fleet.host("b", tags="db prod")
    fleet.host("a", tags="web")
    before = excepted(fleet).keys()

    fleet.scan()

    assert before == {("a", "DSA-1"), ("a", "DSA-2")}
    assert excepted(fleet).keys() == {("b", "DSA-1"), ("b", "DSA-2")}
    assert excepted(fleet, fleet.at - DAY / 2).keys() == before
    stands(fleet)


def test_an_advisory_that_comes_later_is_covered_by_a_package_s_exception(fleet):
    propose(fleet, role=Role.ADMIN, days=90, package="openssl", host="a")
    fleet.scan()
    fleet.wait(1)
    fleet.advise(advisory("DSA-1", fix("openssl", "2")), advisory("DSA-9", fix("openssl", "4")))

    fleet.scan()

    assert excepted(fleet).keys() == {("a", "DSA-1"), ("a", "DSA-9")}
    stands(fleet)


def test_an_advisory_that_names_another_flaw_later_is_no_longer_covered_by_one_s_exception(fleet):
    propose(fleet, role=Role.ADMIN, days=90, cve="CVE-3")
    fleet.scan()
    assert excepted(fleet).keys() == {("a", "DSA-3")}
    fleet.wait(1)
    fleet.advise(Advisory("DSA-3", ("CVE-3", "CVE-4"), fixes=(fix("curl", "2"),)))

    fleet.scan()

    assert excepted(fleet) == {}
    stands(fleet)


def test_the_past_is_told_as_it_was(fleet):
    number = propose(fleet, days=10, advisory="DSA-1").id
    fleet.wait(2)
    approve(fleet, number)
    approved = fleet.at
    fleet.wait(3)
    fleet.revoke(number)
    ended = fleet.at
    fleet.wait(30)
    fleet.scan()

    assert excepted(fleet) == {}
    assert excepted(fleet, approved - DAY) == {}
    assert len(excepted(fleet, approved)) == 2
    assert len(excepted(fleet, ended - timedelta(microseconds=1))) == 2
    assert excepted(fleet, ended) == {}


def test_of_several_exceptions_a_finding_names_the_first_and_each_counts_it(fleet):
    first = propose(fleet, role=Role.ADMIN, advisory="DSA-1").id
    second = propose(fleet, role=Role.ADMIN, host="a").id

    named = excepted(fleet)

    assert named["a", "DSA-1"] == f"{first} deferral"
    assert named["a", "DSA-3"] == f"{second} deferral"
    with fleet.db.reading() as session:
        page = queries.listing(session, now=fleet.at)
    assert {line.id: line.findings for line in page.lines} == {first: 2, second: 3}


def test_exceptions_are_listed_by_state_the_next_to_expire_first(fleet):
    late = propose(fleet, role=Role.ADMIN, days=50, advisory="DSA-1").id
    soon = propose(fleet, days=10, advisory="DSA-2").id
    gone = propose(fleet, role=Role.ADMIN, days=60, host="a").id
    fleet.revoke(gone)

    def numbers(**asked):
        with fleet.db.reading() as session:
            found, cursor = [], ""
            while cursor is not None:
                page = queries.listing(session, now=fleet.at, limit=1, cursor=cursor, **asked)
                found += [line.id for line in page.lines]
                cursor = page.next
            assert len(found) == page.total
            return found

    assert numbers() == [soon, late]
    assert numbers(state="all") == [soon, late, gone]
    assert numbers(state=State.PROPOSED) == [soon]
    assert numbers(state=State.IN_FORCE) == [late]
    assert numbers(state="over") == numbers(state=State.REVOKED) == [gone]
    assert numbers(search="dsa-2") == [soon]
    assert numbers(type_="risk_accepted") == []


def test_listing_exceptions_takes_few_statements_however_many_there_are(fleet, statements):
    for _ in range(12):
        propose(fleet, role=Role.ADMIN, advisory="DSA-1", tag="prod")
    statements.clear()

    with fleet.db.reading() as session:
        queries.listing(session, now=fleet.at)

    assert len(statements) == 3


# --- plans ---------------------------------------------------------------------------------------


def planned(fleet, **selection):
    number = plan_drafts.create(
        fleet.db,
        selection=Selection(**selection),
        rings=(RingSettings("all"),),
        actor="ann",
        role=Role.OPERATOR,
        now=fleet.at,
    )
    with fleet.db.reading() as session:
        plan = session.get_one(models.Plan, number)
        changes = session.scalars(
            select(models.PlanChange).where(models.PlanChange.plan_id == number)
        ).all()
        left_out = session.scalars(
            select(models.PlanExclusion).where(models.PlanExclusion.plan_id == number)
        ).all()
        return (
            plan.due,
            {(c.package, c.to_version): c.hosts for c in changes},
            {(e.package, tuple(e.advisories)): (e.hosts, e.reason) for e in left_out},
        )


def test_a_plan_leaves_out_what_is_excepted_and_says_by_which_exception(fleet):
    number = propose(fleet, role=Role.ADMIN, advisory="DSA-2", host="b").id

    due, changes, left_out = planned(fleet, packages=("openssl",))

    assert changes == {("libssl3", "3"): 1, ("libssl3", "2"): 1}
    assert left_out == {
        ("libssl3", ("DSA-2",)): (1, f"covered by exception {number} deferral"),
    }
    assert due == NOON + MEDIUM_DAYS * DAY


def test_nothing_is_planned_when_all_of_it_is_excepted(fleet):
    number = propose(fleet, role=Role.ADMIN, package="curl").id

    with pytest.raises(ConflictError, match=f"left out .covered by exception {number} deferral"):
        planned(fleet, packages=("curl",))


def test_what_is_excepted_everywhere_does_not_press_a_plan(fleet):
    fleet.wait(5)
    fleet.advise(
        advisory("DSA-1", fix("openssl", "2", severity=Severity.CRITICAL)),
        advisory("DSA-4", fix("openssl", "2", severity=Severity.LOW)),
    )
    fleet.scan()
    pressing = planned(fleet, packages=("openssl",))[0]
    propose(fleet, role=Role.ADMIN, advisory="DSA-1")

    relaxed = planned(fleet, packages=("openssl",))[0]

    assert pressing == NOON + 7 * DAY
    assert relaxed == fleet.at + 90 * DAY


# --- reports -------------------------------------------------------------------------------------


def report(fleet, at):
    folder = fleet.folder / f"report-{fleet.at:%Y%m%d}-{at:%Y%m%d}"
    report_service.make(
        fleet.db,
        at=at,
        formats=["json", "csv", "html", "xlsx"],
        settings=fleet.settings,
        actor="auditor",
        now=fleet.at,
        out=folder,
    )
    return folder, json.loads((folder / "compliance.json").read_text())


def test_a_report_has_a_register_of_exceptions_and_counts_what_they_cover_apart(fleet):
    number = propose(fleet, owner="the ssl team", days=90, advisory="DSA-1").id
    approve(fleet, number)
    fleet.scan()
    fleet.wait(40)
    fleet.scan()

    folder, made = report(fleet, fleet.at)

    head = made["headline"]
    assert head["open_findings"] == 5
    assert head["excepted"] == {"n": 2, "of": 5, "percent": "40.0 %"}
    assert head["overdue"] == {"n": 3, "of": 3, "percent": "100.0 %"}
    assert made["open_findings"]["by_state"]["excepted"] == 2
    (line,) = made["exceptions"]["register"]
    assert (line["exception"], line["scope"]) == (f"{number} deferral", "advisory DSA-1")
    assert (line["owner"], line["recorded_by"], line["approved_by"]) == (
        "the ssl team",
        "ann",
        "bob",
    )
    assert (line["findings"], line["hosts"]) == (2, 2)
    named = {each["exception"] for each in made["findings"] if each["state"] == "excepted"}
    assert named == {f"{number} deferral"}
    assert (folder / "exceptions.csv").read_text().count("after the move") == 1
    page = (folder / "compliance.html").read_text()
    assert "after the move" in page
    assert "2</b> of 5" in page


def test_a_report_of_the_past_comes_out_the_same_after_exception_tag_and_name_have_changed(fleet):
    number = propose(fleet, role=Role.ADMIN, days=90, tag="prod", host="a").id
    fleet.scan()
    then = fleet.at + DAY
    fleet.wait(2)
    before = (report(fleet, then)[0] / "findings.csv").read_bytes()

    fleet.revoke(number)
    fleet.host("a", tags="web")
    fleet.scan()
    fleet.wait(1)

    assert (report(fleet, then)[0] / "findings.csv").read_bytes() == before
    assert b"deferral" in before


def test_what_is_closed_while_it_is_excepted_is_neither_in_time_nor_late(fleet):
    propose(fleet, role=Role.ADMIN, days=90, host="b")
    fleet.scan()
    fleet.wait(60)
    fleet.packages(a=["libssl3 9 openssl", "curl 1"], b=["libssl3 9 openssl"])
    fleet.scan()

    _, made = report(fleet, fleet.at)

    assert (made["sla"]["all"]["closed_late"], made["sla"]["all"]["closed_no_due"]) == (2, 2)
