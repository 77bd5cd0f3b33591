"""Holds: bad versions stay out of later plans, and stop the open ones that have them."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from patchmgr.db import models
from patchmgr.db.queries import holds as queries
from patchmgr.db.queries import plan_content
from patchmgr.domain.accounts import Role
from patchmgr.domain.holds import Hold
from patchmgr.domain.rings import RingSettings
from patchmgr.domain.rollout.events import Acknowledge, Outcome
from patchmgr.domain.rollout.machine import advance
from patchmgr.domain.terms import Targets, Terms
from patchmgr.errors import ConflictError, ForbiddenError, InputError
from patchmgr.services import audit, holds, rollouts
from patchmgr.services.rollout_load import Wanted, load
from patchmgr.services.rollout_store import store
from tests.services.conftest import until_it_waits

DAY = timedelta(days=1)
FIXED = "3.0.17-1~deb12u2"
ALL = (RingSettings("all", max_failures=3),)


def add(fleet, package="openssl", versions=FIXED, platform="debian:12", role=Role.OPERATOR, **more):
    hold = Hold(package, versions, platform, more.pop("reason", "breaks TLS"))
    expires = more.pop("expires_at", fleet.now + 9 * DAY)
    return holds.add(
        fleet.db, hold, expires_at=expires, actor="ann", role=role, now=fleet.now, **more
    )


def lines(fleet, state="current"):
    with fleet.db.reading() as session:
        return queries.listing(session, now=fleet.now, state=state).lines


def planned(fleet, plan_id):
    with fleet.db.reading() as session:
        changes = plan_content.changes(session, plan_id, limit=100).lines
        return {line.package for line in changes}, plan_content.reasons(session, plan_id)


def test_a_held_version_stays_out_of_later_plans_with_what_moves_with_it(fleet):
    number = add(fleet)
    packages, reasons = planned(fleet, fleet.create())

    why = f"known to be bad (hold {number}: breaks TLS)"
    assert packages == {"curl"}
    assert {why, f"moves together with openssl, which is {why}"} >= {
        reason for reason in reasons if "known to be bad" in reason
    }


@pytest.mark.parametrize(
    ("versions", "platform", "targets", "is_held"),
    [
        ("", "", Targets.EXACT, True),
        (">=3.0.17,<3.1", "", Targets.EXACT, True),
        ("0:3.0.17-1~deb12u2", "", Targets.EXACT, True),
        ("3.0.16-1", "", Targets.EXACT, False),
        (">3.0.17-1~deb12u2", "", Targets.EXACT, False),
        ("", "debian:11", Targets.EXACT, False),
        # What takes any newer version takes the bad one too.
        ("3.0.18-1", "", Targets.AT_LEAST, True),
        (">3.0.17-1~deb12u2", "", Targets.AT_LEAST, True),
        (">=3.1,<3.2", "", Targets.AT_LEAST, True),
        ("<=3.0.17-1~deb12u1", "", Targets.AT_LEAST, False),
        (">=3.2,<3.1", "", Targets.AT_LEAST, False),
        ("3.0.18-1", "debian:11", Targets.AT_LEAST, False),
    ],
)
def test_a_hold_is_for_what_it_names(sqlite_fleet, versions, platform, targets, is_held):
    before = sqlite_fleet.create(terms=Terms(targets=targets))
    add(sqlite_fleet, versions=versions, platform=platform)
    after = sqlite_fleet.create(terms=Terms(targets=targets))

    assert ("openssl" not in planned(sqlite_fleet, after)[0]) is is_held
    with sqlite_fleet.db.reading() as session:
        assert bool(queries.of_plan(session, before, sqlite_fleet.now)) is is_held


def test_an_expired_or_revoked_hold_holds_nothing(fleet):
    add(fleet, expires_at=fleet.now + DAY)
    revoked = add(fleet)
    holds.revoke(fleet.db, revoked, reason="fixed", actor="ann", role=Role.OPERATOR, now=fleet.now)
    with pytest.raises(ConflictError, match="revoked already"):
        holds.revoke(fleet.db, revoked, reason="", actor="ann", role=Role.OPERATOR, now=fleet.now)
    fleet.now += 2 * DAY

    assert "openssl" in planned(fleet, fleet.create())[0]
    assert [line.state for line in lines(fleet, "all")] == ["revoked", "expired"]
    assert lines(fleet) == ()


def test_a_plan_with_a_held_version_cannot_start(sqlite_fleet):
    fleet = sqlite_fleet
    plan_id = fleet.create()
    fleet.do("propose", plan_id)
    fleet.do("approve", plan_id, actor="bob")
    add(fleet)

    with pytest.raises(ConflictError, match="known to be bad"):
        fleet.do("start", plan_id)
    fleet.tick()
    assert [signal.kind for signal in fleet.get(plan_id).signals] == ["hold"]


def test_a_running_plan_halts_before_its_next_host_and_a_person_may_let_it_pass(fleet):
    plan_id = fleet.started()
    number = add(fleet)
    fleet.tick()

    assert fleet.get(plan_id).state == "halted"
    assert f"known to be bad (hold {number}" in fleet.get(plan_id).reason
    assert fleet.states(plan_id)["c1"] == "queued"
    fleet.do("acknowledge", plan_id, reason="not on these hosts")
    fleet.tick()
    assert fleet.get(plan_id).state == "running"


def test_what_no_host_waits_for_any_more_does_not_halt(sqlite_fleet):
    fleet = sqlite_fleet
    plan_id = fleet.started(rings=ALL)
    fleet.report(plan_id, *fleet.names)
    add(fleet)
    fleet.tick()

    assert fleet.get(plan_id).state == "running"


def test_several_hosts_that_failed_on_a_package_propose_a_hold(fleet):
    plan_id = fleet.started(rings=ALL)
    fleet.report(plan_id, "b1", "b2", outcome=Outcome.FAILED, package="curl")
    (line,) = lines(fleet)

    assert (line.package, line.versions, line.platform) == (
        "curl",
        "7.88.1-10+deb12u9",
        "debian:12",
    )
    assert (line.state, line.plan_id, line.created_by) == ("proposed", plan_id, "patchmgr")
    later = fleet.create()
    assert "curl" in planned(fleet, later)[0]
    with fleet.db.reading() as session:
        assert queries.of_plan(session, later, fleet.now) == []
        ((change, hold),) = queries.of_plan(session, later, fleet.now, proposed=True)
    assert (change.package, hold.id, hold.is_proposed) == ("curl", line.id, True)
    holds.confirm(fleet.db, line.id, actor="ann", role=Role.OPERATOR, now=fleet.now)
    with pytest.raises(ConflictError, match="in force already"):
        holds.confirm(fleet.db, line.id, actor="ann", role=Role.OPERATOR, now=fleet.now)
    assert "curl" not in planned(fleet, fleet.create())[0]


def test_failures_hold_nothing_where_no_host_failed(sqlite_fleet):
    fleet = sqlite_fleet
    plan_id = fleet.started(rings=ALL)
    with fleet.db.writing() as session:  # as if b3 were of another release
        curl = session.scalars(
            select(models.PlanChange).where(models.PlanChange.package == "curl")
        ).one()
        columns = {one.name: getattr(curl, one.name) for one in models.PlanChange.__table__.columns}
        other = models.PlanChange(**columns | {"id": None, "platform": "debian:11", "hosts": 1})
        session.add(other)
        session.flush()
        b3 = select(models.Host.id).where(models.Host.hostname == "b3").scalar_subquery()
        session.execute(
            update(models.PlanItem)
            .where(models.PlanItem.change_id == curl.id, models.PlanItem.host_id == b3)
            .values(change_id=other.id)
        )
    fleet.report(plan_id, "b1", "b2", outcome=Outcome.FAILED, package="curl")

    assert [line.platform for line in lines(fleet)] == ["debian:12"]


def test_what_a_ring_failed_on_is_held_at_once_and_once(sqlite_fleet):
    fleet = sqlite_fleet
    rings = (RingSettings("canary", fields={"ring": "canary"}, max_failures=2), RingSettings("b"))
    plan_id = fleet.started(rings=rings)
    fleet.report(plan_id, "c1", "c2", outcome=Outcome.FAILED, package="curl")
    assert [line.state for line in lines(fleet)] == ["proposed"]
    fleet.do("acknowledge", plan_id, reason="let us see")
    fleet.tick()
    fleet.tick()

    assert fleet.get(plan_id).rings[0].state == "failed"
    assert [(line.package, line.ring, line.state) for line in lines(fleet)] == [
        ("curl", "canary", "in_force")
    ]
    assert len(fleet.rows(models.PackageHold)) == 1


def test_a_rollout_and_who_confirms_what_it_learns_do_not_wait_for_each_other(fleet):
    rings = (RingSettings("canary", fields={"ring": "canary"}, max_failures=2), RingSettings("b"))
    plan_id = fleet.started(rings=rings)
    fleet.report(plan_id, "c1", "c2", outcome=Outcome.FAILED, package="curl")
    (line,) = lines(fleet)
    who = {"actor": "ann", "role": Role.OPERATOR, "now": fleet.now}
    with ThreadPoolExecutor(1) as pool:
        with fleet.db.writing() as session:
            audit.of_plan(session, "results", plan_id, "ann", fleet.now)
            confirming = pool.submit(holds.confirm, fleet.db, line.id, **who)
            until_it_waits(fleet.db, confirming)
            loaded = load(session, plan_id, Wanted(), fleet.now)
            pass_on = Acknowledge("ann", fleet.now, "let us see")
            store(session, loaded, *advance(loaded.rollout, pass_on), fleet.now)
            rollouts.tick_plan(session, plan_id, fleet.now)
        with pytest.raises(ConflictError, match="in force already"):
            confirming.result()
    assert [(one.ring, one.state) for one in lines(fleet)] == [("canary", "in_force")]


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"reason": " "}, "say why"),
        ({"package": ""}, "name an installed package"),
        ({"versions": ">= 1 2"}, "is no bound"),
        ({"versions": "<"}, "is no bound"),
    ],
)
def test_a_hold_that_cannot_be_is_refused(sqlite_fleet, values, complaint):
    with pytest.raises(InputError, match=complaint):
        add(sqlite_fleet, **values)
    with pytest.raises(InputError, match="within 366 days"):
        add(sqlite_fleet, expires_at=sqlite_fleet.now + 400 * DAY)
    with pytest.raises(ForbiddenError):
        add(sqlite_fleet, role=Role.VIEWER)
    assert lines(sqlite_fleet, "all") == ()
