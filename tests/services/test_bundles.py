"""Feeds cross an air gap as they are, from whom they should be, and all together or not at all."""

import re
import shutil
import struct
import zlib
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from inventory import host_import, package_import
from patchmgr import config
from patchmgr.db import models
from patchmgr.db.queries import feeds, finding_lines, findings
from patchmgr.db.queries import reports as report_queries
from patchmgr.db.session import Database
from patchmgr.domain.advisories import Advisory, Fix, Kind, Match, Severity, Status
from patchmgr.domain.flaws import FlawNote
from patchmgr.domain.lifecycle import Support
from patchmgr.domain.offers import Offer
from patchmgr.errors import ConflictError, InputError
from patchmgr.feeds import FEEDS
from patchmgr.feeds.bundle import lines
from patchmgr.feeds.bundle.reading import Bundle
from patchmgr.feeds.crawl import Document, Harvest
from patchmgr.services import bundles, feed_store, policies, scan, signing
from patchmgr.services.bundles import making, taking, trust
from patchmgr.services.feeds import ensure_feeds, switch

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
FEED_TABLES = (models.Feed, models.FeedRevision, models.FeedSync, models.Advisory, models.Fix)


def fix(package="openssl", fixed="3.0-2", **more):
    status = Status.AFFECTED if fixed else Status.NO_FIX
    return Fix("debian:12", package, Match.SOURCE, status, fixed, scheme="dpkg", **more)


class Site:
    """An installation: its home, its database, and what happens in it."""

    def __init__(self, folder, db, now):
        self.folder, self.db, self.now = folder, db, now
        self.settings = config.load({"PATCHMGR_HOME": str(folder / "home")})
        ensure_feeds(db)

    @property
    def fingerprint(self):
        return signing.fingerprint(signing.signing_key(self.settings.home).public_key())

    def says(self, feed, *values, at=None, source="https://vendor.example"):
        harvest = Harvest(
            tuple(each for each in values if isinstance(each, Advisory)),
            {source: Document(b"")},
            (),
            {},
            tuple(each for each in values if isinstance(each, FlawNote)),
            offers=tuple(each for each in values if isinstance(each, Offer)),
            support=tuple(each for each in values if isinstance(each, Support)),
        )
        with self.db.writing(alone=True) as session:
            feed_store.store(session, feed, harvest, now=at or self.now, actor="test")

    def export(self, name="feeds.zip", at=None, **more):
        path = self.folder / name
        bundles.make(self.db, path, settings=self.settings, now=at or self.now, actor="ann", **more)
        return path

    def take(self, path, at=None, **more):
        return bundles.take(
            self.db, path, settings=self.settings, now=at or self.now, actor="bob", **more
        )

    def status(self, name, at=None):
        with self.db.reading() as session:
            return feeds.get(session, name, now=at or self.now)

    def rows(self, *tables):
        with self.db.reading() as session:
            return [
                [tuple(row) for row in session.execute(select(table.__table__).order_by("id"))]
                for table in tables
            ]

    def audited(self, action):
        entry = models.AuditEntry
        with self.db.reading() as session:
            return session.scalars(select(entry).where(entry.action == action)).all()


@pytest.fixture
def template(_sqlite_template):
    return _sqlite_template


@pytest.fixture
def copy(tmp_path, template):
    """Make another database, which is always SQLite."""
    opened = []

    def call(name):
        path = shutil.copy(template, tmp_path / f"{name}.db")
        opened.append(Database(f"sqlite:///{path}"))
        return opened[-1]

    yield call
    for each in opened:
        each.close()


@pytest.fixture(params=["from here", "to here"])
def sites(request, db, copy, tmp_path, now):
    """The connected site and the one behind the gap; each kind of database is each of them."""
    pair = [db, copy("other")] if request.param == "from here" else [copy("other"), db]
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    return tuple(Site(tmp_path / name, each, now) for name, each in zip("ab", pair, strict=True))


@pytest.fixture
def a(copy, tmp_path, now):
    (tmp_path / "a").mkdir()
    site = Site(tmp_path / "a", copy("a"), now)
    site.says("debian", *ADVISORIES)
    site.says("kev", *NOTES)
    return site


@pytest.fixture
def b(copy, tmp_path, now):
    (tmp_path / "b").mkdir()
    return Site(tmp_path / "b", copy("b"), now + HOUR)


