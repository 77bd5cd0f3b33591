"""Holds, planning policies, break-glass and superseding, in the console and for programs."""

import html

import pytest

from patchmgr.domain.accounts import Role
from patchmgr.domain.holds import Hold
from patchmgr.services import holds

POLICY = """\
kind = "planning"
name = "monthly"
title = "Monthly updates"
[[findings]]
packages = ["openssl"]
[[rings]]
name = "canary"
representative = 1
[[rings]]
name = "rest"
[schedule]
every = "patch-tuesday"
weekday = "thursday"
"""
HOLD = {
    "package": "openssl",
    "versions": "3.0.17-1~deb12u2",
    "platform": "",
    "reason": "breaks TLS",
    "owner": "",
    "expires": "2026-04-01",
}


@pytest.fixture
def approver(client):
    return client(Role.APPROVER)


def text(answer):
    return html.unescape(answer.text)


def test_a_hold_is_recorded_shown_and_ended(works, operator):
    plan_id = works.create()
    assert operator.get("/holds/new?package=openssl").status_code == 200
    assert operator.post("/holds/new", data={**HOLD, "versions": "< >"}).status_code == 422
    assert operator.post("/holds/new", data={**HOLD, "reason": ""}).status_code == 422
    assert operator.post("/holds/new", data=HOLD).status_code == 303

    assert "breaks TLS" in operator.get("/holds").text
    assert "known to be bad (hold 1: breaks TLS)" in text(operator.get(f"/plans/{plan_id}/risks"))
    page = text(operator.get(f"/plans/{plan_id}/changes"))
    assert ("Held" in page, "no ring begins with it" in page) == (True, False)  # still a draft
    works.do("propose", plan_id)
    assert "no ring begins with it" in text(operator.get(f"/plans/{plan_id}/changes"))
    answer = operator.post(
        "/plans/new", data={"package": "openssl", "approvals": "1", "ring-0-name": "all",
                            "ring-0-soak": "0m", "ring-0-window": "any", "ring-0-expected": "30m",
                            "ring-0-percent": "0", "ring-0-success_pct": "95",
                            "ring-0-max_failures": "0", "ring-0-max_concurrent": "9",
                            "ring-0-min_attempted": "3"},
    )  # fmt: skip
    assert "known to be bad" in text(answer)
    assert "Revoke hold 1" in operator.get("/holds/1/revoke").text
    assert operator.post("/holds/1/revoke", data={"reason": "fixed"}).status_code == 303
    assert "breaks TLS" not in operator.get("/holds").text
    assert "breaks TLS" in operator.get("/holds?state=all").text


def test_a_viewer_reads_holds_and_policies_and_changes_none(works, client):
    viewer = client(Role.VIEWER)

    assert "/holds/new" not in viewer.get("/holds").text
    assert viewer.post("/holds/new", data=HOLD).status_code == 403
    assert "New planning policy" not in viewer.get("/policies").text
    assert viewer.get("/planning-policies/new").status_code == 403


def test_a_policy_is_written_edited_and_used(works, admin):
    assert 'kind = "planning"' in html.unescape(admin.get("/planning-policies/new").text)
    bad = admin.post("/planning-policies/new", data={"document": 'kind = "planning"'})
    assert (bad.status_code, "needs a name" in bad.text) == (422, True)
    assert admin.post("/planning-policies/new", data={"document": POLICY}).status_code == 303
    page = text(admin.get("/planning-policies/show/monthly"))
    assert "on the first Thursday after Patch Tuesday at 08:00 (UTC)" in page
    assert "representative = 1" in page

    other = POLICY.replace('"monthly"', '"other"')
    assert (
        admin.post("/planning-policies/edit/monthly", data={"document": other}).status_code == 422
    )
    changed = POLICY.replace("Monthly updates", "Every month")
    admin.post("/planning-policies/edit/monthly", data={"document": changed})
    assert "Monthly updates" in admin.get("/planning-policies/show/monthly?version=1").text
    assert "monthly" in admin.get("/policies").text

    made = admin.post("/planning-policies/plan/monthly")
    page = text(admin.get(made.headers["Location"]))
    assert "Every month" in page
    assert "Made by policy monthly 2" in page
    assert "1 host covers 100 % of 2 changes" in page
    assert admin.get("/planning-policies/show/none").status_code == 404


def test_breaking_the_glass_is_asked_marked_and_reviewed(works, approver, admin, person):
    plan_id = works.create()
    asked = text(approver.get(f"/plans/{plan_id}/break-glass"))
    assert "without its approvals" in asked
    assert approver.post(f"/plans/{plan_id}/break-glass", data={}).status_code == 422
    approver.post(f"/plans/{plan_id}/break-glass", data={"reason": "exploited now"})

    page = text(approver.get(f"/plans/{plan_id}/changes"))
    assert f"Started without its approvals by {person(Role.APPROVER)}" in page
    assert "Sign the review" not in page
    assert "Awaits review:" in approver.get("/").text
    assert "Sign the review" in admin.get(f"/plans/{plan_id}/changes").text
    admin.post(f"/plans/{plan_id}/review", data={"reason": "it was right"})
    assert "it was right" in text(approver.get(f"/plans/{plan_id}/changes"))
    assert "Awaits review:" not in approver.get("/").text


