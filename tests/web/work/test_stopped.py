"""A plan that stands still says so alike wherever it is shown, and each of its hosts says why."""

from datetime import timedelta

import pytest

from patchmgr.domain.accounts import Role
from patchmgr.domain.rings import RingSettings
from patchmgr.domain.rollout.events import Outcome
from patchmgr.domain.windows import Window
from patchmgr.services import rollouts, windows
from patchmgr.services.rollouts import ResultRow

ALL_AT_ONCE = (RingSettings("all", max_failures=0),)


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