ADVISORIES = (
    Advisory("CVE-2026-1001", ("CVE-2026-1001",), fixes=(fix(), fix("curl", "", reason="no-dsa"))),
    Advisory(
        "DSA-1-1",
        ("CVE-2026-1002", "CVE-2026-1003"),
        "Zwölf Lücken",
        Severity.HIGH,
        published=datetime(2026, 2, 3, 4, 5, 6, 789, UTC),
        url="https://vendor.example/DSA-1-1",
        fixes=(fix(fixed="3.0-3", after="restart", arch="amd64 arm64"), fix(introduced="2.9")),
        kind=Kind.SECURITY,
        aliases=("GHSA-1", "PYSEC-1"),
    ),
    Advisory("DSA-2-1", title="without statements"),
)
NOTES = (
    FlawNote("CVE-2026-1001", kev=True, kev_added=date(2026, 2, 1), kev_ransomware=False),
    FlawNote("CVE-2026-1002", epss=0.123456, cvss=7.5, cwes=("CWE-79",)),
)


def documents(path):
    """Return what is in a bundle: by feed, its unpacked lines and the digest of its revision."""
    with path.open("rb") as file:
        bundle = Bundle(file, str(path))
        return {
            part.name: ([lines.line(each) for each in bundle.values(part)], part.revision)
            for part in bundle.checked().feeds
        }


# What goes over.


def test_what_was_said_there_is_said_here_and_goes_on_from_here(sites):
    a, b = sites
    a.says("debian", *ADVISORIES, Advisory("DSA-3-1", fixes=(fix(fixed="9"),)))
    a.says("debian", *ADVISORIES[1:], Advisory("DSA-3-1", fixes=(fix(fixed="10"),)))
    a.says("kev", *NOTES)

    taken = b.take(a.export(), key=a.fingerprint)

    assert [(each.feed, each.new) for each in taken.feeds] == [("debian", 3), ("kev", 2)]
    again = b.export()
    assert documents(again) == documents(b.folder.parent / "a" / "feeds.zip")


