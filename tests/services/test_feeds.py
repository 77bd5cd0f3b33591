"""Which feeds a fleet needs, and what becomes of one that was cut short, is gone, or shrank."""

import json
import os
import signal
from contextlib import suppress
from datetime import timedelta
from typing import ClassVar

import pytest
from sqlalchemy import select

from inventory import host_import, package_import
from patchmgr.config import Settings
from patchmgr.db import models
from patchmgr.db.queries import feeds as queries
from patchmgr.db.queries import jobs, overview
from patchmgr.db.session import Database
from patchmgr.domain.advisories import Advisory, Fix, Match, Severity, Status
from patchmgr.domain.flaws import FlawNote
from patchmgr.errors import (
    ConflictError,
    FeedGoneError,
    FeedHeldError,
    FeedUnreachableError,
    InputError,
    NotFoundError,
)
from patchmgr.feeds import FEEDS
from patchmgr.feeds.base import Feed, Page
from patchmgr.feeds.transport import Limits
from patchmgr.services import feeds, housekeeping
from patchmgr.services.sync import sync

HOUR = timedelta(hours=1)
QUICK = Limits(connect=2, read=2, total=5, attempts=1, backoff=0.001)


class Paper(Feed):
    """A feed of one document a platform, which may name more of them."""

    name: ClassVar[str] = "paper"
    title: ClassVar[str] = "Paper"
    start: ClassVar[tuple[str, ...]] = ()
    suffixes: ClassVar[tuple[str, ...]] = (".json",)
    serves: ClassVar[tuple[str, ...]] = ("debian",)

    def __init__(self, home):
        self.home = home

    def addresses(self, platforms):
        return tuple(f"{self.home}{each}" for each in sorted(platforms) if each[:7] == "debian:")

    def read(self, url, body, platform=""):
        said = json.loads(body)
        return Page(
            tuple(advisory(ref) for ref in said.get("says", ())),
            tuple(f"{self.home}{name}" for name in said.get("follow", ())),
            notes=tuple(FlawNote(cve, cvss=7.5) for cve in said.get("notes", ())),
        )


def advisory(ref):
    fix = Fix("debian:12", "pkg", Match.SOURCE, Status.AFFECTED, fixed="1.2-3", scheme="dpkg")
    return Advisory(ref, severity=Severity.HIGH, fixes=(fix,))


@pytest.fixture
def paper(server, monkeypatch):
    feed = Paper(server.url("/"))
    monkeypatch.setitem(FEEDS, "paper", feed)
    return feed


@pytest.fixture
def settings(tmp_path):
    return Settings(home=tmp_path / "home", database_url="", secret_key="x")


@pytest.fixture
def hosts(db, tmp_path, now):
    """Bring in hosts of these platforms, named after them."""

    def bring(*platforms):
        lines = [f"{each.replace(':', '-')},{each.replace(':', ',')}" for each in platforms]
        path = tmp_path / "hosts.csv"
        path.write_text("\n".join(["hostname,os_id,os_release", *lines, ""]))
        host_import.import_hosts(db, path, actor="test", now=now)

    return bring


@pytest.fixture
def run(db, settings, now):
    """Sync the feed; each call is an hour after the one before."""
    calls = []

    def call(name="paper", **options):
        calls.append(1)
        at = now + HOUR * len(calls)
        return sync(db, name, settings=settings, now=at, actor="me", limits=QUICK, **options)

    return call


def put(server, path, etag="", **says):
    """Serve a document that answers 304 to who has it already."""
    body = json.dumps(says).encode()

    def answer(handler):
        known = bool(etag) and handler.headers.get("If-None-Match") == etag
        handler.send_response(304 if known else 200)
        handler.send_header("Content-Length", "0" if known else str(len(body)))
        if etag:
            handler.send_header("ETag", etag)
        handler.end_headers()
        handler.wfile.write(b"" if known else body)

    server.answer(answer, path=f"/{path}")


def asked(server):
    found = [
        path + (" if changed" if "If-None-Match" in headers else "")
        for path, headers in server.asked
    ]
    server.asked.clear()
    return found


def status(db, now, name="paper"):
    with db.reading() as session:
        return queries.get(session, name, now=now)


def standing(db):
    with db.reading() as session:
        row = models.Advisory
        return sorted(session.scalars(select(row.ref).where(row.withdrawn_at.is_(None))))


