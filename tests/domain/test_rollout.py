"""The rollout as a specification: who may decide, what a ring must prove, what stops it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from patchmgr.domain.rings import RingSettings
from patchmgr.domain.rollout.events import (
    UNHEARD,
    Acknowledge,
    AcknowledgeHosts,
    Approve,
    Cancel,
    Dispatch,
    Edited,
    HaltSignal,
    InventorySeen,
    NeverBegun,
    Notify,
    Outcome,
    Pause,
    Propose,
    Recall,
    Record,
    Reject,
    Resume,
    Retry,
    RollBack,
    Start,
    TaskReported,
    Tick,
    WayBackSeen,
    Withdrawn,
    WithdrawRollBack,
)
from patchmgr.domain.rollout.gates import enough_succeeded, gate, soak_length
from patchmgr.domain.rollout.machine import advance, deadline_of
from patchmgr.domain.rollout.model import Ring, Rollout, Tally, Task
from patchmgr.domain.rollout.states import PlanState, RingState, TaskState, WentBack
from patchmgr.errors import (
    ConflictError,
    ForbiddenError,
    IllegalTransitionError,
    InputError,
    NotFoundError,
)

T0 = datetime(2026, 3, 2, 20, tzinfo=UTC)
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
HASH = "a" * 64

CANARY = RingSettings(
    "canary", percent=5, max_failures=0, soak=24 * HOUR, min_soak=6 * HOUR, window="any"
)
BROAD = RingSettings("broad", window="any")


def plan(*sizes: int, rings=(CANARY, BROAD), window=None, **values) -> Rollout:
    """Return a draft by "ann" whose rings have ``sizes`` hosts, numbered through from 1."""
    tasks: dict[int, Task] = {}
    made = []
    for position, (settings, size) in enumerate(zip(rings, sizes, strict=True)):
        for _ in range(size):
            host = len(tasks) + 1
            tasks[host] = Task(host, position, window, since=T0)
        made.append(Ring(settings, Tally({TaskState.QUEUED: size} if size else {})))
    return Rollout(tuple(made), tasks, frozenset({"ann"}), HASH, **values)


def play(rollout: Rollout, *events):
    """Return the rollout after ``events`` and the effects of the last one."""
    effects = ()
    for event in events:
        rollout, effects = advance(rollout, event)
    return rollout, effects


def after(rollout: Rollout, *events) -> Rollout:
    return play(rollout, *events)[0]


def tick_at(at, windows=None, **more) -> Tick:
    """A tick at which the stored content is what was approved."""
    return Tick(at, windows or {}, content_hash=HASH, **more)


APPROVED = (Propose("ann", T0), Approve("bob", T0, HASH))
STARTED = (*APPROVED, Start("ann", T0, HASH), tick_at(T0))


def started(*sizes: int, **values) -> Rollout:
    return after(plan(*sizes, **values), *STARTED)


def result(host: int, outcome=Outcome.INSTALLED, at=T0 + 10 * MINUTE, **more) -> TaskReported:
    return TaskReported(host, at, outcome, "ann", **more)


def inventory(host: int, at=T0 + HOUR, *, verified=True, reboot=False) -> InventorySeen:
    return InventorySeen(host, at, verified, reboot)


def failed(*hosts, at=T0 + 10 * MINUTE):
    return [result(host, Outcome.FAILED, at) for host in hosts]


LET_PASS = Acknowledge("bob", T0 + HOUR, "one bad disk")


@pytest.mark.parametrize(
    "events",
    [
        (failed(1), AcknowledgeHosts("bob", T0 + HOUR, (1,), "bad disk"), failed(2)),
        (failed(1, 2), LET_PASS, failed(3, at=T0 + 2 * HOUR)),
        (failed(1, 2), LET_PASS, AcknowledgeHosts("bob", T0 + HOUR, (1,), "seen"),
         failed(3, at=T0 + 2 * HOUR)),
    ],
)  # fmt: skip
def test_a_failure_let_pass_that_became_a_success_covers_for_no_other(events):
    flat = [one for event in events for one in (event if isinstance(event, list) else [event])]
    one_may_fail = RingSettings("all", window="any", max_failures=1, success_pct=0)
    rollout = after(started(9, rings=(one_may_fail,)), *flat)
    assert (rollout.state, rollout.signals) == (PlanState.RUNNING, ())
    late = after(rollout, result(1, at=T0 + 3 * HOUR))
    assert late.state is PlanState.RUNNING

    assert after(late, *failed(9, at=T0 + 3 * HOUR)).state is PlanState.HALTED


def of(effects, kind) -> list:
    return [effect for effect in effects if isinstance(effect, kind)]


def states(rollout: Rollout) -> list[RingState]:
    return [ring.state for ring in rollout.rings]


class TestApproval:
    def test_nothing_starts_without_approval(self):
        for events in ((), (Propose("ann", T0),)):
            with pytest.raises(IllegalTransitionError, match="start is not possible"):
                after(plan(1, 1), *events, Start("bob", T0, HASH))

    def test_an_author_cannot_approve(self):
        with pytest.raises(ForbiddenError, match="ann made, edited or proposed this plan"):
            after(plan(1, 1), Propose("ann", T0), Approve("ann", T0, HASH))

    def test_who_edits_becomes_an_author(self):
        with pytest.raises(ForbiddenError):
            after(
                plan(1, 1),
                Propose("ann", T0),
                Edited("bob", T0, "b" * 64),
                Approve("bob", T0, "b" * 64),
            )

    def test_consent_to_another_content_is_refused(self):
        with pytest.raises(ConflictError, match="the plan has changed"):
            after(plan(1, 1), Propose("ann", T0), Approve("bob", T0, "b" * 64))

    def test_as_many_people_as_needed_must_approve(self):
        proposed = after(plan(1, 1, approvals_needed=2), *APPROVED)
        approved = after(proposed, Approve("cid", T0, HASH))

        assert (proposed.state, approved.state) == (PlanState.PROPOSED, PlanState.APPROVED)

    def test_nobody_counts_twice(self):
        with pytest.raises(ConflictError, match="bob has approved this already"):
            after(plan(1, 1, approvals_needed=2), *APPROVED, Approve("bob", T0, HASH))

    def test_approvals_fall_when_the_content_changes(self):
        edited, effects = play(plan(1, 1), *APPROVED, Edited("ann", T0, "b" * 64))

        assert edited.state is PlanState.PROPOSED
        assert edited.approvals == ()
        assert of(effects, Notify)
        with pytest.raises(IllegalTransitionError):
            after(edited, Start("ann", T0, "b" * 64))

    def test_a_plan_whose_stored_content_differs_cannot_start(self):
        with pytest.raises(ConflictError, match="not what was approved"):
            after(plan(1, 1), *APPROVED, Start("ann", T0, "b" * 64))

    def test_a_rejected_plan_is_over(self):
        rejected = after(plan(1, 1), Propose("ann", T0), Reject("bob", T0, "not tonight"))

        assert rejected.state is PlanState.REJECTED
        assert rejected.live == 0
        with pytest.raises(InputError, match="say why"):
            after(plan(1, 1), Propose("ann", T0), Reject("bob", T0, " "))

    def test_a_proposal_and_an_approval_expire(self):
        proposed = after(plan(1, 1), Propose("ann", T0), tick_at(T0 + 7 * 24 * HOUR))
        approved = after(plan(1, 1), *APPROVED, tick_at(T0 + 14 * 24 * HOUR))

        assert proposed.state is approved.state is PlanState.EXPIRED
        assert proposed.live == approved.live == 0

    def test_a_ring_waits_for_its_own_approval(self):
        guarded = replace(BROAD, needs_approval=True)
        waiting = after(
            started(1, 1, rings=(replace(CANARY, soak=0 * HOUR, min_soak=0 * HOUR), guarded)),
            inventory(1),
            tick_at(T0 + HOUR),
        )
        _, effects = play(
            waiting, Approve("bob", T0 + HOUR, HASH, ring="broad"), tick_at(T0 + HOUR)
        )

        assert states(waiting) == [RingState.PASSED, RingState.WAITING_GATE]
        assert [effect.host for effect in of(effects, Dispatch)] == [2]
        assert gate(waiting, 0, T0)[-1].name == "approval"
        assert not gate(waiting, 0, T0)[-1].holds
        with pytest.raises(ForbiddenError):
            after(waiting, Approve("ann", T0, HASH, ring="broad"))
        with pytest.raises(ConflictError, match="needs no approval of its own"):
            after(waiting, Approve("bob", T0, HASH, ring="canary"))
        with pytest.raises(NotFoundError):
            after(waiting, Approve("bob", T0, HASH, ring="none"))

    def test_people_hear_once_that_a_ring_waits_for_its_own_approval(self):
        guarded = replace(CANARY, needs_approval=True)
        rollout = after(plan(1, 1, rings=(guarded, BROAD)), *APPROVED, Start("ann", T0, HASH))

        waiting, effects = play(rollout, tick_at(T0))
        _, later = play(waiting, tick_at(T0 + HOUR))

        said = "ring canary waits for an approval of its own"
        assert of(effects, Notify) == [Notify("approval", said)]
        assert of(later, Notify) == []

    def test_an_accepted_lost_host_counts_no_longer_among_those_that_should_succeed(self):
        tally = Tally({TaskState.VERIFIED: 4, TaskState.LOST: 1})

        assert not enough_succeeded(tally, BROAD)
        assert enough_succeeded(replace(tally, lost_accepted=1), BROAD)

    def test_content_that_changed_under_a_running_plan_stops_it_before_the_next_ring(self):
        rollout = after(plan(1, 1), *APPROVED, Start("ann", T0, HASH))
        stopped, effects = play(rollout, Tick(T0, content_hash="b" * 64))

        assert stopped.state is PlanState.HALTED
        assert of(effects, Dispatch) == []
        assert of(play(rollout, Tick(T0))[1], Dispatch) == [], "nobody looked"


class TestRings:
    def test_starting_dispatches_only_the_first_ring(self):
        rollout, effects = play(plan(2, 3), *STARTED)

        assert [(e.host, e.attempt) for e in of(effects, Dispatch)] == [(1, 1), (2, 1)]
        assert states(rollout) == [RingState.ROLLING, RingState.PENDING]

    def test_a_ring_without_hosts_is_skipped(self):
        assert states(started(0, 1)) == [RingState.SKIPPED, RingState.ROLLING]

    def test_no_more_hosts_at_work_than_the_cap(self):
        rollout = started(5, 0, rings=(replace(CANARY, max_concurrent=2), BROAD))
        more, effects = play(rollout, result(1), tick_at(T0 + 11 * MINUTE))

        assert rollout.rings[0].tally.of(TaskState.LEASED) == 2
        assert [e.host for e in of(effects, Dispatch)] == [3]
        assert more.rings[0].tally.of(TaskState.LEASED) == 2

    def test_a_ring_soaks_before_the_next_one_starts(self):
        rollout = after(started(2, 1), inventory(1), inventory(2), tick_at(T0 + HOUR))
        early, nothing = play(rollout, tick_at(T0 + 25 * HOUR - MINUTE))
        late, effects = play(rollout, tick_at(T0 + 25 * HOUR))

        assert (states(early)[0], of(nothing, Dispatch)) == (RingState.SOAKING, [])
        assert states(late) == [RingState.PASSED, RingState.ROLLING]
        assert [e.host for e in of(effects, Dispatch)] == [3]

    def test_unverified_hosts_hold_the_gate(self):
        rollout = after(started(2, 1), inventory(1), result(2), tick_at(T0 + HOUR))
        held = after(rollout, tick_at(T0 + 30 * HOUR))
        gone = after(held, inventory(2, T0 + 31 * HOUR), tick_at(T0 + 31 * HOUR))

        assert states(held)[0] is RingState.SOAKING
        conditions = {one.name: one for one in gate(held, 0, T0 + 30 * HOUR)}
        assert (conditions["unverified"].have, conditions["unverified"].holds) == ("1 of 2", False)
        assert conditions["soak"].holds
        assert states(gone)[0] is RingState.PASSED

    def test_one_straggler_in_ten_does_not_hold_a_ring(self):
        rollout = started(10, 1, rings=(replace(CANARY, max_failures=1), BROAD))
        for host in range(1, 10):
            rollout = after(rollout, inventory(host))
        rollout = after(rollout, tick_at(T0 + HOUR))

        assert states(rollout)[0] is RingState.SOAKING

    def test_in_whole_numbers_two_of_three_is_not_67_percent(self):
        settings = replace(BROAD, success_pct=67, max_failures=3, window="any")
        rollout = started(0, 3, rings=(CANARY, settings))
        rollout = after(rollout, inventory(1), inventory(2), result(3, Outcome.FAILED))
        conditions = {one.name: one.holds for one in gate(rollout, 1, T0)}

        assert not conditions["succeeded"]

    def test_a_completed_plan_says_whether_all_succeeded(self):
        clean = after(started(0, 1), inventory(1), tick_at(T0 + HOUR))
        settings = replace(BROAD, success_pct=50)
        broken = after(
            started(0, 2, rings=(CANARY, settings)),
            inventory(1),
            result(2, Outcome.FAILED),
            tick_at(T0 + HOUR),
        )

        assert clean.state is PlanState.COMPLETED
        assert broken.state is PlanState.COMPLETED_WITH_FAILURES

    def test_a_ring_that_cannot_pass_any_more_asks(self):
        failed = after(started(0, 2), inventory(1), result(2, Outcome.FAILED), tick_at(T0 + HOUR))

        assert (failed.state, states(failed)[1]) == (PlanState.HALTED, RingState.FAILED)
        gone = after(failed, Acknowledge("bob", T0 + HOUR, "one bad disk"), tick_at(T0 + HOUR))
        assert gone.state is PlanState.COMPLETED_WITH_FAILURES
        assert "let pass by bob: one bad disk" in gone.rings[1].reason

    def test_a_ring_whose_hosts_never_answer_is_inconclusive(self):
        rollout = started(0, 2)
        for hours in range(0, 40, 3):
            rollout = after(rollout, tick_at(T0 + hours * HOUR))

        assert states(rollout)[1] is RingState.INCONCLUSIVE
        assert rollout.state is PlanState.HALTED
        assert rollout.tasks[1].attempt == 2

    def test_the_soak_is_shortened_to_hold_the_due_date_but_not_below_its_minimum(self):
        def soak(hours_left: float) -> timedelta:
            return soak_length(plan(1, 1, due=T0 + hours_left * HOUR), 0, T0)

        work = (BROAD.expected + BROAD.reboot_reserve) / HOUR
        assert soak(100) == 24 * HOUR
        assert soak(12 + work) == 12 * HOUR
        assert soak(6 + work) == 6 * HOUR
        assert soak(5) == 24 * HOUR, "it would not hold the date"
        assert soak(-1) == 24 * HOUR


class TestWindows:
    CLOSES = T0 + 4 * HOUR

    def tick(self, at=T0, **more) -> Tick:
        return tick_at(at, {"night": self.CLOSES} if at < self.CLOSES else {}, **more)

    def begun(self, **values) -> Rollout:
        return after(plan(2, 1, window="night", **values), *APPROVED, Start("ann", T0, HASH))

    def test_nothing_is_dispatched_while_the_window_is_closed(self):
        rollout, effects = play(self.begun(), tick_at(T0))

        assert of(effects, Dispatch) == []
        assert states(rollout)[0] is RingState.WAITING_WINDOW

    def test_a_task_must_end_before_the_window_does(self):
        needed = CANARY.needed_time
        fits, some = play(self.begun(), self.tick(self.CLOSES - needed - MINUTE))
        late, none = play(self.begun(), self.tick(self.CLOSES - needed))

        assert len(of(some, Dispatch)) == 2
        assert fits.tasks[1].deadline == self.CLOSES - needed
        assert of(none, Dispatch) == []
        assert late.tasks[1].state is TaskState.QUEUED

    def test_what_has_not_begun_when_the_window_closes_is_deferred_to_the_next(self):
        rollout = after(self.begun(), self.tick(), result(1, Outcome.RUNNING))
        closed, effects = play(rollout, self.tick(self.CLOSES - 30 * MINUTE))
        again, more = play(closed, result(1), tick_at(T0 + 24 * HOUR, {"night": T0 + 28 * HOUR}))

        assert closed.tasks[1].state is TaskState.RUNNING
        assert closed.tasks[2].state is TaskState.DEFERRED
        assert [(e.host, e.attempt) for e in of(effects, Recall)] == [(2, 1)]
        assert [(e.host, e.attempt) for e in of(more, Dispatch)] == [(2, 2)]
        assert again.tasks[2].misses == 0

    def test_a_freeze_takes_back_what_has_not_begun(self):
        rollout = after(self.begun(), self.tick())
        frozen, effects = play(rollout, self.tick(T0 + MINUTE, frozen="quarter end"))

        assert len(of(effects, Recall)) == 2
        assert of(effects, Dispatch) == []
        assert frozen.tasks[1].reason == "frozen: quarter end"

    def test_a_task_must_end_before_the_next_freeze_begins(self):
        soon = self.tick(frozen_from=T0 + CANARY.needed_time)
        later = self.tick(frozen_from=T0 + CANARY.needed_time + MINUTE)

        assert of(play(self.begun(), soon)[1], Dispatch) == []
        assert len(of(play(self.begun(), later)[1], Dispatch)) == 2

    def test_a_window_that_never_opens_ends_in_a_question(self):
        rollout = after(self.begun(), tick_at(T0), tick_at(T0 + 14 * 24 * HOUR))
        asked_again = after(
            rollout,
            Acknowledge("bob", T0 + 14 * 24 * HOUR, "wait on"),
            tick_at(T0 + 15 * 24 * HOUR),
        )

        assert rollout.state is PlanState.HALTED
        assert "has waited too long for a window" in rollout.reason
        assert asked_again.state is PlanState.RUNNING


def test_a_host_is_handed_out_when_the_one_before_it_has_begun():
    made = plan(2, 1)
    tasks = made.tasks | {1: replace(made.tasks[1], after=(2,))}
    begun = after(replace(made, tasks=tasks), *APPROVED, Start("ann", T0, HASH))
    first, orders = play(begun, tick_at(T0))
    still, none = play(first, tick_at(T0 + MINUTE))
    second = play(still, result(2, Outcome.RUNNING), tick_at(T0 + 2 * MINUTE))[1]

    assert [one.host for one in of(orders, Dispatch)] == [2]
    assert of(none, Dispatch) == []
    assert [one.host for one in of(second, Dispatch)] == [1]


class TestHalts:
    def halted(self, *events, sizes=(5, 1), **values) -> Rollout:
        return after(started(*sizes, **values), *events)

    def test_one_failure_in_the_canary_stops_everything(self):
        rollout, effects = play(started(5, 1), result(1, Outcome.FAILED, package="openssl"))

        assert rollout.state is PlanState.HALTED
        assert rollout.reason == "1 failure in ring canary, its cap is 0"
        assert {e.host for e in of(effects, Recall)} == {2, 3, 4, 5}
        assert of(effects, Notify) == [Notify("halted", rollout.reason)]

    def test_the_same_package_failing_on_two_hosts_stops(self):
        loose = replace(CANARY, max_failures=5)
        one = self.halted(result(1, Outcome.FAILED, package="openssl"), rings=(loose, BROAD))
        two = after(one, result(2, Outcome.FAILED, package="openssl"))
        other = after(one, result(2, Outcome.FAILED, package="curl"))

        assert one.state is other.state is PlanState.RUNNING
        assert (two.state, two.reason) == (
            PlanState.HALTED,
            "openssl failed on 2 hosts, and 2 stop the plan",
        )

    def test_two_hosts_that_do_not_come_back_stop(self):
        rollout = self.halted(result(1, reboot_pending=True), result(2, reboot_pending=True))
        late = after(rollout, tick_at(T0 + 25 * HOUR))

        assert late.tasks[1].state is TaskState.LOST
        assert late.reason == ("2 hosts did not come back from their reboot, and 2 stop the plan")

    def test_a_withdrawn_advisory_stops_once(self):
        gone = Withdrawn(T0, "DSA-1")
        rollout = self.halted(gone)
        running = after(rollout, Acknowledge("bob", T0, "we keep it"), gone)

        assert rollout.state is PlanState.HALTED
        assert running.state is PlanState.RUNNING

    def test_a_plan_whose_advisory_was_withdrawn_before_it_began_must_be_looked_at(self):
        warned = after(plan(1, 1), *APPROVED, Withdrawn(T0, "DSA-1"))

        with pytest.raises(ConflictError, match="acknowledge it first"):
            after(warned, Start("ann", T0, HASH))
        begun = after(warned, Acknowledge("ann", T0, "ok"), Start("ann", T0, HASH))
        assert begun.state is PlanState.RUNNING

    def test_a_signal_from_outside_stops_each_time(self):
        probe = HaltSignal(T0, "probe", "the shop answers 500", "shop")
        again = self.halted(probe, Acknowledge("bob", T0, "fixed"), probe)

        assert again.state is PlanState.HALTED

    def test_a_failure_let_pass_does_not_stop_again_but_the_next_one_does(self):
        rollout = self.halted(result(1, Outcome.FAILED), Acknowledge("bob", T0, "bad disk"))
        next_one = after(rollout, tick_at(T0 + 20 * MINUTE), result(2, Outcome.FAILED))

        assert rollout.state is PlanState.RUNNING
        assert next_one.state is PlanState.HALTED

    def test_a_signal_does_not_lift_a_pause_nor_does_resuming_pass_a_signal(self):
        rollout = self.halted(
            result(1, Outcome.RUNNING), Pause("ann", T0, "lunch"), result(1, Outcome.FAILED)
        )

        assert rollout.state is PlanState.PAUSED
        with pytest.raises(ConflictError, match="acknowledge it first"):
            after(rollout, Resume("ann", T0))
        looked = after(rollout, Acknowledge("bob", T0, "bad disk"))
        assert looked.state is PlanState.PAUSED
        assert after(looked, Resume("ann", T0)).state is PlanState.RUNNING

    def test_going_on_needs_a_reason_and_something_to_pass(self):
        with pytest.raises(InputError, match="say why"):
            after(self.halted(result(1, Outcome.FAILED)), Acknowledge("bob", T0, ""))
        with pytest.raises(IllegalTransitionError):
            after(started(1, 1), Acknowledge("bob", T0, "why not"))

    def test_failed_hosts_get_another_turn_when_a_person_says_so(self):
        rollout = self.halted(
            result(1, Outcome.FAILED, package="openssl"),
            Retry("ann", T0, (1,), "disk replaced"),
            Acknowledge("ann", T0, "disk replaced"),
        )
        again, effects = play(rollout, tick_at(T0 + 20 * MINUTE))

        assert (1, 2) in [(e.host, e.attempt) for e in of(effects, Dispatch)]
        assert again.rings[0].tally.failures == 0
        with pytest.raises(ConflictError, match="nothing to retry"):
            after(again, Retry("ann", T0, (1,), "again"))


class TestStopping:
    def test_pausing_takes_back_what_has_not_begun_and_lets_the_rest_finish(self):
        rollout = after(started(3, 1), result(1, Outcome.RUNNING))
        paused, effects = play(rollout, Pause("ann", T0, "someone calls"))
        later, nothing = play(paused, result(1), tick_at(T0 + HOUR))
        resumed, more = play(later, Resume("ann", T0 + HOUR), tick_at(T0 + HOUR))

        assert {e.host for e in of(effects, Recall)} == {2, 3}
        assert later.tasks[1].state is TaskState.INSTALLED
        assert of(nothing, Dispatch) == []
        assert {(e.host, e.attempt) for e in of(more, Dispatch)} == {(2, 2), (3, 2)}
        assert resumed.state is PlanState.RUNNING

    def test_cancelling_reaches_every_ring_and_follows_what_runs(self):
        rollout = after(started(2, 3), result(1, Outcome.RUNNING), Cancel("ann", T0, "wrong fleet"))
        ended = after(rollout, result(1), inventory(1))

        assert rollout.state is PlanState.CANCELLED
        assert rollout.live == 1
        assert rollout.rings[1].tally.of(TaskState.CANCELLED) == 3
        assert ended.tasks[1].state is TaskState.VERIFIED
        assert ended.live == 0


class TestResults:
    def test_a_result_without_an_order_is_refused(self):
        with pytest.raises(ConflictError, match="its turn has not come"):
            after(started(1, 1), result(2))
        with pytest.raises(ConflictError, match="attempt 2 was never handed out"):
            after(started(1, 1), result(1, attempt=2))
        with pytest.raises(NotFoundError):
            after(started(1, 1), result(9))
        with pytest.raises(IllegalTransitionError):
            after(plan(1, 1), result(1, Outcome.SKIPPED))

    def test_a_repeated_result_changes_nothing(self):
        once = after(started(1, 1), result(1))

        assert advance(once, result(1, at=T0 + HOUR)) == (once, ())

    def test_begun_after_done_is_out_of_order_and_changes_nothing(self):
        once = after(started(1, 1), result(1))

        assert advance(once, result(1, Outcome.RUNNING)) == (once, ())

    def test_installed_is_not_fixed(self):
        rollout = after(started(1, 1), result(1), tick_at(T0 + HOUR))
        lost = after(rollout, tick_at(T0 + 49 * HOUR))

        assert rollout.tasks[1].state is TaskState.INSTALLED
        assert (lost.tasks[1].state, lost.tasks[1].reason) == (
            TaskState.LOST,
            "no inventory within 2 d",
        )

    def test_an_inventory_that_still_shows_the_old_versions_is_said(self):
        rollout = after(
            started(1, 1), result(1), inventory(1, verified=False), tick_at(T0 + 49 * HOUR)
        )

        assert "does not show every new version" in rollout.tasks[1].reason

    def test_an_inventory_from_before_the_order_proves_nothing(self):
        rollout = after(started(1, 1), result(1))

        assert advance(rollout, inventory(1, T0 - MINUTE)) == (rollout, ())

    def test_a_host_that_needs_a_reboot_is_not_done(self):
        pending = after(started(1, 1), result(1), inventory(1, reboot=True))
        done = after(pending, inventory(1, T0 + 2 * HOUR))

        assert pending.tasks[1].state is TaskState.REBOOT_PENDING
        assert done.tasks[1].state is TaskState.VERIFIED

    def test_the_inventory_speaks_for_a_host_that_never_reported(self):
        rollout = after(started(1, 1), inventory(1))

        assert rollout.tasks[1].state is TaskState.VERIFIED

    def test_a_host_that_is_there_already_is_skipped(self):
        rollout = after(started(1, 1), inventory(2))

        assert rollout.tasks[2].state is TaskState.SKIPPED
        assert rollout.rings[1].tally.hosts == 0

    def test_late_results_count(self):
        timed_out = after(started(1, 1), result(1, Outcome.RUNNING), tick_at(T0 + 5 * HOUR))
        late = after(timed_out, result(1, at=T0 + 6 * HOUR), inventory(1, T0 + 7 * HOUR))

        assert timed_out.tasks[1].state is TaskState.TIMED_OUT
        assert timed_out.state is PlanState.HALTED
        assert late.tasks[1].state is TaskState.VERIFIED
        assert late.rings[0].tally.failures == 0

    def test_an_outdated_failure_says_nothing_of_the_present_attempt(self):
        rollout = after(started(1, 1), tick_at(T0 + 12 * HOUR))

        assert rollout.tasks[1].attempt == 2
        assert advance(rollout, result(1, Outcome.FAILED, attempt=1)) == (rollout, ())
        assert after(rollout, result(1, attempt=1)).tasks[1].state is TaskState.INSTALLED

    @pytest.mark.parametrize(
        ("ends", "state"),
        [
            ((), TaskState.DEFERRED),
            ((Pause("ann", T0 + 2 * MINUTE, "wait"),), TaskState.DEFERRED),
            ((Cancel("ann", T0 + 2 * MINUTE, "no"),), TaskState.CANCELLED),
        ],
    )
    def test_who_heard_too_late_that_it_may_begin_is_given_another_turn(self, ends, state):
        begun = after(started(2, 1), result(1, Outcome.RUNNING, attempt=1), *ends)
        rollout, effects = play(begun, NeverBegun(1, T0 + HOUR, "h1", 1))
        task = rollout.tasks[1]

        assert (task.state, task.begun, task.reason) == (state, None, UNHEARD)
        assert of(effects, Recall) == [Recall(1, 1, UNHEARD)]
        assert rollout.rings[0].tally.failures == 0
        outdated = NeverBegun(1, T0 + HOUR, "h1", 1)
        again = after(rollout, tick_at(T0 + HOUR))
        assert again.tasks[1].attempt == (2 if not ends else 1)
        assert advance(again, outdated) == (again, ())

    def test_a_rollback_undoes_even_a_verified_host(self):
        rollout = after(started(1, 1), inventory(1), result(1, Outcome.ROLLED_BACK))

        assert rollout.tasks[1].state is TaskState.ROLLED_BACK
        assert rollout.state is PlanState.HALTED

    @pytest.mark.parametrize(
        ("shown", "state", "went_back", "accepted"),
        [
            (WentBack.CONFIRMED, TaskState.ROLLED_BACK, WentBack.CONFIRMED, True),
            (WentBack.UNDETERMINED, TaskState.ROLLED_BACK, WentBack.UNDETERMINED, True),
            (WentBack.CONTRADICTED, TaskState.FAILED, WentBack.CONTRADICTED, False),
        ],
    )
    def test_a_roll_back_is_held_against_the_next_inventory(
        self, shown, state, went_back, accepted
    ):
        said = after(
            started(2, 1),
            result(1, Outcome.ROLLED_BACK),
            AcknowledgeHosts("bob", T0 + HOUR, (1,), "it is back"),
            Acknowledge("bob", T0 + HOUR, "it is back"),
        )
        assert (said.state, said.tasks[1].went_back) == (PlanState.RUNNING, WentBack.AWAITED)
        earlier = WayBackSeen(1, T0 + 5 * MINUTE, WentBack.CONTRADICTED, "curl 8")
        assert advance(said, earlier) == (said, ())  # from before its word
        rollout, effects = play(said, WayBackSeen(1, T0 + 2 * HOUR, shown, "curl 8"))
        task = rollout.tasks[1]

        assert (task.state, task.went_back, task.acknowledged) == (state, went_back, accepted)
        assert (rollout.state is PlanState.RUNNING) is accepted  # what was let pass is not so
        assert "2026-03-02 22:00 UTC" in task.reason
        assert next(one.kind for one in of(effects, Record)) == f"roll_back_{shown.value}"
        late = after(rollout, WayBackSeen(1, T0 + 3 * HOUR, WentBack.CONFIRMED))
        assert late.tasks[1].state is TaskState.ROLLED_BACK
        assert late.tasks[1].proof_after is None

    def test_a_roll_back_is_withdrawn_until_the_host_has_begun(self):
        asked = after(
            started(2, 1, orders_ways_back=True),
            *failed(1, 2),
            RollBack("bob", T0 + HOUR, (1, 2), "it is slow"),
            tick_at(T0 + HOUR),
            TaskReported(2, T0 + HOUR, Outcome.RUNNING, "h2", 2, is_way_back=True),
        )
        withdrawn, effects = play(asked, WithdrawRollBack("bob", T0 + HOUR, (1,), "no"))

        assert of(effects, Recall) == [Recall(1, 2, "withdrawn by bob: no")]
        with pytest.raises(ConflictError, match="host 2 has begun to go back"):
            advance(asked, WithdrawRollBack("bob", T0 + HOUR, (2,), "no"))
        with pytest.raises(ConflictError, match="host 1 need not go back any more"):
            advance(withdrawn, WithdrawRollBack("bob", T0 + HOUR, (1,), "no"))
        assert after(withdrawn, tick_at(T0 + 2 * HOUR)).tasks[1].undo == withdrawn.tasks[1].undo
        late = TaskReported(1, T0 + HOUR, Outcome.ROLLED_BACK, "h1", 2, is_way_back=True)
        assert after(withdrawn, late).tasks[1].state is TaskState.ROLLED_BACK
        again = after(withdrawn, RollBack("bob", T0 + HOUR, (1,), "yes"), tick_at(T0 + HOUR))
        assert again.tasks[1].undo.attempt == 3

    def test_a_task_that_waits_goes_by_its_rings_deadline(self):
        rollout = started(2, 1, rings=(replace(CANARY, max_concurrent=1), BROAD))

        assert deadline_of(rollout, rollout.tasks[2]) == T0 + 14 * 24 * HOUR
        assert deadline_of(rollout, rollout.tasks[3]) == T0 + 14 * 24 * HOUR
