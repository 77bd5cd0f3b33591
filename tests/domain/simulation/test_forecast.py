"""The forecast is the simulation, read: the same instants, whatever windows, freezes and groups."""

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from patchmgr.domain.rollout.events import Outcome, TaskReported
from patchmgr.domain.rollout.machine import advance_all
from patchmgr.domain.rollout.model import Approval
from patchmgr.domain.rollout.states import PlanState
from patchmgr.domain.simulation import forecast as simulated
from patchmgr.domain.simulation.behaviour import Behaviour
from patchmgr.domain.simulation.forecast import WhatIf, earliest
from patchmgr.domain.simulation.player import Player, Setting, simulate
from patchmgr.domain.simulation.reading import scenario_from_json
from patchmgr.domain.simulation.scenario import draft
from patchmgr.domain.windows import Freeze, Window
from patchmgr.errors import InputError

START = "2026-03-27T12:00:00Z"
NOW = datetime(2026, 3, 27, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
NIGHT = {"name": "night", "rrule": "FREQ=DAILY;BYHOUR=2", "duration": "4h", "zone": "UTC"}
SATURDAY = {"name": "sat", "rrule": "FREQ=WEEKLY;BYDAY=SA", "duration": "8h", "zone": "Asia/Tokyo"}


GROUPS = (
    [],
    [{"by": "group", "max_unavailable": 1}],
    [{"by": "group", "max_unavailable": "40%"}, {"by": "site", "max_unavailable": 3}],
    [{"by": "group", "max_unavailable": 2, "order": "hostname"}],
)


def random_scenario(seed):
    dice = random.Random(seed)
    hosts = [
        {
            "name": f"h{number}",
            "ring": dice.choice(["one", "two"]),
            "group": dice.choice(["", "a", "b"]),
            "site": dice.choice(["", "s", "t"]),
            "window": dice.choice(["", "night", "sat"]),
        }
        for number in range(dice.randrange(5, 40))
    ]
    rings = [
        {"name": "one", "soak": dice.choice(["0m", "6h"]), "max_concurrent": dice.choice([1, 4])},
        {"name": "two", "expected": "50m", "max_concurrent": dice.choice([2, 30])},
    ]
    freeze = {"from": "2026-03-28T03:00:00Z", "until": "2026-03-29T03:00:00Z"}
    return scenario_from_json(
        {
            "start": START,
            "due": "2026-04-02T00:00:00Z",
            "hosts": hosts,
            "rings": rings,
            "windows": [NIGHT, SATURDAY],
            "freezes": [freeze] if dice.random() < 0.5 else [],
            "groups": dice.choice(GROUPS),
        }
    )


def forecast_of(scenario, rollout=None, what_if=None, now=NOW):
    rollout = rollout or draft(scenario)
    rollout = simulated.changed(rollout, scenario.windows, what_if or WhatIf())
    around = {
        "now": now,
        "windows": scenario.windows,
        "freezes": scenario.freezes,
        "names": {host.facts.id: host.facts.hostname for host in scenario.hosts},
    }
    played = simulated.expecting_success(rollout, **around, plan="1")
    return simulated.forecast(rollout, played, **around)


def log_of(scenario):
    """Everything that the forecast's simulation says, in which hosts that are alike move as one."""
    names = {host.facts.id: host.facts.hostname for host in scenario.hosts}
    around = {"windows": scenario.windows, "freezes": scenario.freezes, "names": names}
    played = simulated.expecting_success(draft(scenario), now=NOW, **around, plan="1")
    return sorted(line._replace(group="") for line in played.lines)


def expected_by_all(scenario):
    """The same scenario, in which every host takes what its ring expects."""
    rings = {task.host: task.ring for task in draft(scenario).tasks.values()}
    hosts = []
    for host in scenario.hosts:
        needed = scenario.rings[rings[host.facts.id]].expected
        hosts.append(replace(host, behaviour=Behaviour(duration=(needed, needed))))
    return replace(scenario, hosts=tuple(hosts))


@pytest.mark.parametrize("seed", range(40))
def test_the_forecast_is_what_the_simulation_does(seed):
    scenario = random_scenario(seed)
    made = forecast_of(scenario)
    lines = list(simulate(expected_by_all(scenario)))
    assert log_of(scenario) == sorted(line._replace(group="") for line in lines)

    def times(ring, kind):
        return [line.time for line in lines if (line.ring, line.kind) == (ring, kind)]

    for ring in made.rings:
        assert [ring.starts] == times(ring.name, "ring_started")[:1]
        assert [ring.ends] == times(ring.name, "ring_passed")
        assert ring.last_host == max(times(ring.name, "verified"))
    assert made.ends == lines[-1].time
    assert made.done == {line.host: line.time for line in lines if line.kind == "verified"}
    late = {host.name for host in made.late}
    assert late == {name for name, at in made.done.items() if at > scenario.due}


def test_a_live_plan_is_forecast_from_where_it_stands():
    scenario = scenario_from_json(
        {"start": START, "hosts": [{"name": n} for n in "ab"],
         "rings": [{"name": "all", "max_concurrent": 1, "expected": "1h"}]}
    )  # fmt: skip
    rollout = draft(scenario)
    at_first = forecast_of(scenario)
    behaviours = dict.fromkeys((1, 2), Behaviour(begin=(HOUR, HOUR)))
    player = Player(rollout, Setting(NOW, {}, (), behaviours, until=timedelta(0)))
    list(player.play())
    begun = replace(player.rollout, tasks=dict(player.tasks))
    later, _ = advance_all(begun, [TaskReported(1, NOW, Outcome.RUNNING, "ann", 1)])
    made = forecast_of(scenario, later, now=NOW + HOUR / 2)

    assert at_first.ends == NOW + 2 * HOUR + timedelta(minutes=15)
    assert made.done["a"] == NOW + HOUR + timedelta(minutes=15)
    assert made.ends == at_first.ends


def asking(people, approvals=2, authors=("ann",)):
    """A plan of two rings that, as its second ring, asks ``approvals`` of these ``people``."""
    ring = {"name": "two", "needs_approval": True, "approvals": approvals, "approvers": people}
    scenario = scenario_from_json(
        {"start": START, "hosts": [{"name": "a", "ring": "one"}, {"name": "b"}],
         "rings": [{"name": "one"}, ring]}
    )  # fmt: skip
    terms = {"approvers": tuple(people), "approvals_needed": approvals}
    return scenario, replace(draft(scenario), authors=frozenset(authors), **terms)


@pytest.mark.parametrize(
    ("people", "outcome"),
    [
        ([], "the plan is completed"),
        (["bob", "cid"], "the plan is completed"),
        (["bob", "role:admin"], "the plan is completed"),
        (["ann", "bob", "role:approver"], "the plan is completed"),
        (["ann", "bob"], "the plan is expired"),  # she made it, and he is one
    ],
)
def test_in_a_forecast_whoever_is_asked_decides_at_once_as_many_as_must(people, outcome):
    made = forecast_of(*asking(people))

    assert made.outcome == outcome
    assert made.done.keys() == ({"a", "b"} if outcome == "the plan is completed" else set())


def test_a_later_start_is_forecast_with_approvals_given_again():
    scenario, rollout = asking(["bob", "cid"])
    given = tuple(Approval(name, NOW, rollout.content_hash) for name in ("bob", "cid"))
    approved = replace(rollout, state=PlanState.APPROVED, approvals=given)

    made = forecast_of(scenario, approved, now=NOW + approved.approval_valid + HOUR)

    assert made.outcome == "the plan is completed"


def test_what_if_changes_the_forecast_and_nothing_else():
    scenario = random_scenario(3)
    rollout = draft(scenario)
    before = forecast_of(scenario, rollout)
    quick = forecast_of(
        scenario, rollout, WhatIf(soak=timedelta(0), max_concurrent=1000, window="any")
    )

    assert quick.ends < before.ends
    assert forecast_of(scenario, rollout) == before
    with pytest.raises(InputError, match="no maintenance window 'x'"):
        forecast_of(scenario, rollout, WhatIf(window="x"))


def test_hosts_without_a_window_before_their_due_date_are_named_with_the_first_chance():
    scenario = scenario_from_json(
        {
            "start": START,
            "due": "2026-03-30T00:00:00Z",
            "hosts": [
                {"name": "a", "window": "late"},
                {"name": "b"},
                {"name": "c", "window": "short"},
            ],
            "rings": [{"name": "all"}],
            "windows": [
                {"name": "late", "rrule": "FREQ=WEEKLY;BYDAY=WE;BYHOUR=3", "duration": "4h"},
                {"name": "short", "rrule": "FREQ=DAILY", "duration": "10m"},
            ],
        }
    )
    made = forecast_of(scenario)

    assert [(one.name, one.earliest, one.reason) for one in made.late] == [
        ("c", None, "no opening of its window short is long enough"),
        ("a", datetime(2026, 4, 1, 3, tzinfo=UTC), "no window before the due date"),
    ]


@pytest.mark.parametrize(
    ("until", "first"),
    [("2026-04-02T00:00:00Z", datetime(2026, 4, 2, tzinfo=UTC)), ("2028-01-01T00:00:00Z", None)],
)
def test_a_freeze_that_leaves_no_time_is_named_and_not_the_window(until, first):
    scenario = scenario_from_json(
        {
            "start": START,
            "due": "2026-03-30T00:00:00Z",
            "hosts": [{"name": "a"}, {"name": "b", "window": "night"}],
            "rings": [{"name": "all"}],
            "windows": [{**NIGHT, "rrule": "FREQ=DAILY;BYHOUR=0"}],
            "freezes": [{"from": START, "until": until}],
        }
    )
    made = forecast_of(scenario)

    frozen = "freezes leave no time before the due date"
    assert [(one.name, one.earliest, one.reason) for one in made.late] == [
        ("a", first, frozen), ("b", first, frozen),
    ]  # fmt: skip


def test_the_first_chance_lies_outside_of_freezes():
    night = Window("n", "FREQ=DAILY;BYHOUR=22", 4 * HOUR, "UTC")
    freeze = Freeze("f", NOW + 9 * HOUR, NOW + 11 * HOUR, "r")

    assert earliest(night, HOUR, [], NOW) == NOW + 10 * HOUR
    assert earliest(night, HOUR, [freeze], NOW) == NOW + 11 * HOUR
    assert earliest(None, HOUR, [replace(freeze, starts=NOW)], NOW) == NOW + 11 * HOUR
    assert earliest(night, 5 * HOUR, [], NOW) is None


def test_a_halt_for_a_window_that_is_far_off_ends_at_once_and_the_forecast_goes_on():
    scenario = scenario_from_json(
        {
            "start": START,
            "due": "2026-04-30T00:00:00Z",
            "hosts": [{"name": "a", "window": "far"}],
            "rings": [{"name": "all", "wait": "14d"}],
            "windows": [
                {"name": "far", "rrule": "FREQ=YEARLY;BYMONTH=12;BYMONTHDAY=27", "duration": "8h",
                 "zone": "UTC"},
            ],
        }
    )  # fmt: skip

    made = forecast_of(scenario)

    opens = datetime(2026, 12, 27, tzinfo=UTC)
    assert opens <= made.done["a"] < opens + HOUR
    (late,) = made.late
    assert (late.earliest, late.reason) == (opens, "no window before the due date")
    assert [(one.ring, one.hosts, one.earliest) for one in made.late_by] == [("all", 1, opens)]
