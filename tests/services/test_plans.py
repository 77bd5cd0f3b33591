"""Plans from findings, and who may decide about them."""

from dataclasses import replace
from datetime import timedelta
from functools import partial

import pytest
from sqlalchemy import delete, insert, literal, select, update

from patchmgr.db import models
from patchmgr.db.queries import plan_content, plan_lists, plan_progress
from patchmgr.db.queries import plans as queries
from patchmgr.domain.accounts import Role
from patchmgr.domain.groups import GroupSettings
from patchmgr.domain.plans import Selection
from patchmgr.domain.rings import DEFAULT_RINGS, RingSettings
from patchmgr.domain.windows import Window
from patchmgr.errors import (
    ConflictError,
    ForbiddenError,
    IllegalTransitionError,
    InputError,
    NotFoundError,
)
from patchmgr.services import audit, contents, plan_drafts, windows

HOUR = timedelta(hours=1)


def changes(fleet, plan_id):
    with fleet.db.reading() as session:
        lines = plan_content.changes(session, plan_id, limit=100).lines
    return {line.package: line for line in lines}


def test_a_plan_closes_what_is_open_and_says_what_it_cannot(fleet):
    plan_id = fleet.create()
    detail = fleet.get(plan_id)
    with fleet.db.reading() as session:
        left = plan_content.reasons(session, plan_id)

    found = changes(fleet, plan_id)
    assert set(found) == {"openssl", "libssl3", "curl"}
    assert found["libssl3"].from_version == "3.0.15-1~deb12u1"
    assert (found["libssl3"].to_version, found["libssl3"].match) == ("3.0.17-1~deb12u2", "source")
    assert found["openssl"].advisories == ("CVE-2026-1001", "CVE-2026-1002")
    assert found["openssl"].hosts == 5
    assert detail.summary["findings"] == 5 * (2 + 2 + 1)
    assert detail.due is not None
    assert {ring.name: ring.hosts for ring in detail.rings} == {"canary": 2, "broad": 3}
    assert left["the vendor has published no fix"] == (1, 5)
    assert any(reason.startswith("its name carries a version") for reason in left)


def test_packages_of_one_source_move_together(fleet):
    found = changes(fleet, fleet.create(selection=Selection(packages=("libssl3",))))

    assert set(found) == {"libssl3", "openssl"}


def test_a_plan_for_one_cve_goes_to_the_version_that_closes_it(fleet):
    found = changes(fleet, fleet.create(selection=Selection(cves=("CVE-2026-1001",))))

    assert {line.to_version for line in found.values()} == {"3.0.17-1~deb12u1"}
    assert found["openssl"].advisories == ("CVE-2026-1001",)


def test_a_plan_can_be_for_some_hosts(fleet):
    detail = fleet.get(fleet.create(selection=Selection(hosts=("B1",))))

    assert detail.summary["hosts"] == 1


def test_held_packages_stay_and_are_said(fleet):
    with fleet.db.writing() as session:
        session.execute(
            update(models.Host).where(models.Host.hostname == "b1").values(held=["libssl3"])
        )
    plan_id = fleet.create()
    with fleet.db.reading() as session:
        left = plan_content.reasons(session, plan_id)

    assert left["held on the host"] == (1, 1)
    assert left["moves together with libssl3, which is held on the host"] == (1, 1)
    assert changes(fleet, plan_id)["openssl"].hosts == 4


@pytest.mark.parametrize(
    "selection",
    [
        Selection(advisories=("DSA-0",)),
        Selection(cves=("CVE-1",)),
        Selection(packages=("nginx",)),
        Selection(hosts=("b9",)),
    ],
)
def test_what_nobody_has_heard_of_is_refused(fleet, selection):
    with pytest.raises(NotFoundError):
        fleet.create(selection=selection)

    assert fleet.rows(models.Plan) == []


