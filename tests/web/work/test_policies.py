"""Policies in the console and for programs: what is in force, what was, what could be."""

import pytest

from patchmgr.domain.accounts import Role
from patchmgr.domain.advisories import Severity
from patchmgr.domain.urgency import Policy, Row
from patchmgr.domain.urgency_presets import PRESETS
from patchmgr.services import policies

STRICT = Policy(
    "strict",
    1,
    (
        Row("exposed", {"exposure": ("public",), "severity": ("critical", "high")}, 2, "Two days"),
        Row("else", {}, None, "Whenever"),
    ),
)


@pytest.fixture
def strict(works):
    """The default was in force, then another policy."""
    policies.ensure_default(works.db, now=works.clock())
    works.pass_time()
    policies.adopt(works.db, STRICT, actor="ann", now=works.clock())


def test_the_table_in_force_has_a_column_for_each_input_that_it_asks_for(strict, operator):
    page = operator.get("/policies").text

    assert "strict, version 1" in page
    for heading in ("Severity", "Exposure", "Days", "Meaning"):
        assert f'<th scope="col">{heading}' in page or f'class="num">{heading}' in page
    assert "Known exploited" not in page
    assert page.count('<span class="muted">any</span>') == 2
    assert "no due date" in page


def test_a_version_that_was_in_force_keeps_its_page(strict, operator):
    page = operator.get("/policies/1").text

    assert "Critical: within 7 days" in page
    assert "In force" not in page


def test_an_admin_puts_another_policy_in_force_after_being_told_what_it_means(strict, admin):
    asked = admin.get("/policies/severity/activate").text
    assert "Due dates of open findings change at once" in asked

    admin.post("/policies/severity/activate")

    assert "severity, version 2" in admin.get("/policies").text
    assert "policy.activate" in admin.get("/admin/audit").text


def test_nobody_else_is_offered_it_or_may(strict, client):
    approver = client(Role.APPROVER)

    assert "Put in force" not in approver.get("/policies").text
    assert approver.post("/policies/severity/activate").status_code == 403


@pytest.mark.parametrize(
    "address", ["/policies/99", "/policies/preset/odd", "/policies/odd/activate"]
)
def test_a_policy_that_does_not_exist_is_not_found(works, admin, address):
    assert admin.get(address).status_code == 404


def test_a_program_lists_and_activates_policies(strict, works, app):
    headers = {"Authorization": f"Bearer {works.token(Role.ADMIN)}"}
    browser = app.test_client()

    before = browser.get("/api/v1/policies", headers=headers).json
    after = browser.post("/api/v1/policies/severity/activate", headers=headers).json

    assert [(one["name"], one["active"]) for one in before] == [
        ("strict", True),
        *((name, False) for name in PRESETS),
    ]
    assert [one["name"] for one in after if one["active"]] == ["severity"]
    assert before[0]["rows"][0]["when"]["severity"] == [Severity.CRITICAL.word, Severity.HIGH.word]
