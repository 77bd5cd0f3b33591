"""Holds, policies, and a plan with everything to say, in a real browser: axe, and no overflow."""

import pytest

from patchmgr.domain.accounts import Role
from patchmgr.domain.holds import Hold
from patchmgr.domain.planning_policies import from_json
from patchmgr.services import holds, planning_policies, superseding

POLICY = {
    "kind": "planning",
    "name": "monthly",
    "approval": {"approvers": ["role:admin", "somebody"]},
    "rings": [{"name": "canary", "representative": 1}, {"name": "rest"}],
    "schedule": {"every": "patch-tuesday", "weekday": "thursday"},
}


@pytest.fixture
def decided(works):
    """A plan by a policy that could replace an older one, one that was not approved, and a hold."""
    acts = {"actor": "ann", "role": Role.ADMIN, "now": works.clock()}
    planning_policies.adopt(works.db, from_json(POLICY), **acts)
    works.create(title="the older")
    newer = planning_policies.create_plan(works.db, "monthly", **acts)
    broken = works.create(title="urgent")
    superseding.break_glass(works.db, broken, reason="it is exploited", **acts)
    holds.add(
        works.db,
        Hold("openssl", ">=3.0.17-1~deb12u2,<3.0.18", reason="breaks TLS"),
        expires_at=works.clock().replace(month=4),
        **acts,
    )
    works.do("propose", newer)
    return newer, broken


def test_axe_finds_nothing_and_nothing_overflows(decided, open_page, faults):
    newer, broken = decided
    page = open_page(Role.ADMIN)
    paths = ("/holds", "/holds/new", "/holds/1/revoke", "/policies", "/planning-policies/new",
             "/planning-policies/show/monthly", "/planning-policies/edit/monthly",
             f"/plans/{newer}/changes", f"/plans/{newer}/risks", f"/plans/{newer}/break-glass",
             f"/plans/{broken}", "/")  # fmt: skip
    found = []

    for path in paths:
        page.goto(path)
        found += faults(page)

    assert not found, "\n".join(found)
    assert page.complaints == []
