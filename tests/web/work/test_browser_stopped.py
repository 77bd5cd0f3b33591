"""An operator finds out in a real Chromium why a ring stopped and what to do, without scrolling."""

import re
from datetime import timedelta

import pytest
from playwright.sync_api import expect
from sqlalchemy import update

from patchmgr.db import models
from patchmgr.domain.accounts import Role
from patchmgr.domain.probes import Answer, Probe, ProbeKind
from patchmgr.domain.rings import RingSettings
from patchmgr.domain.rollout.events import Outcome
from patchmgr.domain.windows import Freeze
from patchmgr.services import freezes, probing, rollouts
from patchmgr.services.rollouts import ResultRow
from web.plans import live

pytestmark = pytest.mark.browser

HOUR = timedelta(hours=1)
HEALTH = Probe("shop", ProbeKind.HTTP, "http://shop.example/health")
ALL = RingSettings("all", max_failures=0)


def report(works, plan_id, host, outcome, **more):
    row = ResultRow(host, outcome, **more)
    rollouts.report_results(
        works.db, plan_id, [row], actor="ann", role=Role.OPERATOR, now=works.clock()
    )
    works.clock.at += live.EVERY  # so that the next question of a browser finds it


def by_failures(works):
    plan_id = works.started(rings=(ALL,))
    report(works, plan_id, "web-1", Outcome.FAILED, package="openssl", output="no space left")
    return plan_id


def by_a_probe(works):
    plan_id = works.started(rings=(RingSettings("all", probes=(HEALTH,)),))
    for _ in range(3):
        works.clock.at += timedelta(minutes=1)
        probing.probe(works.db, now=works.clock(), asker=lambda _: Answer(503, b""))
    return plan_id


def by_a_lost_host(works):
    rings = (RingSettings("canary", fields={"ring": "canary"}, max_failures=0), ALL)
    plan_id = works.started(rings=rings)
    report(works, plan_id, "canary-1", Outcome.INSTALLED)
    works.tick()
    works.clock.at += 49 * HOUR
    works.tick()
    return plan_id


def by_a_freeze(works):
    plan_id = works.started(rings=(ALL,))
    freeze = Freeze("black friday", works.clock(), works.clock() + 9 * HOUR, "sales")
    freezes.add(works.db, freeze, actor="ann", role=Role.ADMIN, now=works.clock())
    works.tick()
    return plan_id


def by_an_approval_that_nobody_gave(works):
    plan_id = works.started(rings=(RingSettings("all", needs_approval=True),))
    works.tick()
    works.clock.at += timedelta(days=8)
    works.tick()
    return plan_id


def by_an_approval_that_expired(works):
    plan_id = works.create(rings=(ALL,))
    works.do("propose", plan_id)
    works.do("approve", plan_id, actor="bob")
    works.clock.at += timedelta(days=15)
    works.tick()
    return plan_id


def by_changed_content(works):
    plan_id = works.started(rings=(ALL,))
    with works.db.writing() as session:
        session.execute(update(models.PlanChange).values(to_version="9"))
    works.pass_time()
    works.tick()
    return plan_id


STOPS = {
    by_failures: ("1 failure in ring all, its cap is 0", "give them another turn", "web-1"),
    by_a_probe: ("probe shop of ring all failed 3 times", "make the service healthy", "503"),
    by_a_lost_host: ("ring canary is failed: 0 of 1 succeeded",
                     "an inventory that shows the new versions", "canary-1"),
    by_a_freeze: ("Frozen: black friday until", "goes on by itself when the freeze ends", "sales"),
    by_an_approval_that_nobody_gave: ("ring all has waited too long for its approval",
                                      "Have an approver", "approver"),
    by_an_approval_that_expired: ("it was not started in time", "Make a new plan", "Make a new"),
    by_changed_content: ("the stored content is not what was approved",
                         "Cancel this plan and make a new one", "audit log"),
}  # fmt: skip
LOOKS = {"wide": {"width": 1280, "height": 720}, "narrow": {"width": 390, "height": 844}}


