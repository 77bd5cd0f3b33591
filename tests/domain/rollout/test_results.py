"""The rollout as a specification: what becomes of what hosts report."""

from dataclasses import replace

import pytest

from patchmgr.domain.rollout.events import (
    UNHEARD,
    Acknowledge,
    AcknowledgeHosts,
    Cancel,
    NeverBegun,
    Outcome,
    Pause,
    Recall,
    Record,
    RollBack,
    TaskReported,
    WayBackSeen,
    WithdrawRollBack,
)
from patchmgr.domain.rollout.machine import advance, deadline_of
from patchmgr.domain.rollout.states import PlanState, TaskState, WentBack
from patchmgr.errors import (
    ConflictError,
    IllegalTransitionError,
    NotFoundError,
)
from tests.domain.rollout.steps import (
    BROAD,
    CANARY,
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
