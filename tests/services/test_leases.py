"""Orders that hosts and runners fetch: who may begin, once an attempt, whatever they send."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import delete, func, select, update

from patchmgr.db import models
from patchmgr.domain import leases as rules
from patchmgr.domain.accounts import Role
from patchmgr.domain.leases import Claim
from patchmgr.domain.rings import RingSettings
from patchmgr.domain.rollout.events import Outcome
from patchmgr.domain.terms import Execution, Terms
from patchmgr.domain.windows import Freeze, Window
from patchmgr.errors import ConflictError, ForbiddenError, NotFoundError
from patchmgr.services import exports, freezes, lease_calls, leases, orders, proof, windows
from patchmgr.services.lease_calls import LeaseRefusedError
from patchmgr.services.leases import Said

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
BY_AGENT = Terms(execution=Execution.AGENT)
BY_RUNNER = Terms(execution=Execution.RUNNER)
DONE = Said(Outcome.INSTALLED)


class Hosts:
    """Speaks for the hosts of a fleet, each by its own name, or as a runner."""

    def __init__(self, fleet, execution=Execution.AGENT):
        self.fleet, self.execution = fleet, execution
        with fleet.db.reading() as session:
            rows = session.execute(select(models.Host.hostname, models.Host.id))
            self.ids = dict(rows.all())

    def clock(self):
        return self.fleet.now

    def speaker(self, name):
        if name in self.ids:
            return {"holder": rules.holder_of_host(self.ids[name]), "actor": f"host:{name}"}
        return {"holder": name, "actor": name}

    def ask(self, name, **more):
        host = {"host_id": self.ids[name]} if name in self.ids else {"limit": 100}
        return orders.give(
            self.fleet.db,
            self.execution,
            clock=self.clock,
            **host,
            **self.speaker(name),
            **more,
        )

    def call(self, verb, name, order, *said, run="run-1", **changed):
        claim = replace(Claim(order.attempt, order.content_hash, run), **changed)
        call = getattr(leases, verb)
        by = self.speaker(name)
        return call(self.fleet.db, order.lease_id, claim, *said, clock=self.clock, **by)

    def refused(self, *args, **more):
        with pytest.raises(LeaseRefusedError) as caught:
            self.call(*args, **more)
        return caught.value.code


@pytest.fixture
def hosts(fleet):
    return Hosts(fleet)


@pytest.fixture
def plan(fleet):
    return fleet.started(terms=BY_AGENT)


def refusals(fleet):
    return [row.details["code"] for row in fleet.rows(models.AuditEntry)
            if row.action == "lease.refuse"]  # fmt: skip


def times_begun(fleet, plan_id):
    with fleet.db.reading() as session:
        line = models.PlanEvent
        rows = session.execute(
            select(line.host_id, func.count())
            .where(line.plan_id == plan_id, line.kind == "task_running")
            .group_by(line.host_id)
        )
        return dict(rows.all())


def test_a_host_is_given_exactly_its_own_work_begins_and_reports(fleet, hosts, plan):
    assert hosts.ask("b1") == []  # its ring waits

    (order,) = hosts.ask("c1")

    assert (order.host, order.ring, order.attempt, order.plan) == ("c1", "canary", 1, plan)
    assert order.content_hash == fleet.get(plan).content_hash
    assert order.begin_by > fleet.now
    changes = {(one.package, one.from_version, one.to_version) for one in order.work}
    assert ("curl", "7.88.1-10+deb12u8", "7.88.1-10+deb12u9") in changes
    assert hosts.call("begin", "c1", order).state == "running"
    assert hosts.call("result", "c1", order, DONE).state == "installed"
    assert fleet.states(plan)["c1"] == "installed"
    assert hosts.ask("c1") == []


def test_what_was_not_begun_is_given_to_its_holder_again(hosts, plan):
    (first,), (again,) = hosts.ask("c1"), hosts.ask("c1")

    assert first == again


def test_a_plan_that_is_carried_out_otherwise_gives_no_orders(fleet, hosts):
    fleet.started()

    assert hosts.ask("c1") == []
    assert Hosts(fleet, Execution.RUNNER).ask("runner:one") == []


def test_the_way_of_execution_is_approved_with_the_content(fleet):
    plan_id = fleet.create()
    before = fleet.get(plan_id).content_hash
    fleet.do("propose", plan_id)

    fleet.do("edit", plan_id, terms=lambda _: BY_AGENT)

    assert fleet.get(plan_id).content_hash != before


def test_one_run_begins_and_another_with_the_same_token_does_not(fleet, hosts, plan):
    (order,) = hosts.ask("c1")

    assert hosts.call("begin", "c1", order) == hosts.call("begin", "c1", order)
    assert hosts.refused("begin", "c1", order, run="run-2") == "begun-elsewhere"
    assert hosts.refused("result", "c1", order, DONE, run="run-2") == "begun-elsewhere"
    assert times_begun(fleet, plan) == {hosts.ids["c1"]: 1}
    assert refusals(fleet) == ["begun-elsewhere"] * 2


def test_a_host_begins_though_looks_at_other_plans_put_its_own_out_of_mind(
    fleet, hosts, plan, monkeypatch
):
    monkeypatch.setattr(proof, "MOST_PLANS", 0)
    (order,) = hosts.ask("c1")
    fleet.now += MINUTE  # a look is due

    assert hosts.call("begin", "c1", order).state == "running"
    assert fleet.get(plan).state == "running"


def test_who_hears_late_that_it_may_begin_does_while_the_work_still_fits(fleet, hosts, plan):
    (order,) = hosts.ask("c1")
    answered = hosts.call("begin", "c1", order)
    fleet.now = order.begin_by + MINUTE  # no window and no freeze: the order's own limit

    again = hosts.call("begin", "c1", order)

    assert again == replace(answered, now=fleet.now)
    assert times_begun(fleet, plan) == {hosts.ids["c1"]: 1}


@pytest.mark.parametrize("why", ["window", "freeze", "pause"])
def test_who_hears_too_late_that_it_may_begin_does_not(fleet, why):
    windows.add(
        fleet.db,
        Window("n", f"FREQ=DAILY;BYHOUR={fleet.now.hour}", 2 * HOUR, "UTC"),
        actor="ann",
        role=Role.ADMIN,
        now=fleet.now,
    )
    ring = RingSettings("all", window="n" if why == "window" else "any", lease=10 * MINUTE)
    plan = fleet.started(rings=(ring,), terms=BY_AGENT)
    hosts = Hosts(fleet)
    (order,) = hosts.ask("c1")
    hosts.call("begin", "c1", order)
    fleet.now = order.begin_by + MINUTE
    if why == "freeze":
        freeze = Freeze("peak", fleet.now, fleet.now + HOUR, "sales")
        freezes.add(fleet.db, freeze, actor="ann", role=Role.ADMIN, now=fleet.now)
    if why == "pause":
        fleet.do("pause", plan, reason="look")
    if why == "window":
        assert hosts.call("begin", "c1", order).state == "running"
        fleet.now += HOUR + 15 * MINUTE  # 34 minutes are left, and 45 needed

    assert hosts.refused("begin", "c1", order) == "too-late"
    assert fleet.states(plan)["c1"] == "deferred"
    assert hosts.refused("begin", "c1", order) in ("over", "too-late")
    assert not hosts.ask("c1")


@pytest.mark.parametrize("call", ["ask", "begin", "result"])
def test_a_crash_at_any_statement_leaves_a_call_that_was_whole_or_none(fleet, hosts, plan, call):
    (order,) = hosts.ask("c1")
    if call == "result":
        hosts.call("begin", "c1", order)
    acts = {
        "ask": lambda: hosts.ask("c2"),
        "begin": lambda: hosts.call("begin", "c1", order),
        "result": lambda: hosts.call("result", "c1", order, DONE),
    }
    before, leased = fleet.states(plan), len(fleet.rows(models.Lease))
    number = 1
    while not fleet.dying_at(number, acts[call]):
        assert fleet.states(plan) == before
        assert len(fleet.rows(models.Lease)) == leased
        number += 1

    after = {"ask": "leased", "begin": "running", "result": "installed"}[call]
    assert number > 3
    assert fleet.states(plan)["c2" if call == "ask" else "c1"] == after


def test_of_two_clients_at_once_one_begins(fleet, hosts, plan):
    (order,) = hosts.ask("c1")

    def begin(run):
        try:
            return hosts.call("begin", "c1", order, run=run).state
        except LeaseRefusedError as error:
            return error.code

    with ThreadPoolExecutor(4) as clients:
        answers = list(clients.map(begin, ["run-1", "run-2", "run-3", "run-4"]))

    assert sorted(answers) == ["begun-elsewhere"] * 3 + ["running"]
    assert times_begun(fleet, plan) == {hosts.ids["c1"]: 1}


def test_a_repeated_result_is_answered_as_before_and_changes_nothing(fleet, hosts, plan):
    (order,) = hosts.ask("c1")
    hosts.call("begin", "c1", order)
    first = hosts.call("result", "c1", order, DONE)
    fleet.now += 3 * MINUTE
    lines = len(fleet.rows(models.PlanEvent))

    assert hosts.call("result", "c1", order, DONE) == first
    assert len(fleet.rows(models.PlanEvent)) == lines


def test_results_out_of_order_do_no_harm(fleet, hosts, plan):
    (order,) = hosts.ask("c1")
    hosts.call("begin", "c1", order)
    hosts.call("result", "c1", order, DONE)

    late = hosts.call("result", "c1", order, Said(Outcome.RUNNING, output="50 %"))

    assert late.state == "installed"
    assert hosts.refused("result", "c1", order, Said(Outcome.SKIPPED)) == "over"
    assert hosts.refused("begin", "c1", order) == "over"


def test_a_result_needs_a_begin_but_a_host_may_decline_without_one(fleet, hosts, plan):
    (order,), (other,) = hosts.ask("c1"), hosts.ask("c2")

    assert hosts.refused("result", "c1", order, DONE) == "not-begun"
    assert hosts.call("result", "c2", other, Said(Outcome.SKIPPED)).state == "skipped"
    assert fleet.tasks(plan)["c2"].reason == "no reason was given"
    assert fleet.states(plan)["c1"] == "leased"


def test_a_late_result_is_taken(fleet, hosts, plan):
    (order,) = hosts.ask("c1")
    hosts.call("begin", "c1", order)
    fleet.tick(5 * HOUR)
    assert fleet.states(plan)["c1"] == "timed_out"

    assert hosts.call("result", "c1", order, DONE).state == "installed"


@pytest.mark.parametrize(
    ("changed", "code"),
    [({"attempt": 2}, "false-claim"), ({"content_hash": "0" * 64}, "false-claim")],
)
def test_a_claim_that_is_not_true_is_refused_and_audited(fleet, hosts, plan, changed, code):
    (order,) = hosts.ask("c1")

    assert hosts.refused("begin", "c1", order, **changed) == code
    hosts.call("begin", "c1", order)
    assert hosts.refused("result", "c1", order, DONE, **changed) == code
    assert hosts.refused("renew", "c1", order, **changed) == code
    assert fleet.states(plan)["c1"] == "running"
    assert refusals(fleet) == [code] * 3


@pytest.mark.parametrize("verb", ["begin", "renew"])
def test_nobody_speaks_of_anothers_lease_or_of_none(fleet, hosts, plan, verb):
    (order,) = hosts.ask("c1")

    with pytest.raises(ForbiddenError):
        hosts.call(verb, "c2", order)
    with pytest.raises(NotFoundError):
        hosts.call(verb, "c1", replace(order, lease_id="x" * 32))
    assert refusals(fleet) == ["forbidden", "not-found"]


def test_a_flood_of_forgeries_does_not_fill_the_audit_log(fleet, hosts, plan):
    (order,) = hosts.ask("c1")

    for _ in range(15):
        assert hosts.refused("begin", "c1", order, attempt=7) == "false-claim"

    assert len(refusals(fleet)) == lease_calls.MOST_AUDITED


@pytest.mark.parametrize(
    ("verb", "code"),
    [("pause", "paused"), ("halt", "halted"), ("cancel", "over")],
)
def test_what_people_stop_is_not_begun(fleet, hosts, plan, verb, code):
    (order,) = hosts.ask("c1")
    fleet.do(verb, plan, reason="the network is down")

    assert hosts.refused("begin", "c1", order) == code
    assert times_begun(fleet, plan) == {}


def test_what_was_taken_back_and_given_out_again_is_not_begun_by_the_old_lease(fleet, hosts, plan):
    (old,) = hosts.ask("c1")
    fleet.do("pause", plan, reason="wait")
    fleet.do("resume", plan)
    (fresh,) = hosts.ask("c1")

    assert fresh.attempt == old.attempt + 1
    assert hosts.refused("begin", "c1", old) == "recalled"
    assert hosts.call("begin", "c1", fresh).state == "running"


def test_a_freeze_that_began_meanwhile_is_seen_without_a_tick(fleet, hosts, plan):
    (order,) = hosts.ask("c1")
    freeze = Freeze("stop", fleet.now, fleet.now + HOUR, "the shop sells")
    freezes.add(fleet.db, freeze, actor="ann", role=Role.OPERATOR, now=fleet.now)

    assert hosts.refused("begin", "c1", order) == "frozen"
    assert fleet.states(plan)["c1"] == "deferred"  # what the machine saw stays


def test_a_window_that_closed_meanwhile_is_seen_without_a_tick(fleet):
    nine = Window("nine", "FREQ=DAILY;BYHOUR=9;BYMINUTE=0;BYSECOND=0", 2 * HOUR, "UTC")
    windows.add(fleet.db, nine, actor="ann", role=Role.OPERATOR, now=fleet.now)
    ring = RingSettings("all", window="nine", max_failures=0)
    fleet.started(rings=(ring,), terms=BY_AGENT)
    hosts = Hosts(fleet)
    (order,) = hosts.ask("c1")
    fleet.now += HOUR  # 30 minutes are left, and 45 needed

    assert hosts.refused("begin", "c1", order) == "window-closed"


def test_one_byte_of_the_work_changed_by_any_path_is_not_begun(fleet, hosts, plan):
    (order,) = hosts.ask("c1")
    with fleet.db.writing() as session:
        change = models.PlanChange
        session.execute(
            update(change).where(change.package == "curl").values(to_version="7.88.1-10+deb12u8")
        )

    assert hosts.refused("begin", "c1", order) == "content-changed"


BYTES = {
    "a version of the host": (models.PlanChange, {"to_version": "9"}),
    "its ring": (models.Task, {"ring_id": 2}),
    "a setting of the rings": (models.Ring, {"settings": RingSettings("canary").to_json()}),
    "settings that nobody can read": (models.Ring, {"settings": {"name": 7}}),
    "the terms": (models.Plan, {"terms": {"targets": "at-least", "execution": "agent"}}),
}


@pytest.mark.parametrize("when", ["before the order is given", "after"])
@pytest.mark.parametrize(("table", "values"), BYTES.values(), ids=BYTES)
def test_one_byte_of_what_bears_on_a_host_stops_its_begin_and_the_plan(
    fleet, hosts, plan, table, values, when
):
    (order,) = hosts.ask("c1") if when == "after" else [None]
    with fleet.db.writing() as session:
        session.execute(update(table).values(**values))
    order = order or hosts.ask("c1")[0]

    assert hosts.refused("begin", "c1", order) == "content-changed"
    assert fleet.get(plan).state == "halted"
    assert "not what was approved" in fleet.get(plan).reason
    assert times_begun(fleet, plan) == {}


def test_one_byte_of_another_hosts_part_stops_the_plan_at_the_next_look(fleet, hosts, plan):
    (order,) = hosts.ask("c1")
    with fleet.db.writing() as session:
        item = models.PlanItem
        session.execute(delete(item).where(item.host_id == hosts.ids["b3"], item.change_id == 1))
    fleet.now += MINUTE

    assert hosts.refused("begin", "c1", order) == "content-changed"
    fleet.tick()
    assert fleet.get(plan).state == "halted"


def test_changed_content_is_not_let_pass(fleet, hosts, plan):
    with fleet.db.writing() as session:
        session.execute(update(models.PlanChange).values(severity=0))
    fleet.tick(MINUTE)
    fleet.do("acknowledge", plan, reason="it is only the severity")
    fleet.tick(MINUTE)

    assert fleet.get(plan).state == "halted"


def test_an_approval_of_other_content_stops_a_plan_that_runs(fleet, hosts, plan):
    with fleet.db.writing() as session:
        session.execute(update(models.Approval).values(content_hash="0" * 64))
    fleet.tick(MINUTE)

    assert fleet.get(plan).state == "halted"


def test_changed_content_is_not_exported(fleet, plan):
    with fleet.db.writing() as session:
        session.execute(update(models.PlanChange).values(to_version="9"))

    with pytest.raises(ConflictError, match="not what was approved"):
        exports.export(fleet.db, plan, "csv", actor="ann", role=Role.OPERATOR, now=fleet.now)


def test_an_expired_lease_is_given_out_anew_and_renewing_prevents_it(fleet, plan):
    fleet.now += MINUTE
    hosts = Hosts(fleet)
    (kept,), (lost,) = hosts.ask("c1"), hosts.ask("c2")
    fleet.now += 8 * MINUTE
    renewed = hosts.call("renew", "c1", kept)
    assert renewed.expires_at == fleet.now + rules.HOLD
    fleet.now += 4 * MINUTE

    assert hosts.refused("begin", "c2", lost) == "lease-expired"
    assert hosts.refused("renew", "c2", lost) == "lease-expired"
    assert hosts.call("begin", "c1", kept).state == "running"
    (again,) = hosts.ask("c2")
    assert (again.attempt, again.lease_id != lost.lease_id) == (1, True)
    assert hosts.call("begin", "c2", again).state == "running"


def test_renewing_work_that_runs_does_not_move_its_limit(fleet, hosts, plan):
    (order,) = hosts.ask("c1")
    began = hosts.call("begin", "c1", order)
    fleet.now += HOUR

    assert hosts.call("renew", "c1", order).expires_at == began.expires_at
    assert fleet.tasks(plan)["c1"].held.renewed_at == fleet.now


def test_runners_share_the_hosts_of_a_plan_and_never_one_host(fleet):
    plan_id = fleet.started(terms=BY_RUNNER)
    runner = Hosts(fleet, Execution.RUNNER)
    first, _ = runner.ask("runner:one")
    others = runner.ask("runner:two")

    assert others == []
    assert {order.host for order in runner.ask("runner:one")} == {"c1", "c2"}
    with pytest.raises(ForbiddenError):
        runner.call("begin", "runner:two", first)
    assert fleet.tasks(plan_id)["c1"].held.holder == "runner:one"


def test_only_the_plan_that_is_asked_for_is_given(fleet):
    plan_id = fleet.started(terms=BY_RUNNER)
    runner = Hosts(fleet, Execution.RUNNER)

    assert runner.ask("runner:one", plan_id=plan_id + 1) == []
    assert len(runner.ask("runner:one", plan_id=plan_id)) == 2


def test_a_person_may_still_report_for_a_host(fleet, hosts, plan):
    (order,) = hosts.ask("c1")
    hosts.call("begin", "c1", order)
    fleet.report(plan, "c1")

    assert fleet.states(plan)["c1"] == "installed"
    assert hosts.call("result", "c1", order, DONE).state == "installed"


WENT_BACK = Said(Outcome.ROLLED_BACK)


@pytest.fixture
def back(fleet, hosts, plan):
    """The order of c1 to go back, after c1 had failed and a person asked for it."""
    (order,) = hosts.ask("c1")
    hosts.call("begin", "c1", order)
    hosts.call("result", "c1", order, Said(Outcome.FAILED, "curl", "dpkg: error"))
    fleet.do("roll_back", plan, hosts=["c1"], reason="it is broken")
    return hosts.ask("c1")[0]


def test_a_host_is_given_the_way_back_of_a_plan_that_halted_and_reports_it(
    fleet, hosts, plan, back
):
    changes = {(one.package, one.from_version, one.to_version, one.match) for one in back.work}

    assert fleet.get(plan).state == "halted"
    assert (back.kind, back.attempt) == ("roll_back", 2)
    assert ("curl", "7.88.1-10+deb12u9", "7.88.1-10+deb12u8", "binary") in changes
    assert hosts.call("begin", "c1", back).state == "failed"
    assert fleet.tasks(plan)["c1"].is_going_back
    assert hosts.call("result", "c1", back, WENT_BACK).state == "rolled_back"
    assert hosts.ask("c1") == []


def test_an_order_to_go_back_is_held_to_the_same_rules(fleet, hosts, plan, back):
    assert hosts.ask("c1") == [back]  # until it begins, the same again
    assert hosts.refused("result", "c1", back, WENT_BACK) == "not-begun"
    assert hosts.refused("begin", "c1", back, attempt=1) == "false-claim"
    assert hosts.call("begin", "c1", back) == hosts.call("begin", "c1", back)
    assert hosts.refused("begin", "c1", back, run="run-2") == "begun-elsewhere"
    assert hosts.refused("result", "c1", back, DONE) == "over"  # it was to go back
    first = hosts.call("result", "c1", back, WENT_BACK)
    assert hosts.call("result", "c1", back, WENT_BACK) == first
    assert hosts.refused("begin", "c1", back) == "over"
    with pytest.raises(ConflictError, match="nothing to roll back"):
        fleet.do("roll_back", plan, hosts=["c1"], reason="again")


def test_what_could_not_be_taken_back_is_a_failure_that_can_be_asked_for_again(
    fleet, hosts, plan, back
):
    hosts.call("begin", "c1", back)
    hosts.call("result", "c1", back, Said(Outcome.FAILED, "curl", "no such version"))
    line = fleet.tasks(plan)["c1"]
    fleet.do("roll_back", plan, hosts=["c1"], reason="with the old repository")
    (again,) = hosts.ask("c1")

    assert (line.state, line.undo_over) == ("failed", "curl: no such version")
    assert again.attempt == 3


def test_an_order_to_go_back_is_taken_back_until_it_is_begun(fleet, hosts, plan, back):
    fleet.do("withdraw", plan, hosts=["c1"], reason="it works")

    assert hosts.refused("begin", "c1", back) == "over"
    assert hosts.ask("c1") == []
    fleet.do("roll_back", plan, hosts=["c1"], reason="it does not")
    (again,) = hosts.ask("c1")
    hosts.call("begin", "c1", again)
    with pytest.raises(ConflictError, match="host c1 has begun to go back, and that cannot"):
        fleet.do("withdraw", plan, hosts=["c1"], reason="it does")
    with pytest.raises(ConflictError, match="1 has begun, and that cannot be undone"):
        fleet.do("withdraw", plan, everything=True, reason="it does")
    assert hosts.call("result", "c1", again, WENT_BACK).state == "rolled_back"


def test_a_late_way_back_is_taken(fleet, hosts, plan, back):
    hosts.call("begin", "c1", back)
    fleet.tick(5 * HOUR)
    assert "no result within" in fleet.tasks(plan)["c1"].way_back

    assert hosts.call("result", "c1", back, WENT_BACK).state == "rolled_back"


def test_nobody_goes_back_in_a_freeze_and_the_order_comes_after_it(fleet, hosts, plan, back):
    freeze = Freeze("stop", fleet.now, fleet.now + HOUR, "the shop sells")
    freezes.add(fleet.db, freeze, actor="ann", role=Role.OPERATOR, now=fleet.now)

    assert hosts.refused("begin", "c1", back) == "recalled"
    assert hosts.ask("c1") == []
    fleet.tick(HOUR)
    (again,) = hosts.ask("c1")
    assert hosts.call("begin", "c1", again).state == "failed"


def test_a_way_back_that_was_altered_is_not_begun(fleet, hosts, plan, back):
    with fleet.db.writing() as session:
        session.execute(update(models.PlanChange).values(from_version="9"))

    assert hosts.refused("begin", "c1", back) == "content-changed"


def test_all_hosts_of_a_ring_go_back_also_after_the_plan_has_ended(fleet, hosts, plan):
    for name in ("c1", "c2"):
        (order,) = hosts.ask(name)
        hosts.call("begin", name, order)
        hosts.call("result", name, order, DONE)
    fleet.do("cancel", plan, reason="no more")
    fleet.do("roll_back", plan, ring="canary", reason="it is slow")
    orders = [hosts.ask(name)[0] for name in ("c1", "c2")]

    assert [one.kind for one in orders] == ["roll_back"] * 2
    with pytest.raises(ConflictError, match="no host has anything new"):
        fleet.do("roll_back", plan, everything=True, reason="it is slow")
    for order in orders:
        hosts.call("begin", order.host, order)
        hosts.call("result", order.host, order, WENT_BACK)
    fleet.tick(MINUTE)
    assert [fleet.states(plan)[name] for name in ("c1", "c2")] == ["rolled_back"] * 2


def test_an_order_to_go_back_that_nobody_begins_is_given_up(fleet, hosts, plan, back):
    for _ in range(2):
        fleet.tick(12 * HOUR)

    assert hosts.ask("c1") == []
    assert "not begun within 12 h, 2 times" in fleet.tasks(plan)["c1"].way_back
    assert "roll_back_given_up" in {
        row.payload["kind"] for row in fleet.rows(models.Outbox) if row.kind == "notify"
    }