def is_in_sight(page, text):
    """Return whether ``text`` stands on the first screen, before anything is scrolled."""
    box = page.locator("#plan-stopped").get_by_text(text).first.bounding_box()
    return box["y"] >= 0 and box["y"] + box["height"] <= page.viewport_size["height"]


@pytest.mark.parametrize("stop", STOPS, ids=lambda one: one.__name__)
def test_the_first_screen_says_why_it_stopped_and_what_to_do(works, open_page, faults, stop):
    plan_id = stop(works)
    why, what, cause = STOPS[stop]

    page = open_page(Role.OPERATOR)
    page.goto("/")
    page.goto(f"/plans/{plan_id}")

    for look, size in LOOKS.items():
        page.set_viewport_size(size)
        assert is_in_sight(page, why), (look, why)
        assert is_in_sight(page, what), (look, what)
    expect(page.locator("#plan-stopped")).to_contain_text(cause)
    assert faults(page) == []
    assert page.complaints == []


def test_an_operator_repairs_retries_and_goes_on_in_one_place(works, open_page):
    plan_id = by_failures(works)
    page = open_page(Role.OPERATOR)
    page.goto(f"/plans/{plan_id}")

    expect(page.get_by_label("web-1 failed: openssl: no space left")).to_be_checked()
    page.get_by_placeholder("Why? For the ticked hosts").fill("the disk has space again")
    page.get_by_role("button", name="Another turn").first.click()
    expect(page.get_by_text("It gets another turn.")).to_be_visible()
    page.get_by_label("Why may it go on?").fill("repaired")
    page.get_by_role("button", name="Let it pass").click()

    expect(page.locator("#plan-state")).to_have_text("Running")
    expect(page.get_by_role("row").filter(has_text="web-1")).to_contain_text("Leased")


def test_a_lost_host_is_accepted_and_its_ring_let_pass(works, open_page):
    plan_id = by_a_lost_host(works)
    page = open_page(Role.OPERATOR)
    page.goto(f"/plans/{plan_id}")

    page.get_by_placeholder("Why? For the ticked hosts").fill("it was scrapped")
    page.get_by_role("button", name="Accept as they are").click()
    expect(page.get_by_role("row").filter(has_text="canary-1")).to_contain_text("accepted")
    page.get_by_label("Why may it go on?").fill("it was scrapped")
    page.get_by_role("button", name="Let it pass").click()

    expect(page.get_by_role("region", name="Ring all")).to_contain_text("Rolling")


def test_hosts_are_rolled_back_and_rings_skipped_without_javascript(works, open_page):
    plan_id = by_failures(works)
    operator = open_page(Role.OPERATOR, java_script_enabled=False)
    operator.goto(f"/plans/{plan_id}")
    operator.get_by_placeholder("Why? For the ticked hosts").fill("it is broken")
    operator.get_by_role("button", name="Roll back").first.click()
    row = operator.get_by_role("row").filter(has_text="web-1")
    expect(row).to_contain_text("to be rolled back: it is broken")
    with operator.expect_download() as download:
        operator.get_by_role("link", name="The way back as CSV").click()
    assert "3.0.15-1~deb12u1" in download.value.path().read_text()
    expect(operator.get_by_text("Skip this ring")).to_have_count(0)  # it needs an approver

    approver = open_page(Role.APPROVER, java_script_enabled=False)
    approver.goto(f"/plans/{plan_id}")
    approver.get_by_text("Skip this ring").click()
    approver.get_by_label("Why skip ring all?").fill("these hosts go away")
    approver.get_by_role("button", name="Skip ring all").click()
    expect(approver.get_by_role("region", name="Ring all")).to_contain_text("Skipped")