def test_a_newer_plan_offers_to_replace_the_older(works, operator):
    old, new = works.create(title="old"), works.create(title="new")

    assert f"Replace plan {old}" in operator.get(f"/plans/{new}/changes").text
    operator.post(f"/plans/{new}/supersede", data={"plan": str(old)})
    assert "took its place" in text(operator.get(f"/plans/{old}/changes"))
    assert operator.post(f"/plans/{new}/supersede", data={"plan": "x"}).status_code == 404


@pytest.mark.parametrize(
    "path",
    [
        "/holds",
        "/policies",
        "/planning-policies/show/monthly",
        "/plans/2/changes",
        "/plans/2/risks",
        "/",
    ],
)
def test_pages_ask_at_most_twelve_questions(works, admin, statements, path):
    works.started()
    works.create()
    holds.add(
        works.db,
        Hold("openssl", reason="bad"),
        expires_at=works.clock().replace(year=2027, month=1),
        actor="ann",
        role=Role.ADMIN,
        now=works.clock(),
    )
    admin.post("/planning-policies/new", data={"document": POLICY})
    statements.clear()

    assert admin.get(path).status_code == 200
    assert len(statements) <= 12, statements


def test_programs_do_all_of_it_too(works, program):
    operator, approver, admin = (
        program(role) for role in (Role.OPERATOR, Role.APPROVER, Role.ADMIN)
    )
    taken_first = {"kind": "planning", "name": "weekly", "targets": "at-least"}
    taken = admin(
        "PUT",
        "/policies/document",
        json={"document": taken_first},
    )
    assert taken.json == {"kind": "planning", "name": "weekly", "version": 1}
    assert operator("GET", "/policies/weekly/document").json["kind"] == "planning"
    admin("PUT", "/policies/document", json={"document": {"kind": "planning", "name": "weekly"}})
    admin("PUT", "/policies/document", json={"document": taken_first})
    (*_, first) = operator("GET", "/planning-policies/weekly/versions").json
    assert (first["version"], first["made_by"]) == (1, "token:admin-program")
    older = "/policies/weekly/document?version={}"
    assert [
        operator("GET", older.format(version)).json.get("targets") for version in (1, 2, 3, 4)
    ] == ["at-least", "exact", "at-least", None]
    (listed,) = operator("GET", "/planning-policies").json
    assert (listed["name"], listed["next_due"]) == ("weekly", None)

    old = operator("POST", "/plans", json={"policy": "weekly"}).json
    assert (old["policy"], old["terms"]["targets"]) == ("weekly 3", "at-least")
    both = {"policy": "weekly", "approvals_needed": 2}
    assert operator("POST", "/plans", json=both).status_code == 422
    other = operator("POST", "/plans", json={"policy": "pci-dss-6.3.3"})
    assert (other.status_code, "is not in force" in other.text) == (422, True)
    dated = operator("POST", "/plans", json={"policy": "severity", "approvals_needed": 2}).json
    assert "negligible" not in dated["selection"]["severities"]
    assert (dated["policy"], dated["approvals_needed"]) == ("", 2)
    operator("POST", f"/plans/{dated['id']}/cancel", json={"reason": "only to see"})
    terms = {"approvers": ["role:admin"], "approval_valid": "48h"}
    new = operator("POST", "/plans", json={"terms": terms}).json
    assert new["terms"] == {
        "targets": "exact",
        "execution": "manual",
        "include_held": False,
        "approvers": ["role:admin"],
        "approval_valid": "48h",
    }
    assert new["contains"] == [old["id"]]
    operator("POST", f"/plans/{new['id']}/supersede", json={"plan": old["id"]})
    assert operator("GET", f"/plans/{old['id']}").json["superseded_by"] == new["id"]
    edited = operator("POST", f"/plans/{new['id']}/edit", json={"terms": {"targets": "at-least"}})
    assert (edited.json["terms"]["targets"], edited.json["terms"]["approval_valid"]) == (
        "at-least",
        "48h",
    )
    one_at_a_time = {"groups": [{"by": "site"}]}
    grouped = operator("POST", f"/plans/{new['id']}/edit", json=one_at_a_time).json
    assert [(one["by"], one["max_unavailable"]) for one in grouped["groups"]] == [("site", 1)]
    late = {"approvals_needed": 3, "content_hash": new["content_hash"]}
    refused = operator("POST", f"/plans/{new['id']}/edit", json=late)
    assert (refused.status_code, "has changed" in refused.text) == (409, True)
    kept = operator("POST", f"/plans/{new['id']}/edit", json={"approvals_needed": 2}).json
    assert kept["groups"] == grouped["groups"]
    (change, *_) = operator("GET", f"/plans/{new['id']}/changes").json["items"]
    assert (change["history"]["is_first"], change["held"]) == (True, "")

    started = approver("POST", f"/plans/{new['id']}/break-glass", json={"reason": "now"}).json
    assert (started["state"], started["break_glass"]["reviewed_by"]) == ("running", "")
    reviewed = admin("POST", f"/plans/{new['id']}/review", json={"reason": "fine"}).json
    assert reviewed["break_glass"]["comment"] == "fine"

    body = {"package": "openssl", "reason": "bad", "expires_at": "2026-04-01T00:00:00Z"}
    held = operator("POST", "/holds", json=body).json
    assert (held["state"], held["id"]) == ("in_force", 1)
    assert operator("GET", "/holds").json["items"][0]["package"] == "openssl"
    assert operator("POST", "/holds/1/confirm").status_code == 409
    assert operator("POST", "/holds/1/revoke", json={"reason": "x"}).json["state"] == "revoked"
    assert operator("GET", "/holds/1").json["revoke_reason"] == "x"