# What the fleet needs


def test_only_what_the_fleet_needs_is_scheduled(db, settings, hosts, paper):
    feeds.look(db, settings)
    with db.reading() as session:
        before = jobs.enabled_feeds(session)
    hosts("debian:12", "almalinux:9.4")

    feeds.look(db, settings)

    with db.reading() as session:
        after = jobs.enabled_feeds(session)
    assert before == ["epss", "kev"]
    assert {"debian", "osv", "paper", "updateinfo"} <= set(after)
    assert not {"alpine", "msrc", "nvd", "redhat-csaf", "suse-cvrf", "ubuntu"} & set(after)


def test_a_mirror_is_synced_whoever_needs_it(db, now, tmp_path):
    mirrors = {"ubuntu": ("https://mirror.example/",)}
    feeds.look(db, Settings(home=tmp_path, database_url="", secret_key="x", mirrors=mirrors))

    assert not status(db, now, "ubuntu").idle
    assert status(db, now, "alpine").idle


def test_packages_of_a_language_need_their_ecosystem(db, settings, hosts, tmp_path, now):
    hosts("debian:12")
    (tmp_path / "packages.csv").write_text(
        "hostname,manager,name,version\ndebian-12,pypi,flask,3.0\n"
    )
    package_import.import_packages(db, tmp_path / "packages.csv", actor="test", now=now)

    with db.reading() as session:
        platforms = feeds.fleet(session)

    assert platforms == {"debian:12", "pypi"}
    assert feeds.addresses(FEEDS["osv"], settings, platforms) == (
        "https://osv-vulnerabilities.storage.googleapis.com/PyPI/all.zip",
    )


def test_a_release_is_needed_as_advisories_name_it(db, hosts):
    hosts("rhel:9.4", "alpine:3.19.1", "centos:7")

    with db.reading() as session:
        found = feeds.fleet(session)
    assert found >= {"rhel:9.4", "rhel:9", "alpine:3.19", "centos:7", "rhel:7"}


def test_what_is_not_synced_by_itself_is_fetched_whole_when_it_is_asked_for(settings):
    assert feeds.addresses(FEEDS["nvd"], settings, frozenset()) == FEEDS["nvd"].start


def test_an_idle_feed_is_no_trouble_however_long_it_is_idle(
    db, settings, hosts, paper, run, server, now
):
    hosts("debian:12")
    put(server, "debian:12", says=["A-1"])
    run()
    with db.writing() as session:
        session.query(models.Host).update({"retired_at": now})

    feeds.look(db, settings)

    later = now + 100 * HOUR
    feed = status(db, later)
    with db.reading() as session:
        troubles = overview.troubles(session, now=later, stale_hours=48)
    assert (feed.standing, feed.is_stale, troubles) == ("idle", False, [])
    assert standing(db) == ["A-1"]


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("alpine", "no host needs it: it is for alpine, so .* set PATCHMGR_ALPINE_URL"),
        ("suse-cvrf", "no host needs it: it is for sles, .* set PATCHMGR_SUSE_CVRF_URL"),
        ("csv", "it has no address of its own, so .* give --from FILE or set PATCHMGR_CSV_URL"),
    ],
)
def test_a_feed_without_an_address_says_what_to_do(db, run, now, name, why):
    with pytest.raises(InputError, match=f"^feed {name}: {why}"):
        run(name)
    assert status(db, now, name).state == "never"


@pytest.mark.parametrize(
    ("platform", "known"),
    [
        ("almalinux:9", ("osv", "updateinfo")),
        ("rhel:9.4", ("redhat-csaf", "redhat-oval")),
        ("centos:7", ("redhat-csaf", "redhat-oval")),
        ("debian:12", ("debian",)),
        ("haiku:1", ()),
        ("", ()),
    ],
)
def test_the_feed_that_would_speak_of_a_platform_is_known(platform, known):
    assert feeds.would_speak_of(platform) == known


def test_a_fleet_that_gains_a_platform_gets_its_documents_and_keeps_the_others(
    db, hosts, paper, run, server
):
    hosts("debian:12")
    put(server, "debian:12", etag='"1"', says=["A-1"])
    put(server, "debian:13", etag='"1"', says=["B-1"])
    run()
    hosts("debian:13")
    asked(server)

    result = run()

    assert standing(db) == ["A-1", "B-1"]
    assert (result.counts["new"], result.counts["withdrawn"]) == (1, 0)
    assert asked(server) == ["/debian:12", "/debian:13"]
    assert not run().changed
    assert asked(server) == ["/debian:12 if changed", "/debian:13 if changed"]


