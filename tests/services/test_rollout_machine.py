"""Stored rollouts whatever happens to them, with a crash at any statement (design.md 4.7).

The rules are those of people, hosts, probes and time, through the services; each may die before one
of its statements or its commit. What must hold is read from the tables alone, and from what left
the outbox.
"""

import json
import os
from collections import Counter
from contextlib import ExitStack
from datetime import timedelta

import hypothesis.strategies as st
from hypothesis import HealthCheck, settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import select, update

from inventory import retirement
from patchmgr.db import models
from patchmgr.domain import leases as lease_rules
from patchmgr.domain.accounts import Role
from patchmgr.domain.groups import GroupSettings
from patchmgr.domain.leases import Claim
from patchmgr.domain.probes import Answer, Health, Probe, ProbeKind
from patchmgr.domain.rings import RingSettings
from patchmgr.domain.rollout.events import MACHINE, Outcome
from patchmgr.domain.rollout.states import PlanState
from patchmgr.domain.terms import Execution, Terms
from patchmgr.domain.windows import Freeze, Window
from patchmgr.errors import (
    ConflictError,
    FeedUnreachableError,
    ForbiddenError,
    InputError,
    NotFoundError,
)
from patchmgr.services import (
    audit,
    freezes,
    leases,
    orders,
    outbox,
    probing,
    proof,
    rollouts,
    soundness,
    superseding,
    windows,
)
from patchmgr.services.leases import Said

EXAMPLES = int(os.environ.get("ROLLOUT_EXAMPLES", "3"))  # `make soak` has many more
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
OPENS, CLOSES = 9, 17  # o'clock
DAY = Window("day", f"FREQ=DAILY;BYHOUR={OPENS};BYMINUTE=0;BYSECOND=0", 8 * HOUR, "UTC")
UP = Probe("up", ProbeKind.PROMETHEUS, "https://shop.example/", "up", at_least=1.0,
           interval=10 * MINUTE)  # fmt: skip
ANSWERS = {Health.PASSED: [{"value": [0, "1"]}], Health.FAILED: [{"value": [0, "0"]}]}
RINGS = (
    RingSettings("canary", fields={"ring": "canary"}, max_failures=0, max_concurrent=1, soak=HOUR,
                 window="any", probes=(UP,)),
    RingSettings("broad", max_failures=1, max_concurrent=2, window="day", probes=(UP,)),
)  # fmt: skip
GROUPS = (
    GroupSettings("pair", hosts=("b1", "b2")),
    GroupSettings("mixed", hosts=("c2", "b3", "b2"), max_unavailable=2),
)
NEEDED = 45 * MINUTE  # a host's work and its reboot
HOSTS = ("c1", "c2", "b1", "b2", "b3")
NEW = tuple(
    (name, version, source, version)
    for name, version, source in (
        ("openssl", "3.0.17-1~deb12u2", "openssl"),
        ("libssl3", "3.0.17-1~deb12u2", "openssl"),
        ("curl", "7.88.1-10+deb12u9", "curl"),
        ("bash", "5.2.15-2", "bash"),
    )
)
REFUSED = (ConflictError, ForbiddenError, InputError, NotFoundError)
TABLES = (
    models.Plan, models.Ring, models.Task, models.PlanGroup, models.Approval, models.PlanEvent,
    models.Outbox, models.Lease, models.Freeze, models.AuditEntry, models.Host,
)  # fmt: skip
HANDED_OUT, BEGUN = ("dispatched", "roll_back_dispatched"), ("task_running", "roll_back_begun")
DOWN = ("leased", "running", "installed", "reboot_pending", "failed", "lost")
# What to die before; most of what is done takes 10 to 60 statements.
BREAKS = st.one_of(st.none(), st.integers(1, 60), st.sampled_from(["commit", "after it"]))
HOST = st.sampled_from(HOSTS)
PLAN_STATES = {state.value for state in PlanState}
HEARD = ("approved", "superseded", "expired", "completed", "completed_with_failures")
AUDITED = {  # a line of the timeline -> the act of a person that is audited with it
    "proposed": "plan.propose",
    "approval": "plan.approve",
    "paused": "plan.pause",
    "cancelled": "plan.cancel",
}


