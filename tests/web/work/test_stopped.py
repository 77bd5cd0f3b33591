"""A plan that stands still says so alike wherever it is shown, and each of its hosts says why."""

import re
from datetime import timedelta
from pathlib import Path
from typing import get_args

import pytest

from patchmgr.db import models
from patchmgr.db.queries import plans as queries
from patchmgr.domain.accounts import Role
from patchmgr.domain.groups import GroupSettings
from patchmgr.domain.holds import Hold
from patchmgr.domain.probes import Answer, Probe, ProbeKind
from patchmgr.domain.rings import RingSettings
from patchmgr.domain.rollout import advice
from patchmgr.domain.rollout.advice import commands
from patchmgr.domain.rollout.events import Outcome
from patchmgr.domain.rollout.states import PlanState, RingState, TaskState, WentBack
from patchmgr.domain.windows import Window
from patchmgr.notify import log
from patchmgr.services import approvals, holds, probing, rollouts, windows
from patchmgr.services.rollouts import ResultRow
from web.api.plan_shapes import Task
from web.show import TONES

ALL_AT_ONCE = (RingSettings("all", max_failures=0),)


def as_ann(works):
    return {"actor": "ann", "role": Role.ADMIN, "now": works.clock()}


def fail(works, plan_id, *hosts):
    for host in hosts:  # one after the other, as results come in
        rows = [ResultRow(host, Outcome.FAILED, package="openssl", output="no space left")]
        rollouts.report_results(
            works.db, plan_id, rows, actor="ann", role=Role.OPERATOR, now=works.clock()
        )


def halted(works):
    plan_id = works.started(rings=ALL_AT_ONCE)
    works.tick()
    fail(works, plan_id, "web-1", "web-2")
    return plan_id


def test_overview_list_and_plan_give_the_same_reasons(works, operator):
    plan_id = halted(works)

    for page in ("/", "/plans", f"/plans/{plan_id}"):
        text = operator.get(page).text
        assert "2 failures in ring all, its cap is 0" in text, page
        assert "openssl failed on 2 hosts" in text, page


def test_an_approver_is_told_that_hosts_of_another_plan_failed_on_it(works, operator):
    failed_on, later = halted(works), works.create(title="The same again")
    works.do("propose", later)

    for page in ("changes", "risks"):
        text = operator.get(f"/plans/{later}/{page}").text
        assert f" may be bad: hosts of plan {failed_on} failed on it" in text, page


def paused_by_a_probe_that_says_nothing(works):
    probe = Probe("errors", ProbeKind.PROMETHEUS, "http://prom.example/", "errors", at_most=1.0)
    plan_id = works.started(rings=(RingSettings("all", probes=(probe,)),))
    body = b'{"status": "success", "data": {"resultType": "vector", "result": []}}'
    for _ in range(4):
        works.clock.at += timedelta(minutes=1)
        probing.probe(works.db, now=works.clock(), asker=lambda _: Answer(200, body))
    return plan_id


def stopped_by_a_hold(works):
    plan_id = works.started(rings=ALL_AT_ONCE)
    until = works.clock() + timedelta(days=9)
    hold = Hold("openssl", "", "", "it breaks TLS")
    holds.add(works.db, hold, expires_at=until, owner="", **as_ann(works))
    works.tick()
    return plan_id


def left_by_the_scheduler(works):
    plan_id = works.started(rings=ALL_AT_ONCE)
    with works.db.writing() as session:
        session.add(models.ScheduledJob(name="rollouts", every=15, next_at=works.clock()))
    works.pass_time()
    return plan_id


def beside_another_plan(works):
    works.started(rings=ALL_AT_ONCE)
    return works.started(rings=ALL_AT_ONCE)


def in_window(works, hours, *, starts):
    nights = Window("nights", "FREQ=DAILY;BYHOUR=12", hours, "UTC")
    windows.add(works.db, nights, **as_ann(works))
    works.clock.at = works.clock.at.replace(hour=starts)
    return works.started(rings=(RingSettings("all", window="nights", max_concurrent=2),))


def in_a_window_that_closed_midway(works):
    plan_id = in_window(works, timedelta(hours=3), starts=12)
    rows = [ResultRow(name, Outcome.INSTALLED) for name in ("canary-1", "web-1")]
    works.clock.at += timedelta(hours=4)
    rollouts.report_results(works.db, plan_id, rows, **as_ann(works))
    return plan_id


