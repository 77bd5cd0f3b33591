"""Exceptions in the console and the API, and a finding that is reported as wrong."""

import re

import pytest
from sqlalchemy import select

from patchmgr.db import models
from patchmgr.domain.accounts import Role
from patchmgr.services.scan import scan

FORM = {
    "advisory": "CVE-2026-1001",
    "type": "risk_accepted",
    "reason": "Only on a network of its own.",
    "expires": "2026-04-01",
    "owner": "the web team",
}
WRONG = {
    "advisory": "CVE-2026-1001",
    "package": "openssl",
    "reason": "Built without that part.",
    "where": "here",
    "expires": "2027-03-01",
}


@pytest.fixture
def approver(client):
    return client(Role.APPROVER)


def proposed(browser, **change):
    answer = browser.post("/exceptions/new", data={**FORM, **change})
    assert answer.status_code == 303, answer.text
    return int(answer.location.rsplit("/", 1)[1])


def test_what_an_operator_proposes_waits_for_somebody_else(works, operator, approver):
    number = proposed(operator)

    mine = operator.get(f"/exceptions/{number}").text
    theirs = approver.get(f"/exceptions/{number}").text
    assert "Somebody else has to approve it" in mine
    assert ">Approve<" not in mine
    assert re.search(r"<form[^>]+approve.+?Approve</button>", theirs, re.DOTALL)
    assert "Excepted" not in operator.get("/findings").text.split("<tbody")[1]

    approver.post(f"/exceptions/{number}/approve")

    assert "In force" in operator.get(f"/exceptions/{number}").text
    assert operator.get("/findings").text.split("<tbody")[1].count("Excepted") == 8
    host = operator.get("/hosts/web-1").text
    assert "Excepted" in host
    assert "no due date" not in host


def test_the_list_says_what_for_why_until_when_and_how_much(works, operator, approver):
    number = proposed(approver, host="web-1", package="openssl")

    page = operator.get("/exceptions").text

    for words in ("CVE-2026-1001", "web-1", "Only on a network", "the web team", "In force"):
        assert words in page
    assert f"/findings?exception_id={number}" in page
    covered = operator.get(f"/findings?exception_id={number}").text
    assert '<strong class="num">2</strong> findings' in covered
    assert "web-2" not in covered.split("<tbody")[1]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"advisory": ""}, "name at least one of"),
        ({"reason": " "}, "say why"),
        ({"expires": ""}, "Say until which day"),
        ({"expires": "2026-03-01"}, "must be after now"),
        ({"expires": "soon"}, "is no time"),
        ({"expires": "2036-03-01"}, "lasts 180 days at most"),
        ({"advisory": "DSA-9"}, "no advisory &#39;DSA-9&#39;"),
    ],
)
def test_what_is_wrong_with_an_exception_is_said_in_the_form(works, operator, change, said):
    answer = operator.post("/exceptions/new", data={**FORM, **change})

    assert answer.status_code == 422
    assert said in answer.text
    assert "the web team" in answer.text


def test_the_form_opens_filled_in(works, operator):
    page = operator.get("/exceptions/new?host=web-1&package=openssl&type=deferral").text

    assert 'value="web-1"' in page
    assert '<option selected value="deferral">' in page
    assert 'value="2026-05-31"' in page  # ninety days on


def test_revoking_asks_once_and_reopens(works, approver):
    number = proposed(approver)
    asked = approver.get(f"/exceptions/{number}/revoke").text
    assert "It covers 8 open findings now. They are due again from then on." in asked

    approver.post(f"/exceptions/{number}/revoke", data={"reason": "It moved."})

    assert "It moved." in approver.get(f"/exceptions/{number}").text
    assert "Excepted" not in approver.get("/findings").text.split("<tbody")[1]
    assert "No exception is proposed" in approver.get("/exceptions").text
    assert approver.post(f"/exceptions/{number}/revoke").status_code == 409


def test_a_finding_that_is_reported_as_wrong_becomes_a_false_positive(works, approver):
    page = approver.get("/findings/web-1/libssl3").text
    assert "Report CVE-2026-1001 as wrong" in page
    assert "and what is built from it" in page  # the vendor speaks of the source

    answer = approver.post("/findings/web-1/libssl3", data=WRONG)

    assert answer.status_code == 303
    after = approver.get("/findings/web-1/libssl3").text
    assert "false positive</a>, ends" in after
    assert "Built without that part." in after
    for elsewhere, excepted in (("web-1/openssl", True), ("web-2/libssl3", False)):
        assert ("false positive</a>" in approver.get(f"/findings/{elsewhere}").text) is excepted


