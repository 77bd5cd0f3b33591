"""What pages show of plans, and what they offer to do."""

from datetime import UTC, datetime

import pytest

from patchmgr.db.queries.plans import COMMANDS, commands
from patchmgr.domain.rings import RingSettings
from patchmgr.domain.rollout.events import (
    Acknowledge,
    Approve,
    Cancel,
    Edited,
    HaltSignal,
    Outcome,
    Pause,
    Propose,
    Reject,
    Resume,
    Retry,
    Start,
    TaskReported,
    Tick,
    Withdrawn,
)
from patchmgr.domain.rollout.machine import advance_all
from patchmgr.domain.rollout.model import Ring, Rollout, Tally, Task
from patchmgr.domain.rollout.states import OPEN_PLANS, PlanState, TaskState
from patchmgr.errors import IllegalTransitionError

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
HASH = "a" * 64
RING = RingSettings("all", window="any", max_failures=5)

DRAFT = Rollout(
    (Ring(RING, Tally({TaskState.QUEUED: 2})),),
    {1: Task(1, 0, since=NOW), 2: Task(2, 0, since=NOW)},
    frozenset({"ann"}),
    HASH,
)
PROPOSED = (Propose("ann", NOW),)
APPROVED = (*PROPOSED, Approve("bob", NOW, HASH))
FAILED = TaskReported(1, NOW, Outcome.FAILED, "ann")
RUNNING = (*APPROVED, Start("ann", NOW, HASH), Tick(NOW, content_hash=HASH), FAILED)
WAYS = {
    PlanState.DRAFT: (),
    PlanState.PROPOSED: PROPOSED,
    PlanState.APPROVED: APPROVED,
    PlanState.RUNNING: RUNNING,
    PlanState.PAUSED: (*RUNNING, Pause("ann", NOW, "r")),
    PlanState.HALTED: (*RUNNING, HaltSignal(NOW, "person", "r")),
}
DO = {
    "edit": Edited("ann", NOW, "b" * 64),
    "propose": Propose("ann", NOW),
    "approve": Approve("bob", NOW, HASH),
    "reject": Reject("bob", NOW, "r"),
    "start": Start("ann", NOW, HASH),
    "pause": Pause("ann", NOW, "r"),
    "resume": Resume("ann", NOW),
    "halt": HaltSignal(NOW, "person", "r", "again"),
    "acknowledge": Acknowledge("ann", NOW, "r"),
    "cancel": Cancel("ann", NOW, "r"),
    "retry": Retry("ann", NOW, (1,), "r"),
    "results": TaskReported(2, NOW, Outcome.SKIPPED, "ann"),
}


def reached(state: PlanState) -> Rollout:
    rollout, _ = advance_all(DRAFT, WAYS[state])
    assert rollout.state is state
    return rollout


@pytest.mark.parametrize(
    ("state", "command"), [(state, name) for state, names in COMMANDS.items() for name in names]
)
def test_nothing_is_offered_that_the_plan_would_refuse(state, command):
    advance_all(reached(state), (DO[command],))


@pytest.mark.parametrize(
    ("state", "command"),
    [(state, name) for state, names in COMMANDS.items() for name in DO if name not in names],
)
def test_nothing_is_possible_that_is_not_offered(state, command):
    """Except what needs an open signal: `commands` offers it when there is one."""
    if command == "acknowledge" or (state, command) == (PlanState.RUNNING, "resume"):
        return
    if (state, command) in ((PlanState.PAUSED, "halt"), (PlanState.HALTED, "halt")):
        return  # already stopped: possible, and pointless
    with pytest.raises(IllegalTransitionError):
        advance_all(reached(state), (DO[command],))


def test_every_open_state_offers_something():
    assert set(COMMANDS) == set(OPEN_PLANS)


def test_over_an_open_signal_nothing_begins_or_goes_on():
    approved, _ = advance_all(reached(PlanState.APPROVED), (Withdrawn(NOW, "DSA-1"),))
    paused, _ = advance_all(reached(PlanState.PAUSED), (HaltSignal(NOW, "probe", "down"),))

    assert commands(approved) == ("acknowledge", "edit", "reject", "cancel")
    assert commands(paused) == ("acknowledge", "results", "retry", "cancel")
