"""Killed at any statement: an import, a sync and a scan have happened whole, or not at all.

``make soak`` kills all that the command can do, on both databases (``tests/bench/crashes.py``).
"""

import json
import shutil
import sqlite3
import sys
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from itertools import count
from pathlib import Path

import pytest

from inventory import host_import, import_work, package_import, uploads
from patchmgr import config
from patchmgr.db import migrate
from patchmgr.db.session import Database
from patchmgr.services import bundles, feeds, policies, rollouts, scan, signing, sync

sys.path.insert(0, str(Path(__file__).parents[1] / "bench"))
from content import content, difference
from dying import COMMIT, STATEMENTS, in_a_process

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
HOSTS = "hostname,external_id,os_id,os_release\n" + "".join(
    f"h{number},i-{number},debian,12\n" for number in range(5)
)
RENAMED = "hostname,external_id,os_release\nh1,i-0,11\nh0,i-1,12\n"
PACKAGES = "hostname,manager,name,version\n" + "".join(
    f"h{number % 5},dpkg,p{number % 4},{1 + number % 3}\n" for number in range(40)
)
TRACKER = {
    f"p{number}": {
        f"CVE-2026-000{number}": {
            "releases": {
                "bookworm": {"status": "resolved", "fixed_version": "3", "urgency": "high"}
            }
        }
    }
    for number in range(3)
}
KEV = {
    "title": "CISA Catalog of Known Exploited Vulnerabilities",
    "catalogVersion": "2026.03.02",
    "dateReleased": "2026-03-02T09:00:00.0000Z",
    "count": 1,
    "vulnerabilities": [
        {
            "cveID": "CVE-2026-0000",
            "vendorProject": "v",
            "product": "p",
            "vulnerabilityName": "n",
            "dateAdded": "2026-03-01",
            "shortDescription": "",
            "requiredAction": "update",
            "dueDate": "2026-03-22",
        }
    ],
}
REDONE = 7  # of so many places to be killed at, one has the work done again
INVENTORY = (
    "host",
    "package_version",
    "package_set",
    "host_package_set",
    "software",
    "version_count",
    "audit_entry",
)
FEEDS = ("advisory", "fix", "feed_revision", "feed_document", "feed_sync", "audit_entry")
BUNDLED = (*FEEDS, "feed", "flaw_note")
FOUND = (
    "judgement",
    "exposure",
    "host_count",
    "host_due",
    "scan_run",
    "snapshot",
    "host_fact",
    "host",
)


@pytest.fixture
def template(_sqlite_template):
    return _sqlite_template


class Place:
    """A folder with a database; the files that come in lie in ``files``."""

    def __init__(self, folder, files, url=""):
        folder.mkdir(exist_ok=True)
        self.folder, self.files, self.url = folder, files, url
        self.path = folder / "patchmgr.db"

    def file(self, name, content):
        path = self.files / name
        path.write_text(content)
        return path

    def hosts(self, content=HOSTS):
        with self.opened() as db:
            host_import.import_hosts(db, self.file("hosts.csv", content), actor="test", now=NOW)

    def packages(self):
        with self.opened() as db:
            path = self.file("packages.csv", PACKAGES)
            package_import.import_packages(db, path, actor="test", now=NOW)

    def upload(self):
        """Send a file and confirm it, as a person does; nothing of it is carried out."""
        who = {"actor": "ann", "now": NOW}
        with self.opened() as db, self.file("sent.csv", HOSTS).open("rb") as content:
            wish = uploads.Wish("hosts", source="cmdb", full_export=True, save=True)
            number = uploads.receive(
                db, content, wish, filename="h.csv", uploads=self.files / "uploads", **who
            )
            import_work.work(db, self.files / "uploads", lambda: NOW)
            uploads.confirm(db, number, take_good=False, **who)

    def carry_out(self):
        with closing(sqlite3.connect(self.path)) as db:
            ((stored,),) = db.execute('SELECT stored FROM "import"')
        shutil.copy(self.files / "sent.csv", self.files / "uploads" / stored)
        with self.opened() as db:
            import_work.work(db, self.files / "uploads", lambda: NOW)

    def sync(self):
        path = self.file("tracker.json", json.dumps(TRACKER))
        with self.opened() as db:
            sync.sync(db, "debian", source=path, settings=self.settings(), now=NOW, actor="test")

    def bundle(self):
        """Make a bundle of two feeds at another place, for `take`."""
        far = Place(self.files / "far", self.files)
        shutil.copy(self.path, far.path)
        far.sync()
        with far.opened() as db:
            catalogue = self.file("kev.json", json.dumps(KEV))
            sync.sync(db, "kev", source=catalogue, settings=far.settings(), now=NOW, actor="test")
            path = self.files / "bundle.zip"
            bundles.make(db, path, settings=far.settings(), now=NOW, actor="test")

    def take(self):
        far = signing.signing_key(self.files / "far").public_key()
        with self.opened() as db:
            bundles.take(
                db,
                self.files / "bundle.zip",
                settings=self.settings(),
                now=NOW,
                actor="test",
                key=signing.fingerprint(far),
            )

    def scan(self):
        with self.opened() as db:
            scan.scan(db, settings=self.settings(), now=NOW)

    def settings(self):
        return config.load({"PATCHMGR_HOME": str(self.folder)})

    def opened(self):
        return closing(Database(self.url or f"sqlite:///{self.path}"))

    def content(self, tables):
        """Return all rows of ``tables``; the database must be sound."""
        with closing(sqlite3.connect(self.path)) as db:
            assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            assert db.execute("PRAGMA foreign_key_check").fetchall() == []
            return {
                name: sorted(map(repr, db.execute(f'SELECT * FROM "{name}"'))) for name in tables
            }


