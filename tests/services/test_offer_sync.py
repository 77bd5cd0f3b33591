"""Of what repositories offer, what the fleet has is stored; an expired index is refused."""

import csv
import hashlib
import io
from datetime import timedelta

import pytest
from pysequoia import SignatureMode, Tsk, sign
from sqlalchemy import select

from inventory.host_import import import_hosts
from inventory.package_import import import_packages
from patchmgr.config import Settings
from patchmgr.db import models
from patchmgr.db.queries import feeds, hosts, offers
from patchmgr.errors import FeedMalformedError, InputError
from patchmgr.feeds.transport import Limits
from patchmgr.services.sync import sync

HOUR = timedelta(hours=1)
QUICK = Limits(connect=2, read=2, total=5, attempts=2, backoff=0.001)
KEY = Tsk.generate("archive@vendor.example")
INDEX = "/dists/bookworm/InRelease"


def stanza(name, version, source=""):
    said = f"Source: {source}\n" if source else ""
    return f"Package: {name}\n{said}Version: {version}\nArchitecture: amd64\n"


def packages(**versions):
    return "\n".join(stanza(name, version) for name, version in versions.items()).encode()


@pytest.fixture
def settings(tmp_path, server):
    """Settings with a mirror of one suite, and the key that it is signed with."""
    keys = tmp_path / "keys"
    keys.mkdir()
    (keys / "archive.pgp").write_bytes(bytes(KEY.extract_certificate()))
    return Settings(
        home=tmp_path,
        database_url="",
        secret_key="x",
        archive_keys=str(keys),
        mirrors={"archive": (server.url(INDEX),)},
    )


@pytest.fixture
def installed(db, tmp_path, now):
    """Let host web, of Debian 12, have the packages given."""

    def call(hours=0, **versions):
        hosts_file, packages_file = tmp_path / "hosts.csv", tmp_path / "packages.csv"
        hosts_file.write_text("hostname,os_id,os_release\nweb,debian,12\n")
        import_hosts(db, hosts_file, actor="test", now=now)
        text = io.StringIO()
        csv.writer(text).writerows(
            [
                ("hostname", "manager", "name", "version", "arch"),
                *(("web", "dpkg", name, version, "amd64") for name, version in versions.items()),
            ]
        )
        packages_file.write_text(text.getvalue())
        import_packages(db, packages_file, actor="test", now=now + HOUR * hours)

    return call


@pytest.fixture
def bring(db, settings, now, tmp_path):
    """Sync the archive from files by suite; each call is an hour after the one before."""
    calls = []

    def call(**suites):
        calls.append(1)
        folder = tmp_path / f"archive-{len(calls)}"
        for suite, body in suites.items():
            place = folder / "dists" / suite / "main" / "binary-amd64" / "Packages"
            place.parent.mkdir(parents=True)
            place.write_bytes(body)
        at = now + HOUR * len(calls)
        where = {"source": folder, "platform": "debian:12"}
        return sync(db, "archive", settings=settings, now=at, actor="me", **where)

    return call


def stored(db):
    offer = models.Offer
    with db.reading() as session:
        rows = session.execute(
            select(
                offer.suite,
                offer.name,
                offer.version,
                offer.since_revision_id,
                offer.until_revision_id,
            ).order_by(offer.id)
        )
        return [tuple(row) for row in rows]


def updates(db):
    with db.reading() as session:
        found = offers.updates(session, hosts.get(session, "web"))
        return None if found is None else [(each.package, each.offered) for each in found]


def cautions(db):
    with db.reading() as session:
        return [each.caution for each in offers.updates(session, hosts.get(session, "web"))]


def test_only_what_a_host_has_is_kept_and_the_rest_counted(db, installed, bring):
    installed(curl="7-1")

    result = bring(bookworm=packages(curl="7-2", emacs="1-1", vim="1-1"))

    new = {"offers": 1, "new": 1, "changed": 0, "withdrawn": 0, "unchanged": 0}
    assert dict(result.counts) == new
    assert result.note == "2 offers left out: no host has these packages"
    assert stored(db) == [("bookworm", "curl", "7-2", 1, None)]
    assert updates(db) == [("curl", "7-2")]


