"""A feed is brought up to date: all or nothing, and yesterday's verdict stays explained."""

import gzip
import json
import lzma
import os
import signal
import zipfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta

import pytest
from sqlalchemy import Engine, event, func, select

from patchmgr.config import Settings
from patchmgr.db import models
from patchmgr.db.queries import feeds, jobs
from patchmgr.db.session import Database
from patchmgr.domain.versions import SCHEMES
from patchmgr.errors import FeedMalformedError, FeedUnreachableError, InputError
from patchmgr.feeds import FEEDS
from patchmgr.feeds.transport import Limits
from patchmgr.services.feeds import ensure_feeds, switch
from patchmgr.services.sync import asked, sync

HOUR = timedelta(hours=1)
QUICK = Limits(connect=2, read=2, total=5, attempts=2, backoff=0.001)
FIXED, OPEN = {"status": "resolved", "fixed_version": "1.2-3"}, {"status": "open"}


def document(**cves):
    """The tracker's JSON of package ``pkg``: CVE-2026-<name> -> its statement about bookworm."""
    records = {
        f"CVE-2026-{name.strip('_')}": {"releases": {"bookworm": release}}
        for name, release in cves.items()
    }
    return json.dumps({"pkg": records}).encode()


TWO = document(_1000=FIXED, _2000=OPEN)
GZIPPED = gzip.compress(TWO, mtime=0)
OTHER = document(_2000=FIXED, _3000=OPEN)


@pytest.fixture
def settings(tmp_path):
    mirrors = {"debian": ("https://mirror.example/",)}
    return Settings(home=tmp_path, database_url="", secret_key="x", mirrors=mirrors)


@pytest.fixture
def bring(db, settings, now, tmp_path):
    """Sync from bytes as a file, or from a path; each call is an hour after the one before."""
    calls = []

    def call(body=None, *, source=None, **options):
        calls.append(1)
        if body is not None:
            source = tmp_path / "feed.json"
            source.write_bytes(body)
        at = now + HOUR * len(calls)
        return sync(db, "debian", settings=settings, now=at, actor="me", source=source, **options)

    return call


def in_force(db):
    """What stored advisories say now: (ref, package, platform, status, fixed)."""
    advisory, fix = models.Advisory, models.Fix
    with db.reading() as session:
        rows = session.execute(
            select(advisory.ref, fix.package, fix.platform, fix.status, fix.fixed)
            .join(fix, fix.advisory_id == advisory.id)
            .where(fix.until_revision_id.is_(None), advisory.withdrawn_at.is_(None))
            .order_by(advisory.ref, fix.platform)
        )
        return [tuple(row) for row in rows]


def status(db, now):
    with db.reading() as session:
        return feeds.get(session, "debian", now=now)


SAYS_TWO = [
    ("CVE-2026-1000", "pkg", "debian:12", "affected", "1.2-3"),
    ("CVE-2026-2000", "pkg", "debian:12", "no_fix", ""),
]


def test_a_feed_is_stored_with_its_revision(db, bring, now):
    result = bring(TWO)

    assert result.changed
    assert dict(result.counts) == {
        "advisories": 2,
        "fixes": 2,
        "new": 2,
        "changed": 0,
        "withdrawn": 0,
        "unchanged": 0,
    }
    assert in_force(db) == SAYS_TWO
    feed = status(db, now + HOUR)
    assert (feed.state, feed.revision_id, feed.error) == ("ok", result.revision_id, "")
    assert feed.counts["platforms"] == {"debian:12": 2}
    assert not feed.is_stale


def test_fixed_versions_are_stored_as_sort_keys(db, bring):
    bring(TWO)

    with db.reading() as session:
        keys = dict(session.execute(select(models.Fix.fixed, models.Fix.fixed_key)).all())
    assert keys == {"1.2-3": SCHEMES["dpkg"]("1.2-3"), "": None}


def test_the_same_content_makes_no_new_revision(db, bring):
    first = bring(TWO)

    again = bring(TWO)
    turned = bring(json.dumps(json.loads(TWO), sort_keys=True, indent=2).encode())

    assert (again.changed, turned.changed) == (False, False)
    assert again.revision_id == turned.revision_id == first.revision_id
    assert again.counts["unchanged"] == 2
    with db.reading() as session:
        assert session.scalar(select(func.count(models.FeedRevision.id))) == 1