def in_a_window_that_is_too_short(works):
    return in_window(works, timedelta(minutes=15), starts=9)


def waiting_too_long(works):
    nights = Window("nights", "FREQ=WEEKLY;BYDAY=SU;BYHOUR=2", timedelta(hours=3), "UTC")
    windows.add(works.db, nights, **as_ann(works))
    rings = (RingSettings("all", window="nights", wait=timedelta(days=2)),)
    plan_id = works.started(rings=rings)
    works.clock.at += timedelta(days=2)
    works.tick()
    return plan_id


def beside_a_host_that_failed(works):
    web = GroupSettings("web", hosts=("web-1", "web-2", "web-3"), max_unavailable=1)
    plan_id = works.started(rings=(RingSettings("all", max_failures=3),), groups=(web,))
    fail(works, plan_id, "web-1")
    rollouts.report_results(
        works.db, plan_id, [ResultRow("canary-1", Outcome.INSTALLED)], **as_ann(works)
    )
    return plan_id


STANDS = {
    beside_a_host_that_failed: ("can spare no other host, 1 is down and at most 1 may be",
                                "no longer count against", "plans retry 1 web-1"),
    paused_by_a_probe_that_says_nothing: (
        "was inconclusive 4 times, its limit is 4: the query has no samples", "tells nothing",
        "plans resume 1"),
    stopped_by_a_hold: ("is known to be bad (hold 1: it breaks TLS)", "revoke the hold, then",
                        "holds revoke 1"),
    left_by_the_scheduler: ("No scheduler is running", "run patchmgr scheduler", "scheduler"),
    beside_another_plan: ("its hosts are at work in plan 1", "goes on by itself", ""),
    in_a_window_that_closed_midway: ("2 hosts wait for a window; none is open",
                                     "The next opening is at 2026-03-03 12:00 UTC", ""),
    in_a_window_that_is_too_short: ("and none will do", "never open for as long",
                                   "skip-ring 1 all"),
    waiting_too_long: ("too long for a window, its limit is 2 d", "The next opening is at",
                       "plans acknowledge 1"),
}  # fmt: skip


@pytest.mark.parametrize("stand", STANDS, ids=lambda one: one.__name__)
def test_a_plan_says_its_limit_and_what_to_do(works, client, statements, stand):
    plan_id = stand(works)
    why, what, typed = STANDS[stand]

    browser = client(Role.OPERATOR)  # signed in after all that time
    statements.clear()
    page = browser.get(f"/plans/{plan_id}")
    assert len(statements) <= 12
    with works.db.reading() as session:
        plan = queries.get(session, plan_id, now=works.clock())

    assert page.status_code == 200
    assert why in page.text
    assert what in page.text
    assert typed in " ".join(line for one in plan.stops for line in commands(plan_id, one))
    assert all(one.at for one in plan.stops)
    is_idle = any(one.is_idle for one in plan.stops)
    assert ("no host of it at work since <time" in page.text) == is_idle


def test_an_approval_that_fell_says_why_where_it_is_asked_for_again(works, operator):
    plan_id = works.create()
    works.do("propose", plan_id)
    works.do("approve", plan_id, actor="bob")
    with works.db.writing() as session:
        why = "the account was disabled"
        approvals.bar(session, "bob", None, why=why, actor="root", now=works.clock())

    assert "that counts no longer" in operator.get(f"/plans/{plan_id}").text


def test_hosts_of_a_halted_plan_do_not_wait_for_a_place(works, operator):
    plan_id = halted(works)

    page = operator.get(f"/plans/{plan_id}?state=queued").text

    assert "nothing while the plan is halted; somebody has to let its signals pass" in page
    assert "places of its ring" not in page