def test_without_an_inventory_nothing_is_kept_and_that_is_no_failure(db, bring):
    result = bring(bookworm=packages(curl="7-2"))

    assert (result.changed, stored(db)) == (False, [])
    assert "no host has these packages" in result.note


def test_an_offer_is_never_changed_but_ends_with_the_revision_of_the_next(db, installed, bring):
    installed(curl="7-1", bash="5-1")
    bring(bookworm=packages(curl="7-2", bash="5-1"), security=packages(curl="7-3"))
    again = bring(bookworm=packages(curl="7-2", bash="5-1"), security=packages(curl="7-3"))
    assert (again.changed, dict(again.counts)) == (False, {"offers": 3, "unchanged": 3})

    result = bring(bookworm=packages(curl="7-4"), security=packages(curl="7-3"))

    assert {kind: n for kind, n in result.counts.items() if n} == {
        "offers": 2,
        "changed": 1,
        "withdrawn": 1,
        "unchanged": 1,
    }
    assert sorted(stored(db)) == [
        ("bookworm", "bash", "5-1", 1, 2),
        ("bookworm", "curl", "7-2", 1, 2),
        ("bookworm", "curl", "7-4", 2, None),
        ("security", "curl", "7-3", 1, None),
    ]
    assert updates(db) == [("curl", "7-4")]


def test_an_update_that_goes_to_more_hosts_is_a_changed_offer(db, installed, bring):
    installed(curl="7-1")
    phased = b"\n" + packages(curl="7-2").strip() + b"\nPhased-Update-Percentage: %d\n"
    bring(updates=phased % 20)
    assert cautions(db) == ["phased at 20 %: may not be offered to this host yet"]

    bring(updates=phased % 100)

    assert cautions(db) == [""]
    assert stored(db) == [("updates", "curl", "7-2", 1, 2), ("updates", "curl", "7-2", 2, None)]


def test_a_document_that_cannot_be_read_ends_no_offer(db, installed, bring):
    installed(curl="7-1", bash="5-1")
    bring(bookworm=packages(curl="7-2"), security=packages(bash="5-2"))

    result = bring(bookworm=packages(curl="7-3"), security=b"<html>\n")

    assert "security" in result.note
    assert updates(db) == [("bash", "5-2"), ("curl", "7-3")]


def test_nothing_is_said_of_updates_where_no_repository_was_read(db, installed, bring):
    installed(curl="7-1")
    assert updates(db) is None

    bring(bookworm=packages(curl="7-1"))

    assert updates(db) == []


def test_a_repository_is_no_feed_of_advisories(db, installed, bring):
    installed(curl="7-1")
    bring(bookworm=packages(curl="7-2"))

    with db.reading() as session:
        assert feeds.platforms_with_feed(session) == set()


# Over the network: a signed index, and what it leads to.


def index(body, valid_until, made=None):
    """An InRelease of Debian 12 that lists ``body`` as its only Packages."""
    dated = f"Date: {made:%a, %d %b %Y %H:%M:%S} UTC\n" if made else ""
    text = (
        f"Origin: Debian\nSuite: oldstable\nCodename: bookworm\nArchitectures: amd64\n{dated}"
        f"Valid-Until: {valid_until:%a, %d %b %Y %H:%M:%S} UTC\nSHA256:\n"
        f" {hashlib.sha256(body).hexdigest()} {len(body)} main/binary-amd64/Packages\n"
    )
    return sign(KEY.signer(), text.encode(), mode=SignatureMode.CLEAR)


