"""Why a plan stands still: each signal has its hosts, a first step that helps, and commands."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from patchmgr.domain.freezes import Freezes
from patchmgr.domain.rings import RingSettings
from patchmgr.domain.rollout.advice import commands, stops
from patchmgr.domain.rollout.events import MACHINE
from patchmgr.domain.rollout.idle import Around
from patchmgr.domain.rollout.model import Ring, Rollout, Signal, Tally
from patchmgr.domain.rollout.states import PlanState, RingState, TaskState
from patchmgr.domain.rollout.stop import Culprit

T0 = datetime(2026, 3, 2, tzinfo=UTC)
FAILED = Culprit("web-1", "canary", TaskState.FAILED, "openssl", "no space left")
LOST = Culprit("web-2", "canary", TaskState.LOST, not_back=True)
ELSEWHERE = Culprit("db-1", "broad", TaskState.FAILED, "curl")
EVERYBODY = (FAILED, LOST, ELSEWHERE)
WAITS = Tally({TaskState.QUEUED: 2})


def rollout(state=PlanState.RUNNING, ring=RingState.ROLLING, signals=(), **more):
    canary = Ring(RingSettings("canary", **more.pop("settings", {})), state=ring, since=T0)
    rings = (replace(canary, tally=more.pop("tally", Tally())), Ring(RingSettings("broad")))
    return Rollout(rings, {}, frozenset({"ann"}), "a" * 64, state=state, signals=signals, **more)


def halted(kind, subject="canary", ring=RingState.ROLLING):
    signal = Signal(kind, subject, 1, "because", T0)
    return rollout(PlanState.HALTED, ring, (signal,))


@pytest.mark.parametrize(
    ("kind", "subject", "ring", "hosts", "first", "last"),
    [
        ("failures", "canary", RingState.ROLLING, (FAILED,), "retry", "cancel"),
        ("package", "openssl", RingState.ROLLING, (FAILED,), "hold", "cancel"),
        ("reboot", "", RingState.ROLLING, (LOST,), "look", "cancel"),
        ("gate", "canary", RingState.FAILED, (FAILED, LOST), "retry", "cancel"),
        ("gate", "canary", RingState.INCONCLUSIVE, (FAILED, LOST), "look", "cancel"),
        ("probe", "canary/shop", RingState.ROLLING, (FAILED, LOST), "look", "cancel"),
        ("waiting", "canary", RingState.WAITING_GATE, (), "look", "cancel"),
        ("withdrawn", "DSA-1", RingState.ROLLING, (), "look", "acknowledge"),
        ("content", "", RingState.ROLLING, (), "cancel", "look"),
        ("hold", "7", RingState.ROLLING, (), "cancel", "acknowledge"),
        ("person", "ann", RingState.ROLLING, (), "look", "cancel"),
    ],
)
def test_each_signal_names_its_hosts_and_what_to_do(kind, subject, ring, hosts, first, last):
    (stop,) = stops(halted(kind, subject, ring), EVERYBODY)

    assert stop.hosts == hosts
    assert (stop.steps[0].command, stop.steps[-1].command) == (first, last)
    assert stop.is_halt
    assert len(commands(42, stop)) == len(stop.steps)


@pytest.mark.parametrize(
    ("kind", "subject", "ring"),
    [
        ("failures", "db/1", "db/1"),
        ("probe", "db/1/shop", "db/1"),
        ("probe", "db/shop", "db"),
        ("person", "db", ""),
        ("hold", "db", ""),
    ],
)
def test_a_signal_speaks_of_its_ring_whatever_that_is_called(kind, subject, ring):
    known = tuple(Ring(RingSettings(name)) for name in ("db", "db/1"))
    plan = replace(halted(kind, subject), rings=known)

    assert stops(plan)[0].ring == ring


def test_changed_content_is_never_advised_to_be_let_pass():
    (stop,) = stops(halted("content", ""))

    assert "acknowledge" not in [step.command for step in stop.steps]


def test_steps_on_hosts_are_left_out_where_no_host_made_it():
    (stop,) = stops(halted("probe", "canary/shop"))

    assert "roll-back" not in [step.command for step in stop.steps]


def test_commands_can_be_typed():
    (stop,) = stops(halted("failures"), EVERYBODY)
    typed = commands(42, stop)

    assert typed[0] == "patchmgr plans retry 42 web-1 --reason TEXT"
    assert "patchmgr holds add openssl --version VERSION --reason TEXT" in typed


def test_a_ring_that_only_lost_hosts_waits_for_their_inventories():
    (stop,) = stops(halted("gate", "canary", RingState.FAILED), (LOST,))

    assert stop.steps[0].words.startswith("See on their consoles")
    silent = replace(LOST, not_back=False)
    (stop,) = stops(halted("gate", "canary", RingState.FAILED), (silent,))
    assert stop.steps[0].words.startswith("Let the hosts report")


@pytest.mark.parametrize(
    ("by", "commands_"), [("ann", ["resume", "cancel"]), (MACHINE, ["look", "resume", "cancel"])]
)
def test_a_pause_ends_by_resuming_after_a_look_where_a_probe_made_it(by, commands_):
    (stop,) = stops(rollout(PlanState.PAUSED, by=by, reason="look"))

    assert (stop.why, [step.command for step in stop.steps]) == ("look", commands_)


def test_a_signal_over_a_pause_comes_first_and_resuming_is_not_advised():
    signal = Signal("failures", "canary", 1, "because", T0)
    first, second = stops(rollout(PlanState.PAUSED, signals=(signal,), by="ann"))

    assert (first.kind, second.kind) == ("failures", "paused")
    assert "resume" not in [step.command for step in second.steps]


def test_a_freeze_a_window_and_an_approval_say_when_it_goes_on():
    freezes = Freezes("peak until noon (sales)", None, T0, "peak")
    (frozen,) = stops(rollout(), around=Around(freezes))
    opens = {"nights": T0 + timedelta(hours=1), "days": T0 + timedelta(hours=9), "old": None}
    (closed,) = stops(rollout(ring=RingState.WAITING_WINDOW, tally=WAITS), (), Around(opens=opens))
    (missing,) = stops(rollout(ring=RingState.WAITING_GATE, settings={"needs_approval": True}), ())

    assert (frozen.why, frozen.at) == ("Frozen: peak until noon (sales)", T0)
    assert commands(42, frozen) == ("", "patchmgr freezes end peak")
    assert "2026-03-02 01:00 UTC" in closed.steps[0].words
    assert (missing.kind, missing.steps[0].command) == ("approval", "approve")


def test_a_group_that_can_spare_nobody_names_who_keeps_it():
    waiting = rollout(tally=Tally({TaskState.QUEUED: 2, TaskState.FAILED: 1}))

    assert stops(waiting, EVERYBODY, Around(is_open=True)) == ()
    spent = ("group web can spare no other host, 1 is down and at most 1 may be",)
    around = Around(is_open=True, is_grouped=True, groups=spent)
    (stop,) = stops(waiting, EVERYBODY, around)
    assert (stop.kind, stop.hosts) == ("group", (FAILED, LOST))
    assert spent[0] in stop.why


LATER = T0 + timedelta(hours=5)


@pytest.mark.parametrize(
    ("ring", "around", "kind", "since", "is_idle"),
    [
        (RingState.ROLLING, Around(is_open=True, others=(7,)), "busy", LATER, True),
        (RingState.ROLLING, Around(is_open=True, is_grouped=True), "group", LATER, True),
        (RingState.ROLLING, Around(opens={"nights": LATER}), "window", LATER, True),
        (RingState.ROLLING, Around(opens={"nights": None}), "window", LATER, True),
        (RingState.WAITING_WINDOW, Around(opens={"nights": LATER}), "window", T0, False),
    ],
)
def test_a_ring_that_waits_says_since_when_or_since_when_none_of_it_is_at_work(
    ring, around, kind, since, is_idle
):
    waits = Tally({TaskState.QUEUED: 2, TaskState.INSTALLED: 1})

    (stop,) = stops(rollout(ring=ring, tally=waits), (), replace(around, idle_since=LATER))
    assert (stop.kind, stop.at, stop.is_idle) == (kind, since, is_idle)
    (never,) = stops(rollout(ring=ring, tally=waits), (), around)  # none of it was ever at work
    assert never.at == T0


@pytest.mark.parametrize(
    ("around", "kind", "why", "what"),
    [
        (Around(opens={"nights": None}, too_short=("nights",)), "window", "none will do",
         "Window nights is never open for as long as a host needs"),
        (Around(opens={"nights": None}), "window", "none will do",
         "No window of its hosts opens again"),
        (Around(Freezes("", T0)), "window", "a freeze begins at 2026-03-02 00:00 UTC", "by itself"),
        (Around(is_open=True, others=(7, 9)), "busy", "at work in plans 7 and 9", "by itself"),
        (Around(is_open=True, no_scheduler_since=T0), "scheduler", "No scheduler is running",
         "patchmgr scheduler"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("ring", [RingState.WAITING_WINDOW, RingState.ROLLING])
def test_hosts_that_wait_say_for_what_also_in_a_ring_that_has_begun(ring, around, kind, why, what):
    (stop,) = stops(rollout(ring=ring, tally=WAITS), (), around)

    assert stop.kind == kind
    assert why in stop.why
    assert what in " ".join(step.words for step in stop.steps)
    at_work = Tally({TaskState.QUEUED: 2, TaskState.RUNNING: 1})
    others = stops(rollout(ring=ring, tally=at_work), (), around)
    assert [one.kind for one in others] == (["scheduler"] if kind == "scheduler" else [])


def test_a_plan_that_moves_or_is_over_stands_still_for_nothing():
    for state in (PlanState.DRAFT, PlanState.RUNNING, PlanState.COMPLETED, PlanState.CANCELLED):
        assert stops(rollout(state), EVERYBODY) == ()


def test_a_group_that_waits_for_reboots_says_so_though_nothing_has_failed():
    tally = Tally({TaskState.QUEUED: 2, TaskState.REBOOT_PENDING: 1, TaskState.INSTALLED: 1})
    (stop,) = stops(rollout(tally=tally), (), Around(is_open=True, is_grouped=True))

    assert (stop.kind, [one.command for one in stop.steps]) == ("group", ["wait", "look"])
    assert "2 hosts count against the groups" in stop.why
    assert "1 of them after a reboot" in stop.why
    assert stops(rollout(tally=tally), (), Around(is_open=True)) == ()


def test_hosts_that_go_back_already_are_not_asked_to_again():
    going = replace(FAILED, goes_back=True)
    (stop,) = stops(halted("failures"), (going,))

    assert "roll-back" not in [one.command for one in stop.steps]