def test_nothing_to_plan_is_said_with_the_reason(fleet):
    with pytest.raises(ConflictError, match="no open finding is what was asked for"):
        fleet.create(selection=Selection(packages=("bash",)))
    with pytest.raises(ConflictError, match="the vendor has published no fix"):
        fleet.create(selection=Selection(cves=("CVE-2026-2002",)))


def test_a_host_whose_window_does_not_exist_is_left_out_and_named(fleet):
    with fleet.db.writing() as session:
        session.execute(
            update(models.Host).where(models.Host.hostname == "b1").values(window="nowhere")
        )
    detail = fleet.get(fleet.create())

    assert detail.summary["hosts"] == 4
    assert detail.summary["left_out"] == [
        {"host": "b1", "reason": "its maintenance window 'nowhere' does not exist"}
    ]
    with pytest.raises(InputError, match="there is no maintenance window 'nowhere'"):
        fleet.create(rings=[RingSettings("all", window="nowhere")])


def test_the_default_rings_hold_every_host(fleet):
    detail = fleet.get(fleet.create(rings=DEFAULT_RINGS))

    assert {ring.name: ring.hosts for ring in detail.rings} == {
        "canary": 3,
        "early": 1,
        "broad": 1,
    }


def test_the_stored_content_has_the_hash_of_the_plan(fleet):
    plan_id = fleet.create()
    with fleet.db.reading() as session:
        stored = contents.stored(session, plan_id).hash

    assert stored == fleet.get(plan_id).content_hash
    assert len(stored) == 64


TAMPERINGS = {
    "a version": update(models.PlanChange).values(to_version="9"),
    "what it closes": update(models.PlanChange).values(advisories=[]),
    "a host less": delete(models.PlanItem).where(models.PlanItem.id == 1),
    "another window": update(models.Task).where(models.Task.id == 1).values(window="other"),
    "another ring": update(models.Task).where(models.Task.id == 1).values(ring_id=2),
    "fewer approvals": update(models.Plan).values(approvals_needed=0),
    **{
        f"a change's {name}": update(models.PlanChange)
        .where(models.PlanChange.id == 1)
        .values({name: value})
        for name, value in {
            "platform": "debian:11",
            "manager": "apk",
            "package": "other",
            "arch": "i386",
            "source": "other",
            "from_version": "3.0.15-1~deb12u2",
            "match": "binary",
            "severity": 0,
        }.items()
    },
    "a change more": insert(models.PlanItem).values(plan_id=1, host_id=2, change_id=1),
    "an item of another host": update(models.PlanItem)
    .where(models.PlanItem.id == 1)
    .values(host_id=2),
    "a host more": insert(models.Task).from_select(
        [column.key for column in models.Task.__table__.c if column.key != "id"],
        select(
            *(
                literal(2).label("host_id") if column.key == "host_id" else column
                for column in models.Task.__table__.c
                if column.key != "id"
            )
        ).where(models.Task.id == 1),
    ),
    "another host's turn": update(models.Task).where(models.Task.id == 1).values(host_id=2),
    "a ring's settings": update(models.Ring)
    .where(models.Ring.id == 1)
    .values(settings=RingSettings("canary", fields={"ring": "canary"}, max_failures=9).to_json()),
    "the order of rings": update(models.Ring).values(position=5 - models.Ring.position),
    "what the windows were": update(models.Plan).values(
        windows={"n": Window("n", "FREQ=DAILY", HOUR, "UTC").to_json()}
    ),
    "which versions are good": update(models.Plan).values(terms={}),
    "who must approve": update(models.Plan).values(
        terms={"targets": "exact", "approvers": ["eve"]}
    ),
    "how long an approval holds": update(models.Plan).values(
        terms={"targets": "exact", "approval_valid": "400h"}
    ),
    "held packages": update(models.Plan).values(terms={"targets": "exact", "include_held": True}),
    "its own hash": update(models.Plan).values(content_hash="0" * 64),
    "what was approved": update(models.Approval).values(content_hash="0" * 64),
}


