"""The rollout as a specification: what stops it, and what lets it go on."""

from dataclasses import replace

import pytest

from patchmgr.domain.rings import RingSettings
from patchmgr.domain.rollout.events import (
    Acknowledge,
    AcknowledgeHosts,
    Cancel,
    Dispatch,
    HaltSignal,
    Notify,
    Outcome,
    Pause,
    Recall,
    Resume,
    Retry,
    Start,
    Withdrawn,
)
from patchmgr.domain.rollout.model import Rollout
from patchmgr.domain.rollout.states import PlanState, TaskState
from patchmgr.errors import (
    ConflictError,
    IllegalTransitionError,
    InputError,
)
from tests.domain.rollout.steps import (
    APPROVED,
    BROAD,
    CANARY,
    HASH,
    HOUR,
    MINUTE,
    T0,
    after,
    failed,
    inventory,
    of,
    plan,
    play,
    result,
    started,
    tick_at,
)

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
