"""A finding is reported as wrong, and agreed to, in a real Chromium."""

import re

import pytest
from playwright.sync_api import expect

from patchmgr.domain.accounts import Role
from patchmgr.services.scan import scan

pytestmark = pytest.mark.browser

LOOKS = {
    "light": {"color_scheme": "light"},
    "dark": {"color_scheme": "dark"},
    "narrow": {"viewport": {"width": 390, "height": 844}},
}


def holds(page, violations):
    """Hold a page to axe and to its width."""
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth - window.innerWidth") <= 0


@pytest.mark.parametrize("look", LOOKS)
def test_a_false_positive_from_the_finding_to_the_register(works, open_page, violations, look):
    page = open_page(Role.OPERATOR, **LOOKS[look])
    page.goto("/findings/web-1/libssl3")
    page.get_by_text("Report as wrong").click()
    holds(page, violations)

    send = page.get_by_role("button", name="Report CVE-2026-1001 as wrong")
    send.click()
    expect(page.get_by_label("Why it is wrong")).to_be_focused()  # asked for before it is sent
    page.get_by_label("Why it is wrong").fill("Built without that part of the library.")
    page.get_by_label("Where").select_option("everywhere")
    send.click()
    expect(page.locator("main")).to_contain_text("is proposed; it covers nothing until")

    page.goto("/exceptions")
    expect(page.locator("#list")).to_contain_text("False positive")
    expect(page.locator("#list")).to_contain_text("Proposed")
    holds(page, violations)
    page.get_by_role("link", name="1", exact=True).click()
    expect(page.get_by_role("button", name="Approve", exact=True)).not_to_be_visible()
    holds(page, violations)

    other = open_page(Role.APPROVER, **LOOKS[look])
    other.goto("/exceptions/1")
    other.get_by_role("button", name="Approve", exact=True).click()
    expect(other.locator("main")).to_contain_text("Exception 1 is in force.")
    holds(other, violations)

    page.goto("/findings/web-2/openssl")
    expect(page.locator("main")).to_contain_text("Built without that part of the library.")
    holds(page, violations)
    scan(works.db, now=works.clock(), settings=works.settings)
    page.goto("/findings")
    expect(page.locator("#list")).to_contain_text("Excepted")
    holds(page, violations)
    page.goto("/exceptions/new?host=web-1&package=openssl")
    holds(page, violations)
    assert page.complaints == other.complaints == []


def test_an_exception_is_revoked_with_the_keyboard_alone(works, open_page, violations):
    page = open_page(Role.APPROVER)
    page.goto("/exceptions/new?advisory=CVE-2026-1001")
    page.get_by_label("Reason").fill("Moving to another release.")
    page.get_by_role("button", name="Add the exception").press("Enter")
    expect(page.locator("main")).to_contain_text("is in force")

    page.get_by_role("link", name="Revoke").press("Enter")
    holds(page, violations)
    page.get_by_role("button", name=re.compile("Revoke exception")).press("Enter")

    expect(page.locator("main")).to_contain_text("what it covered is open again")


def test_reporting_as_wrong_works_without_javascript(works, open_page):
    page = open_page(Role.APPROVER, java_script_enabled=False)
    page.goto("/findings/web-1/libssl3")

    page.get_by_text("Report as wrong").click()
    page.get_by_label("Why it is wrong").fill("Not built.")
    page.get_by_role("button", name="Report CVE-2026-1001 as wrong").click()

    expect(page.locator("main")).to_contain_text("is in force")
    expect(page.locator("main")).to_contain_text("false positive")