@pytest.mark.parametrize("statement", TAMPERINGS.values(), ids=TAMPERINGS)
def test_a_plan_whose_content_was_changed_by_any_path_cannot_start(sqlite_fleet, statement):
    plan_id = sqlite_fleet.create(selection=Selection(hosts=("c1", "b1")))
    sqlite_fleet.do("propose", plan_id)
    sqlite_fleet.do("approve", plan_id, actor="bob")
    with sqlite_fleet.db.writing() as session:
        assert session.execute(statement).rowcount > 0

    with pytest.raises(ConflictError):
        sqlite_fleet.do("start", plan_id)
    assert sqlite_fleet.get(plan_id).state == "approved"


def test_a_ring_does_not_begin_on_content_that_was_changed(fleet):
    plan_id = fleet.started()
    with fleet.db.writing() as session:
        session.execute(update(models.PlanChange).values(to_version="9"))
    fleet.now += HOUR
    fleet.inventory({name: _tampered(fleet) for name in ("c1", "c2")})
    fleet.tick()
    fleet.tick(3 * HOUR)
    detail = fleet.get(plan_id)

    assert detail.state == "halted"
    assert "not what was approved" in detail.reason
    assert fleet.states(plan_id)["b1"] == "queued"


def test_an_author_cannot_approve_nor_an_operator(fleet):
    plan_id = fleet.create()
    fleet.do("propose", plan_id)

    with pytest.raises(ForbiddenError, match="ann made, edited or proposed this plan"):
        fleet.do("approve", plan_id, actor="ann")
    with pytest.raises(ForbiddenError, match="needs the role approver"):
        fleet.do("approve", plan_id, actor="bob", role=Role.OPERATOR)
    with pytest.raises(ForbiddenError, match="needs the role operator"):
        fleet.do("propose", plan_id, role=Role.VIEWER)
    assert fleet.rows(models.Approval) == []


def test_approvals_fall_when_rings_change_and_the_difference_is_shown(fleet):
    plan_id = fleet.create()
    fleet.do("propose", plan_id)
    fleet.do("approve", plan_id, actor="bob", comment="fine")
    before = fleet.get(plan_id)
    changed = plan_drafts.edit(
        fleet.db,
        plan_id,
        rings=[replace(r.settings, soak=r.settings.soak + HOUR) for r in before.rings],
        actor="cid",
        role=Role.OPERATOR,
        now=fleet.now,
    )
    after = fleet.get(plan_id)

    assert changed == ("ring canary: soak 2h -> 3h", "ring broad: soak 0m -> 1h")
    assert after.changed == changed
    assert after.content_hash != before.content_hash
    assert (after.state, after.approvals_given) == ("proposed", 0)
    assert after.approvals[0].void_reason == "cid changed the plan"
    with pytest.raises(ConflictError, match="the plan has changed"):
        fleet.do("approve", plan_id, actor="bob", content_hash=before.content_hash)
    with pytest.raises(ForbiddenError, match="cid made, edited or proposed"):
        fleet.do("approve", plan_id, actor="cid")
    fleet.do("approve", plan_id, actor="bob", content_hash=after.content_hash)
    fleet.do("start", plan_id)
    assert fleet.states(plan_id)["c1"] == "leased"


def test_names_that_nobody_has_are_said_when_a_plan_is_made_and_when_it_is_edited(fleet):
    rest = RingSettings("rest")
    slip = RingSettings("first", hosts=("C1", "b1", "c11"))
    plan_id = fleet.create((slip, rest), Selection(hosts=("c1", "c2")))
    made = fleet.get(plan_id).summary["unmatched"]
    fleet.do("edit", plan_id, rings=(rest,), groups=(GroupSettings("racks", by="rack"),))

    assert made == ["ring first: there is no host c11"]  # b1 is one, that the plan does not have
    said = ["group racks: no host of the plan is in it"]
    assert fleet.get(plan_id).summary["unmatched"] == said


