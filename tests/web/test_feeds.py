"""The pages of feeds: how each stands, what a revision changed, and confirming a loss."""

import json
import re
from dataclasses import replace

import pytest

from patchmgr.db import models
from patchmgr.domain.accounts import Role
from patchmgr.errors import FeedHeldError
from patchmgr.services import feeds
from patchmgr.services.scan import scan
from patchmgr.services.sync import sync

LATER = {"status": "resolved", "urgency": "high", "fixed_version": "3.0.18-1"}


@pytest.fixture
def tracker(fleet, tmp_path):
    """What the fleet's feed says."""
    return json.loads((tmp_path / "debian.json").read_text())


@pytest.fixture
def bring(sqlite_db, settings, clock, tmp_path):
    def call(tracker, **options):
        (tmp_path / "debian.json").write_text(json.dumps(tracker))
        return sync(
            sqlite_db,
            "debian",
            settings=settings,
            now=clock(),
            actor="test",
            source=tmp_path / "debian.json",
            **options,
        )

    return call


@pytest.fixture
def changed(tracker, bring, sqlite_db, settings, clock):
    """A second revision: one advisory new, one changed, one withdrawn; and its scan."""
    for name in ("CVE-2026-1001", "CVE-2026-1003"):
        tracker["openssl"][name] = {"releases": {"bookworm": LATER}}
    del tracker["bash"]["CVE-2026-3001"]
    result = bring(tracker)
    scan(sqlite_db, now=clock(), settings=settings)
    return result.revision_id


def text_of(answer):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.text))


def test_a_revision_shows_what_it_changed_and_whom_that_concerns(changed, admin, statements):
    statements.clear()

    answer = admin.get(f"/feeds/debian/revisions/{changed}")

    page = text_of(answer)
    assert len(statements) <= 12, statements
    for ref, what in (("1003", "New"), ("1001", "Changed"), ("3001", "Withdrawn")):
        assert re.search(rf"CVE-2026-{ref} {what}", page)
    assert "2 hosts with open findings" in page
    assert 'href="/findings?advisory=CVE-2026-1001"' in answer.text
    assert f'href="/findings?revision={changed}"' in answer.text


def test_the_findings_of_a_revision_are_those_of_what_it_brought_or_changed(changed, admin):
    page = admin.get(f"/findings?revision={changed}").text

    assert "CVE-2026-1001" in page
    assert "CVE-2026-1003" in page
    assert "CVE-2026-1002" not in page
    assert "Nothing matches" in admin.get("/findings?revision=nonsense").text


def test_changes_of_one_kind_are_a_filter(changed, admin):
    page = admin.get(f"/feeds/debian/revisions/{changed}?change=withdrawn").text

    assert "CVE-2026-3001" in page
    assert "CVE-2026-1001" not in page


def test_the_first_revision_brought_everything(fleet, admin):
    assert (
        "Everything that the feed had then was new" in admin.get("/feeds/debian/revisions/1").text
    )


def test_a_revision_of_another_feed_is_not_there(fleet, admin):
    assert admin.get("/feeds/ubuntu/revisions/1").status_code == 404
    assert admin.get("/feeds/debian/revisions/99").status_code == 404


def test_an_idle_feed_says_why_and_is_no_trouble(fleet, admin, sqlite_db, settings):
    feeds.look(sqlite_db, settings)

    listed, page = text_of(admin.get("/feeds")), text_of(admin.get("/feeds/ubuntu"))

    assert "Idle no host needs it: it is for ubuntu" in listed
    assert "Idle: no host needs it: it is for ubuntu" in page
    assert "Sync now" not in page


def test_records_set_aside_are_shown_with_their_reasons(tracker, bring, admin):
    tracker["curl"].update(
        {f"CVE-2026-21{n:02}": tracker["curl"]["CVE-2026-2001"] for n in range(9)}
    )
    tracker["bash"]["CVE-2026-3002"] = {"releases": {"bookworm": {"status": 7}}}
    bring(tracker)

    page = text_of(admin.get("/feeds/debian"))

    assert re.search(r"Set aside 1 .*bash, CVE-2026-3002: ", page)


@pytest.fixture
def held(tracker, bring, sqlite_db, settings, clock, server):
    feeds.look(sqlite_db, settings)
    server.answer((200, {}, json.dumps({"openssl": tracker["openssl"]}).encode()))
    mirrored = replace(settings, mirrors={"debian": (server.url(),)})
    with pytest.raises(FeedHeldError):
        sync(sqlite_db, "debian", settings=mirrored, now=clock(), actor="test")


def test_a_held_feed_says_what_it_would_lose_and_offers_to_confirm(held, operator, sqlite_db):
    page = operator.get("/feeds/debian")

    assert "it would shrink from 4 to 2 advisories" in text_of(page)
    assert "Feed debian is held until somebody confirms" in text_of(operator.get("/hosts"))
    answer = operator.post("/feeds/debian/accept-smaller", follow_redirects=True)
    assert "It is confirmed; the next sync takes it" in text_of(answer)
    with sqlite_db.reading() as session:
        assert session.query(models.JobRun).filter_by(job="sync:debian", state="queued").one()


def test_who_only_looks_is_not_offered_to_confirm(held, client):
    viewer = client(Role.VIEWER)

    assert "Confirm the smaller content" not in viewer.get("/feeds/debian").text
    assert viewer.post("/feeds/debian/accept-smaller").status_code == 403


def test_a_feed_that_is_not_held_cannot_be_confirmed(fleet, operator):
    assert operator.post("/feeds/debian/accept-smaller").status_code == 409
    assert operator.post("/feeds/nix/accept-smaller").status_code == 404


def test_coverage_names_the_feed_that_would_speak_of_a_platform(fleet, admin, sqlite_db):
    with sqlite_db.writing() as session:
        host = session.query(models.Host).filter_by(hostname="old-1").one()
        host.platform, host.os_id, host.os_release = "almalinux:9", "almalinux", "9"

    page = text_of(admin.get("/coverage"))

    assert re.search(r"almalinux:9 No feed would be: osv , updateinfo", page)
    assert "patchmgr feeds sync osv" in page
