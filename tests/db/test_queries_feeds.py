"""Reads of feeds: what each covers, and the revisions it went through."""

import json
from datetime import timedelta

import pytest

from patchmgr.config import Settings
from patchmgr.db.queries import feeds
from patchmgr.errors import NotFoundError
from patchmgr.services.feeds import ensure_feeds
from patchmgr.services.sync import sync

HOUR = timedelta(hours=1)


@pytest.fixture
def bring(db, now, tmp_path):
    def call(hours, *codenames):
        record = {"releases": {name: {"status": "open"} for name in codenames}}
        source = tmp_path / "feed.json"
        source.write_text(json.dumps({"pkg": {"CVE-2026-1000": record}}))
        mirrors = {"debian": ("https://mirror.example/",)}
        settings = Settings(home=tmp_path, database_url="", secret_key="x", mirrors=mirrors)
        sync(db, "debian", settings=settings, now=now + HOUR * hours, actor="me", source=source)

    return call


def test_platforms_are_those_the_current_revision_speaks_of(db, bring):
    ensure_feeds(db)
    with db.reading() as session:
        assert feeds.platforms_with_feed(session) == set()
    bring(1, "bookworm", "trixie", "buster")
    bring(2, "bookworm", "sid")

    with db.reading() as session:
        assert feeds.platforms_with_feed(session) == {"debian:12", "debian:rolling"}


def test_every_feed_is_listed_in_one_statement(db, now, bring, statements):
    bring(1, "bookworm")

    with db.reading() as session:
        statements.clear()
        lines = feeds.listing(session, now=now + 3 * HOUR, stale_hours=1)

    (line,) = (each for each in lines if each.name == "debian")
    assert (line.name, line.title, line.is_stale) == ("debian", "Debian security tracker", True)
    assert line.age(now + 3 * HOUR) == 2 * HOUR
    assert line.revision_at == now + HOUR
    assert len(statements) == 1


def test_revisions_come_newest_first_in_pages(db, bring):
    for hour in range(1, 4):
        bring(hour, *["bookworm", "trixie", "sid"][:hour])

    with db.reading() as session:
        first = feeds.revisions(session, "debian", limit=2)
        rest = feeds.revisions(session, "debian", limit=2, cursor=first.next)

    assert [each.counts["fixes"] for each in first.lines + rest.lines] == [3, 2, 1]
    assert (first.total, rest.next) == (3, None)


def test_a_feed_that_is_not_there_is_said_so(db, now):
    with db.reading() as session, pytest.raises(NotFoundError, match="no feed 'nix'"):
        feeds.get(session, "nix", now=now)
