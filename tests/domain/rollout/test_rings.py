"""The rollout as a specification: what a ring must prove, and when its hosts may begin."""

from dataclasses import replace
from datetime import timedelta

from patchmgr.domain.rollout.events import (
    Acknowledge,
    Dispatch,
    Outcome,
    Recall,
    Start,
    Tick,
)
from patchmgr.domain.rollout.gates import gate, soak_length
from patchmgr.domain.rollout.model import Rollout
from patchmgr.domain.rollout.states import PlanState, RingState, TaskState
from tests.domain.rollout.steps import (
    APPROVED,
    BROAD,
    CANARY,
    HASH,
    HOUR,
    MINUTE,
    STARTED,
    T0,
    after,
    inventory,
    of,
    plan,
    play,
    result,
    started,
    states,
    tick_at,
)


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
