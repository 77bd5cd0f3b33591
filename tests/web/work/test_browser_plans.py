"""A plan from draft to done in a real Chromium, by two people; and the deciding without script."""

import re

import pytest
from playwright.sync_api import expect

from patchmgr.domain.accounts import Role

pytestmark = pytest.mark.browser


def fill_plan(page):
    page.goto("/plans/new?package=openssl")
    for number in range(3):
        page.locator(f"#ring-{number}-soak").fill("0m")
    page.locator("#ring-0-percent").fill("0")
    page.get_by_role("button", name="Remove ring 2").click()
    page.get_by_label("Title").fill("OpenSSL 3.0.17")
    page.get_by_role("button", name="Make the draft").last.click()


def report_installed(page, host):
    row = page.get_by_role("row").filter(has_text=host)
    row.get_by_text("Report", exact=True).click()
    row.get_by_role("button", name="Installed").click()


def is_live(answer):
    return "hx-request" in answer.request.headers


def test_two_people_bring_a_plan_from_draft_to_done(works, open_page):
    operator, approver = open_page(Role.OPERATOR), open_page(Role.APPROVER)

    fill_plan(operator)
    operator.get_by_role("button", name="Propose").click()
    expect(operator.locator("#plan-state")).to_have_text("Proposed")
    expect(operator.get_by_text("This needs the role approver")).to_be_visible()

    approver.goto("/")
    approver.get_by_role("link", name="awaits me").click()
    approver.get_by_role("link", name="OpenSSL 3.0.17").first.click()
    expect(approver.get_by_text("closes")).not_to_have_count(0)
    approver.get_by_label("Comment").fill("The canary goes first.")
    approver.get_by_role("button", name="Approve", exact=True).click()
    expect(approver.locator("#plan-state")).to_have_text("Approved")

    operator.reload()
    operator.get_by_role("button", name="Start").click()
    expect(operator.get_by_role("row").filter(has_text="canary-1")).to_contain_text("Leased")
    report_installed(operator, "canary-1")
    expect(operator.get_by_text("canary-1: installed.")).to_be_visible()

    works.patched("canary-1")  # its page stays open, and shows what happens by itself
    broad = operator.get_by_role("region", name="Ring broad")
    expect(broad).to_contain_text("Rolling", timeout=10_000)
    expect(operator.get_by_role("row").filter(has_text="web-1")).to_contain_text("Leased")

    for host in ("web-1", "web-2", "web-3"):
        report_installed(operator, host)
    works.patched("web-1", "web-2", "web-3")
    expect(operator.locator("#plan-state")).to_have_text("Completed", timeout=10_000)
    expect(operator.get_by_role("button", name="Pause")).to_have_count(0)
    assert (operator.complaints, approver.complaints) == ([], [])


def test_what_is_typed_and_opened_survives_the_live_values(works, open_page):
    plan_id = works.started()
    page = open_page(Role.OPERATOR)
    page.goto(f"/plans/{plan_id}")
    page.get_by_label("Why pause?").fill("the change board asks")
    page.get_by_role("row").filter(has_text="canary-1").get_by_text("Report", exact=True).click()
    page.get_by_label("What canary-1 said").fill("dpkg was locked")

    with page.expect_response(is_live, timeout=10_000):
        pass
    with page.expect_response(is_live, timeout=10_000):
        pass

    expect(page.get_by_label("Why pause?")).to_have_value("the change board asks")
    expect(page.get_by_label("What canary-1 said")).to_have_value("dpkg was locked")
    page.get_by_role("button", name="Pause").click()
    expect(page.locator("#plan-state")).to_have_text("Paused")
    expect(page.get_by_text("the change board asks").first).to_be_visible()


def test_an_approver_decides_without_javascript(works, open_page, person):
    plan_id = works.create(actor=person(Role.OPERATOR))
    works.do("propose", plan_id)
    page = open_page(Role.APPROVER, java_script_enabled=False)

    page.goto(f"/plans/{plan_id}")
    page.get_by_role("link", name=re.compile("Risks")).click()
    page.get_by_role("button", name="Reject").click()
    expect(page.get_by_text("say why the plan is rejected")).to_be_visible()
    page.get_by_role("button", name="Approve", exact=True).click()

    expect(page.locator("#plan-state")).to_have_text("Approved")
    page.get_by_role("button", name="Start").click()
    expect(page.get_by_role("row").filter(has_text="canary-1")).to_contain_text("Leased")


def test_a_plan_is_made_without_javascript(works, open_page):
    page = open_page(Role.OPERATOR, java_script_enabled=False)

    fill_plan(page)

    expect(page.get_by_role("heading", name="OpenSSL 3.0.17")).to_be_visible()
    page.get_by_role("link", name=re.compile("Rings and windows")).click()
    expect(page.get_by_role("heading", name="Ring broad")).to_be_visible()
    expect(page.get_by_role("heading", name="Ring early")).to_have_count(0)