@pytest.fixture
def serve(db, settings, server, now):
    """Return what syncs the archive from a server, ``hours`` from now, and what was asked of it."""

    def answer(body, valid_until, made=None):
        server.answer((200, {"ETag": '"1"'}, index(body, valid_until, made)), path=INDEX)
        server.answer((200, {}, body), path="/dists/bookworm/main/binary-amd64/Packages")

    def fetch(hours, *, unchanged=False):
        if unchanged:
            server.answer((304, {}, b""), path=INDEX)
        server.asked.clear()
        at = now + HOUR * hours
        sync(db, "archive", settings=settings, now=at, actor="scheduler", limits=QUICK)
        return server.asked[0][1].get("If-None-Match"), len(server.asked)

    return answer, fetch


def test_an_unchanged_repository_is_read_again_when_the_fleet_has_another_package(
    db, installed, serve, now
):
    answer, fetch = serve
    installed(curl="7-1")
    answer(packages(curl="7-2", bash="5-2"), now + 99 * HOUR)
    assert fetch(1) == (None, 2)
    assert fetch(2, unchanged=True) == ('"1"', 1)
    installed(hours=3, curl="7-2")  # another version of what is known
    assert fetch(4, unchanged=True) == ('"1"', 1)

    installed(hours=5, curl="7-2", bash="5-1")
    answer(packages(curl="7-2", bash="5-2"), now + 99 * HOUR)

    assert fetch(6) == (None, 2)
    assert updates(db) == [("bash", "5-2")]
    assert fetch(7, unchanged=True) == ('"1"', 1)


def test_a_sync_says_whose_signature_held(db, installed, serve, now):
    answer, fetch = serve
    installed(curl="7-1")
    answer(packages(curl="7-2"), now + 99 * HOUR)

    fetch(1)

    with db.reading() as session:
        (verified,) = feeds.get(session, "archive", now=now).counts["verified"]
    assert verified.endswith(INDEX)


def test_an_index_that_has_expired_is_refused_for_it_hides_updates(db, installed, serve, now):
    answer, fetch = serve
    installed(curl="7-1")
    answer(packages(curl="7-2"), now + 2 * HOUR)
    fetch(1)
    answer(packages(curl="7-3"), now + 2 * HOUR)

    with pytest.raises(FeedMalformedError, match=r"valid until 2026-03-02 11:30 UTC.*mirror"):
        fetch(3)

    assert updates(db) == [("curl", "7-2")]
    with db.reading() as session:
        status = feeds.get(session, "archive", now=now)
        assert (status.state, "valid until" in status.error) == ("failed", True)


def test_an_index_that_stays_the_same_until_it_expires_is_refused_as_well(installed, serve, now):
    answer, fetch = serve
    installed(curl="7-1")
    answer(packages(curl="7-2"), now + 2 * HOUR)
    fetch(1)

    with pytest.raises(FeedMalformedError, match="valid until"):
        fetch(3, unchanged=True)


def test_a_mirror_that_goes_back_is_refused_and_what_it_said_stays(db, installed, serve, now):
    answer, fetch = serve
    installed(curl="7-1")
    answer(packages(curl="7-3"), now + 99 * HOUR, made=now)
    fetch(1)
    answer(packages(curl="7-2"), now + 99 * HOUR, made=now - HOUR)

    for hours in (2, 3):  # and it is not forgotten
        with pytest.raises(FeedMalformedError, match=r"is of 2026-03-02 08:30 UTC.*went back"):
            fetch(hours)
        assert updates(db) == [("curl", "7-3")]

    answer(packages(curl="7-4"), now + 99 * HOUR, made=now)  # of the same moment is not older
    fetch(4)
    assert updates(db) == [("curl", "7-4")]


def test_files_with_an_expired_index_change_nothing(db, settings, now, tmp_path):
    (tmp_path / "InRelease").write_bytes(index(packages(curl="7-2"), now - HOUR))

    with pytest.raises(InputError, match="valid until"):
        sync(
            db,
            "archive",
            settings=settings,
            now=now,
            actor="me",
            source=tmp_path / "InRelease",
        )
