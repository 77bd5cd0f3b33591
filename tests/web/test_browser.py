"""The console in a real Chromium: axe on every page, keyboard, narrow, and without JavaScript."""

import re
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect

from patchmgr.domain.accounts import Role

pytestmark = pytest.mark.browser

NO_PAGES = re.compile(r"/(static|api|healthz|readyz|metrics|sign-in|export)\b|\.[a-z]+$|format=")


def kind(path):
    words = path.split("?")[0].strip("/").split("/")
    return "/".join([words[0], *("*" if re.search(r"[\d.]", word) else word for word in words[1:])])


def every_page(page):
    """Follow the console's own links; yield one page of each kind, open."""
    seen, queue = {""}, ["/"]
    while queue:
        path = queue.pop(0)
        page.goto(path)
        yield path
        for link in page.eval_on_selector_all(
            "a[href]:not([download])", "all => all.map(a => a.href)"
        ):
            parts = urlsplit(link)
            here = parts.path + (f"?{parts.query}" if parts.query else "")
            is_page = link.startswith(page.url[:20]) and not NO_PAGES.search(here)
            if is_page and kind(parts.path) not in seen:
                seen.add(kind(parts.path))
                queue.append(parts.path)


def test_axe_finds_nothing_and_nothing_overflows_on_any_page(fleet, open_page, faults):
    page = open_page()
    found, visited = [], []

    for path in every_page(page):
        visited.append(path)
        found += faults(page)

    assert not found, "\n".join(found)
    assert page.complaints == []
    assert len(visited) > 15


@pytest.mark.parametrize("path", ["/hosts", "/findings", "/coverage"])
def test_empty_pages_are_accessible_too(open_page, faults, path):
    page = open_page()

    page.goto(path)

    assert faults(page) == []


def test_the_sign_in_page_is_accessible(chromium, address, faults):
    page = chromium.new_page(base_url=address)

    page.goto("/sign-in")
    page.get_by_role("button", name="Sign in").click()  # stays: the fields are required

    assert faults(page) == []


def test_the_first_key_skips_to_the_content(fleet, open_page):
    page = open_page()
    page.goto("/hosts")

    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    expect(page.get_by_role("link", name="Skip to content")).to_be_in_viewport()
    page.keyboard.press("Enter")

    expect(page.locator("#main")).to_be_focused()


def test_a_slash_goes_to_the_search_and_enter_to_the_host(fleet, open_page):
    page = open_page()
    page.goto("/hosts")

    page.keyboard.press("/")
    page.keyboard.type("web-1")
    page.keyboard.press("Enter")

    expect(page.get_by_role("heading", level=1)).to_have_text("web-1")


def test_typing_in_a_list_filters_it_in_place(fleet, open_page):
    page = open_page()
    page.goto("/hosts")

    page.locator("#q").press_sequentially("web-2")

    expect(page.locator("#list")).not_to_contain_text("old-1")
    expect(page.locator("#q")).to_be_focused()
    assert page.url.endswith("q=web-2")
    assert page.complaints == []


def test_selected_hosts_go_into_one_plan(fleet, open_page):
    page = open_page(Role.OPERATOR)
    page.goto("/hosts")
    plan = page.get_by_role("button", name="Plan a patch for the selected")

    expect(plan).not_to_be_visible()
    page.get_by_label("Select web-1").check()
    page.get_by_label("Select web-2").check()
    plan.click()

    assert page.url.endswith("/plans/new?host=web-1&host=web-2")
    expect(page.locator("[name=host]")).to_have_value("web-1 web-2")


def test_the_theme_stays_chosen(fleet, open_page):
    page = open_page()

    page.get_by_role("button", name="Theme: dark").click()
    page.goto("/hosts")

    assert page.evaluate("document.documentElement.dataset.bsTheme") == "dark"


def test_the_menu_of_a_narrow_screen_opens_and_closes(fleet, open_page):
    page = open_page(viewport={"width": 390, "height": 844})
    fleet_link = page.get_by_role("navigation", name="Main").get_by_role("link", name="Fleet")

    expect(fleet_link).not_to_be_visible()
    page.get_by_role("button", name="Menu", exact=True).click()
    expect(fleet_link).to_be_visible()
    page.keyboard.press("Escape")
    expect(fleet_link).not_to_be_visible()


def test_the_exact_time_shows_on_focus(fleet, open_page):
    page = open_page()
    page.goto("/hosts/web-1")
    time = page.locator("main time").first

    time.focus()

    assert time.evaluate("e => getComputedStyle(e, '::after').display") == "block"
    assert "UTC" in time.evaluate("e => getComputedStyle(e, '::after').content")


def test_everything_works_without_javascript(fleet, open_page):
    page = open_page(java_script_enabled=False)

    page.goto("/hosts")
    page.locator("#q").fill("web")
    page.locator("#filter-environment").select_option("staging")
    page.get_by_role("button", name="Filter").click()
    expect(page.locator("#list")).to_contain_text("web-2")
    expect(page.locator("#list")).not_to_contain_text("web-1")

    page.get_by_role("link", name="web-2").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("web-2")

    page.goto("/admin/jobs")
    page.get_by_role("button", name="Run now").click()
    expect(page.locator("main")).to_contain_text("scan is asked for")

    page.get_by_role("button", name="the-admin").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")