class Tables:
    """All rows that a rollout has, at one moment."""

    def __init__(self, db, plan_id):
        with db.reading(snapshot=True) as session:
            self.rows = {
                table: [tuple(row) for row in session.execute(select(*table.__table__.c))]
                for table in TABLES
            }
            for table in TABLES:
                self.rows[table].sort()
            self.plan = session.get_one(models.Plan, plan_id)
            self.rings = {row.id: row for row in _of_plan(session, models.Ring, plan_id)}
            self.tasks = {row.host_id: row for row in _of_plan(session, models.Task, plan_id)}
            self.groups = _of_plan(session, models.PlanGroup, plan_id)
            self.members = list(session.scalars(select(models.PlanGroupHost)))
            self.events = _of_plan(session, models.PlanEvent, plan_id)
            self.approvals = _of_plan(session, models.Approval, plan_id)
            self.leases = _of_plan(session, models.Lease, plan_id)
            self.freezes = _all(session, models.Freeze)
            self.outbox = _of_plan(session, models.Outbox, plan_id)
            self.audited = Counter(
                row.action
                for row in _all(session, models.AuditEntry)
                if row.subject == f"plan {plan_id}"
            )
            self.broken = audit.first_broken(session)
            self.retired = {row.id for row in _all(session, models.Host) if row.retired_at}

    def unavailable(self, group):
        """The hosts of a group that are down, or may be, and that nobody has acknowledged."""
        found = [self.tasks[one.host_id] for one in self.members if one.group_id == group.id]
        return sum(
            task.undo_given_at is not None
            or (not task.acknowledged and task.state in DOWN)
            or (
                not task.acknowledged
                and task.state == "timed_out"
                and bool(task.begun_at or task.misses)
            )
            for task in found
        )


def _all(session, table):
    return list(session.scalars(select(table).order_by(table.id)))


def _of_plan(session, table, plan_id):
    return list(session.scalars(select(table).where(table.plan_id == plan_id).order_by(table.id)))


class Outside:
    """Where the outbox leads: what people and hosts were told, while they can be reached."""

    name = "outside"

    def __init__(self):
        self.heard, self.orders, self.is_away = [], [], False

    def send(self, message):
        self._reach()
        self.heard.append((message.id, message.kind, message.text))

    def dispatch(self, orders):
        self._reach()
        self.orders += [(order.host, order.attempt) for order in orders]

    def recall(self, plan, hosts, why):
        self._reach()

    def _reach(self):
        if self.is_away:
            raise ConflictError("nobody answers")