def test_the_ring_at_work_of_a_halted_plan_is_not_shown_as_rolling(works, operator):
    assert "Rolling" not in operator.get(f"/plans/{halted(works)}").text


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ((), "waits: the plan is a draft"),
        (("propose",), "waits: the plan is not approved yet"),
        (("propose", "approve"), "waits: the plan is not started yet"),
        (("propose", "approve", "start"), "waits for the ring before it"),
        (("propose", "approve", "start", "pause"), "nothing while the plan is paused"),
    ],
)
def test_a_host_that_waits_says_for_what(works, operator, steps, said):
    plan_id = works.create()
    for verb in steps:
        actor = "bob" if verb == "approve" else "ann"
        works.do(verb, plan_id, actor, **({"reason": "look"} if verb == "pause" else {}))
    works.tick()

    assert said in operator.get(f"/plans/{plan_id}/rollout?ring=broad").text


def test_a_host_with_a_window_says_which_one_it_waits_for(works, operator):
    nights = Window("nights", "FREQ=WEEKLY;BYDAY=SU;BYHOUR=2", timedelta(hours=3), "UTC")
    windows.add(works.db, nights, actor="ann", role=Role.OPERATOR, now=works.clock())
    plan_id = works.started(rings=(RingSettings("all", window="nights", max_concurrent=7),))
    works.tick()

    page = operator.get(f"/plans/{plan_id}").text

    assert "begins when window nights is open and one of the 7 places of its ring is free" in page


@pytest.mark.parametrize("verb", ["accept", "roll-back", "retry"])
def test_no_ticked_host_is_nobody_and_not_everybody(works, operator, verb):
    plan_id = halted(works)

    operator.post(f"/plans/{plan_id}/{verb}", data={"reason": "so"})

    page = operator.get(f"/plans/{plan_id}").text
    assert "2 failures in ring all" in page
    assert "to be rolled back" not in page


def test_the_api_says_why_and_what_to_do(works, program):
    plan_id = halted(works)

    found = program(Role.VIEWER)("GET", f"/plans/{plan_id}").json["stops"]

    assert [one["kind"] for one in found] == ["failures", "package"]
    assert found[0]["steps"][0]["command"] == "retry"
    assert [one["host"] for one in found[0]["hosts"]] == ["web-1", "web-2"]


def test_an_approver_is_told_before_they_become_an_author(works, client):
    approver = client(Role.APPROVER)
    plan_id = works.create()
    works.do("propose", plan_id)

    assert (
        "would make you an author, who cannot approve it" in approver.get(f"/plans/{plan_id}").text
    )
    assert "you no longer can" in approver.get(f"/plans/{plan_id}/rings").text


def test_who_could_not_approve_anyway_is_not_told(works, operator):
    plan_id = works.create()

    assert "you no longer can" not in operator.get(f"/plans/{plan_id}/rings").text


def test_every_state_and_signal_stands_in_the_docs_and_has_its_colour():
    folder = Path(advice.__file__).parent
    docs = (Path(__file__).parents[3] / "docs" / "rollouts.md").read_text(encoding="utf-8")
    states = {one.value for kind in (PlanState, RingState, TaskState) for one in kind}
    signals = {
        kind
        for path in folder.glob("*.py")
        for kind in re.findall(r"\bSignal\(\"(\w+)\"", path.read_text(encoding="utf-8"))
    }

    assert states - TONES.keys() == set()
    assert {one for one in states | {*WentBack} if not re.search(rf"\b{one}\b", docs)} == set()
    assert len(signals) > 5
    for kind in signals | {"person", "content"}:
        assert f"\n| {kind} |" in docs
        assert kind == "gate" or kind in advice._ADVICE
    assert set(get_args(Task.model_fields["went_back"].annotation)) == {"", *WentBack}


def test_every_message_stands_in_the_docs_with_whether_somebody_has_to_act():
    folder = Path(advice.__file__).parent
    docs = (Path(__file__).parents[3] / "docs" / "rollouts.md").read_text(encoding="utf-8")
    table = docs.partition("## Messages")[2].partition("## ")[0]
    kinds = ", ".join(re.findall(r"^\| (.*?) \|", table, re.MULTILINE)[1:])
    told = re.findall(r"(\w+)(\*?)", kinds)
    sent = {
        kind
        for path in folder.glob("*.py")
        for kind in re.findall(r"\bnotify\(\"(\w+)\"", path.read_text(encoding="utf-8"))
    }

    ends = {PlanState.COMPLETED, PlanState.COMPLETED_WITH_FAILURES}
    assert {kind for kind, _ in told} == sent | ends | {approvals.UNREVIEWED}
    assert {kind for kind, star in told if star} == log.LOUD