def test_a_changed_statement_ends_and_a_new_one_begins(db, bring):
    first = bring(document(_1000=OPEN, _2000=OPEN))

    second = bring(document(_1000=FIXED, _2000=OPEN))

    assert second.counts["changed"] == 1
    fix = models.Fix
    with db.reading() as session:
        history = session.execute(
            select(fix.status, fix.since_revision_id, fix.until_revision_id)
            .join(models.Advisory)
            .where(models.Advisory.ref == "CVE-2026-1000")
            .order_by(fix.id)
        ).all()
    assert [tuple(row) for row in history] == [
        ("no_fix", first.revision_id, second.revision_id),
        ("affected", second.revision_id, None),
    ]


def test_only_the_statement_that_changed_is_written_anew(db, bring):
    releases = {"bookworm": FIXED, "trixie": OPEN}
    bring(json.dumps({"pkg": {"CVE-2026-1000": {"releases": releases}}}).encode())
    releases["trixie"] = FIXED

    bring(json.dumps({"pkg": {"CVE-2026-1000": {"releases": releases}}}).encode())

    with db.reading() as session:
        assert session.scalar(select(func.count(models.Fix.id))) == 3


def test_what_is_gone_is_withdrawn_and_stays_with_its_time(db, bring, now):
    bring(TWO)

    result = bring(OTHER)

    assert (result.counts["new"], result.counts["withdrawn"]) == (1, 1)
    assert in_force(db) == [
        ("CVE-2026-2000", "pkg", "debian:12", "affected", "1.2-3"),
        ("CVE-2026-3000", "pkg", "debian:12", "no_fix", ""),
    ]
    with db.reading() as session:
        gone = session.scalars(
            select(models.Advisory).where(models.Advisory.ref == "CVE-2026-1000")
        ).one()
        assert gone.withdrawn_at == now + 2 * HOUR


def test_what_comes_back_is_no_longer_withdrawn(db, bring):
    bring(TWO)
    bring(OTHER)

    bring(TWO)

    assert in_force(db) == SAYS_TWO
    with db.reading() as session:
        assert session.scalar(select(func.count(models.Advisory.id))) == 3


def test_an_odd_record_leaves_what_is_known_of_its_advisory(db, bring):
    many = {f"_{n}": FIXED for n in range(1000, 1010)}
    bring(document(**many))

    result = bring(document(**many | {"_1000": {"status": 7}, "_1001": OPEN}))

    assert (result.counts["changed"], result.counts["withdrawn"]) == (1, 0)
    assert result.counts["advisories"] == 10
    assert result.counts["fixes"] == 10
    assert "1 odd records set aside, such as pkg, CVE-2026-1000" in result.note
    assert ("CVE-2026-1000", "pkg", "debian:12", "affected", "1.2-3") in in_force(db)


def test_releases_that_are_not_known_are_named(bring):
    body = {"pkg": {"CVE-2026-1000": {"releases": {"bookworm": OPEN, "zurg": OPEN}}}}

    result = bring(json.dumps(body).encode())

    assert result.note == "1 statements about 'zurg' skipped: no such release is known"


def test_a_sync_that_changed_something_is_in_the_audit(db, bring):
    bring(TWO)
    bring(TWO)

    with db.reading() as session:
        (entry,) = session.scalars(select(models.AuditEntry)).all()
    assert (entry.action, entry.subject, entry.actor) == ("feed.sync", "debian", "me")
    assert entry.details["new"] == 2


# Files


def test_files_may_be_packed_and_lie_in_folders(db, bring, tmp_path):
    folder = tmp_path / "mirror"
    (folder / "deep").mkdir(parents=True)
    (folder / "a.json.gz").write_bytes(gzip.compress(document(_1000=FIXED), mtime=0))
    (folder / "deep" / "b.json.xz").write_bytes(lzma.compress(document(_2000=OPEN)))
    with zipfile.ZipFile(folder / "c.zip", "w") as archive:
        archive.writestr("c.json", document(_3000=FIXED))
    (folder / "notes.txt").write_text("not a document")

    result = bring(source=folder)

    assert result.counts["new"] == 3
    assert [line[0] for line in in_force(db)] == [f"CVE-2026-{n}000" for n in (1, 2, 3)]


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "the document is empty"),
        (b"{}", "an object without any package"),
        (b"<html>", "a page of HTML"),
        (TWO[:-9], "not whole JSON"),
        (GZIPPED[:-9], "damaged or cut off"),
    ],
)
def test_a_bad_file_is_bad_input_and_changes_nothing(db, bring, now, body, why):
    bring(TWO)
    before = status(db, now)

    with pytest.raises(InputError, match=rf"feed\.json: .*{why}"):
        bring(body)

    assert in_force(db) == SAYS_TWO
    assert status(db, now) == before


