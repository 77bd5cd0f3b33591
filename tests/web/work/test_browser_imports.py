"""A source's full export in a real Chromium: recognised, confirmed, missed hosts retired."""

import os
import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from inventory import pieces
from inventory.uploads import Wish
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
    works, open_page, scheduler, faults
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
    found = faults(page)
    width = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    page.get_by_label("win0001").check()
    page.get_by_role("button", name="Import 1 row").click()
    expect(page.get_by_text("Retired: win0001")).to_be_visible()

    assert (found, width) == ([], 0)
    assert page.goto("/hosts/unk0001").status == 200
    page.goto("/imports")
    expect(page.get_by_role("button", name="Forget cmdb")).to_be_visible()
    assert faults(page) == []


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


def test_an_upload_that_breaks_off_goes_on_where_it_stopped(
    works, open_page, scheduler, faults, monkeypatch
):
    monkeypatch.setattr(pieces, "PIECE", 4096)
    rows = "".join(f"new-{number},owner-{number}\n" for number in range(1000))
    file = works.file("fleet.csv", "hostname,owner\n" + rows)
    page = open_page(Role.OPERATOR, viewport={"width": 390, "height": 844})
    sent = []

    def lose_the_third_and_hold_the_fourth(route):
        sent.append(route.request.url)
        if len(sent) == 3:
            route.abort("connectionreset")
        elif len(sent) < 5:
            route.continue_()

    def choose():
        page.get_by_label("CSV file").set_input_files(file)
        page.get_by_role("button", name="Check the file").click()

    page.route("**/pieces?*", lose_the_third_and_hold_the_fourth)
    page.goto("/imports")
    page.locator("#source").fill("cmdb")
    choose()
    expect(page.get_by_role("status").get_by_text("The connection broke off")).to_be_visible()
    while len(sent) < 5:  # the third again, and the fourth
        page.wait_for_timeout(50)
    page.goto("/hosts")  # nothing asks whether to stay: nothing is lost
    page.unroute("**/pieces?*")
    page.on("request", lambda request: "/pieces" in request.url and sent.append(request.url))

    page.goto("/imports")
    unfinished = page.locator("#unfinished")
    expect(unfinished.get_by_text("12.0 KiB of 17.4 KiB")).to_be_visible()
    found = faults(page)
    width = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    unfinished.get_by_role("link", name="Go on").click()
    expect(page.locator("#source")).to_have_value("cmdb")
    choose()

    page.get_by_role("button", name="Import 1,000 rows").click()
    expect(page.get_by_text("1,000 rows were taken")).to_be_visible()
    assert (found, width) == ([], 0)
    offsets = [int(re.search(r"offset=(\d+)", url).group(1)) // 4096 for url in sent]
    assert offsets == [0, 1, 2, 2, 3, *range(3, -(-file.stat().st_size // 4096))]
    page.goto("/hosts/new-999")
    expect(page.get_by_text("owner-999")).to_be_visible()


def test_another_file_of_the_same_looks_is_sent_from_the_start(
    works, open_page, person, scheduler, monkeypatch
):
    monkeypatch.setattr(pieces, "PIECE", 16)
    file = works.file("fleet.csv", "hostname\nfirst-1\nfirst-2\n")
    who = {"uploads": works.settings.uploads, "actor": person(Role.OPERATOR), "now": works.clock()}
    looks = file.stat()
    left = pieces.begin(
        works.db,
        Wish("hosts"),
        filename=file.name,
        size=looks.st_size,
        modified=looks.st_mtime_ns // 1_000_000,
        largest=1000,
        **who,
    )
    piece = file.read_bytes()[:16]
    pieces.take(works.db, left, piece, offset=0, digest=pieces.chained("", piece), **who)
    file.write_bytes(file.read_bytes().replace(b"first", b"other"))
    os.utime(file, ns=(looks.st_atime_ns, looks.st_mtime_ns))
    page = open_page(Role.OPERATOR)
    page.goto("/imports")

    page.get_by_label("CSV file").set_input_files(file)
    page.get_by_role("button", name="Check the file").click()
    page.get_by_role("button", name="Import 2 rows").click()
    expect(page.get_by_text("2 rows were taken")).to_be_visible()

    assert page.goto("/hosts/other-1").status == 200
    assert page.goto("/hosts/first-1").status == 404
    page.goto("/imports")
    expect(page.locator("#unfinished")).to_have_count(0)