names = st.text("AB19-", min_size=1, max_size=5)
text = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)
any_fix = st.builds(
    Fix,
    platform=st.sampled_from(["debian:12", "rhel:9"]),
    package=names,
    match=st.sampled_from(Match),
    status=st.sampled_from(Status),
    fixed=st.sampled_from(["", "1", "1.0-1", "no version"]),
    introduced=st.sampled_from(["", "0.5"]),
    last_affected=st.sampled_from(["", "0.7"]),
    severity=st.sampled_from(Severity),
    reason=text,
    scheme=st.sampled_from(["dpkg", "rpm", "unheard of"]),
    arch=st.sampled_from(["", "amd64 i386"]),
    module=st.sampled_from(["", "perl:5.32"]),
    channel=st.sampled_from(["", "esm-infra"]),
    after=st.sampled_from(["", "reboot"]),
)
any_advisories = st.lists(
    st.builds(
        Advisory,
        ref=names,
        cves=st.lists(names, max_size=2).map(tuple),
        title=text,
        severity=st.sampled_from(Severity),
        published=st.none() | st.datetimes(timezones=st.just(UTC)),
        url=text,
        fixes=st.lists(any_fix, max_size=3).map(tuple),
        kind=st.sampled_from(Kind),
        aliases=st.lists(names, max_size=2).map(tuple),
    ),
    min_size=1,
    unique_by=lambda each: each.ref,
)
any_notes = st.lists(
    st.builds(
        FlawNote,
        cve=names,
        kev=st.booleans(),
        kev_due=st.none() | st.dates(),
        kev_ransomware=st.none() | st.booleans(),
        kev_name=text,
        epss=st.none() | st.floats(0, 1),
        epss_percentile=st.none() | st.floats(0, 1),
        cwes=st.lists(names, max_size=2).map(tuple),
        rejected=st.booleans(),
    ),
    min_size=1,
    unique_by=lambda each: each.cve,
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(before=any_advisories, advisories=any_advisories, notes=any_notes)
def test_whatever_a_feed_says_comes_out_as_it_went_in(
    tmp_path_factory, template, now, before, advisories, notes
):
    folder = tmp_path_factory.mktemp("gap")
    pair = []
    for name in ("a", "b"):
        (folder / name).mkdir()
        path = shutil.copy(template, folder / f"{name}.db")
        pair.append(Site(folder / name, Database(f"sqlite:///{path}"), now))
    a, b = pair
    a.says("debian", *before)
    a.says("debian", *advisories)
    a.says("ssvc", *notes)

    taken = b.take(a.export(), key=a.fingerprint)

    assert documents(b.export()) == documents(a.folder / "feeds.zip")
    assert {each.feed for each in taken.feeds} == {"debian", "ssvc"}
    for each in pair:
        each.db.close()
    shutil.rmtree(folder)


def test_a_scan_finds_the_same_on_both_sides(sites):
    a, b = sites
    a.says("debian", *ADVISORIES)
    a.says("kev", *NOTES)
    b.take(a.export(), key=a.fingerprint)

    found = []
    for site in sites:
        hosts, packages = site.folder / "hosts.csv", site.folder / "packages.csv"
        hosts.write_text("hostname,os_id,os_release\nh1,debian,12\nh2,debian,12\n")
        packages.write_text(
            "hostname,manager,name,version,arch,source,source_version\n"
            "h1,dpkg,libssl3,3.0-1,amd64,openssl,3.0-1\n"
            "h1,dpkg,curl,1-1,amd64,curl,1-1\n"
            "h2,dpkg,openssl,3.0-3,amd64,openssl,3.0-3\n"
        )
        host_import.import_hosts(site.db, hosts, actor="test", now=site.now)
        package_import.import_packages(site.db, packages, actor="test", now=site.now)
        policies.ensure_default(site.db, now=site.now)
        scan.scan(site.db, now=site.now, settings=site.settings)
        with site.db.reading() as session:
            found.append([finding_lines.plain(line) for line in findings.every(session)])
    assert found[0] == found[1]
    assert len(found[0]) > 2


def test_the_difference_is_shown_before_and_after(sites):
    a, b = sites
    a.says("debian", *ADVISORIES)
    b.take(a.export("1.zip"), key=a.fingerprint)
    changed = Advisory("DSA-2-1", title="with another title")
    a.says("debian", ADVISORIES[0], changed, Advisory("DSA-9-1"), at=a.now + HOUR)
    second = a.export("2.zip", at=a.now + HOUR)
    before = b.rows(*FEED_TABLES, models.AuditEntry)

    shown = b.take(second, key=a.fingerprint, dry_run=True, at=b.now + 2 * HOUR)

    assert b.rows(*FEED_TABLES, models.AuditEntry) == before
    taken = b.take(second, key=a.fingerprint, at=b.now + 2 * HOUR)
    assert shown.feeds == taken.feeds
    assert (shown.applied, taken.applied) == (False, True)
    (change,) = taken.feeds
    counts = (change.new, change.changed, change.withdrawn, change.unchanged)
    assert counts == (1, 1, 1, 1)
    assert (change.was_as_of, change.as_of) == (a.now, a.now + HOUR)


def test_only_the_feeds_that_are_named_go_over(a, b):
    with pytest.raises(InputError, match="no feed 'nonsense'"):
        a.export(names=["nonsense"])
    with pytest.raises(ConflictError, match="nothing is known of osv yet"):
        a.export(names=["debian", "osv"])
    path = a.export()

    with pytest.raises(InputError, match="has no feed 'osv'; it has debian, kev"):
        b.take(path, key=a.fingerprint, names=["osv"])
    b.take(path, key=a.fingerprint, names=["kev"])

    assert b.status("debian").state == "never"
    assert b.status("kev").counts["notes"] == 2
    assert set(documents(a.export("kev.zip", names=["kev"]))) == {"kev"}


def test_what_could_not_be_used_there_is_counted_here(a, b):
    with a.db.writing() as session:
        feed = session.scalars(select(models.Feed).where(models.Feed.name == "debian")).one()
        revision = session.get_one(models.FeedRevision, feed.revision_id)
        revision.counts = {
            **revision.counts,
            "skipped": {"zurg": 3},
            "set_aside": 2,
            "set_aside_examples": ["openssl: odd"],
        }

    b.take(a.export(), key=a.fingerprint)

    counts = b.status("debian").counts
    assert (counts["skipped"], counts["set_aside"]) == ({"zurg": 3}, 2)
    assert counts["set_aside_examples"] == ["openssl: odd"]


# How old it is.


def test_a_feed_is_as_fresh_as_it_was_there(a, b, now):
    later = now + 3 * DAY
    path = a.export(at=now + DAY)

    b.take(path, key=a.fingerprint, at=later)

    status = b.status("debian", at=later)
    assert (status.succeeded_at, status.attempted_at) == (now, later)
    assert status.bundled_at == now + DAY
    assert status.is_stale
    assert status.source.startswith(f"bundle of 2026-03-03T09:30:00Z by {a.fingerprint}, from http")


def test_it_grows_stale_though_no_schedule_syncs_it(a, b):
    switch(b.db, "debian", on=False, actor="me", now=b.now)
    b.take(a.export(), key=a.fingerprint)

    assert not b.status("debian").is_stale
    assert b.status("debian", at=b.now + 3 * DAY).is_stale


def test_a_report_of_an_earlier_day_stays_what_it_was(a, b, now):
    def state(at):
        with b.db.reading() as session:
            return report_queries.feeds(session, at, ["debian:12"], stale_hours=48)

    b.says("debian", *ADVISORIES, at=now - 5 * DAY)
    before = state(now + HOUR)

    b.take(a.export(), key=a.fingerprint, at=now + 2 * DAY)

    assert state(now + HOUR) == before
    (debian, _kev) = state(now + 2 * DAY)
    assert (debian.synced_at, debian.stale) == (now, False)
    assert state(now + 2 * DAY + HOUR)[0].stale


def test_a_feed_that_is_synced_here_again_is_no_bundle_any_more(a, b):
    b.take(a.export(), key=a.fingerprint)

    b.says("debian", *ADVISORIES, at=b.now + HOUR)

    assert b.status("debian").bundled_at is None


def test_an_older_bundle_is_refused_with_its_dates(a, b, now):
    old = a.export("old.zip")
    a.says("kev", *NOTES, at=now + HOUR)
    new = a.export("new.zip", at=now + HOUR)
    b.take(new, key=a.fingerprint)
    before = b.rows(*FEED_TABLES)

    for dry_run in (True, False):
        with pytest.raises(ConflictError) as refused:
            b.take(old, key=a.fingerprint, dry_run=dry_run)
        said = str(refused.value)
        assert "older than what is here: feed kev is as of 2026-03-02T09:30:00Z, " in said
        assert "what is here as of 2026-03-02T10:30:00Z" in said
        assert "feed debian left on 2026-03-02T09:30:00Z, " in said
        assert "--feed" in said

    assert b.rows(*FEED_TABLES) == before


def test_a_feed_that_was_synced_here_since_is_not_taken_back(a, b):
    path = a.export()
    b.says("debian", Advisory("DSA-9-1"), at=b.now)

    with pytest.raises(ConflictError, match="feed debian is as of"):
        b.take(path, key=a.fingerprint)
    assert b.status("kev").state == "never"
    b.take(path, key=a.fingerprint, names=["kev"])
    assert b.status("kev").state == "ok"


def test_the_same_bundle_twice_changes_nothing(a, b):
    path = a.export()
    b.take(path, key=a.fingerprint)

    again = b.take(path, key=a.fingerprint)

    assert [(each.new, each.changed, each.withdrawn) for each in again.feeds] == [(0, 0, 0)] * 2
    assert len(b.rows(models.FeedRevision)[0]) == 2


def test_a_bundle_from_the_future_is_refused(a, b, now):
    made = a.export("made.zip", at=now + DAY)
    a.says("kev", *NOTES, at=now + DAY)
    synced = a.export("synced.zip")

    for path, what in ((made, "the bundle was made"), (synced, "its feed kev is as of")):
        with pytest.raises(ConflictError, match=f"{what} 2026-03-03T09:30:00Z, but it is"):
            b.take(path, key=a.fingerprint)
    assert b.status("kev").state == "never"


# Who made it.


def test_a_bundle_of_somebody_unknown_is_refused_with_what_to_do(a, b):
    path = a.export()

    with pytest.raises(ConflictError, match=f"not trusted here; .* --trust {a.fingerprint}"):
        b.take(path)

    assert b.status("debian").state == "never"
    assert not (b.settings.home / trust.FILE).exists()


def test_whom_somebody_trusted_once_is_trusted_until_the_line_is_gone(a, b):
    path = a.export()
    file = b.settings.home / trust.FILE
    b.take(path, trusting=a.fingerprint, dry_run=True)
    assert not file.exists()

    b.take(path, trusting=a.fingerprint)
    b.take(path, trusting=a.fingerprint.lower().removeprefix("sha256:"))
    b.take(path)

    assert file.read_text() == f"{a.fingerprint}  # 2026-03-02T10:30:00Z bob\n"
    assert file.stat().st_mode & 0o077 == 0
    assert [entry.subject for entry in b.audited("feeds.trust")] == [a.fingerprint]
    file.write_text("# nobody\n")
    with pytest.raises(ConflictError, match="not trusted"):
        b.take(path)


def test_a_key_is_asked_for_as_file_or_fingerprint_and_not_remembered(a, b):
    path = a.export()
    public = a.folder / "report-key.pub"
    public.write_bytes(signing.public_pem(signing.signing_key(a.settings.home).public_key()))

    b.take(path, key=str(public))
    b.take(path, key=a.fingerprint)

    assert not (b.settings.home / trust.FILE).exists()
    with pytest.raises(ConflictError, match=f"signed by {a.fingerprint}, not by {b.fingerprint}"):
        b.take(path, key=b.fingerprint)
    with pytest.raises(ConflictError, match="not by"):
        b.take(path, trusting=b.fingerprint)
    with pytest.raises(InputError, match="neither a fingerprint nor a readable file"):
        b.take(path, key="SHA256:abc")


def test_a_trust_file_that_cannot_be_read_says_where(a, b):
    (b.settings.home / trust.FILE).write_text(f"{b.fingerprint}\nsha1:abc\n")

    with pytest.raises(InputError, match=r"trusted-bundle-keys: line 2: 'sha1:abc'"):
        b.take(a.export())


def test_a_bundle_that_somebody_else_signed_anew_is_refused(a, b, tmp_path, now):
    (tmp_path / "c").mkdir()
    b.take(a.export("1.zip"), trusting=a.fingerprint)
    other = Site(tmp_path / "c", a.db, now)  # the same content, another key

    with pytest.raises(ConflictError, match=f"signed by {other.fingerprint}, which is not trusted"):
        b.take(other.export())


def test_a_signature_by_another_key_than_the_manifest_names_is_refused(a, b, tmp_path):
    whole = a.export().read_bytes()
    with (a.folder / "feeds.zip").open("rb") as file:
        bundle = Bundle(file, "feeds.zip")
    signature = signing.signing_key(b.settings.home).sign(bundle.signed)
    forged = tmp_path / "forged.zip"
    forged.write_bytes(resealed(whole, bundle.signature, signature))

    for key in (a.fingerprint, b.fingerprint):
        with pytest.raises(InputError, match=r"manifest\.json: not as it was signed"):
            b.take(forged, key=key)


def resealed(whole, old, new):
    """Return a bundle with another signature, and its checksums made to fit."""
    sums = [struct.pack("<I", zlib.crc32(each)) for each in (old, new)]
    return whole.replace(old, new).replace(*sums)


# All or nothing.


def test_a_changed_byte_anywhere_is_refused_and_nothing_is_applied(a, b, tmp_path):
    whole = a.export().read_bytes()
    bad = tmp_path / "bad.zip"
    before = b.rows(*FEED_TABLES)

    for at in range(0, len(whole), 7):
        bad.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        with pytest.raises(InputError, match=re.escape(str(bad))):
            b.take(bad, key=a.fingerprint)
    for length in range(0, len(whole), 7):
        bad.write_bytes(whole[:length])
        with pytest.raises(InputError, match=re.escape(str(bad))):
            b.take(bad, key=a.fingerprint)

    assert b.rows(*FEED_TABLES) == before


def test_a_bundle_whose_last_feed_is_bad_leaves_the_first_as_it_was(sites, monkeypatch):
    a, b = sites
    a.says("debian", *ADVISORIES)
    a.says("kev", *NOTES)
    monkeypatch.setattr(making, "_values", and_the_last_again(making._values))
    path = a.export()
    before = b.rows(*FEED_TABLES, models.AuditEntry)

    with pytest.raises(InputError, match=r"kev\.jsonl\.zst: .* at the wrong place, or twice"):
        b.take(path, key=a.fingerprint)

    assert b.rows(*FEED_TABLES, models.AuditEntry) == before


def and_the_last_again(values):
    """Say the last of a feed's notes twice, which no bundle that we make does."""

    def all_of(session, feed_id):
        last = None
        for last in values(session, feed_id):
            yield last
        if isinstance(last, FlawNote):
            yield last

    return all_of


def test_what_repositories_offer_and_who_is_supported_crosses_as_well(sites):
    a, b = sites
    a.says(
        "archive",
        Offer("debian:12", "bookworm", "dpkg", "curl", "7.88-1", "amd64"),
        Offer("debian:12", "bookworm-security", "dpkg", "curl", "7.88-2", "amd64", phased=30),
    )
    a.says(
        "lifecycle",
        Support("debian:12", "", "standard", date(2026, 6, 10)),
        Support("debian:12", "golang.*", "limited", None, "see the release notes"),
    )
    path = a.export()

    b.take(path, key=a.fingerprint)

    again = b.export("again.zip")
    assert documents(again) == documents(path)
    assert len(documents(path)) == 2


def test_a_feed_that_this_version_does_not_know_is_named(a, b, monkeypatch):
    path = a.export()
    monkeypatch.setattr(taking, "FEEDS", {"debian": FEEDS["debian"]})

    with pytest.raises(InputError, match="has a feed 'kev' that this patchmgr does not know"):
        b.take(path, key=a.fingerprint)
    b.take(path, key=a.fingerprint, names=["debian"])


@pytest.mark.parametrize("body", [b"", b"hello", b"PK"])
def test_what_is_no_bundle_is_refused(b, tmp_path, body):
    path = tmp_path / "x.zip"
    path.write_bytes(body)

    with pytest.raises(InputError, match=r"x\.zip"):
        b.take(path)
    with pytest.raises(InputError, match="No such file"):
        b.take(tmp_path / "none.zip")


def test_an_export_is_written_whole_or_not_at_all(a, tmp_path, monkeypatch):
    path = a.export()
    with pytest.raises(ConflictError, match="a bundle is never written over"):
        a.export()
    with pytest.raises(InputError, match="there is no folder"):
        bundles.make(a.db, tmp_path / "no" / "b.zip", settings=a.settings, now=a.now, actor="me")

    monkeypatch.setattr(lines, "MAX_UNPACKED", 100)
    with pytest.raises(ConflictError, match="feed debian: larger than"):
        a.export("second.zip")

    assert [each.name for each in a.folder.iterdir() if each.is_file()] == [path.name]


def test_nothing_to_export_says_what_to_do(b):
    with pytest.raises(ConflictError, match="run: patchmgr feeds sync"):
        b.export()


def test_both_sides_are_audited(a, b):
    b.take(a.export(), key=a.fingerprint)

    (out,) = a.audited("feeds.export")
    (into,) = b.audited("feeds.import")
    assert (out.actor, out.subject, out.details["fingerprint"]) == (
        "ann",
        "feeds.zip",
        a.fingerprint,
    )
    assert (into.actor, into.subject) == ("bob", "feeds.zip")
    assert into.details["feeds"]["kev"] == {
        "as_of": "2026-03-02T09:30:00Z",
        "new": 2,
        "changed": 0,
        "withdrawn": 0,
    }


def test_an_export_while_a_sync_stores_is_of_one_moment(db, tmp_path, now, monkeypatch):
    (tmp_path / "a").mkdir()
    a = Site(tmp_path / "a", db, now)
    a.says("debian", *ADVISORIES)
    a.says("kev", *NOTES)
    advisories = making.feed_contents.advisories

    def interrupted(session, feed_id):
        yield from advisories(session, feed_id)
        if not done:
            done.append(1)
            a.says("debian", Advisory("DSA-9-1"), at=now + HOUR)
            a.says("kev", FlawNote("CVE-2026-9", kev=True), at=now + HOUR)

    done = []
    monkeypatch.setattr(making.feed_contents, "advisories", interrupted)

    path = a.export(at=now + HOUR)

    said = documents(path)
    assert done
    assert len(said["debian"][0]) == len(ADVISORIES)
    assert len(said["kev"][0]) == len(NOTES)
