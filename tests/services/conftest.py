"""A small Debian fleet that went through the real doors: imports, feed, scan."""

import json
import shutil
import time
from contextlib import contextmanager
from datetime import timedelta
from itertools import count

import pytest
from sqlalchemy import event, func, select, text

from inventory import host_import, package_import
from patchmgr import config
from patchmgr.db import models
from patchmgr.db.queries import plan_content, plan_progress
from patchmgr.db.queries import plans as plan_queries
from patchmgr.db.session import Database
from patchmgr.domain.accounts import Role
from patchmgr.domain.plans import Selection
from patchmgr.domain.rings import RingSettings
from patchmgr.domain.rollout.events import Outcome
from patchmgr.services import going_back, plan_drafts, plans, rollouts, scan, sync

HOUR = timedelta(hours=1)

TRACKER = {
    "openssl": {
        "CVE-2026-1001": ("resolved", "3.0.17-1~deb12u1", "high"),
        "CVE-2026-1002": ("resolved", "3.0.17-1~deb12u2", "low"),
    },
    "curl": {
        "CVE-2026-2001": ("resolved", "7.88.1-10+deb12u9", "medium"),
        "CVE-2026-2002": ("open", "", "low"),
    },
    "linux": {"CVE-2026-3001": ("resolved", "6.1.190-1", "high")},
}

OLD = (
    ("openssl", "3.0.15-1~deb12u1", "openssl", "3.0.15-1~deb12u1"),
    ("libssl3", "3.0.15-1~deb12u1", "openssl", "3.0.15-1~deb12u1"),
    ("curl", "7.88.1-10+deb12u8", "curl", "7.88.1-10+deb12u8"),
    ("linux-image-6.1.0-37-amd64", "6.1.187-1", "linux", "6.1.187-1"),
    ("bash", "5.2.15-2", "bash", "5.2.15-2"),
)

EVERYTHING = Selection()
CANARY = RingSettings("canary", fields={"ring": "canary"}, max_failures=0, soak=2 * HOUR)
BROAD = RingSettings("broad", max_failures=1)


class Crash(BaseException):
    """Not an error of ours: as if the process were killed."""


def until_it_waits(db, work):
    """Return once ``work``, a future, waits for a lock of the database, or is done."""
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    while not (db.is_sqlite or work.done()):  # SQLite has one writer: the others wait to begin
        with db.reading() as session:
            if session.scalar(waiting):
                return
        time.sleep(0.01)