class StoredRollouts(RuleBasedStateMachine):
    """Plays people, hosts, time and crashes; judges what the tables then say."""

    def __init__(self, copied):
        super().__init__()
        self.end = ExitStack()
        self.fleet = self.end.enter_context(copied())
        self.ids = {row.hostname: row.id for row in self.fleet.rows(models.Host)}
        self.orders = []
        self.is_altered = False
        self.other = None  # a plan that does the same, and can take the place of this one
        self.health = Health.PASSED
        self.outside = Outside()
        self.plan = self.fleet.create(
            rings=RINGS, groups=GROUPS, terms=Terms(execution=Execution.AGENT)
        )
        self.seen = Tables(self.fleet.db, self.plan)

    @initialize(underway=st.sampled_from([0, 1, 1, 2, 2, 2]))
    def begin_there(self, underway):
        if underway:  # most of what can go wrong comes after the start
            self.person("propose", None)
            self.person("approve", None)
            self.person("start", None)
        if underway > 1:  # and much of it in the last ring
            for _ in range(2):
                self.all_report(Outcome.INSTALLED)
                self.time_passes(1, None)
            self.inventories()
            self.time_passes(1, None)
            self.time_passes(60, None)
            self.time_passes(1, None)

    def act(self, breaks, work, *, may_note=False):
        """Do ``work``; when it dies, nothing of it may be there, and it is done again."""
        before = Tables(self.fleet.db, self.plan).rows
        try:
            if self.fleet.dying_at(breaks, work):
                return True
        except REFUSED:
            if not may_note:
                assert Tables(self.fleet.db, self.plan).rows == before
            return False
        assert may_note or Tables(self.fleet.db, self.plan).rows == before
        return None

    def again(self, breaks, work, **more):
        if self.act(breaks, work, **more) is None:
            self.act(None, work, **more)

    @rule(minutes=st.sampled_from([1, 20, 60, 60, 180, 600, 1440]), breaks=BREAKS)
    def time_passes(self, minutes, breaks):
        self.fleet.now += minutes * MINUTE
        self.ask_probes(breaks)
        self.again(breaks, lambda: rollouts.tick(self.fleet.db, now=self.fleet.now))
        # A ring that opens may need another tick: two of a group were looked at, one went.
        more = [self.fleet.tick().changed for _ in HOSTS]
        assert more[-1] == 0, "ticks at once come to rest"

    def ask_probes(self, breaks):
        """Ask what is due; return whether anything was."""
        asked = []

        def answer(probe):
            asked.append(probe.name)
            if self.health is Health.ERROR:
                raise FeedUnreachableError(probe.url, "no route")
            result = {"resultType": "vector", "result": ANSWERS.get(self.health, [])}
            return Answer(200, json.dumps({"status": "success", "data": result}).encode())

        self.again(breaks, lambda: probing.probe(self.fleet.db, now=self.fleet.now, asker=answer))
        return bool(asked)

    @precondition(lambda self: self.seen.plan.state == "running")
    @rule(health=st.sampled_from(Health), times=st.sampled_from([4, 4, 2, 1]), breaks=BREAKS)
    def probe_says(self, health, times, breaks):
        """A probe says the same some times: enough of what is not well stops the plan."""
        self.health, answers = health, 0
        for _ in range(times):
            self.fleet.now += UP.interval
            answers += self.ask_probes(breaks)
        self.health = Health.PASSED
        plan = Tables(self.fleet.db, self.plan).plan
        limits = {Health.FAILED: 3, Health.INCONCLUSIVE: 4, Health.ERROR: 4}
        assert answers < limits.get(health, 5) or plan.state != "running"
        if health is Health.FAILED and answers >= limits[health]:
            assert "probe" in {signal["kind"] for signal in plan.halt_signals}

    @rule(verb=st.sampled_from(["propose", "approve", "start"]), breaks=BREAKS)
    def person(self, verb, breaks):
        by = "bob" if verb == "approve" else "ann"
        self.again(breaks, lambda: self.fleet.do(verb, self.plan, actor=by))

    @rule(verb=st.sampled_from(["pause", "halt", "acknowledge", "acknowledge"]), breaks=BREAKS,
          repeat=st.booleans())  # fmt: skip
    def decide(self, verb, breaks, repeat):
        def work():
            self.fleet.do(verb, self.plan, reason="so it is")

        if self.act(breaks, work) is None and repeat:
            self.act(None, work)

    @rule(breaks=BREAKS)
    def resume(self, breaks):
        self.again(breaks, lambda: self.fleet.do("resume", self.plan))

    @precondition(lambda self: self.seen.plan.state in ("running", "paused", "halted"))
    @rule(host=HOST, verb=st.sampled_from(["retry", "acknowledge", "roll_back", "withdraw"]),
          breaks=BREAKS)  # fmt: skip
    def about_a_host(self, host, verb, breaks):
        self.again(
            breaks, lambda: self.fleet.do(verb, self.plan, hosts=[host], reason="I looked at it")
        )

    @precondition(lambda self: len(self.seen.events) > 20)
    @rule(ring=st.sampled_from(["canary", "broad"]), breaks=BREAKS)
    def skip_ring(self, ring, breaks):
        self.again(
            breaks, lambda: self.fleet.do("skip_ring", self.plan, ring=ring, reason="no time")
        )

    @precondition(lambda self: len(self.seen.events) > 30)
    @rule(breaks=BREAKS)
    def cancel(self, breaks):
        self.again(breaks, lambda: self.fleet.do("cancel", self.plan, reason="no more"))

    @precondition(lambda self: len(self.seen.events) > 30)
    @rule(breaks=BREAKS)
    def supersede(self, breaks):
        """A newer plan takes the place of this one, if nothing of it would be left undone."""
        if self.other is None:
            self.again(breaks, self.make_another)
        if self.other is not None:
            who = {"actor": "bob", "role": Role.ADMIN, "now": self.fleet.now}
            self.again(
                breaks,
                lambda: superseding.supersede(self.fleet.db, self.other, self.plan, **who),
            )

    def make_another(self):
        self.other = self.fleet.create(rings=RINGS)

    @precondition(lambda self: len(self.seen.events) > 15 and len(self.seen.retired) < 2)
    @rule(host=HOST, breaks=BREAKS)
    def retire(self, host, breaks):
        who = {"actor": "ann", "now": self.fleet.now}
        self.again(breaks, lambda: retirement.retire(self.fleet.db, host, **who))

    @rule(is_away=st.booleans(), breaks=BREAKS)
    def deliver(self, is_away, breaks):
        """What waits in the outbox leaves, as far as those outside can be reached."""
        self.outside.is_away = is_away
        self.again(breaks, self.empty_outbox, may_note=True)

    def empty_outbox(self):
        outbox.deliver(
            self.fleet.db, now=self.fleet.now, adapter=self.outside, channels=[self.outside]
        )

    @rule(wait=st.sampled_from([0, 0, 30, 120]), hours=st.sampled_from([1, 10]), breaks=BREAKS)
    def freeze(self, wait, hours, breaks):
        starts = self.fleet.now + wait * MINUTE
        one = Freeze(f"f{len(self.seen.freezes)}", starts, starts + hours * HOUR, "peak")
        who = {"actor": "ann", "role": Role.ADMIN, "now": self.fleet.now}
        self.again(breaks, lambda: freezes.add(self.fleet.db, one, **who))

    @precondition(lambda self: self.seen.freezes)
    @rule(breaks=BREAKS)
    def thaw(self, breaks):
        which = str(self.seen.freezes[-1].id)
        who = {"actor": "ann", "role": Role.ADMIN, "now": self.fleet.now}
        self.again(breaks, lambda: freezes.end(self.fleet.db, which, **who))

    @rule(host=HOST, breaks=BREAKS)
    def ask(self, host, breaks):
        def work():
            self.orders += orders.give(
                self.fleet.db, Execution.AGENT, clock=self.clock, host_id=self.ids[host],
                **self.speaker(host),
            )  # fmt: skip

        self.again(breaks, work)

    @precondition(lambda self: self.orders)
    @rule(back=st.sampled_from([0, 0, 0, 1, 2]), run=st.sampled_from(["one", "one", "two"]),
          breaks=BREAKS)  # fmt: skip
    def begin(self, back, run, breaks):
        """A host begins: the last order or an old one, perhaps a second process of it."""
        self.again(breaks, lambda: self.call("begin", back, run), may_note=True)

    @precondition(lambda self: self.seen.plan.state not in ("draft", "proposed", "approved"))
    @rule(ring=st.sampled_from(["canary", "broad", ""]), breaks=BREAKS)
    def go_back(self, ring, breaks):
        """All of a ring, or of the plan, are to go back; some of them get as far as that."""
        which = {"ring": ring} if ring else {"everything": True}
        self.again(
            breaks, lambda: self.fleet.do("roll_back", self.plan, reason="it is slow", **which)
        )
        for host in HOSTS:
            self.ask(host, None)
        if self.orders and self.orders[-1].kind == "roll_back":
            self.begin(0, "one", breaks)
            self.result(0, Outcome.ROLLED_BACK, 1, breaks)

    @precondition(lambda self: self.orders)
    @rule(back=st.sampled_from([0, 0, 0, 1, 2]),
          outcome=st.sampled_from([*Outcome, Outcome.INSTALLED, Outcome.INSTALLED]),
          times=st.integers(1, 2), breaks=BREAKS)  # fmt: skip
    def result(self, back, outcome, times, breaks):
        """A result: in time or late, once or again."""
        said = Said(outcome, package="curl" if outcome is Outcome.FAILED else "")
        for _ in range(times):
            self.again(breaks, lambda: self.call("result", back, "one", said), may_note=True)

    @rule(host=HOST, outcome=st.sampled_from([Outcome.INSTALLED, Outcome.FAILED]),
          attempt=st.sampled_from([None, 1, 2]), breaks=BREAKS)  # fmt: skip
    def report(self, host, outcome, attempt, breaks):
        self.again(
            breaks, lambda: self.fleet.report(self.plan, host, outcome=outcome, attempt=attempt)
        )

    @rule(outcome=st.sampled_from([Outcome.INSTALLED, Outcome.INSTALLED, Outcome.FAILED]))
    def all_report(self, outcome):
        for host, state in self.fleet.states(self.plan).items():
            if state in ("leased", "running"):
                self.report(host, outcome, None, None)

    @rule()
    def inventories(self):
        """Hosts that say they have it are looked at, and do."""
        self.fleet.now += MINUTE
        states = self.fleet.states(self.plan).items()
        there = [host for host, _ in states if self.ids[host] not in self.seen.retired]
        have = [host for host in there if dict(states)[host] in ("installed", "reboot_pending")]
        if have:
            self.fleet.inventory(dict.fromkeys(have, NEW))

    @precondition(lambda self: len(self.seen.events) > 40 and not self.is_altered)
    @rule()
    def alter(self):
        """Somebody changes the work by hand, past the service."""
        with self.fleet.db.writing() as session:
            session.execute(update(models.PlanChange).values(to_version="9"))
        self.is_altered = True
        self.fleet.now += MINUTE  # what was proved a moment ago is not proved again

    def clock(self):
        return self.fleet.now

    def speaker(self, host):
        return {"holder": lease_rules.holder_of_host(self.ids[host]), "actor": f"host:{host}"}

    def call(self, verb, back, run, *said):
        order = self.orders[max(-1 - back, -len(self.orders))]
        claim = Claim(order.attempt, order.content_hash, run)
        getattr(leases, verb)(
            self.fleet.db, order.lease_id, claim, *said, clock=self.clock,
            **self.speaker(order.host),
        )  # fmt: skip

    @invariant()
    def what_was_done_was_allowed(self):
        before, self.seen = self.seen, Tables(self.fleet.db, self.plan)
        now = self.seen
        for event in now.events[len(before.events) :]:
            if event.kind in HANDED_OUT + BEGUN:
                self.judge(event, before, now)

    def judge(self, event, before, now):
        """Judge one host that was handed out, or began, in this step."""
        assert not self.is_altered
        assert event.host_id not in before.retired
        at, task = event.at, now.tasks[event.host_id]
        good = {
            row.by
            for row in now.approvals
            if row.decision == "approve" and row.void_at is None and not row.ring
            and row.content_hash == now.plan.content_hash
        }  # fmt: skip
        assert len(good - set(now.plan.authors)) >= now.plan.approvals_needed
        with self.fleet.db.reading() as session:
            assert proof.stored_hash(session, self.plan, at) == now.plan.content_hash
        for freeze in before.freezes:
            assert at >= freeze.ends or at + NEEDED <= freeze.starts
        ring = now.rings[task.ring_id]
        if ring.name == "broad":
            assert OPENS <= at.hour < CLOSES
            assert at + NEEDED <= at.replace(hour=CLOSES, minute=0)
        if event.kind.startswith("roll_back"):
            assert task.undo, "a person asked for it"
        else:
            states = [
                one.kind for one in now.events if one.kind in PLAN_STATES and one.id < event.id
            ]
            assert states[-1] == "running"
        earlier = [one for one in now.rings.values() if one.position < ring.position]
        assert all(one.state in ("passed", "skipped") for one in earlier)
        busy = [
            one
            for one in now.tasks.values()
            if one.state in ("leased", "running") or one.undo_given_at is not None
        ]
        assert sum(one.ring_id == ring.id for one in busy) <= ring.settings["max_concurrent"]
        mine = {one.group_id for one in now.members if one.host_id == event.host_id}
        for group in now.groups:
            assert group.id not in mine or now.unavailable(group) <= group.limit

    @invariant()
    def nothing_is_carried_out_twice(self):
        handed_out = [
            (order["host"], order["attempt"])
            for row in self.seen.outbox
            if row.kind == "dispatch"
            for order in row.payload["orders"]
        ]
        begun = [(row.host_id, row.attempt) for row in self.seen.leases if row.begun_at]
        kinds = Counter((event.kind, event.host_id) for event in self.seen.events)
        assert len(set(handed_out)) == len(handed_out)
        assert len(set(begun)) == len(begun)
        assert set(begun) <= set(handed_out)
        for host, task in self.seen.tasks.items():
            mine = [attempt for one, attempt in handed_out if one == host]
            told = sum(kinds[kind, host] for kind in HANDED_OUT)
            assert told == len(mine), "the outbox has what the timeline tells"
            assert max(mine, default=0) == task.attempt
            assert sum(kinds[kind, host] for kind in BEGUN) == sum(one == host for one, _ in begun)

    @invariant()
    def what_leaves_was_decided_and_what_was_decided_leaves(self):
        notes = {
            row.id: (row.payload["kind"], row.payload["message"])
            for row in self.seen.outbox
            if row.kind == "notify"
        }
        orders = {
            (order["host"], order["attempt"]): row.done_at
            for row in self.seen.outbox
            if row.kind == "dispatch"
            for order in row.payload["orders"]
        }
        for number, kind, text in self.outside.heard:
            assert notes.get(number, (kind, text)) == (kind, text)
        heard = {number for number, *_ in self.outside.heard}
        for row in self.seen.outbox:
            assert row.kind != "notify" or not row.done_at or row.id in heard
        assert set(self.outside.orders) <= set(orders)
        assert {one for one, done in orders.items() if done} <= set(self.outside.orders)
        told = Counter(event.kind for event in self.seen.events)
        written = Counter(kind for kind, _ in notes.values())
        for kind in HEARD:
            assert told[kind] == written[kind]
        assert bool(told["signal"]) == bool(written["halted"])

    @invariant()
    def a_stop_reaches_every_ring(self):
        plan = self.seen.plan
        assert plan.state != "running" or not plan.halt_signals
        assert self.fleet.is_consistent()

    @invariant()
    def counters_and_records_are_in_line(self):
        for group in self.seen.groups:
            assert group.unavailable == self.seen.unavailable(group)
        assert self.seen.broken is None
        people = (one for one in self.seen.events if one.by != MACHINE and one.host_id is None)
        told = Counter(event.kind for event in people)
        for kind, action in AUDITED.items():
            assert told[kind] == self.seen.audited[action]

    def teardown(self):
        try:
            self.deliver(False, None)
            self.seen = Tables(self.fleet.db, self.plan)
            self.what_leaves_was_decided_and_what_was_decided_leaves()
            assert all(row.done_at for row in self.seen.outbox), "nothing is lost"
            with self.fleet.db.reading() as session:
                wrong = soundness.wrong(session, self.fleet.now)
            assert bool(wrong) == self.is_altered, wrong
        finally:
            self.end.close()


def test_stored_rollouts_keep_what_must_hold_whatever_statement_anything_dies_at(fleet, copied):
    windows.add(fleet.db, DAY, actor="ann", role=Role.ADMIN, now=fleet.now)
    run_state_machine_as_test(
        lambda: StoredRollouts(copied),
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=30,
            # A step is a transaction or more, and what it needs decides which rules there are.
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        ),
    )
