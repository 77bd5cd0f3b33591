"""What catalogues say of flaws is stored as it is said, and only what concerns the fleet."""

import json
from datetime import timedelta

import pytest
from sqlalchemy import select

from patchmgr.config import Settings
from patchmgr.db import models
from patchmgr.errors import InputError
from patchmgr.feeds import FEEDS
from patchmgr.feeds.transport import Limits
from patchmgr.services.feeds import ensure_feeds
from patchmgr.services.sync import sync

HOUR = timedelta(hours=1)
QUICK = Limits(connect=2, read=2, total=5, attempts=2, backoff=0.001)


def tracker(*names):
    """Debian's tracker with an advisory of each CVE-2026-<name>."""
    release = {"releases": {"bookworm": {"status": "open"}}}
    return json.dumps({"pkg": {f"CVE-2026-{name}": release for name in names}}).encode()


TWO = tracker(1000, 2000)


@pytest.fixture
def settings(tmp_path):
    return Settings(home=tmp_path, database_url="", secret_key="x")


def kev(*cves, **changed):
    """The catalogue with ``cves``, each CVE-2026-<n>."""
    entry = {"dateAdded": "2026-01-02", "dueDate": "2026-01-23", "vulnerabilityName": "Bad"}
    entries = [{"cveID": f"CVE-2026-{n}", **entry, **changed} for n in cves]
    return json.dumps({"count": len(entries), "vulnerabilities": entries}).encode()


def epss(**scores):
    """A file of scores: CVE-2026-<name> -> score."""
    rows = [f"CVE-2026-{name.strip('_')},{score},0.5" for name, score in scores.items()]
    first = "#model_version:v2025.03.14,score_date:2026-03-01T12:55:00Z"
    return "\n".join([first, "cve,epss,percentile", *rows]).encode()


def said(db, feed):
    """Every note of a feed ever: (CVE, what is said, first and last revision by their number)."""
    note, revision = models.FlawNote, models.FeedRevision
    with db.reading() as session:
        numbers = session.scalars(
            select(revision.id)
            .join(models.Feed, models.Feed.id == revision.feed_id)
            .where(models.Feed.name == feed)
            .order_by(revision.id)
        ).all()
        place = {number: place for place, number in enumerate(numbers, 1)} | {None: None}
        return [
            (row.cve, row.said, place[row.since_revision_id], place[row.until_revision_id])
            for row in session.scalars(
                select(note)
                .join(models.Feed, models.Feed.id == note.feed_id)
                .where(models.Feed.name == feed)
                .order_by(note.id)
            )
        ]


@pytest.fixture
def bring_notes(db, settings, now, tmp_path):
    """Sync a feed of notes from bytes as a file; each call is an hour after the one before."""
    calls = []

    def call(feed, body, *, hours=None):
        calls.append(1)
        source = tmp_path / ("notes.csv" if feed == "epss" else "notes.json")
        source.write_bytes(body)
        at = now + HOUR * (hours or len(calls))
        return sync(db, feed, settings=settings, now=at, actor="me", source=source)

    return call


def test_notes_are_stored_with_their_revision_and_stay_when_they_no_longer_hold(db, bring_notes):
    first = bring_notes("kev", kev(1000, 2000))
    again = bring_notes("kev", kev(1000, 2000))
    second = bring_notes("kev", kev(2000, 3000))

    new = {"notes": 2, "new": 2, "changed": 0, "withdrawn": 0, "unchanged": 0}
    assert dict(first.counts) == new
    assert (again.changed, dict(again.counts)) == (False, {"notes": 2, "unchanged": 2})
    assert dict(second.counts) == new | {"new": 1, "withdrawn": 1, "unchanged": 1}
    assert [(cve, since, until) for cve, _, since, until in said(db, "kev")] == [
        ("CVE-2026-1000", 1, 2),
        ("CVE-2026-2000", 1, None),
        ("CVE-2026-3000", 2, None),
    ]
    assert said(db, "kev")[0][1] == {
        "kev": True,
        "kev_added": "2026-01-02",
        "kev_due": "2026-01-23",
        "kev_name": "Bad",
    }


