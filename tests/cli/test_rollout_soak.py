"""The short form of ``make soak``'s rollout: real processes, killed while hosts do their work."""

import importlib.util
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[1] / "bench"


@pytest.fixture(scope="module")
def soaking():
    spec = importlib.util.spec_from_file_location("rollout_soak", BENCH / "rollout_soak.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def found(soaking, request):
    return soaking.soak(15, kill_every=2.5, limit=300, database=request.param)


def test_nothing_is_done_twice_lost_or_outside_however_the_service_is_killed(soaking, found):
    assert soaking.problems(found) == []
    assert sum(found.kills.values()) > 2  # the two at the end are no interruption


def test_the_checker_notices_work_done_twice_and_work_lost(soaking, found):
    name, lines = next(iter(found.journals.items()))
    twice = replace(found, journals=found.journals | {name: [*lines, lines[-3]]})
    lost = replace(found, states=found.states | {name: "running"})

    assert any(name in problem for problem in soaking.problems(twice))
    assert soaking.problems(lost) == [f"{name} is running"]


def test_the_checker_notices_a_freeze_a_full_ring_and_a_ring_too_early(soaking, found):
    at = next(at for at, kind, *_ in found.events if kind == "task_running")
    frozen = replace(found, freezes=[(at, at + 1)])
    crowded = replace(found, at_once=1)
    late = [(at - at % 60, *rest) if rest[0] == "dispatched" else (at, *rest)
            for at, *rest in found.events]  # fmt: skip
    reordered = replace(found, events=[e for e in found.events if e[1] != "ring_passed"])

    assert any("in a freeze" in problem for problem in soaking.problems(frozen))
    outside = soaking.problems(replace(found, events=late))
    assert sum("outside its window" in problem for problem in outside) >= 7
    assert any("hosts at work" in problem for problem in soaking.problems(crowded))
    assert any("before the canary" in problem for problem in soaking.problems(reordered))
    assert Counter(found.states.values()) == {"verified": 10, "rolled_back": 5}


def test_the_checker_notices_hosts_that_did_not_go_back(soaking, found):
    name = min(found.taken_back)
    kept = replace(found, states=found.states | {name: "verified"})
    lines = [line for line in found.journals[name] if line["order"]["kind"] == "install"]
    idle = replace(found, journals=found.journals | {name: lines})

    assert soaking.problems(kept) == [f"{name} is verified"]
    assert soaking.problems(idle) == [f"{name}, roll_back: {{}}"]
