"""Stored rollouts whatever happens to them, with a crash at any statement (design.md 4.7).

The rules are those of people, hosts and time, through the services; each may die before one of its
statements or its commit. What must hold is read from the tables alone.
"""

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

from patchmgr.db import models
from patchmgr.domain import leases as lease_rules
from patchmgr.domain.accounts import Role
from patchmgr.domain.groups import GroupSettings
from patchmgr.domain.leases import Claim
from patchmgr.domain.rings import RingSettings
from patchmgr.domain.rollout.events import MACHINE, Outcome
from patchmgr.domain.terms import Execution, Terms
from patchmgr.domain.windows import Freeze, Window
from patchmgr.errors import ConflictError, ForbiddenError, InputError, NotFoundError
from patchmgr.services import audit, freezes, leases, proof, rollouts, soundness, windows
from patchmgr.services.leases import Said

EXAMPLES = int(os.environ.get("ROLLOUT_EXAMPLES", "3"))  # `make soak` has many more
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
OPENS, CLOSES = 9, 17  # o'clock
DAY = Window("day", f"FREQ=DAILY;BYHOUR={OPENS};BYMINUTE=0;BYSECOND=0", 8 * HOUR, "UTC")
RINGS = (
    RingSettings("canary", fields={"ring": "canary"}, max_failures=0, max_concurrent=1, soak=HOUR,
                 window="any"),
    RingSettings("broad", max_failures=1, max_concurrent=2, window="day"),
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
    models.Outbox, models.Lease, models.Freeze, models.AuditEntry,
)  # fmt: skip
HANDED_OUT, BEGUN = ("dispatched", "roll_back_dispatched"), ("task_running", "roll_back_begun")
DOWN = ("leased", "running", "installed", "reboot_pending", "failed", "lost")
# What to die before; most of what is done takes 10 to 60 statements.
BREAKS = st.one_of(st.none(), st.integers(1, 60), st.sampled_from(["commit", "after it"]))
HOST = st.sampled_from(HOSTS)
AUDITED = {  # a line of the timeline -> the act of a person that is audited with it
    "proposed": "plan.propose",
    "approval": "plan.approve",
    "paused": "plan.pause",
    "cancelled": "plan.cancel",
}


class Tables:
    """All rows that a rollout has, at one moment."""

    def __init__(self, db):
        with db.reading(snapshot=True) as session:
            self.rows = {
                table: [tuple(row) for row in session.execute(select(*table.__table__.c))]
                for table in TABLES
            }
            for table in TABLES:
                self.rows[table].sort()
            (self.plan,) = session.scalars(select(models.Plan))
            self.rings = {row.id: row for row in session.scalars(select(models.Ring))}
            self.tasks = {row.host_id: row for row in session.scalars(select(models.Task))}
            self.groups = list(session.scalars(select(models.PlanGroup)))
            self.members = list(session.scalars(select(models.PlanGroupHost)))
            self.events = _all(session, models.PlanEvent)
            self.approvals = _all(session, models.Approval)
            self.leases = _all(session, models.Lease)
            self.freezes = _all(session, models.Freeze)
            self.outbox = _all(session, models.Outbox)
            self.audited = Counter(row.action for row in _all(session, models.AuditEntry))
            self.broken = audit.first_broken(session)

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


class StoredRollouts(RuleBasedStateMachine):
    """Plays people, hosts, time and crashes; judges what the tables then say."""

    def __init__(self, copied):
        super().__init__()
        self.end = ExitStack()
        self.fleet = self.end.enter_context(copied())
        self.ids = {row.hostname: row.id for row in self.fleet.rows(models.Host)}
        self.orders = []
        self.is_altered = False
        self.plan = self.fleet.create(
            rings=RINGS, groups=GROUPS, terms=Terms(execution=Execution.AGENT)
        )
        self.seen = Tables(self.fleet.db)

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
        before = Tables(self.fleet.db).rows
        try:
            if self.fleet.dying_at(breaks, work):
                return True
        except REFUSED:
            if not may_note:
                assert Tables(self.fleet.db).rows == before
            return False
        assert may_note or Tables(self.fleet.db).rows == before
        return None

    def again(self, breaks, work, **more):
        if self.act(breaks, work, **more) is None:
            self.act(None, work, **more)

    @rule(minutes=st.sampled_from([1, 20, 60, 60, 180, 600, 1440]), breaks=BREAKS)
    def time_passes(self, minutes, breaks):
        self.fleet.now += minutes * MINUTE
        self.again(breaks, lambda: rollouts.tick(self.fleet.db, now=self.fleet.now))
        # A ring that opens may need another tick: two of a group were looked at, one went.
        more = [self.fleet.tick().changed for _ in HOSTS]
        assert more[-1] == 0, "ticks at once come to rest"

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
            self.orders += leases.orders(
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
        if have := [host for host, state in states if state in ("installed", "reboot_pending")]:
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
        before, self.seen = self.seen, Tables(self.fleet.db)
        now = self.seen
        for event in now.events[len(before.events) :]:
            if event.kind in HANDED_OUT + BEGUN:
                self.judge(event, before, now)

    def judge(self, event, before, now):
        """Judge one host that was handed out, or began, in this step."""
        assert not self.is_altered
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
            with self.fleet.db.reading() as session:
                wrong = soundness.wrong(session, self.fleet.now)
            assert bool(wrong) == self.is_altered
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
