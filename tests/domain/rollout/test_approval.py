"""The rollout as a specification: who may decide."""

from dataclasses import replace

import pytest

from patchmgr.domain.rollout.events import (
    Approve,
    Dispatch,
    Edited,
    Notify,
    Propose,
    Reject,
    Start,
    Tick,
)
from patchmgr.domain.rollout.gates import enough_succeeded, gate
from patchmgr.domain.rollout.model import Ring, Rollout, Tally
from patchmgr.domain.rollout.states import PlanState, RingState, TaskState
from patchmgr.errors import (
    ConflictError,
    ForbiddenError,
    IllegalTransitionError,
    InputError,
    NotFoundError,
)
from tests.domain.rollout.steps import (
    APPROVED,
    BROAD,
    CANARY,
    HASH,
    HOUR,
    T0,
    after,
    inventory,
    of,
    plan,
    play,
    started,
    states,
    tick_at,
)


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
        ring = Ring(BROAD, replace(tally, lost_accepted=1))
        rollout = Rollout((ring,), {}, authors=frozenset({"ann"}), content_hash=HASH)
        shown = {one.name: one for one in gate(rollout, 0, T0)}["succeeded"]

        assert not enough_succeeded(tally, BROAD)
        assert shown.holds
        assert shown.have == "4 of 5, 1 accepted and not counted"

    def test_content_that_changed_under_a_running_plan_stops_it_before_the_next_ring(self):
        rollout = after(plan(1, 1), *APPROVED, Start("ann", T0, HASH))
        stopped, effects = play(rollout, Tick(T0, content_hash="b" * 64))

        assert stopped.state is PlanState.HALTED
        assert of(effects, Dispatch) == []
        assert of(play(rollout, Tick(T0))[1], Dispatch) == [], "nobody looked"