def test_a_changed_note_is_a_new_row(db, bring_notes):
    bring_notes("kev", kev(1000))
    result = bring_notes("kev", kev(1000, knownRansomwareCampaignUse="Known"))

    assert (result.counts["changed"], result.counts["new"]) == (1, 0)
    assert [(cve, until) for cve, _, _, until in said(db, "kev")] == [
        ("CVE-2026-1000", 2),
        ("CVE-2026-1000", None),
    ]


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (kev(), "without any entry"),
        (kev(1000, 2000).replace(b'"count": 2', b'"count": 3'), "not the whole catalogue"),
        (kev(1000)[:-1], "not the catalogue's JSON"),
        (kev("x", "y"), "not the catalogue's, such as entry 1"),
    ],
)
def test_a_catalogue_that_is_not_whole_leaves_the_last_one_in_place(db, bring_notes, body, why):
    bring_notes("kev", kev(1000))
    before = said(db, "kev")

    with pytest.raises(InputError, match=why):
        bring_notes("kev", body)

    assert said(db, "kev") == before


def test_only_scores_of_flaws_that_an_advisory_names_are_kept(db, bring_notes):
    bring_notes("debian", TWO)

    result = bring_notes("epss", epss(_1000=0.5, _2000=0.00012, _9999=0.9))

    assert result.counts["notes"] == 2
    assert [(cve, known["epss"]) for cve, known, _, _ in said(db, "epss")] == [
        ("CVE-2026-1000", 0.5),
        ("CVE-2026-2000", 0.00012),
    ]


def test_scores_without_any_advisory_are_no_failure(db, bring_notes):
    result = bring_notes("epss", epss(_1000=0.5))

    assert (result.changed, said(db, "epss")) == (False, [])


def test_a_score_is_a_new_one_when_it_changed_in_its_third_decimal(db, bring_notes):
    bring_notes("debian", TWO)
    bring_notes("epss", epss(_1000=0.1234, _2000=0.2))

    result = bring_notes("epss", epss(_1000=0.1226, _2000=0.2004))
    other = bring_notes("epss", epss(_1000=0.1226, _2000=0.2006))

    assert (result.changed, other.counts["changed"]) == (False, 1)


def test_unchanged_scores_are_read_again_when_advisories_came_meanwhile(
    db, settings, now, bring_notes, server
):
    server.answer((200, {"ETag": '"1"'}, epss(_1000=0.5, _3000=0.25)))
    mirrors = {"epss": (server.url(),)}
    there = Settings(home=settings.home, database_url="", secret_key="x", mirrors=mirrors)

    def fetch(hours):
        at = now + HOUR * hours
        sync(db, "epss", settings=there, now=at, actor="scheduler", limits=QUICK)
        return server.asked[-1][1].get("If-None-Match"), len(said(db, "epss"))

    bring_notes("debian", TWO)
    assert fetch(10) == (None, 1)
    server.answer((304, {}, b""))
    assert fetch(11) == ('"1"', 1)
    server.answer((200, {"ETag": '"1"'}, epss(_1000=0.5, _3000=0.25)))

    bring_notes("debian", tracker(1000, 3000), hours=12)

    assert fetch(13) == (None, 2)


def test_what_is_huge_is_synced_only_when_asked_for(db):
    ensure_feeds(db)

    with db.reading() as session:
        rows = session.execute(select(models.Feed.name, models.Feed.enabled))
        enabled = dict(rows.all())
    assert (enabled["kev"], enabled["epss"]) == (True, True)
    assert (enabled["nvd"], enabled["ssvc"]) == (False, False)
    assert FEEDS["nvd"].addresses(frozenset()) == FEEDS["ssvc"].addresses(frozenset()) == ()
