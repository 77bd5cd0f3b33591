"""A source's full export in a real Chromium: recognised, confirmed, missed hosts retired."""

from pathlib import Path

import pytest
from playwright.sync_api import expect

from patchmgr.domain.accounts import Role

pytestmark = pytest.mark.browser
EXPORT = Path(__file__).parents[2] / "data" / "exports" / "servicenow.csv"


def send(page, text):
    page.goto("/imports")
    content = {"name": "cmdb.csv", "mimeType": "text/csv", "buffer": text.encode("utf-16")}
    page.get_by_label("CSV file").set_input_files(content)
    page.locator("#source").fill("cmdb")
    page.get_by_label("It names all hosts of this source").check()
    page.get_by_role("button", name="Check the file").click()


def test_a_full_export_is_recognised_and_who_is_gone_is_retired_by_a_tick(
    works, open_page, scheduler, violations
):
    whole = EXPORT.read_text()
    page = open_page(Role.OPERATOR, viewport={"width": 390, "height": 844})
    send(page, whole)
    expect(page.get_by_text("Recognised as ServiceNow CMDB")).to_be_visible()
    expect(page.get_by_text("whose release cannot be told")).to_be_visible()
    page.get_by_label("Read the next files of cmdb the same way").check()
    page.get_by_role("button", name="Import 3 rows").click()
    expect(page.get_by_text("3 rows were taken")).to_be_visible()

    send(page, "".join(whole.splitlines(keepends=True)[:2]))
    expect(page.get_by_text("2 hosts of cmdb are not in this file")).to_be_visible()
    found = violations(page)
    width = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    page.get_by_label("win0001").check()
    page.get_by_role("button", name="Import 1 row").click()
    expect(page.get_by_text("Retired: win0001")).to_be_visible()

    assert (found, width) == ([], 0)
    assert page.goto("/hosts/unk0001").status == 200
    page.goto("/imports")
    expect(page.get_by_role("button", name="Forget cmdb")).to_be_visible()
    assert violations(page) == []


def test_without_its_script_the_form_sends_the_file(works, open_page, scheduler):
    page = open_page(Role.OPERATOR)
    page.route("**/upload.js*", lambda route: route.abort())

    send(page, "hostname\nnew-1\n")

    expect(page.get_by_role("button", name="Import 1 row")).to_be_visible()


def test_an_upload_that_is_refused_says_so_beside_the_file(works, open_page):
    page = open_page(Role.OPERATOR)
    page.goto("/imports")
    page.get_by_label("CSV file").set_input_files(
        {"name": "a.csv", "mimeType": "text/csv", "buffer": b"hostname\na\n"}
    )
    page.get_by_label("It names all hosts of this source").check()
    page.get_by_role("button", name="Check the file").click()

    expect(page.get_by_role("status").get_by_text("source: is needed")).to_be_visible()