def test_a_missing_file_is_bad_input(bring, tmp_path):
    with pytest.raises(InputError, match="nowhere: no such file or directory"):
        bring(source=tmp_path / "nowhere")
    (tmp_path / "bare").mkdir()
    with pytest.raises(InputError, match=r"bare: no file below it ends with \.json"):
        bring(source=tmp_path / "bare")


def test_an_unknown_feed_or_platform_is_bad_input(db, settings, now, bring):
    with pytest.raises(InputError, match="no feed 'nix'; known: " + ", ".join(sorted(FEEDS))):
        sync(db, "nix", settings=settings, now=now, actor="me")
    with pytest.raises(InputError, match="'twelve' is not a platform"):
        bring(TWO, platform="twelve")


# The network


@pytest.fixture
def fetch(db, now, settings, server):
    """Sync over HTTP from ``server``; each call is an hour after the one before."""
    calls = []

    def call():
        calls.append(1)
        there = Settings(
            home=settings.home,
            database_url="",
            secret_key="x",
            mirrors={"debian": (server.url(),)},
        )
        at = now + HOUR * len(calls)
        return sync(db, "debian", settings=there, now=at, actor="scheduler", limits=QUICK)

    return call


def test_an_unchanged_document_is_not_fetched_again(db, fetch, server, now):
    server.answer((200, {"ETag": '"1"'}, TWO), (304, {}, b""))
    first = fetch()

    again = fetch()

    assert server.asked[1][1]["If-None-Match"] == '"1"'
    assert (again.changed, again.revision_id) == (False, first.revision_id)
    assert again.counts == {"advisories": 2, "unchanged": 2}
    assert status(db, now).succeeded_at == now + 2 * HOUR


def test_passing_trouble_is_not_a_failure(fetch, server):
    server.answer((500, {}, b""), (200, {}, TWO))

    assert fetch().changed


@pytest.mark.parametrize(
    ("answer", "error", "why"),
    [
        ((500, {}, b""), FeedUnreachableError, "500 Internal Server Error"),
        ((404, {}, b""), FeedUnreachableError, "404 Not Found"),
        ((200, {}, b"<html>maintenance"), FeedMalformedError, "a page of HTML"),
        ((200, {}, b"{}"), FeedMalformedError, "without any package"),
        ((200, {}, b'{"pkg": {}}'), FeedMalformedError, "without a single record"),
        ((200, {}, TWO[:-1]), FeedMalformedError, "not whole JSON"),
        ((200, {"Content-Encoding": "gzip"}, GZIPPED[:-1]), FeedMalformedError, "cut"),
        ((200, {"Content-Length": "9999"}, TWO), FeedUnreachableError, "the body is cut off"),
        ((200, {}, b"\x89PNG\r\n"), FeedMalformedError, "not whole JSON"),
        ((302, {"Location": "http://169.254.169.254/"}, b""), FeedUnreachableError, "metadata"),
        ((302, {"Location": "/data/json"}, b""), FeedUnreachableError, "more than 5 redirects"),
        ((302, {"Location": "ftp://127.0.0.1/x"}, b""), FeedUnreachableError, "not an http"),
        ((200, {"Content-Length": str(len(TWO) - 9)}, TWO), FeedMalformedError, "not whole JSON"),
    ],
)  # fmt: skip
def test_a_feed_that_fails_keeps_its_data_and_says_why(db, fetch, server, now, answer, error, why):
    server.answer((200, {"ETag": '"1"'}, TWO), answer)
    good = fetch()

    server.answers["/data/json"] = [answer]
    with pytest.raises(error, match=why):
        fetch()

    assert in_force(db) == SAYS_TWO
    feed = status(db, now + 2 * HOUR)
    assert (feed.state, feed.revision_id) == ("failed", good.revision_id)
    assert why in feed.error
    assert server.url() in feed.error
    assert (feed.attempted_at, feed.succeeded_at) == (now + 2 * HOUR, now + HOUR)


def test_after_a_failure_a_good_answer_clears_it(db, fetch, server, now):
    server.answer((404, {}, b""))
    with pytest.raises(FeedUnreachableError):
        fetch()
    server.answer((200, {}, TWO))

    fetch()

    assert (status(db, now).state, status(db, now).error) == ("ok", "")


def test_content_from_a_file_is_not_taken_for_the_networks(db, fetch, bring, server):
    server.answer((200, {"ETag": '"1"'}, TWO))
    fetch()

    bring(OTHER)
    fetch()

    assert "If-None-Match" not in server.asked[-1][1]
    assert in_force(db) == SAYS_TWO