def prepared(place, *steps):
    with place.opened() as db:
        feeds.ensure_feeds(db)
        policies.ensure_default(db, now=NOW)
    for step in steps:
        step(place)


WORK = {
    "hosts": (INVENTORY, (), Place.hosts),
    "renames": (INVENTORY, (Place.hosts, Place.packages), lambda place: place.hosts(RENAMED)),
    "packages": (INVENTORY, (Place.hosts,), Place.packages),
    "upload": ((*INVENTORY, "import_source"), (Place.upload,), Place.carry_out),
    "sync": (FEEDS, (), Place.sync),
    "bundle": (BUNDLED, (Place.bundle,), Place.take),
    "scan": (FOUND, (Place.hosts, Place.packages, Place.sync), Place.scan),
}


def killed_at(point, work, place):
    """Carry ``work`` out in a process that is killed before its statement or commit ``point``.

    Return whether it came that far.
    """
    outcome = in_a_process(partial(work, place), at=point, of=(STATEMENTS,))
    assert outcome.killed or outcome.code == 0, outcome.said
    return outcome.killed


@pytest.mark.parametrize(("tables", "before", "work"), WORK.values(), ids=WORK)
def test_killed_anywhere_it_has_not_happened_and_can_be_done_again(
    tmp_path, template, tables, before, work
):
    start = Place(tmp_path / "start", tmp_path)
    shutil.copy(template, start.path)
    prepared(start, *before)
    untouched, kept = start.content(tables), start.path.read_bytes()
    work(start)
    done = start.content(tables)
    assert done != untouched

    # The job looks for further uploads after it has committed one.
    possible = [untouched, done] if work is Place.carry_out else [untouched]
    point = 0
    while True:
        place = Place(tmp_path / str(point), tmp_path)
        place.path.write_bytes(kept)
        if not killed_at(point, work, place):
            break
        assert place.content(tables) in possible
        if point % REDONE == 0:
            work(place)
            assert place.content(tables) == done
        point += 1
    assert place.content(tables) == done
    assert point > 5  # begin, statements, commit


@pytest.mark.parametrize("name", ["packages", "sync", "scan"])
def test_killed_on_postgresql_it_has_not_happened_either(tmp_path, postgresql_url, request, name):
    tables, before, work = WORK[name]
    start = Place(tmp_path / "start", tmp_path, postgresql_url)
    prepared(start, *before)
    server = request.getfixturevalue("_postgresql")
    template = postgresql_url.partition("?")[0].rpartition("/")[2]
    numbers = count(1)

    def copied():
        made = f"{template}_{next(numbers)}"
        server.run(f"CREATE DATABASE {made} TEMPLATE {template} STRATEGY FILE_COPY")
        return Place(tmp_path / made, tmp_path, postgresql_url.replace(template, made))

    def said(place):
        with place.opened() as db, db.reading() as session:
            return content(session)

    untouched, undisturbed = said(start), copied()
    points = in_a_process(partial(work, undisturbed), of=(STATEMENTS,)).points
    done = said(undisturbed)

    place = copied()
    for point in (3, points - 1):  # the last one is the commit
        assert killed_at(point, work, place)
        now = said(place)
        assert {name: now[name] for name in tables} == {name: untouched[name] for name in tables}
    work(place)

    assert difference(done, said(place)) == []
    assert done != untouched


def test_a_killed_tick_of_a_rollout_hands_nothing_out_twice(fleet):
    plan_id = fleet.started()
    before = fleet.states(plan_id)

    def tick():
        with closing(Database(fleet.db.url)) as db:
            rollouts.tick(db, now=fleet.now)

    for point in (10, COMMIT):
        assert in_a_process(tick, at=point, of=(STATEMENTS,)).killed
        assert fleet.states(plan_id) == before
    tick()
    tick()

    assert fleet.is_consistent()
    assert fleet.states(plan_id)["c1"] == "leased"
    assert {task.attempt for task in fleet.tasks(plan_id).values()} == {0, 1}


def test_a_first_start_that_was_killed_can_be_made_again(tmp_path):
    def start(place):
        with place.opened() as db:
            migrate.upgrade(db)

    done = Place(tmp_path / "done", tmp_path)
    start(done)
    for point in (1, 10, 40):
        place = Place(tmp_path / str(point), tmp_path)
        assert killed_at(point, start, place)
        start(place)
        assert place.content(("alembic_version",)) == done.content(("alembic_version",))