def test_an_edit_that_changes_nothing_keeps_the_approvals(fleet):
    plan_id = fleet.create()
    fleet.do("propose", plan_id)
    fleet.do("approve", plan_id, actor="bob")
    rings = [ring.settings for ring in fleet.get(plan_id).rings]

    assert (
        plan_drafts.edit(
            fleet.db, plan_id, rings=rings, actor="cid", role=Role.OPERATOR, now=fleet.now
        )
        == ()
    )
    assert fleet.get(plan_id).state == "approved"


def test_a_running_plan_cannot_be_edited(fleet):
    plan_id = fleet.started()

    with pytest.raises(IllegalTransitionError):
        plan_drafts.edit(
            fleet.db,
            plan_id,
            approvals_needed=2,
            actor="ann",
            role=Role.OPERATOR,
            now=fleet.now,
        )


def test_two_people_must_agree_where_two_are_asked_for(fleet):
    plan_id = fleet.create(approvals_needed=2)
    fleet.do("propose", plan_id)
    fleet.do("approve", plan_id, actor="bob")
    with pytest.raises(IllegalTransitionError):
        fleet.do("start", plan_id)
    fleet.do("approve", plan_id, actor="cid")

    assert fleet.get(plan_id).state == "approved"


def test_who_could_approve_sees_it(fleet):
    plan_id = fleet.create()
    fleet.do("propose", plan_id)

    def waiting(name):
        with fleet.db.reading() as session:
            return [line.id for line, _ in plan_lists.awaiting_approval(session, name)]

    assert (waiting("ann"), waiting("bob")) == ([], [plan_id])
    fleet.do("approve", plan_id, actor="bob")
    assert waiting("bob") == []


def test_a_rejected_plan_is_over_and_its_hosts_wait_for_nothing(fleet):
    plan_id = fleet.create()
    fleet.do("propose", plan_id)
    fleet.do("reject", plan_id, actor="bob", reason="not this week")
    detail = fleet.get(plan_id)

    assert (detail.state, detail.reason, detail.live) == ("rejected", "not this week", 0)
    assert set(fleet.states(plan_id).values()) == {"cancelled"}
    assert detail.commands == ()


def test_a_proposal_nobody_answers_expires(fleet):
    plan_id = fleet.create()
    fleet.do("propose", plan_id)
    fleet.tick(timedelta(days=7))

    assert fleet.get(plan_id).state == "expired"
    assert fleet.get(plan_id).live == 0


def test_every_decision_is_audited_in_the_chain(fleet):
    plan_id = fleet.started()
    fleet.do("pause", plan_id, reason="lunch")
    fleet.do("resume", plan_id)
    fleet.do("cancel", plan_id, reason="enough")

    entries = fleet.rows(models.AuditEntry)
    said = [(e.action, e.actor) for e in entries if e.subject == f"plan {plan_id}"]
    assert ("rollout.ring_rolling", "patchmgr") in said
    assert [one for one in said if one[0].startswith("plan.")] == [
        ("plan.create", "ann"),
        ("plan.propose", "ann"),
        ("plan.approve", "bob"),
        ("plan.start", "ann"),
        ("plan.pause", "ann"),
        ("plan.resume", "ann"),
        ("plan.cancel", "ann"),
    ]
    with fleet.db.reading() as session:
        assert audit.first_broken(session) is None
        kinds = [line.kind for line in plan_progress.events(session, plan_id).lines]
    assert kinds[-3:] == ["approval", "proposed", "created"]


def test_windows_are_frozen_into_the_plan(fleet):
    night = Window("night", "FREQ=DAILY;BYHOUR=1", 4 * HOUR, "Europe/Berlin")
    windows.add(fleet.db, night, actor="ann", role=Role.OPERATOR, now=fleet.now)
    with pytest.raises(ConflictError, match="already"):
        windows.add(fleet.db, night, actor="ann", role=Role.OPERATOR, now=fleet.now)
    plan_id = fleet.started(rings=[RingSettings("all", window="night", soak=HOUR)])
    with fleet.db.writing() as session:
        session.execute(update(models.Window).values(rrule="FREQ=HOURLY"))
    fleet.tick()

    assert fleet.get(plan_id).windows["night"]["rrule"] == "FREQ=DAILY;BYHOUR=1"
    assert set(fleet.states(plan_id).values()) == {"queued"}
    fleet.tick(timedelta(hours=15))  # 00:30 UTC is 01:30 in Berlin
    assert set(fleet.states(plan_id).values()) == {"leased"}