def test_a_fleet_that_loses_a_platform_loses_what_was_for_it_without_asking_anybody(
    db, hosts, paper, run, server, now
):
    hosts("debian:12", "debian:13")
    put(server, "debian:12", etag='"1"', says=["A-1"])
    put(server, "debian:13", etag='"1"', says=["B-1", "B-2", "B-3"])
    run()
    with db.writing() as session:
        session.query(models.Host).filter_by(hostname="debian-13").update({"retired_at": now})

    assert run().counts["withdrawn"] == 3
    assert standing(db) == ["A-1"]


# Faults


def test_a_document_that_is_gone_takes_nothing_back(db, hosts, paper, run, server, now):
    hosts("debian:12")
    put(server, "debian:12", etag='"1"', follow=["a", "b"])
    put(server, "a", says=["A-1", "A-2"])
    put(server, "b", says=["B-1"])
    run()
    put(server, "debian:12", etag='"2"', follow=["a", "b", "c"])
    server.answer((410, {}, b""), path="/a")
    put(server, "c", says=["C-1"])

    result = run()

    assert standing(db) == ["A-1", "A-2", "B-1", "C-1"]
    assert (result.counts["new"], result.counts["withdrawn"]) == (1, 0)
    (line,) = status(db, now).counts["set_aside_examples"]
    assert line == f"{server.url('/a')}: the server says 410 Gone"


def test_what_was_gone_is_looked_for_again_though_its_index_has_not_changed(
    db, hosts, paper, run, server
):
    hosts("debian:12")
    put(server, "debian:12", etag='"1"', follow=["a", "b"])
    put(server, "a", etag='"1"', says=["A-1"])
    assert run().counts["new"] == 1
    asked(server)
    put(server, "b", says=["B-1"])

    run()

    assert asked(server) == ["/debian:12 if changed", "/a if changed", "/b"]
    assert standing(db) == ["A-1", "B-1"]


def test_a_start_that_is_gone_fails_the_feed(db, hosts, paper, run, server, now):
    hosts("debian:12", "debian:13")
    put(server, "debian:12", says=["A-1"])

    with pytest.raises(FeedGoneError, match="debian:13: the server says 404 Not Found"):
        run()

    assert (standing(db), status(db, now).state) == ([], "failed")


def test_a_sync_that_was_cut_short_goes_on_from_there(db, hosts, paper, run, server, settings):
    hosts("debian:12")
    put(server, "debian:12", etag='"1"', follow=["a", "b", "c"])
    put(server, "a", etag='"1"', says=["A-1"])
    put(server, "b", etag='"1"', says=["B-1"])
    server.answer((503, {}, b""), path="/c")
    with pytest.raises(FeedUnreachableError, match="503"):
        run()
    assert standing(db) == []
    asked(server)
    put(server, "c", etag='"1"', says=["C-1"])
    put(server, "b", etag='"2"', says=["B-2"])

    run()

    assert asked(server) == ["/debian:12 if changed", "/a if changed", "/b if changed", "/c"]
    assert standing(db) == ["A-1", "B-2", "C-1"]
    assert not list(settings.fetched.iterdir())


def test_a_sync_that_was_killed_goes_on_from_there(
    sqlite_url, settings, server, paper, tmp_path, now
):
    put(server, "index", etag='"1"', follow=["a", "b"])
    put(server, "a", etag='"1"', says=["A-1"])
    settings = Settings(
        home=settings.home,
        database_url="",
        secret_key="x",
        mirrors={"paper": (server.url("/index"),)},
    )

    def begin():
        db = Database(sqlite_url)
        try:
            return sync(db, "paper", settings=settings, now=now, actor="me", limits=QUICK)
        finally:
            db.close()

    child = []
    server.answer(lambda _handler: os.kill(child[0], signal.SIGKILL), path="/b")
    reading, writing = os.pipe()
    child.append(os.fork())
    if child[0] == 0:
        with suppress(BaseException):
            os.read(reading, 1)  # until the parent knows whom to kill
            begin()
        os._exit(0)
    os.write(writing, b"x")
    assert os.waitpid(child[0], 0)[1] == signal.SIGKILL
    survivor = Database(sqlite_url)
    assert (standing(survivor), status(survivor, now).state) == ([], "never")
    asked(server)
    put(server, "b", says=["B-1"])

    begin()

    assert asked(server) == ["/index if changed", "/a if changed", "/b"]
    assert standing(survivor) == ["A-1", "B-1"]
    survivor.close()