def test_a_host_is_left_out_with_a_reason(works, open_page):
    plan_id = works.started()
    page = open_page(Role.OPERATOR)
    page.goto(f"/plans/{plan_id}")
    row = page.get_by_role("row").filter(has_text="web-2")
    row.get_by_text("Leave out").click()
    row.get_by_label("Why leave out web-2?").fill("it is being replaced")
    row.get_by_role("button", name="Leave it out").click()

    expect(page.get_by_role("row").filter(has_text="web-2")).to_contain_text("Skipped")
    page.get_by_role("link", name="History of web-2").click()
    expect(page.get_by_text("it is being replaced").first).to_be_visible()


def answers(page):
    """Keep the status of every question for live values."""
    seen = []
    page.on("response", lambda one: "_rollout" in one.url and seen.append(one.status))
    return seen


def test_live_values_come_only_when_something_changed(works, open_page):
    plan_id = works.started(rings=(RingSettings("all", max_failures=5),))
    page = open_page(Role.OPERATOR)
    seen = answers(page)
    page.goto(f"/plans/{plan_id}")
    for _ in range(2):
        with page.expect_response(re.compile("_rollout"), timeout=15_000):
            pass
    assert seen[:2] == [200, 304]

    report(works, plan_id, "web-1", Outcome.FAILED, package="openssl", output="no space left")

    expect(page.get_by_role("row").filter(has_text="web-1")).to_contain_text("Failed", timeout=9000)
    expect(page.get_by_role("region", name="Ring all")).to_contain_text("1 of 4")
    assert page.complaints == []


def test_focus_and_what_is_opened_and_half_typed_survive_what_changes(works, open_page):
    plan_id = works.started(rings=(RingSettings("all", max_failures=5),))
    page = open_page(Role.OPERATOR)
    page.goto(f"/plans/{plan_id}")
    row = page.get_by_role("row").filter(has_text="web-3")
    row.get_by_text("Report", exact=True).click()
    typed = page.get_by_label("What web-3 said")
    typed.press_sequentially("dpkg was")

    report(works, plan_id, "web-3", Outcome.RUNNING)  # its own row moves up and changes
    report(works, plan_id, "web-1", Outcome.FAILED, package="openssl")
    expect(row).to_contain_text("Running", timeout=9000)
    page.keyboard.type(" locked")

    expect(typed).to_be_visible()
    expect(typed).to_have_value("dpkg was locked")
    expect(typed).to_be_focused()


def test_the_soak_goes_on_though_nothing_changes(works, open_page):
    rings = (RingSettings("canary", fields={"ring": "canary"}, soak=24 * HOUR), ALL)
    plan_id = works.started(rings=rings)
    report(works, plan_id, "canary-1", Outcome.INSTALLED)
    works.patched("canary-1")
    works.clock.at += 3 * HOUR + timedelta(minutes=9, seconds=57)
    page = open_page(Role.OPERATOR)
    page.goto(f"/plans/{plan_id}")

    gate = page.get_by_role("list", name="Gate of ring canary")
    expect(gate).to_contain_text("4 h 10 min", timeout=9000)
    expect(gate).to_contain_text("of 1 d")
    expect(page.get_by_role("region", name="Ring canary")).to_contain_text("19 h 49 min left")


def test_what_is_read_aloud_is_states_and_reasons_but_no_counts(works, open_page):
    plan_id = works.started(rings=(RingSettings("all", max_failures=1),))
    page = open_page(Role.OPERATOR)
    page.goto(f"/plans/{plan_id}")
    aloud = page.locator("#rollout-said")
    expect(aloud).to_have_text("The plan is running: ring all rolling.")

    report(works, plan_id, "web-1", Outcome.FAILED)
    row = page.get_by_role("row").filter(has_text="web-1")
    expect(row).to_contain_text("Failed", timeout=9000)
    expect(aloud).to_have_text("The plan is running: ring all rolling.")
    report(works, plan_id, "web-2", Outcome.FAILED)
    expect(aloud).to_contain_text("2 failures in ring all, its cap is 1", timeout=9000)
