"""Plans under way in their tables: from findings to completed, ticks at once, crashes."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from inventory import retirement
from patchmgr.db import models
from patchmgr.db.queries import plan_content, plan_lists, plan_progress
from patchmgr.db.queries import plans as queries
from patchmgr.domain.accounts import Role
from patchmgr.domain.groups import GroupSettings
from patchmgr.domain.plans import Selection
from patchmgr.domain.probes import Answer, Probe, ProbeKind
from patchmgr.domain.rings import RingSettings
from patchmgr.domain.rollout.events import Outcome, Pause
from patchmgr.domain.rollout.machine import advance
from patchmgr.domain.simulation.forecast import WhatIf
from patchmgr.domain.terms import Execution, Terms
from patchmgr.domain.windows import Freeze
from patchmgr.errors import (
    BadFileError,
    ConflictError,
    FeedUnreachableError,
    ForbiddenError,
    IllegalTransitionError,
)
from patchmgr.services import (
    audit,
    exports,
    forecasts,
    freezes,
    outbox,
    plans,
    probing,
    rollouts,
    superseding,
)
from patchmgr.services.rollout_load import Wanted, load
from patchmgr.services.rollout_store import store
from tests.services.conftest import BROAD, OLD, until_it_waits

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
FIXED = {"openssl": "3.0.17-1~deb12u2", "curl": "7.88.1-10+deb12u9"}
NEW = tuple(
    (name, version, source, version)
    for name, version, source in (
        ("openssl", FIXED["openssl"], "openssl"),
        ("libssl3", FIXED["openssl"], "openssl"),
        ("curl", FIXED["curl"], "curl"),
        ("bash", "5.2.15-2", "bash"),
    )
)


def new(*hosts):
    return dict.fromkeys(hosts, NEW)


def test_a_whole_plan_from_findings_to_completed(fleet):
    plan_id = fleet.started()
    assert fleet.states(plan_id) == {
        "c1": "leased", "c2": "leased", "b1": "queued", "b2": "queued", "b3": "queued",
    }  # fmt: skip
    assert {line.host for line in fleet.work(plan_id)} == {"c1", "c2"}

    fleet.now += 10 * MINUTE
    fleet.report(plan_id, "c1", "c2")
    assert fleet.states(plan_id)["c1"] == "installed"
    assert {line.host for line in fleet.work(plan_id)} == set()

    fleet.now += 50 * MINUTE
    fleet.inventory(new("c1", "c2"))
    assert fleet.tick().verified == 2
    assert fleet.get(plan_id).rings[0].state == "soaking"
    assert fleet.states(plan_id)["b1"] == "queued"

    assert fleet.tick(2 * HOUR).dispatched == 3
    assert fleet.get(plan_id).rings[0].state == "passed"

    fleet.now += HOUR
    fleet.inventory(new("b1", "b2", "b3"))
    fleet.tick()
    detail = fleet.get(plan_id)
    assert detail.state == "completed"
    assert detail.reason == "hosts: 5 verified"
    assert (detail.live, detail.counts) == (0, {"verified": 5})
    assert detail.finished_at is not None
    assert fleet.is_consistent()
    fleet.scan()
    with fleet.db.reading() as session:
        assert plan_lists.running(session) == []
        told = plan_progress.events(session, plan_id, tasks=True, limit=100).lines
    assert [e.kind for e in told if e.host == "c1"] == [
        "task_verified",
        "task_installed",
        "dispatched",
    ]


def test_a_second_tick_changes_nothing(fleet):
    plan_id = fleet.started()
    before = fleet.get(plan_id)
    result = fleet.tick()

    assert (result.plans, result.changed, result.dispatched) == (1, 0, 0)
    assert fleet.get(plan_id).revision == before.revision


def test_one_failure_in_the_canary_halts_and_a_person_lets_it_go_on(fleet):
    plan_id = fleet.started()
    fleet.report(plan_id, "c1", outcome=Outcome.FAILED, package="openssl", output="dpkg: error 1")
    halted = fleet.get(plan_id)

    assert (halted.state, halted.reason) == ("halted", "1 failure in ring canary, its cap is 0")
    assert halted.commands == ("acknowledge", "results", "retry", "cancel")
    assert fleet.states(plan_id)["c2"] == "queued"
    first = fleet.tasks(plan_id)
    assert next(iter(first)) == "c1", "failures first"
    assert first["c1"].output == "dpkg: error 1"
    assert "halted" in [row.payload.get("kind") for row in fleet.rows(models.Outbox)]

    plans.retry(
        fleet.db, plan_id, ["c1"], reason="disk was full", actor="ann", role=Role.OPERATOR,
        now=fleet.now,
    )  # fmt: skip
    fleet.do("acknowledge", plan_id, reason="disk was full")
    tasks = fleet.tasks(plan_id)
    assert (tasks["c1"].state, tasks["c1"].attempt) == ("leased", 2)
    assert (tasks["c2"].state, tasks["c2"].attempt) == ("leased", 2)
    assert fleet.get(plan_id).rings[0].tally.failures == 0
    assert fleet.is_consistent()


def test_results_are_checked_whole(fleet):
    plan_id = fleet.started()
    rows = [
        rollouts.ResultRow("c1", Outcome.INSTALLED, row=2),
        rollouts.ResultRow("b1", Outcome.INSTALLED, row=3),
        rollouts.ResultRow("nobody", Outcome.INSTALLED, row=4),
        rollouts.ResultRow("c2", Outcome.INSTALLED, attempt=7, row=5),
        rollouts.ResultRow("b2", Outcome.SKIPPED, row=6),
    ]
    with pytest.raises(BadFileError) as refused:
        rollouts.report_results(
            fleet.db, plan_id, rows, actor="ann", role=Role.OPERATOR, now=fleet.now
        )

    assert [(bad.row, bad.remedy) for bad in refused.value.rows] == [
        (3, "it was never handed out; its turn has not come"),
        (4, "there is no such host"),
        (5, "attempt 7 was never handed out"),
        (6, "say why the host is skipped"),
    ]
    assert fleet.states(plan_id)["c1"] == "leased", "nothing was taken"


def test_results_need_a_started_plan_and_the_role(fleet):
    plan_id = fleet.create()
    with pytest.raises(IllegalTransitionError):
        fleet.report(plan_id, "c1")
    with pytest.raises(ForbiddenError):
        rollouts.report_results(fleet.db, plan_id, [], actor="eve", role=Role.VIEWER, now=fleet.now)


def test_a_reported_reboot_and_an_inventory_that_still_waits_for_one(fleet):
    plan_id = fleet.started()
    fleet.report(plan_id, "c1", reboot_pending=True)
    fleet.report(plan_id, "c2")
    fleet.now += HOUR
    fleet.inventory(new("c1", "c2"))
    with fleet.db.writing() as session:
        session.execute(
            update(models.Host).where(models.Host.hostname == "c2").values(reboot_pending=True)
        )
    fleet.tick()

    assert fleet.states(plan_id)["c1"] == "verified"
    assert fleet.states(plan_id)["c2"] == "reboot_pending"


def test_a_host_that_is_there_already_is_not_ordered_again(fleet):
    plan_id = fleet.create()
    fleet.inventory(new("c1"))
    fleet.do("propose", plan_id)
    fleet.do("approve", plan_id, actor="bob")
    fleet.do("start", plan_id)

    assert fleet.tasks(plan_id)["c1"].state == "skipped"
    assert fleet.tasks(plan_id)["c1"].reason == "it has every target version already"


def test_an_inventory_that_shows_only_part_does_not_verify(fleet):
    plan_id = fleet.started()
    fleet.report(plan_id, "c1")
    fleet.now += HOUR
    fleet.inventory({"c1": (*NEW[:2], ("curl", "7.88.1-10+deb12u8", "curl", "7.88.1-10+deb12u8"))})
    fleet.tick()

    assert fleet.states(plan_id)["c1"] == "installed"


def test_a_freeze_stops_a_running_plan_and_its_end_lets_it_go_on(fleet):
    plan_id = fleet.started()
    freeze = Freeze("quarter end", fleet.now, fleet.now + 6 * HOUR, "closing the books")
    freezes.add(fleet.db, freeze, actor="ann", role=Role.OPERATOR, now=fleet.now)
    fleet.tick(MINUTE)
    frozen = fleet.get(plan_id)

    assert fleet.states(plan_id)["c1"] == "deferred"
    assert "closing the books" in frozen.frozen
    fleet.tick(6 * HOUR)
    assert fleet.tasks(plan_id)["c1"].state == "leased"
    assert fleet.tasks(plan_id)["c1"].attempt == 2


def test_a_withdrawn_advisory_halts(fleet):
    plan_id = fleet.started()
    fleet.now += HOUR
    fleet.feed({"openssl": {"CVE-2026-1001": ("resolved", "3.0.17-1~deb12u1", "high")}})
    fleet.tick()
    detail = fleet.get(plan_id)

    assert detail.state == "halted"
    assert {signal.subject for signal in detail.signals} == {"CVE-2026-1002", "CVE-2026-2001"}
    fleet.do("acknowledge", plan_id, reason="still right")
    fleet.tick()
    assert fleet.get(plan_id).state == "running"


def test_two_plans_are_not_at_work_on_one_host_at_a_time(fleet):
    curl = Selection(packages=("curl",))
    openssl = Selection(packages=("openssl",))
    one = fleet.started(rings=[RingSettings("all", max_concurrent=5)], selection=curl)
    two = fleet.started(rings=[RingSettings("all", max_concurrent=5)], selection=openssl)

    assert set(fleet.states(one).values()) == {"leased"}
    assert set(fleet.states(two).values()) == {"queued"}
    fleet.report(one, "c1")
    fleet.tick()
    assert fleet.states(two)["c1"] == "leased"


def test_a_cancelled_plan_follows_what_runs_to_its_end(fleet):
    plan_id = fleet.started()
    fleet.report(plan_id, "c1", outcome=Outcome.RUNNING)
    fleet.do("cancel", plan_id, reason="wrong fleet")
    detail = fleet.get(plan_id)

    assert (detail.state, detail.live, detail.commands) == ("cancelled", 1, ("results",))
    fleet.tick(5 * HOUR)
    assert fleet.states(plan_id)["c1"] == "timed_out"
    fleet.report(plan_id, "c1")
    fleet.now += HOUR
    fleet.inventory(new("c1"))
    fleet.tick()
    assert fleet.states(plan_id)["c1"] == "verified"
    assert fleet.get(plan_id).live == 0
    assert fleet.tick().plans == 0
    assert fleet.is_consistent()


def test_effects_leave_through_the_outbox_once(fleet):
    plan_id = fleet.started()
    kinds = [row.kind for row in fleet.rows(models.Outbox)]
    heard = []

    class Ear:
        name = "ear"

        def send(self, message):
            heard.append((message.plan, message.kind))

    done = outbox.deliver(fleet.db, now=fleet.now, channels=[Ear()])
    again = outbox.deliver(fleet.db, now=fleet.now, channels=[Ear()])

    assert kinds == ["notify", "notify", "dispatch"]
    assert (done.done, again.done) == (3, 0)
    assert heard == [(plan_id, "proposed"), (plan_id, "approved")]


def test_effects_that_fail_stand_behind_those_not_tried_yet(fleet, monkeypatch):
    monkeypatch.setattr(outbox, "AT_ONCE", 2)
    fleet.started()

    class Wire:
        name = "wire"

        def send(self, message):
            raise OSError("the line is dead")

    tried = [outbox.deliver(fleet.db, now=fleet.now, channels=[Wire()]) for _ in range(2)]

    assert [(one.done, one.failed) for one in tried] == [(0, 2), (1, 1)]
    assert [(row.kind, row.attempts, row.error) for row in fleet.rows(models.Outbox)] == [
        ("notify", 2, "the line is dead"),
        ("notify", 1, "the line is dead"),
        ("dispatch", 1, ""),
    ]


@pytest.mark.parametrize("form", exports.FORMS)
def test_work_is_exported_for_whoever_carries_it_out(fleet, form):
    plan_id = fleet.started()

    def export(**more):
        return exports.export(
            fleet.db, plan_id, form, actor="ann", role=Role.OPERATOR, now=fleet.now, **more
        )

    assert (export().hosts, export(whole=True).hosts) == (2, 5)
    assert export().body == export().body


def test_ticks_at_once_hand_out_each_host_once(fleet):
    plan_id = fleet.create(rings=[RingSettings("all", max_concurrent=5)])
    fleet.do("propose", plan_id)
    fleet.do("approve", plan_id, actor="bob")
    freeze = Freeze("f", fleet.now, fleet.now + MINUTE, "so that starting hands out nothing")
    freezes.add(fleet.db, freeze, actor="ann", role=Role.OPERATOR, now=fleet.now)
    fleet.do("start", plan_id)
    fleet.now += 2 * MINUTE
    results = []
    together = threading.Barrier(4)

    def one():
        together.wait()
        results.append(rollouts.tick(fleet.db, now=fleet.now))

    threads = [threading.Thread(target=one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sum(result.dispatched for result in results) == 5
    assert [result.failed for result in results] == [{}] * 4
    orders = [row for row in fleet.rows(models.Outbox) if row.kind == "dispatch"]
    assert sum(len(row.payload["orders"]) for row in orders) == 5
    assert {task.attempt for task in fleet.tasks(plan_id).values()} == {1}


def test_a_tick_that_waited_for_a_command_goes_by_it(fleet):
    plan_id = fleet.started(rings=[replace(BROAD, max_concurrent=1)])
    with ThreadPoolExecutor(1) as pool:
        with fleet.db.writing() as session:
            loaded = load(session, plan_id, Wanted(), fleet.now)
            ticking = pool.submit(fleet.tick)
            until_it_waits(fleet.db, ticking)
            after, effects = advance(loaded.rollout, Pause("ann", fleet.now, "stop"))
            store(session, loaded, after, effects, fleet.now)
        assert ticking.result().failed == {}
    assert fleet.get(plan_id).state == "paused"


def test_a_result_and_a_tick_of_plans_with_groups_do_not_wait_for_each_other(fleet):
    hold = Freeze("f", fleet.now, fleet.now + MINUTE, "so that starting hands out nothing")
    freezes.add(fleet.db, hold, actor="ann", role=Role.OPERATOR, now=fleet.now)
    first, second = (
        fleet.started(groups=TWINS, selection=Selection(hosts=(host,))) for host in ("b1", "b2")
    )
    fleet.now += 2 * MINUTE
    with ThreadPoolExecutor(1) as pool:
        with fleet.db.writing() as session:
            load(session, second, Wanted(), fleet.now)
            audit.of_plan(session, "results", second, "ann", fleet.now)
            ticking = pool.submit(fleet.tick)
            until_it_waits(fleet.db, ticking)
            rollouts.tick_plan(session, second, fleet.now)
        assert ticking.result().failed == {}
    assert {fleet.get(each).state for each in (first, second)} == {"running"}


def test_a_crash_at_any_statement_leaves_what_was_before_or_what_comes_after(fleet):
    """Whatever statement a tick dies at, the next one arrives where it would have arrived."""
    plan_id = fleet.started()
    fleet.report(plan_id, "c1", "c2")
    fleet.now += HOUR
    fleet.inventory(new("c1", "c2"))
    fleet.now += MINUTE
    before = _story(fleet, plan_id)
    crashes = 0
    for nth in range(1, 200):
        if _tick_dying_at(fleet, nth):
            break
        crashes += 1
        assert _story(fleet, plan_id) == before
        assert fleet.is_consistent()
    after = _story(fleet, plan_id)

    assert crashes > 10
    assert after != before
    assert fleet.get(plan_id).rings[0].state == "soaking"
    assert fleet.tick().changed == 0


SHOP = Probe("shop", ProbeKind.HTTP, "https://shop.example/", interval=HOUR)
GUARDED = RingSettings("canary", fields={"ring": "canary"}, max_failures=0, probes=(SHOP,))
PAIR = (GroupSettings("pair", hosts=("c1", "c2")), GroupSettings("rest", by="platform"))


@pytest.mark.parametrize("step", ["tick", "probe", "acknowledge"])
def test_a_crash_leaves_groups_and_probes_as_they_were_too(fleet, step):
    """One of a pair fails: its group waits, whatever statement anything dies at."""
    lenient = replace(GUARDED, max_failures=2, success_pct=0)
    plan_id = fleet.started(rings=(lenient, BROAD), groups=PAIR)
    assert fleet.states(plan_id)["c2"] == "queued"
    fleet.report(plan_id, "c1", outcome=Outcome.FAILED, package="openssl")
    assert fleet.tick(MINUTE).dispatched == 0

    def work():
        if step == "probe":
            probing.probe(fleet.db, now=fleet.now, asker=lambda _probe: Answer(503, b""))
        elif step == "acknowledge":
            fleet.do("acknowledge", plan_id, hosts=["c1"], reason="known")
        else:
            rollouts.tick(fleet.db, now=fleet.now)

    if step == "tick":
        fleet.do("acknowledge", plan_id, hosts=["c1"], reason="known")
        fleet.report(plan_id, "c2")
        fleet.now += timedelta(days=3)
    before = _groups_and_probes(fleet), _story(fleet, plan_id)
    for nth in range(1, 200):
        if fleet.dying_at(nth, work):
            break
        assert (_groups_and_probes(fleet), _story(fleet, plan_id)) == before

    assert nth > 8
    assert (_groups_and_probes(fleet), _story(fleet, plan_id)) != before
    if step == "acknowledge":
        assert fleet.states(plan_id)["c2"] == "leased"
    assert all(row.unavailable <= row.limit for row in fleet.rows(models.PlanGroup))


def _groups_and_probes(fleet):
    groups = [(row.key, row.unavailable) for row in fleet.rows(models.PlanGroup)]
    return groups, [row.probes for row in fleet.rows(models.Ring)]


def test_three_failures_of_a_probe_halt_the_stored_plan_and_silence_pauses_it(fleet):
    plan_id = fleet.started(rings=(GUARDED, BROAD))

    def rounds(number, asker):
        for _ in range(number):
            fleet.now += HOUR
            probing.probe(fleet.db, now=fleet.now, asker=asker)
            assert probing.probe(fleet.db, now=fleet.now, asker=asker).asked == 0

    def silent(_probe):
        raise FeedUnreachableError("no connection")

    rounds(4, silent)
    paused = fleet.get(plan_id)
    fleet.do("resume", plan_id)
    rounds(3, lambda _probe: Answer(503, b""))
    halted = fleet.get(plan_id)

    assert paused.state == "paused"
    assert "has not answered 4 times, its limit is 4: no connection" in paused.reason
    assert halted.state == "halted"
    assert "failed 3 times in a row, its limit is 3: status 503" in halted.signals[0].why


def test_a_plan_that_cannot_take_what_its_probes_found_keeps_no_other_from_it(sqlite_fleet):
    fleet = sqlite_fleet
    everywhere = replace(GUARDED, fields={})
    broken, sound = (
        fleet.started(rings=(everywhere,), selection=Selection(hosts=(host,)))
        for host in ("c1", "b1")
    )
    with fleet.db.writing() as session:
        plan = models.Plan
        session.execute(update(plan).where(plan.id == broken).values(terms={"targets": "none"}))
    fleet.now += HOUR

    probing.probe(fleet.db, now=fleet.now, asker=lambda _probe: Answer(200, b""))

    asked = {row.plan_id: list(row.probes) for row in fleet.rows(models.Ring)}
    assert asked == {broken: [], sound: ["shop"]}
    assert list(fleet.tick().failed) == [broken]


def test_a_host_is_rolled_back_by_an_export_and_its_result(fleet):
    plan_id = fleet.started()
    fleet.report(plan_id, "c1", "c2")
    fleet.do("roll_back", plan_id, hosts=["c1"], reason="it is slow")
    with fleet.db.reading() as session:
        lines = plan_content.way_back(session, plan_id)
    fleet.report(plan_id, "c1", outcome=Outcome.ROLLED_BACK)
    with fleet.db.reading() as session:
        left = plan_content.way_back(session, plan_id)

    assert {line.host for line in lines} == {"c1"}
    assert ("curl", "7.88.1-10+deb12u8") in {(line.package, line.to_version) for line in lines}
    assert fleet.states(plan_id)["c1"] == "rolled_back"
    assert left == []


@pytest.mark.parametrize(
    ("shows", "state", "went_back", "said"),
    [
        (OLD, "rolled_back", "confirmed", "shows the old versions"),
        (NEW, "failed", "contradicted", "still shows curl 7.88.1-10+deb12u9"),
        (OLD[:2], "rolled_back", "undetermined", "shows no curl, not the old version"),
    ],
)
def test_that_a_host_went_back_is_believed_when_its_inventory_shows_it(
    fleet, shows, state, went_back, said
):
    plan_id = fleet.started()
    fleet.report(plan_id, "c1", "c2")
    fleet.do("cancel", plan_id, reason="no more")
    fleet.report(plan_id, "c1", "c2", outcome=Outcome.ROLLED_BACK)
    waits = fleet.tasks(plan_id)["c1"]
    fleet.now += MINUTE
    fleet.inventory({"c1": shows})
    fleet.tick(MINUTE)
    line = fleet.tasks(plan_id)["c1"]

    assert waits.way_back == "not believed yet: an inventory must show the old versions"
    assert (line.state, line.went_back) == (state, went_back)
    assert said in line.reason
    assert fleet.tasks(plan_id)["c2"].went_back == "awaited"  # it has not reported
    fleet.now += MINUTE
    fleet.inventory({"c1": OLD})
    fleet.tick(MINUTE)
    assert fleet.states(plan_id)["c1"] == "rolled_back"
    assert fleet.tasks(plan_id)["c1"].went_back == "confirmed"


def test_a_roll_back_that_is_not_wanted_any_more_is_withdrawn(fleet):
    plan_id = fleet.started()
    fleet.report(plan_id, "c1", "c2")
    fleet.do("roll_back", plan_id, ring="canary", reason="it is slow")
    fleet.do("withdraw", plan_id, hosts=["c1"], reason="it was the network")
    with fleet.db.reading() as session:
        lines = plan_content.way_back(session, plan_id)
        left = queries.get(session, plan_id, now=fleet.now).rings[0].ways_back

    assert {line.host for line in lines} == {"c2"}
    assert left == queries.WaysBack(waiting=1)
    assert "withdrawn by ann: it was the network" in fleet.tasks(plan_id)["c1"].way_back
    with pytest.raises(ConflictError, match="host c1 need not go back any more"):
        fleet.do("withdraw", plan_id, hosts=["c1"], reason="again")
    fleet.do("withdraw", plan_id, everything=True, reason="it was the network")
    with pytest.raises(ConflictError, match="no roll-back of ring canary can be withdrawn"):
        fleet.do("withdraw", plan_id, ring="canary", reason="again")
    fleet.report(plan_id, "c1", outcome=Outcome.ROLLED_BACK)  # who carried it out was not told
    assert fleet.states(plan_id)["c1"] == "rolled_back"


def test_a_superseded_plan_ends_and_a_skipped_ring_opens_the_next(fleet):
    first, second = fleet.started(), None
    fleet.do("skip_ring", first, ring="canary", reason="no time")
    assert fleet.get(first).rings[0].state == "skipped"
    assert set(fleet.states(first).values()) == {"skipped", "leased"}
    second = fleet.create()
    superseding.supersede(fleet.db, second, first, actor="ann", role=Role.ADMIN, now=fleet.now)

    assert fleet.get(first).state == "superseded"
    assert "leased" not in fleet.states(first).values()


def test_the_forecast_of_a_stored_plan_says_when_and_what_each_ring_brings(fleet):
    plan_id = fleet.create(groups=PAIR)
    with fleet.db.reading() as session:
        made = forecasts.forecast(session, plan_id, now=fleet.now)
        quick = forecasts.forecast(
            session, plan_id, now=fleet.now, what_if=WhatIf(soak=timedelta(0))
        )

    rings = made.forecast.rings
    assert [ring.starts is not None and ring.ends is not None for ring in rings] == [True, True]
    assert rings[1].starts >= rings[0].ends >= rings[0].starts + 2 * HOUR
    assert quick.forecast.ends < made.forecast.ends
    assert [(one.after, one.hosts) for one in made.compliance] == [
        ("", 5), ("canary", 3), ("broad", 0),
    ]  # fmt: skip
    assert made.compliance[-1].findings == 0
    assert fleet.get(plan_id).state == "draft"


TWINS = (GroupSettings("twins", hosts=("c1", "b1")),)
AT_ONCE = (RingSettings("all", window="any"),)


def test_two_plans_never_have_two_of_a_group_down_at_once(fleet):
    first = fleet.started(
        rings=AT_ONCE, groups=TWINS, selection=Selection(packages=("openssl",), hosts=("c1",))
    )
    second = fleet.started(
        rings=AT_ONCE, groups=TWINS, selection=Selection(packages=("curl",), hosts=("b1", "b2"))
    )
    fleet.tick(MINUTE)
    assert fleet.states(first) == {"c1": "leased"}
    assert fleet.states(second) == {"b1": "queued", "b2": "leased"}

    fleet.report(first, "c1", outcome=Outcome.FAILED, package="openssl")
    fleet.tick(MINUTE)
    assert fleet.states(second)["b1"] == "queued"  # failed: still down

    fleet.do("acknowledge", first, hosts=["c1"], reason="known")
    fleet.tick(MINUTE)
    assert fleet.states(second)["b1"] == "leased"
    with fleet.db.reading() as session:
        taken = session.scalars(select(models.PlanGroup.unavailable).order_by(models.PlanGroup.id))
        assert list(taken) == [0, 1]  # each has its own alone


def test_a_tick_hands_out_all_that_groups_can_spare_though_the_first_stand_in_each_others_way(
    fleet,
):
    two_at_once = (RingSettings("all", window="any", max_concurrent=3),)
    groups = (
        GroupSettings("first", hosts=("c1", "c2", "b1"), max_unavailable=1),
        GroupSettings("other", hosts=("b1", "b2"), max_unavailable=1),
    )
    plan_id = fleet.started(rings=two_at_once, groups=groups)

    fleet.tick(MINUTE)

    assert fleet.states(plan_id) == {
        "c1": "leased", "c2": "queued", "b1": "queued", "b2": "leased", "b3": "leased",
    }  # fmt: skip


def test_a_plan_of_another_group_waits_for_nobody(sqlite_fleet):
    fleet = sqlite_fleet
    one = Selection(packages=("openssl",), hosts=("c1",))
    fleet.started(rings=AT_ONCE, groups=TWINS, selection=one)
    others = (GroupSettings("others", hosts=("c1", "b1")),)
    other = Selection(packages=("curl",), hosts=("b1",))

    second = fleet.started(rings=AT_ONCE, groups=others, selection=other)

    fleet.tick(MINUTE)
    assert fleet.states(second) == {"b1": "leased"}


def test_a_ring_that_stands_says_since_when_no_host_of_it_is_at_work(fleet):
    groups = (GroupSettings("all", hosts=tuple(fleet.names), max_unavailable=2),)
    plan_id = fleet.started(rings=(RingSettings("all", max_failures=5),), groups=groups)
    first, second = [host for host, state in fleet.states(plan_id).items() if state == "leased"]
    fleet.now += 10 * MINUTE
    fleet.report(plan_id, first)
    assert fleet.get(plan_id).stops == ()  # one is at work still
    fleet.now += 10 * MINUTE
    fleet.report(plan_id, second, outcome=Outcome.FAILED)
    ended = fleet.now
    fleet.now += 10 * MINUTE
    fleet.report(plan_id, first, reboot_pending=True)  # no news of whether it is at work

    (stop,) = fleet.get(plan_id).stops

    assert fleet.states(plan_id)[first] == "reboot_pending"
    assert (stop.kind, stop.at, stop.is_idle) == ("group", ended, True)


def test_a_forecast_sees_a_plan_alone(sqlite_fleet):
    fleet = sqlite_fleet
    one = Selection(packages=("openssl",), hosts=("c1",))
    fleet.started(rings=AT_ONCE, groups=TWINS, selection=one)
    other = Selection(packages=("curl",), hosts=("b1",))
    second = fleet.create(rings=AT_ONCE, groups=TWINS, selection=other)

    with fleet.db.reading() as session:
        made = forecasts.forecast(session, second, now=fleet.now)

    assert made.forecast.outcome == "the plan is completed"


def _tick_dying_at(fleet, nth):
    """Tick, dying before the ``nth`` statement; return whether it came to its end before."""
    return fleet.dying_at(nth, lambda: rollouts.tick(fleet.db, now=fleet.now))


def _story(fleet, plan_id):
    detail = fleet.get(plan_id)
    return (
        detail.state,
        detail.revision,
        [(ring.name, ring.state, dict(ring.counts)) for ring in detail.rings],
        fleet.states(plan_id),
        len(fleet.rows(models.Outbox)),
        len(fleet.rows(models.PlanEvent)),
    )


def test_a_page_of_tasks_goes_on_where_the_last_one_ended(fleet):
    plan_id = fleet.started()
    fleet.report(plan_id, "c1", outcome=Outcome.FAILED)
    seen, cursor = [], ""
    with fleet.db.reading() as session:
        while True:
            page = plan_progress.tasks(session, plan_id, limit=2, cursor=cursor)
            seen += [line.host for line in page.lines]
            cursor = page.next or ""
            if not cursor:
                break

    assert page.total == 5
    assert seen == ["c1", "c2", "b1", "b2", "b3"]


def test_a_host_that_was_retired_gets_no_order_to_go_back(fleet):
    plan_id = fleet.started(terms=Terms(execution=Execution.AGENT))
    fleet.report(plan_id, "c1", "c2")
    fleet.do("pause", plan_id, reason="it is slow")
    freezes.add(
        fleet.db, Freeze("now", fleet.now, fleet.now + HOUR, "peak"), actor="ann",
        role=Role.ADMIN, now=fleet.now,
    )  # fmt: skip
    fleet.do("roll_back", plan_id, hosts=["c1"], reason="it is slow")
    fleet.now += MINUTE
    for name in ("c1", "c2"):
        retirement.retire(fleet.db, name, actor="ann", now=fleet.now)
    fleet.tick(2 * HOUR)

    (task,) = [row for row in fleet.rows(models.Task) if row.undo]
    assert (task.undo_attempt, task.undo_until) == (0, None)
    assert "the host was retired" in task.undo_over
    with pytest.raises(ConflictError, match="no host of ring canary has anything new"):
        fleet.do("roll_back", plan_id, ring="canary", reason="it is slow")


def test_a_host_that_was_retired_gets_no_turn(fleet):
    plan_id = fleet.started()
    fleet.now += MINUTE
    retirement.retire(fleet.db, "b1", actor="ann", now=fleet.now)
    retirement.retire(fleet.db, "c1", actor="ann", now=fleet.now)
    fleet.tick()

    tasks = fleet.tasks(plan_id)
    assert (tasks["b1"].state, tasks["b1"].reason) == ("skipped", "the host was retired")
    assert tasks["c1"].state == "skipped"
    assert fleet.is_consistent()