class Fleet:
    """Drives plans as people would; ``now`` moves when told."""

    def __init__(self, db, folder, now):
        self.db, self.folder, self.now = db, folder, now
        self.settings = config.load({"PATCHMGR_HOME": str(folder / "home")})
        self.names = [f"c{n}" for n in (1, 2)] + [f"b{n}" for n in (1, 2, 3)]

    def set_up(self, window=""):
        rows = "".join(
            f"{name},debian,12,{'canary' if name[0] == 'c' else ''},{window}\n"
            for name in self.names
        )
        self._file("hosts.csv", f"hostname,os_id,os_release,ring,window\n{rows}")
        host_import.import_hosts(self.db, self.folder / "hosts.csv", actor="test", now=self.now)
        self.inventory(dict.fromkeys(self.names, OLD))
        self.feed(TRACKER)
        self.scan()

    def feed(self, tracker):
        document = {
            source: {
                cve: {
                    "scope": "local",
                    "releases": {
                        "bookworm": {
                            "status": status,
                            "urgency": urgency,
                            "repositories": {"bookworm": "1"},
                            **({"fixed_version": fixed} if fixed else {}),
                        }
                    },
                }
                for cve, (status, fixed, urgency) in cves.items()
            }
            for source, cves in tracker.items()
        }
        path = self._file("tracker.json", json.dumps(document))
        sync.sync(
            self.db, "debian", source=path, settings=self.settings, now=self.now, actor="test"
        )

    def scan(self):
        scan.scan(self.db, now=self.now, settings=self.settings)

    def inventory(self, packages):
        rows = "".join(
            f"{host},dpkg,{name},{version},amd64,{source},{source_version}\n"
            for host, installed in packages.items()
            for name, version, source, source_version in installed
        )
        header = "hostname,manager,name,version,arch,source,source_version\n"
        path = self._file("packages.csv", header + rows)
        package_import.import_packages(self.db, path, actor="test", now=self.now)

    def create(self, rings=(CANARY, BROAD), selection=EVERYTHING, **more):
        return plan_drafts.create(
            self.db,
            selection=selection,
            rings=rings,
            actor="ann",
            role=Role.OPERATOR,
            now=self.now,
            **more,
        )

    def do(self, verb, plan_id, actor="ann", role=Role.ADMIN, **more):
        others = {"roll_back": going_back, "withdraw": going_back, "edit": plan_drafts}
        service = others.get(verb, plans)
        getattr(service, verb)(self.db, plan_id, actor=actor, role=role, now=self.now, **more)

    def started(self, **more):
        plan_id = self.create(**more)
        self.do("propose", plan_id)
        self.do("approve", plan_id, actor="bob")
        self.do("start", plan_id)
        return plan_id

    def report(self, plan_id, *hosts, outcome=Outcome.INSTALLED, **more):
        rows = [rollouts.ResultRow(host, outcome, **more) for host in hosts]
        return rollouts.report_results(
            self.db, plan_id, rows, actor="ann", role=Role.OPERATOR, now=self.now
        )

    def tick(self, forward=timedelta(0)):
        self.now += forward
        return rollouts.tick(self.db, now=self.now)

    def get(self, plan_id):
        with self.db.reading() as session:
            return plan_queries.get(session, plan_id, now=self.now)

    def tasks(self, plan_id):
        with self.db.reading() as session:
            lines = plan_progress.tasks(session, plan_id, limit=1000).lines
        return {line.host: line for line in lines}

    def states(self, plan_id):
        return {host: line.state.value for host, line in self.tasks(plan_id).items()}

    def work(self, plan_id, **more):
        with self.db.reading() as session:
            return plan_content.work(session, plan_id, **more)

    def rows(self, model):
        with self.db.reading() as session:
            return list(session.scalars(select(model).order_by(model.id)))

    def is_consistent(self):
        """The stored counters are what the stored tasks say, whatever happened before."""
        task, ring = models.Task, models.Ring
        with self.db.reading() as session:
            for row in session.scalars(select(ring)):
                counted = dict(
                    session.execute(
                        select(task.state, func.count())
                        .where(task.ring_id == row.id)
                        .group_by(task.state)
                    ).all()
                )
                assert row.tally["states"] == counted
            for plan in session.scalars(select(models.Plan).where(models.Plan.state != "running")):
                leased = select(func.count()).where(task.plan_id == plan.id, task.state == "leased")
                assert session.scalar(leased) == 0
        return True

    def dying_at(self, nth, work):
        """Do ``work``, dying before the ``nth`` statement or commit; return whether it ended.

        ``nth`` can be "commit", or "after it": before what follows the first commit, if anything.
        """
        seen, commits = 0, 0

        def die(*_):
            nonlocal seen
            seen += 1
            if seen == nth or (nth == "after it" and commits):
                raise Crash

        def commit(*_):
            nonlocal commits
            die()
            if nth == "commit":
                raise Crash
            commits += 1

        event.listen(self.db.engine, "before_cursor_execute", die)
        event.listen(self.db.engine, "commit", commit)
        try:
            work()
        except Crash as crash:
            crash.__traceback__ = None  # its frames hold half-read cursors, and those the lock
            return False
        finally:
            event.remove(self.db.engine, "before_cursor_execute", die)
            event.remove(self.db.engine, "commit", commit)
        return True

    def _file(self, name, text):
        path = self.folder / name
        path.write_text(text)
        return path


@pytest.fixture
def fleet(db, tmp_path, now):
    made = Fleet(db, tmp_path, now)
    made.set_up()
    return made


@pytest.fixture
def sqlite_fleet(sqlite_db, tmp_path, now):
    """The fleet for tests to which the kind of database makes no difference."""
    made = Fleet(sqlite_db, tmp_path, now)
    made.set_up()
    return made


@pytest.fixture
def copied(fleet, request, tmp_path):
    """What opens a copy of the fleet as it stands at the first call, for as long as it is used."""
    url, numbers = fleet.db.engine.url, count(1)

    @contextmanager
    def copy():
        fleet.db.close()  # so that the file is whole, and the server lets it be a template
        name = f"{url.database}_{next(numbers)}"
        if fleet.db.is_sqlite:
            shutil.copy(url.database, name)
        else:
            server = request.getfixturevalue("_postgresql")
            server.run(f"CREATE DATABASE {name} TEMPLATE {url.database} STRATEGY FILE_COPY")
        db = Database(url.set(database=name).render_as_string(hide_password=False))
        try:
            yield Fleet(db, tmp_path, fleet.now)
        finally:
            db.close()
            if not fleet.db.is_sqlite:
                server.run(f"DROP DATABASE {name} WITH (FORCE)")

    return copy