@pytest.mark.parametrize("script", [True, False])
def test_what_if_is_asked_and_answered_beside_the_forecast(works, open_page, script):
    """With scripts the answer comes into the page; without, it is a page of its own."""
    plan_id = works.create()
    page = open_page(Role.VIEWER, java_script_enabled=script)
    page.goto(f"/plans/{plan_id}")
    page.get_by_role("link", name="Forecast", exact=True).click()
    expect(page.get_by_text("Computing: the plan is played")).to_be_visible()

    works.forecast()

    if not script:
        page.reload()
    expect(page.get_by_role("region", name="Rings")).to_be_visible()  # by itself within seconds
    page.get_by_label("Soak").fill("soon")
    page.get_by_role("button", name="Show what would change").click()
    expect(page.get_by_text("is not a duration")).to_be_visible()
    page.get_by_label("Soak").fill("12h")
    page.get_by_role("button", name="Show what would change").click()
    compared = page.get_by_role("region", name="As it is and as it would be")
    canary = compared.get_by_role("row").filter(has_text="canary")
    expect(canary).to_contain_text("11 h 45 min later")
    expect(page).to_have_url(re.compile("soak=12h"))


def test_groups_are_edited_beside_the_rings(works, open_page):
    plan_id = works.create(actor="ann")
    page = open_page(Role.OPERATOR, java_script_enabled=False)
    page.goto(f"/plans/{plan_id}")

    page.get_by_role("link", name="Edit rings and groups").click()
    page.get_by_role("button", name="Add a group").click()
    group = page.get_by_role("group", name="Group 1")
    group.get_by_label("Is made of").select_option(label="these hosts")
    group.get_by_label("Which").fill("web-1 web-2")
    page.get_by_role("button", name="Save").click()
    expect(group.get_by_text("A group needs a name")).to_be_visible()
    group.get_by_label("Name", exact=True).fill("pair")
    page.get_by_role("button", name="Save").click()

    expect(page.get_by_text("at most 1 unavailable at a time, of 2 named hosts")).to_be_visible()


def test_a_file_is_imported_after_its_columns_were_named(works, open_page, scheduler):
    path = works.file("machines.csv", "Server;Env;Color\nnew-1;test;red\nnew-2;test;blue\n")
    page = open_page(Role.OPERATOR)

    page.goto("/imports")
    page.get_by_label("CSV file").set_input_files(path)
    page.get_by_role("button", name="Check the file").click()
    expect(page.get_by_text("No column stands for hostname yet")).to_be_visible()
    page.get_by_label("What Color stands for").select_option("-")
    page.get_by_role("button", name="Read again").click()
    expect(page.get_by_role("button", name="Import 2 rows")).to_be_visible()
    page.goto("/")
    page.goto("/imports")
    page.get_by_role("link", name="machines.csv").click()
    page.get_by_role("button", name="Import 2 rows").click()

    expect(page.get_by_text("2 rows were taken")).to_be_visible()
    page.goto("/hosts/new-1")
    expect(page.get_by_role("heading", name="new-1")).to_be_visible()


def test_axe_finds_nothing_and_nothing_overflows(works, open_page, faults, scheduler):
    running, halted, proposed = works.started(), works.started(), works.create()
    works.do("halt", halted, reason="a customer called")
    works.do("propose", proposed)
    bad = works.file("bad.csv", "hostname,Farbe\nnot a name,red\ngood-1,blue\n")
    page = open_page(Role.ADMIN)
    page.goto("/calendar")
    for label, typed in (("Name", "weekends"), ("Lasts", "62h"), ("Reason", "nobody is here")):
        page.locator("#add-freeze").get_by_label(label).fill(typed)
    page.locator("#freeze-rrule").fill("FREQ=WEEKLY;BYDAY=FR;BYHOUR=16")
    page.get_by_role("button", name="Add the freeze").click()
    page.goto("/imports")
    page.get_by_label("CSV file").set_input_files(bad)
    page.get_by_role("button", name="Check the file").click()
    page.get_by_label("What Farbe stands for").select_option("-")
    page.get_by_role("button", name="Read again").click()
    upload = page.url
    page.goto("/reports")
    page.get_by_role("button", name="Make the report").click()
    report = page.url
    works.forecast()
    tabs = ("", "/changes", "/hosts", "/why", "/times", "/forecast", "/risks", "/history", "/rings")
    paths = [f"/plans/{proposed}{tab}" for tab in (*tabs, "/cancel")]
    paths += [f"/plans/{proposed}/forecast/what-if?soak=1h", f"/plans/{running}/forecast"]
    paths += [f"/plans/{running}", f"/plans/{halted}", "/plans", "/plans/new", "/calendar"]
    paths += ["/hosts/web-1"]
    found = []

    for path in (*paths, "/imports", upload, "/reports", report, "/api/v1/docs"):
        page.goto(path)
        found += faults(page)

    assert not found, "\n".join(found)
    assert page.complaints == []