def test_it_can_be_wrong_on_all_hosts(works, approver):
    approver.post("/findings/web-1/libssl3", data={**WRONG, "where": "everywhere"})

    assert "false positive</a>" in approver.get("/findings/web-2/libssl3").text


def test_a_report_without_a_reason_is_refused_beside_its_field(works, operator):
    answer = operator.post("/findings/web-1/libssl3", data={**WRONG, "reason": ""})

    assert answer.status_code == 422
    assert "say why" in answer.text
    assert re.search(r'<details class="wrong" open>', answer.text)


def test_a_viewer_can_only_look(works, client, approver):
    number = proposed(approver)
    viewer = client(Role.VIEWER)

    assert "Report as wrong" not in viewer.get("/findings/web-1/libssl3").text
    assert "Revoke" not in viewer.get(f"/exceptions/{number}").text
    assert viewer.post("/findings/web-1/libssl3", data=WRONG).status_code == 403


def test_findings_are_filtered_by_exception_and_what_is_excepted_is_not_overdue(
    works, client, clock
):
    proposed(client(Role.APPROVER), host="web-1")
    clock.at = clock.at.replace(day=28)
    approver = client(Role.APPROVER)
    scan(works.db, now=clock(), settings=works.settings)
    rows = {}
    for wanted in ("exception=excepted", "exception=open", "overdue=yes", ""):
        page = approver.get(f"/findings?{wanted}").text
        rows[wanted] = int(re.search(r'<strong class="num">(\d+)</strong>', page)[1])

    assert rows == {"exception=excepted": 2, "exception=open": 6, "overdue=yes": 6, "": 8}
    assert approver.get("/findings?exception_id=nine").status_code == 404


def test_the_api_does_what_the_pages_do(works, app):
    def ask(role, method, path, **more):
        token = works.token(role)
        headers = {"Authorization": f"Bearer {token}"}
        return app.test_client().open(f"/api/v1{path}", method=method, headers=headers, **more)

    body = {
        "advisory": "CVE-2026-1001",
        "host": "web-1",
        "type": "compensating_control",
        "reason": "A proxy filters it.",
        "expires_at": "2026-05-01T00:00:00Z",
    }
    made = ask(Role.OPERATOR, "POST", "/exceptions", json=body)
    number = made.json["id"]
    assert (made.status_code, made.json["state"], made.json["findings"]) == (201, "proposed", 2)
    assert ask(Role.OPERATOR, "POST", f"/exceptions/{number}/approve").status_code == 403

    approved = ask(Role.APPROVER, "POST", f"/exceptions/{number}/approve")
    found = ask(Role.VIEWER, "GET", "/findings?exception=excepted").json
    why = ask(Role.VIEWER, "GET", "/hosts/web-1/packages/libssl3/why").json
    listed = ask(Role.VIEWER, "GET", "/exceptions").json
    revoked = ask(Role.OPERATOR, "POST", f"/exceptions/{number}/revoke", json={})

    assert approved.json["state"] == "in_force"
    assert (found["total"], {x["exception"] for x in found["items"]}) == (
        2,
        {f"{number} compensating_control"},
    )
    (said,) = why["packages"][0]["considered"]
    assert said["exceptions"][0]["reason"] == "A proxy filters it."
    assert [each["id"] for each in listed["items"]] == [number]
    assert revoked.json["state"] == "revoked"
    refused = ask(Role.OPERATOR, "POST", "/exceptions", json={**body, "advisory": "", "host": ""})
    assert refused.status_code == 422
    assert "scope" in refused.json["errors"]


def test_the_page_says_what_was_considered_and_does_not_concern_the_package(works, operator):
    with works.db.writing() as session:
        row = models.PackageVersion
        for version in session.scalars(select(row).where(row.name == "libssl3")):
            version.origin = "Somebody Else"

    page = operator.get("/findings/web-1/libssl3").text

    assert "was built by Somebody Else" in page
    assert "Considered, does not concern it" in page
    assert "Somebody Else built it, and the vendor speaks of its own builds only" in page