def test_a_feed_without_a_good_sync_for_long_is_stale(db, bring, now):
    ensure_feeds(db)
    assert status(db, now).is_stale
    assert status(db, now).state == "never"

    bring(TWO)

    assert not status(db, now + HOUR).is_stale
    assert status(db, now + 50 * HOUR).is_stale
    assert status(db, now + 50 * HOUR).age(now + 50 * HOUR) == 49 * HOUR


def test_every_feed_has_a_row_and_only_one(db):
    ensure_feeds(db)
    ensure_feeds(db)

    with db.reading() as session:
        assert list(session.scalars(select(models.Feed.name))) == sorted(FEEDS)


def test_two_syncs_at_once_store_one_after_the_other(db, settings, now, tmp_path):
    for number, body in enumerate((TWO, OTHER)):
        (tmp_path / f"{number}.json").write_bytes(body)

    def bring(number):
        source = tmp_path / f"{number % 2}.json"
        return sync(db, "debian", settings=settings, now=now, actor=str(number), source=source)

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(bring, range(8)))

    last = max(results, key=lambda result: result.revision_id)
    with db.reading() as session:
        assert feeds.get(session, "debian", now=now).revision_id == last.revision_id
        assert session.scalar(select(func.count(models.Advisory.id))) == 3
    assert len(in_force(db)) == 2


# Death in the middle


def sync_and_die(url, settings, now, source, at_statement):
    """In a process of its own, sync and be killed at the given statement; return whether it was."""
    process = os.fork()
    if process == 0:
        count = 0

        def strike(*_arguments):
            nonlocal count
            count += 1
            if count == at_statement:
                os.kill(os.getpid(), signal.SIGKILL)

        event.listen(Engine, "before_cursor_execute", strike)
        event.listen(Engine, "commit", strike)
        with suppress(BaseException):
            sync(Database(url), "debian", settings=settings, now=now, actor="x", source=source)
            os._exit(0)
        os._exit(1)
    _pid, ending = os.waitpid(process, 0)
    assert ending in (0, signal.SIGKILL)
    return ending == signal.SIGKILL


def changes(db):
    with db.reading() as session:
        return sorted(session.scalars(select(models.AdvisoryChange.change)))


def test_a_sync_that_is_killed_has_not_happened(sqlite_url, settings, now, tmp_path):
    old, new = tmp_path / "old.json", tmp_path / "new.json"
    old.write_bytes(document(_1000=FIXED, _2000=OPEN, _4000=OPEN))
    new.write_bytes(document(_1000=OPEN, _2000=OPEN, _3000=FIXED))
    first = Database(sqlite_url)
    sync(first, "debian", settings=settings, now=now, actor="x", source=old)
    before, was = in_force(first), status(first, now)
    first.close()

    statement = 1
    while sync_and_die(sqlite_url, settings, now + HOUR, new, statement):
        survivor = Database(sqlite_url)
        assert in_force(survivor) == before
        assert status(survivor, now) == was
        assert changes(survivor) == []
        survivor.close()
        statement += 1

    survivor = Database(sqlite_url)
    assert statement > 10
    assert [line[0] for line in in_force(survivor)] == [f"CVE-2026-{n}000" for n in (1, 2, 3)]
    assert status(survivor, now).revision_id == was.revision_id + 1
    assert changes(survivor) == ["changed", "new", "withdrawn"]
    survivor.close()


def test_a_feed_switched_off_is_left_out_of_the_schedule_and_keeps_what_it_said(db, now):
    ensure_feeds(db)

    switch(db, "debian", on=False, actor="admin", now=now)
    switch(db, "debian", on=False, actor="admin", now=now)

    with db.reading() as session:
        on = {name for name, feed in FEEDS.items() if feed.by_default}
        assert set(jobs.enabled_feeds(session)) == on - {"debian"}
        actions = session.scalars(select(models.AuditEntry.action)).all()
    assert actions == ["feed.disable"]


def test_a_feed_nobody_knows_cannot_be_switched(db, now):
    with pytest.raises(InputError, match="no feed 'debain'"):
        switch(db, "debain", on=False, actor="admin", now=now)


@pytest.mark.parametrize(
    ("now", "before", "is_less"),
    [
        (["u#platforms=a:1"], ["u#platforms=a:1+a:2"], True),
        (["u#platforms=a:1+a:2"], ["u#platforms=a:1"], False),
        (["u#platforms=a:3"], ["u#platforms=a:1+a:2"], False),
        (["u"], ["u", "v"], True),
        (["u#platform=a:1"], ["u#platform=a:1", "u#platform=a:2"], True),
        (["u"], ["u"], False),
    ],
)
def test_less_is_asked_for_when_the_fleet_has_lost_a_platform(now, before, is_less):
    assert (asked(now) < asked(before)) is is_less