def test_what_nobody_went_on_with_is_thrown_away(db, hosts, paper, run, server, settings, now):
    hosts("debian:12")
    put(server, "debian:12", etag='"1"', follow=["a"])
    server.answer((503, {}, b""), path="/a")
    with suppress(FeedUnreachableError):
        run()
    (file,) = (settings.fetched / "paper").iterdir()
    os.utime(file, (now.timestamp(), now.timestamp()))

    housekeeping.tidy(db, settings=settings, now=now + 47 * HOUR)
    assert file.exists()
    housekeeping.tidy(db, settings=settings, now=now + 49 * HOUR)
    assert not file.exists()


def test_two_feeds_are_synced_one_after_the_other(db, hosts, paper, run, server, tmp_path, now):
    hosts("debian:12")
    put(server, "debian:12", says=["A-1"])
    release = {"status": "resolved", "fixed_version": "1.2-3"}
    (tmp_path / "tracker.json").write_text(
        json.dumps({"pkg": {"CVE-2026-1000": {"releases": {"bookworm": release}}}})
    )

    run()
    run("debian", source=tmp_path / "tracker.json")
    server.answer((500, {}, b""), path="/debian:12")
    with suppress(FeedUnreachableError):
        run()

    assert standing(db) == ["A-1", "CVE-2026-1000"]
    assert (status(db, now).state, status(db, now, "debian").state) == ("failed", "ok")


# A feed that shrinks


TEN = [f"A-{number}" for number in range(10)]


@pytest.fixture
def ten(hosts, run, server, paper):
    hosts("debian:12")
    put(server, "debian:12", says=TEN)
    return run()


def test_a_feed_may_lose_as_much_as_is_set(db, ten, run, server):
    put(server, "debian:12", says=TEN[:8])

    assert run().counts["withdrawn"] == 2
    assert standing(db) == TEN[:8]


def test_a_feed_that_loses_more_is_held_with_what_it_said(db, ten, run, server, now):
    put(server, "debian:12", says=TEN[:7])

    with pytest.raises(FeedHeldError, match="from 10 to 7 advisories, by more than 20 %") as held:
        run()

    assert standing(db) == TEN
    feed = status(db, now)
    assert (feed.state, feed.standing, feed.error) == ("held", "held", str(held.value))
    assert feed.held == {"advisories": [10, 7]}
    assert "patchmgr feeds sync paper --accept-smaller" in feed.error
    assert feed.revision_id == ten.revision_id


def test_what_is_new_does_not_hide_nor_make_a_loss(db, ten, run, server):
    put(server, "debian:12", says=[*TEN[:4], *(f"B-{number}" for number in range(6))])

    assert run().counts["withdrawn"] == 6


def test_a_person_who_knows_takes_it_at_once(db, ten, run, server, now):
    put(server, "debian:12", says=TEN[:1])

    result = run(accept_smaller=True)

    assert result.counts["withdrawn"] == 9
    with db.reading() as session:
        entry = session.scalars(select(models.AuditEntry).order_by(models.AuditEntry.id)).all()[-1]
    assert (entry.action, entry.actor) == ("feed.sync", "me")
    assert entry.details["smaller"] == "from 10 to 1 advisories"


def test_a_loss_that_was_confirmed_is_taken_by_the_next_sync(db, ten, run, server, now):
    put(server, "debian:12", says=TEN[:5])
    with suppress(FeedHeldError):
        run()

    feeds.accept_smaller(db, "paper", actor="ann", now=now)

    with db.reading() as session:
        assert [each.job for each in jobs.queued(session)] == ["sync:paper"]
        last = session.scalars(select(models.AuditEntry).order_by(models.AuditEntry.id)).all()[-1]
    assert (last.action, last.actor) == ("feed.accept-smaller", "ann")
    assert last.details == {"advisories": [10, 5]}
    run()
    feed = status(db, now)
    assert (standing(db), feed.state, feed.held) == (TEN[:5], "ok", {})
    assert not feed.smaller_accepted


