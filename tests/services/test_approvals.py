"""Who must agree, for how long that holds, and what happens without it."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from threading import Barrier

import pytest
from sqlalchemy import update

from patchmgr.db import models
from patchmgr.db.queries import plan_lists, plan_progress, report_plans
from patchmgr.domain.accounts import Role
from patchmgr.domain.plans import Selection
from patchmgr.domain.rings import RingSettings
from patchmgr.domain.terms import Targets, Terms
from patchmgr.errors import (
    ConflictError,
    ForbiddenError,
    IllegalTransitionError,
    InputError,
    NotFoundError,
)
from patchmgr.services import accounts, approvals, plan_drafts, superseding, tokens

DAY = timedelta(days=1)


def break_glass(fleet, plan_id, actor="ann", role=Role.APPROVER, reason="exploited now"):
    superseding.break_glass(fleet.db, plan_id, reason=reason, actor=actor, role=role, now=fleet.now)


def review(fleet, plan_id, actor="cid", role=Role.APPROVER, comment="it was right"):
    approvals.review(fleet.db, plan_id, comment=comment, actor=actor, role=role, now=fleet.now)


def awaiting(fleet, name, role):
    with fleet.db.reading() as session:
        return [line.id for line, _ in plan_lists.awaiting_approval(session, name, role)]


def test_only_those_who_are_asked_can_approve(sqlite_fleet):
    fleet = sqlite_fleet
    plan_id = fleet.create(terms=Terms(approvers=("bob", "role:admin")))
    fleet.do("propose", plan_id)

    with pytest.raises(ForbiddenError, match="it must be bob, or anybody with the role admin"):
        fleet.do("approve", plan_id, actor="cid", role=Role.APPROVER)
    assert awaiting(fleet, "cid", "approver") == []
    assert awaiting(fleet, "cid", "admin") == awaiting(fleet, "bob", "approver") == [plan_id]
    fleet.do("approve", plan_id, actor="bob", role=Role.APPROVER)
    assert fleet.get(plan_id).state == "approved"


def test_a_plan_that_too_few_people_could_approve_is_refused(sqlite_fleet):
    fleet = sqlite_fleet
    two, own = Terms(approvers=("bob", "cid")), Terms(approvers=("ann",))
    ring = RingSettings("all", needs_approval=True, approvals=2, approvers=("bob",))

    for why, asked in (
        ("only bob, cid can", {"terms": two, "approvals_needed": 3}),
        ("nobody can", {"terms": own}),  # she makes it
        ("approvers of ring 'all': 2 must agree", {"rings": (ring,)}),
    ):
        with pytest.raises(InputError, match=why):
            fleet.create(**asked)
    plan_id = fleet.create(terms=two, approvals_needed=2)
    with pytest.raises(InputError, match="only cid can"):
        fleet.do("edit", plan_id, actor="bob", approvals_needed=2)


def test_who_proposes_or_edits_what_another_made_cannot_approve_it(fleet):
    proposed, edited = fleet.create(), fleet.create()
    fleet.do("propose", proposed, actor="bob")
    fleet.do("propose", edited)
    fleet.do("edit", edited, actor="bob", approvals_needed=2)
    fleet.do("edit", edited, actor="cid", approvals_needed=1)

    for plan_id, author in ((proposed, "bob"), (proposed, "ann"), (edited, "bob"), (edited, "cid")):
        with pytest.raises(ForbiddenError, match="made, edited or proposed this plan"):
            fleet.do("approve", plan_id, actor=author)
    assert awaiting(fleet, "bob", "approver") == []
    fleet.do("approve", proposed, actor="dan")
    fleet.do("start", proposed)
    assert fleet.get(proposed).state == "running"


def test_a_ring_can_ask_for_several_people_of_its_own(sqlite_fleet):
    fleet = sqlite_fleet
    rings = (
        RingSettings(
            "canary",
            fields={"ring": "canary"},
            needs_approval=True,
            approvals=2,
            approvers=("role:approver",),
        ),
        RingSettings("rest"),
    )
    plan_id = fleet.started(rings=rings)
    fleet.do("approve", plan_id, actor="bob", ring="canary")
    assert fleet.states(plan_id)["c1"] == "queued"
    with pytest.raises(ConflictError, match="approved this already"):
        fleet.do("approve", plan_id, actor="bob", ring="canary")
    fleet.do("approve", plan_id, actor="cid", ring="canary")

    assert fleet.states(plan_id)["c1"] == "leased"


def test_an_approval_lapses_and_the_plan_cannot_start_on_it(sqlite_fleet):
    fleet = sqlite_fleet
    plan_id = fleet.create(terms=Terms(approval_valid=DAY))
    fleet.do("propose", plan_id)
    fleet.do("approve", plan_id, actor="bob")
    fleet.now += DAY

    with pytest.raises(ConflictError, match="has lapsed; it needs 1 approval"):
        fleet.do("start", plan_id)
    fleet.tick()
    detail = fleet.get(plan_id)
    assert detail.state == "expired"
    assert detail.approvals[0].void_reason == "it was valid for 1 d"


def test_of_two_approvals_the_first_may_lapse_before_the_second(sqlite_fleet):
    fleet = sqlite_fleet
    plan_id = fleet.create(approvals_needed=2, terms=Terms(approval_valid=DAY))
    fleet.do("propose", plan_id)
    fleet.do("approve", plan_id, actor="bob")
    fleet.now += DAY
    fleet.do("approve", plan_id, actor="cid")
    assert fleet.get(plan_id).state == "proposed"
    fleet.tick()
    fleet.do("approve", plan_id, actor="bob")

    assert fleet.get(plan_id).state == "approved"


def test_a_rings_own_approval_lapses_until_the_ring_begins(fleet):
    guarded = RingSettings("broad", needs_approval=True)
    canary = RingSettings("canary", fields={"ring": "canary"})
    plan_id = fleet.started(rings=(canary, guarded), terms=Terms(approval_valid=DAY))
    fleet.do("approve", plan_id, actor="bob", ring="broad")
    fleet.tick(DAY)

    assert [one.ring for one in fleet.get(plan_id).approvals if one.void_at] == ["broad"]


def test_other_terms_are_other_content(sqlite_fleet):
    fleet = sqlite_fleet
    plan_id = fleet.create(terms=Terms(targets=Targets.AT_LEAST))
    fleet.do("propose", plan_id)
    fleet.do("approve", plan_id, actor="bob")
    changed = plan_drafts.edit(
        fleet.db,
        plan_id,
        terms=lambda _: Terms(approvers=("bob",), approval_valid=2 * DAY),
        actor="cid",
        role=Role.OPERATOR,
        now=fleet.now,
    )

    assert changed == (
        "target versions at-least -> exact",
        "who must approve: any approver -> bob",
        "an approval is valid for 14 d -> 2 d",
    )
    assert fleet.get(plan_id).state == "proposed"

    def longer(before):
        return replace(before, approval_valid=3 * DAY)

    fleet.do("edit", plan_id, terms=longer)
    assert fleet.get(plan_id).terms.approvers == ("bob",)  # what the editor did not touch stands
    with pytest.raises(InputError, match="make a new one"):
        plan_drafts.edit(
            fleet.db,
            plan_id,
            terms=lambda _: Terms(include_held=True),
            actor="cid",
            role=Role.OPERATOR,
            now=fleet.now,
        )


def test_breaking_the_glass_starts_and_stays_open_until_somebody_else_signs(fleet):
    plan_id = fleet.create()
    with pytest.raises(ForbiddenError, match="needs the role approver"):
        break_glass(fleet, plan_id, role=Role.OPERATOR)
    with pytest.raises(InputError, match="say why"):
        break_glass(fleet, plan_id, reason=" ")
    break_glass(fleet, plan_id)

    assert fleet.get(plan_id).state == "running"
    assert fleet.states(plan_id)["c1"] == "leased"
    with fleet.db.reading() as session:
        assert [row[0] for row in plan_lists.unreviewed(session)] == [plan_id]
        (done,) = report_plans.plans(session, fleet.now - DAY, fleet.now)
        kinds = [line.kind for line in plan_progress.events(session, plan_id).lines]
    assert done.break_glass == "started without its approvals by ann: exploited now; not reviewed"
    assert done.approvals == ()
    assert "running" in kinds
    sent = [one.payload for one in fleet.rows(models.Outbox) if one.kind == "notify"]
    assert [one["kind"] for one in sent] == ["break_glass"]
    reminded = [approvals.remind(fleet.db, now=fleet.now + n * DAY / 2) for n in (0, 1, 2, 3, 4)]
    assert reminded == [0, 0, 1, 0, 1]
    assert "ann 1 d ago, and nobody" in fleet.rows(models.Outbox)[-2].payload["message"]

    with pytest.raises(ForbiddenError, match="somebody who neither made nor started"):
        review(fleet, plan_id, actor="ann")
    with pytest.raises(InputError, match="say what you found"):
        review(fleet, plan_id, comment="")
    review(fleet, plan_id)
    with pytest.raises(ConflictError, match="cid has reviewed it already"):
        review(fleet, plan_id, actor="dan")
    with fleet.db.reading() as session:
        assert plan_lists.unreviewed(session) == []
    assert approvals.remind(fleet.db, now=fleet.now + 9 * DAY) == 0
    assert fleet.get(plan_id).break_glass.reviewed_by == "cid"
    actions = [entry.action for entry in fleet.rows(models.AuditEntry)]
    assert {"plan.break_glass", "plan.review"} <= set(actions)


def test_breaking_the_glass_breaks_nothing_else(sqlite_fleet):
    fleet = sqlite_fleet
    rings = (
        RingSettings("canary", fields={"ring": "canary"}, needs_approval=True),
        RingSettings("rest"),
    )
    plan_id, changed = fleet.create(rings=rings), fleet.create(title="changed")
    break_glass(fleet, plan_id)
    with fleet.db.writing() as session:
        session.execute(
            update(models.PlanChange)
            .where(models.PlanChange.plan_id == changed)
            .values(to_version="9")
        )

    assert fleet.get(plan_id).rings[0].state == "waiting_gate"
    with pytest.raises(ConflictError, match="content is not what it was made of"):
        break_glass(fleet, changed)
    with pytest.raises(IllegalTransitionError):
        break_glass(fleet, plan_id)
    with pytest.raises(ConflictError, match="was not started without"):
        review(fleet, changed)


def supersede(fleet, new, old):
    superseding.supersede(
        fleet.db, new, old, actor="ann", role=Role.OPERATOR, now=fleet.now, reason="newer"
    )


def test_a_newer_plan_that_does_an_older_ones_work_can_replace_it(fleet):
    old = fleet.started()
    fleet.report(old, "c1")
    new = fleet.create()

    assert fleet.get(new).contains == (old,)
    supersede(fleet, new, old)
    detail = fleet.get(old)
    assert (detail.state, detail.superseded_by) == ("superseded", new)
    assert detail.reason == f"plan {new} does its work: newer"
    assert fleet.states(old) == {
        "c1": "installed",
        "c2": "cancelled",
        **dict.fromkeys(("b1", "b2", "b3"), "cancelled"),
    }
    assert fleet.get(new).contains == ()
    with pytest.raises(IllegalTransitionError):
        supersede(fleet, new, old)


def test_of_two_plans_that_replace_each_other_at_once_one_stays_open(fleet):
    numbers = (fleet.create(), fleet.create())
    gate = Barrier(2)

    def replace_it(new, old):
        gate.wait()
        try:
            supersede(fleet, new, old)
        except ConflictError as error:
            return str(error)

    with ThreadPoolExecutor(2) as pool:
        refused = [one for one in pool.map(replace_it, numbers, numbers[::-1]) if one]

    assert len(refused) == 1
    assert sorted(fleet.get(one).state for one in numbers) == ["draft", "superseded"]


def test_approvals_that_fell_because_hosts_moved_say_so(sqlite_fleet):
    fleet = sqlite_fleet
    rings = (RingSettings("canary", fields={"ring": "canary"}), RingSettings("rest"))
    plan_id = fleet.create(rings=rings)
    fleet.do("propose", plan_id)
    fleet.do("approve", plan_id, actor="bob")
    with fleet.db.writing() as session:
        session.execute(
            update(models.Host).where(models.Host.hostname == "b1").values(ring="canary")
        )
    fleet.do("edit", plan_id, actor="cid", rings=rings)

    detail = fleet.get(plan_id)
    assert detail.state == "proposed"
    assert "some hosts stand in another ring" in detail.changed[0]


def test_a_plan_whose_hosts_have_all_begun_is_not_replaced(sqlite_fleet):
    fleet = sqlite_fleet
    old = fleet.started(rings=(RingSettings("all"),))
    fleet.report(old, *fleet.names)
    new = fleet.create()

    with pytest.raises(ConflictError, match="nothing is left that plan"):
        supersede(fleet, new, old)
    assert fleet.get(old).state == "running"


def test_a_plan_that_lacks_some_of_the_work_replaces_nothing(sqlite_fleet):
    fleet = sqlite_fleet
    old = fleet.create()
    fewer = fleet.create(selection=Selection(packages=("curl",)))
    lower = fleet.create(selection=Selection(cves=("CVE-2026-1001",)))

    assert fleet.get(fewer).contains == fleet.get(lower).contains == ()
    for new in (fewer, lower):
        with pytest.raises(ConflictError, match="does not do all that is left"):
            supersede(fleet, new, old)
    with pytest.raises(ConflictError, match="is not an open plan"):
        supersede(fleet, old, old)
    with pytest.raises(NotFoundError):
        supersede(fleet, old, 99)


def test_held_packages_are_changed_when_the_plan_says_so(fleet):
    with fleet.db.writing() as session:
        session.execute(
            update(models.Host).where(models.Host.hostname == "b1").values(held=["libssl3"])
        )
    plan_id = fleet.create(terms=Terms(include_held=True))

    assert fleet.get(plan_id).summary["held_included"] == 1
    assert {line.include_held for line in fleet.work(plan_id, whole=True)} == {True}


NEWER = (
    ("openssl", "3.0.18-1", "openssl", "3.0.18-1"),
    ("libssl3", "3.0.17-1~deb12u2+b1", "openssl", "3.0.17-1~deb12u2"),
    ("curl", "7.88.1-10+deb12u9", "curl", "7.88.1-10+deb12u9"),
)


PLANNED = (
    ("openssl", "3.0.17-1~deb12u2", "openssl", "3.0.17-1~deb12u2"),
    *NEWER[1:],  # a rebuild of the planned source is the planned version
)


@pytest.mark.parametrize(
    ("targets", "state"), [(Targets.EXACT, "installed"), (Targets.AT_LEAST, "verified")]
)
def test_a_newer_version_than_planned_is_verified_only_at_least(fleet, targets, state):
    plan_id = fleet.started(terms=Terms(targets=targets))
    fleet.now += timedelta(hours=1)
    fleet.report(plan_id, "c1")
    fleet.now += timedelta(minutes=1)
    fleet.inventory({"c1": NEWER, "b1": NEWER})
    fleet.tick()

    assert fleet.states(plan_id)["c1"] == state
    fleet.now += timedelta(minutes=1)
    fleet.inventory({"c1": PLANNED})
    fleet.tick(timedelta(minutes=1))
    assert fleet.states(plan_id)["c1"] == "verified"


def test_who_has_a_newer_version_before_its_turn_has_nothing_to_do(sqlite_fleet):
    fleet = sqlite_fleet
    fleet.now += timedelta(hours=1)
    plan_id = fleet.create(terms=Terms(targets=Targets.EXACT))
    fleet.inventory({"c1": NEWER})
    fleet.do("propose", plan_id)
    fleet.do("approve", plan_id, actor="bob")
    fleet.do("start", plan_id)

    assert (fleet.states(plan_id)["c1"], fleet.states(plan_id)["c2"]) == ("skipped", "leased")


@pytest.mark.parametrize(
    ("asked", "role", "falls"),
    [
        ((), None, True),
        ((), Role.OPERATOR, True),
        ((), Role.APPROVER, False),
        (("role:admin",), Role.APPROVER, True),
        (("bob",), Role.APPROVER, False),
        (("bob",), Role.VIEWER, True),
    ],
)
def test_what_somebody_approved_falls_with_the_right_to_approve(sqlite_fleet, asked, role, falls):
    fleet = sqlite_fleet
    by = {"actor": "root", "now": fleet.now}
    accounts.add_user(fleet.db, "bob", Role.ADMIN, "a long enough secret", **by)
    accounts.add_user(fleet.db, "cid", Role.ADMIN, "a long enough secret", **by)
    plan_id = fleet.create(terms=Terms(approvers=asked))
    fleet.do("propose", plan_id)
    fleet.do("approve", plan_id, actor="bob")

    if role is None:
        accounts.disable(fleet.db, "bob", **by)
    else:
        accounts.set_role(fleet.db, "bob", role, **by)

    detail = fleet.get(plan_id)
    assert detail.state == ("proposed" if falls else "approved")
    assert bool(detail.approvals[0].void_reason) is falls
    if falls:
        with pytest.raises(IllegalTransitionError):
            fleet.do("start", plan_id)
        fell = fleet.rows(models.AuditEntry)[-2]
        assert (fell.action, fell.details["by"]) == ("plan.approval_fell", "bob")
        if "bob" not in asked:
            fleet.do("approve", plan_id, actor="cid")
            fleet.do("start", plan_id)


def test_what_was_approved_with_a_token_falls_with_the_last_one_of_its_name(sqlite_fleet):
    fleet = sqlite_fleet
    by = {"actor": "root", "now": fleet.now}
    first, last = (tokens.create(fleet.db, "ci", Role.APPROVER, **by)[0] for _ in range(2))
    plan_id = fleet.create()
    fleet.do("propose", plan_id)
    fleet.do("approve", plan_id, actor="token:ci")

    tokens.revoke(fleet.db, first, **by)
    assert fleet.get(plan_id).state == "approved"

    tokens.revoke(fleet.db, last, **by)
    assert fleet.get(plan_id).state == "proposed"
    assert fleet.get(plan_id).approvals[0].void_reason == "the token ci was revoked"


def test_an_approval_that_fell_and_is_put_back_by_hand_does_not_count(sqlite_fleet):
    fleet = sqlite_fleet
    by = {"actor": "root", "now": fleet.now}
    accounts.add_user(fleet.db, "bob", Role.APPROVER, "a long enough secret", **by)
    plan_id = fleet.create()
    fleet.do("propose", plan_id)
    fleet.do("approve", plan_id, actor="bob")
    accounts.disable(fleet.db, "bob", actor="root", now=fleet.now + DAY)
    with fleet.db.writing() as session:
        session.execute(update(models.Approval).values(void_at=None, void_reason=""))
        session.execute(update(models.Plan).values(state="approved"))

    with pytest.raises(ConflictError, match="not what was approved"):
        fleet.do("start", plan_id)


def test_what_has_begun_on_an_approval_goes_on_and_what_has_not_waits(sqlite_fleet):
    fleet = sqlite_fleet
    guarded = RingSettings("broad", needs_approval=True)
    canary = RingSettings("canary", fields={"ring": "canary"})
    by = {"actor": "root", "now": fleet.now}
    accounts.add_user(fleet.db, "bob", Role.APPROVER, "a long enough secret", **by)
    plan_id = fleet.started(rings=(canary, guarded))
    fleet.do("approve", plan_id, actor="bob", ring="broad")

    accounts.disable(fleet.db, "bob", **by)

    detail = fleet.get(plan_id)
    assert detail.state == "running"
    assert [one.void_reason for one in detail.approvals] == ["", "the account bob was disabled"]


def test_an_author_who_is_struck_out_by_hand_cannot_start_on_the_own_approval(sqlite_fleet):
    fleet = sqlite_fleet
    plan_id = fleet.create()
    fleet.do("propose", plan_id)
    with fleet.db.writing() as session:
        session.execute(update(models.Plan).values(authors=["eve"]))
    fleet.do("approve", plan_id, actor="ann")

    with pytest.raises(ConflictError, match="not what was approved"):
        fleet.do("start", plan_id)