def _tampered(fleet):
    return tuple(
        (name, "9", source, "9") if source in ("openssl", "curl") else (name, version, source, sv)
        for name, version, source, sv in (
            ("openssl", "", "openssl", ""),
            ("libssl3", "", "openssl", ""),
            ("curl", "", "curl", ""),
            ("bash", "5.2.15-2", "bash", "5.2.15-2"),
        )
    )


def paged(read, **more):
    """Return every line of a listing, a page of two at a time, and the total it states."""
    lines, cursor = [], ""
    while True:
        page = read(limit=2, cursor=cursor, **more)
        lines += page.lines
        if page.next is None:
            return lines, page.total
        cursor = page.next


def test_listings_go_on_where_a_page_ended_and_can_be_searched(sqlite_fleet, statements):
    fleet = sqlite_fleet
    plan_id = fleet.started()
    fleet.create(title="only curl", selection=Selection(packages=("curl",)))
    with fleet.db.reading() as session:

        def of(query, **more):
            return paged(partial(query, session, plan_id), **more)

        assert [line.package for line in of(plan_content.changes)[0]] == [
            "libssl3",
            "openssl",
            "curl",
        ]
        assert of(plan_content.changes, search="CURL")[1] == 1
        assert [line.host for line in of(plan_content.hosts)[0]] == ["c1", "c2", "b1", "b2", "b3"]
        assert [line.host for line in of(plan_content.hosts, ring="canary")[0]] == ["c1", "c2"]
        first = of(plan_content.hosts, search="b2")[0][0]
        assert [change.package for change in first.changes] == ["curl", "libssl3", "openssl"]
        assert of(plan_content.exclusions)[1] == 2
        assert of(plan_content.exclusions, search="no fix")[1] == 1
        assert of(plan_progress.events, tasks=True)[1] > of(plan_progress.events)[1]
        lines, total = paged(partial(plan_lists.listing, session))
        assert ([line.id for line in lines], total) == ([2, 1], 2)
        assert paged(partial(plan_lists.listing, session), search="ONLY")[1] == 1
        assert paged(partial(plan_lists.listing, session), states=["running"])[0][0].id == plan_id

        statements.clear()
        queries.get(session, plan_id, now=fleet.now)
        plan_progress.tasks(session, plan_id)
        plan_progress.events(session, plan_id)
        assert len(statements) <= 12


def test_a_page_asked_for_with_a_made_up_cursor_is_refused(sqlite_fleet):
    plan_id = sqlite_fleet.create()
    with sqlite_fleet.db.reading() as session, pytest.raises(InputError, match="cursor"):
        plan_content.changes(session, plan_id, cursor="nonsense")


def test_a_ring_that_waits_for_its_own_approval_is_shown_to_who_could_give_it(fleet):
    rings = [RingSettings("canary", fields={"ring": "canary"}, needs_approval=True),
             RingSettings("rest")]  # fmt: skip
    plan_id = fleet.started(rings=rings)

    def waiting(name):
        with fleet.db.reading() as session:
            return [(line.id, ring) for line, ring in plan_lists.awaiting_approval(session, name)]

    assert fleet.get(plan_id).rings[0].state == "waiting_gate"
    assert fleet.get(plan_id).awaits == "an approver, for ring canary"
    assert (waiting("ann"), waiting("bob")) == ([], [(plan_id, "canary")])
    fleet.do("approve", plan_id, actor="bob", ring="canary")
    assert waiting("bob") == []
    assert fleet.states(plan_id)["c1"] == "leased"