def test_what_was_confirmed_is_no_leave_to_lose_still_more(db, ten, run, server, now):
    put(server, "debian:12", says=TEN[:5])
    with suppress(FeedHeldError):
        run()
    feeds.accept_smaller(db, "paper", actor="ann", now=now)
    put(server, "debian:12", says=TEN[:2])

    with pytest.raises(FeedHeldError, match="from 10 to 2 advisories"):
        run()

    assert standing(db) == TEN
    assert not status(db, now).smaller_accepted


def test_a_feed_that_is_whole_again_is_no_longer_held(db, ten, run, server, now):
    put(server, "debian:12", says=TEN[:5])
    with suppress(FeedHeldError):
        run()
    put(server, "debian:12", says=TEN)

    run()

    assert (status(db, now).state, status(db, now).held) == ("ok", {})
    with pytest.raises(ConflictError, match="paper is not held"):
        feeds.accept_smaller(db, "paper", actor="ann", now=now)


def test_files_are_a_person_s_word(db, ten, run, tmp_path, now):
    (tmp_path / "half.json").write_text(json.dumps({"says": TEN[:3]}))

    result = run(source=tmp_path / "half.json")

    assert standing(db) == TEN[:3]
    assert result.counts["withdrawn"] == 7


def test_notes_about_flaws_are_guarded_alike(db, hosts, run, server, paper, now):
    hosts("debian:12")
    put(server, "debian:12", notes=[f"CVE-2026-100{number}" for number in range(10)])
    run()
    put(server, "debian:12", notes=["CVE-2026-1000"])

    with pytest.raises(FeedHeldError, match="from 10 to 1 notes"):
        run()
    assert status(db, now).held == {"notes": [10, 1]}


def test_what_is_held_is_not_fetched_again_to_be_confirmed(db, hosts, run, server, paper, now):
    hosts("debian:12")
    put(server, "debian:12", says=TEN)
    run()
    put(server, "debian:12", etag='"2"', says=TEN[:1])
    with suppress(FeedHeldError):
        run()
    asked(server)

    run(accept_smaller=True)

    assert asked(server) == ["/debian:12 if changed"]
    assert standing(db) == TEN[:1]


def test_a_feed_that_nobody_knows_cannot_be_confirmed(db, now):
    with pytest.raises(NotFoundError, match="no feed 'nix'"):
        feeds.accept_smaller(db, "nix", actor="ann", now=now)


# Keys


def test_the_keys_of_archives_are_read_from_the_directory_that_is_set(settings, tmp_path):
    folder = tmp_path / "keys"
    folder.mkdir()
    (folder / "a.gpg").write_bytes(b"one")
    (folder / "b.asc").write_bytes(b"two")
    (folder / "notes.txt").write_bytes(b"no key")
    there = Settings(home=tmp_path, database_url="", secret_key="x", archive_keys=str(folder))

    (folder / "alpine").mkdir()
    (folder / "alpine" / "devel.rsa.pub").write_bytes(b"three")
    (folder / "alpine" / "README").write_bytes(b"no key")

    for feed in ("archive", "updateinfo"):
        keys = feeds.equipped(FEEDS[feed], there)._keys
        assert keys.archives == (b"one", b"two")
        assert keys.repositories == {"alpine": {"devel.rsa.pub": b"three"}}
    assert feeds.equipped(FEEDS["debian"], there) is FEEDS["debian"]


def test_a_directory_of_keys_that_is_not_there_is_said_so(tmp_path):
    there = Settings(home=tmp_path, database_url="", secret_key="x", archive_keys="/nowhere")

    with pytest.raises(InputError, match=r"^PATCHMGR_ARCHIVE_KEYS: /nowhere: No such file"):
        feeds.equipped(FEEDS["archive"], there)


def test_unless_somebody_chose_only_the_keys_of_distributions_are_trusted(
    settings, tmp_path, monkeypatch
):
    monkeypatch.setattr(feeds.config, "KEYRINGS", tmp_path)
    for name in ("debian-archive-keyring.gpg", "vendor.gpg", "ubuntu-archive-removed-keys.gpg"):
        (tmp_path / name).write_bytes(name.encode())

    assert feeds.equipped(FEEDS["archive"], settings)._keys.archives == (
        b"debian-archive-keyring.gpg",
    )
