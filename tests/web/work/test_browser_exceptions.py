"""A finding is reported as wrong, and agreed to, in a real Chromium."""

import re

import pytest
from playwright.sync_api import expect

from patchmgr.domain.accounts import Role
from patchmgr.services.scan import scan

pytestmark = pytest.mark.browser


def test_a_false_positive_from_the_finding_to_the_register(works, open_page, faults):
    page = open_page(Role.OPERATOR)
    page.goto("/findings/web-1/libssl3")
    page.get_by_text("Report as wrong").click()
    assert faults(page) == []

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
    assert faults(page) == []
    page.get_by_role("link", name="1", exact=True).click()
    expect(page.get_by_role("button", name="Approve", exact=True)).not_to_be_visible()
    assert faults(page) == []

    other = open_page(Role.APPROVER)
    other.goto("/exceptions/1")
    other.get_by_role("button", name="Approve", exact=True).click()
    expect(other.locator("main")).to_contain_text("Exception 1 is in force.")
    assert faults(other) == []

    page.goto("/findings/web-2/openssl")
    expect(page.locator("main")).to_contain_text("Built without that part of the library.")
    assert faults(page) == []
    scan(works.db, now=works.clock(), settings=works.settings)
    page.goto("/findings")
    expect(page.locator("#list")).to_contain_text("Excepted")
    assert faults(page) == []
    page.goto("/exceptions/new?host=web-1&package=openssl")
    assert faults(page) == []
    assert page.complaints == other.complaints == []


def test_an_exception_is_revoked_with_the_keyboard_alone(works, open_page, faults):
    page = open_page(Role.APPROVER)
    page.goto("/exceptions/new?advisory=CVE-2026-1001")
    page.get_by_label("Reason").fill("Moving to another release.")
    page.get_by_role("button", name="Add the exception").press("Enter")
    expect(page.locator("main")).to_contain_text("is in force")

    page.get_by_role("link", name="Revoke").press("Enter")
    assert faults(page) == []
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
