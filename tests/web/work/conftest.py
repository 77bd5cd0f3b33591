"""A fleet with something to patch."""

import json
import threading
from datetime import timedelta

import pytest

from inventory import import_work
from inventory.host_import import import_hosts
from inventory.package_import import import_packages
from patchmgr.domain.accounts import Role
from patchmgr.domain.plans import Selection
from patchmgr.domain.rings import RingSettings
from patchmgr.services import kept_forecasts, plan_drafts, plans, rollouts, tokens
from patchmgr.services.scan import scan
from patchmgr.services.sync import sync

NAMES = ("canary-1", "web-1", "web-2", "web-3")
OLD, NEW = "3.0.15-1~deb12u1", "3.0.17-1~deb12u2"
RINGS = (
    RingSettings("canary", fields={"ring": "canary"}, max_failures=0),
    RingSettings("broad", max_failures=1),
)


class Works:
    """Four Debian hosts with an openssl that has a fix; each step takes an hour."""

    names = NAMES

    def __init__(self, db, settings, clock, folder):
        self.db, self.settings, self.clock, self.folder = db, settings, clock, folder

    def fill(self):
        db, settings, clock = self.db, self.settings, self.clock
        hosts = "".join(
            f"{name},debian,12,production,{'canary' if name == 'canary-1' else ''}\n"
            for name in NAMES
        )
        path = self.file("hosts.csv", "hostname,os_id,os_release,environment,ring\n" + hosts)
        import_hosts(db, path, actor="test", now=clock())
        self.inventory(dict.fromkeys(NAMES, OLD))
        tracker = self.feed()
        sync(
            db,
            "debian",
            settings=settings,
            now=clock(),
            actor="test",
            source=tracker,
            platform="debian:12",
        )
        scan(db, now=clock(), settings=settings)

    def file(self, name, text):
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        return path

    def feed(self):
        """Write what the vendor says: one flaw, with its fix."""
        release = {"status": "resolved", "urgency": "high", "fixed_version": NEW}
        flaw = {"scope": "local", "releases": {"bookworm": {**release, "repositories": {}}}}
        return self.file("debian.json", json.dumps({"openssl": {"CVE-2026-1001": flaw}}))

    def pass_time(self):
        self.clock.at += timedelta(hours=1)

    def inventory(self, versions):
        rows = "".join(
            f"{host},dpkg,{name},{version},amd64,openssl,{version}\n"
            for host, version in versions.items()
            for name in ("openssl", "libssl3")
        )
        header = "hostname,manager,name,version,arch,source,source_version\n"
        path = self.file("packages.csv", header + rows)
        import_packages(self.db, path, actor="test", now=self.clock())

    def patched(self, *names):
        """Let the next inventory of some hosts show the new version, and the clock tick."""
        self.pass_time()
        self.inventory(dict.fromkeys(names, NEW))
        self.tick()

    def tick(self):
        return rollouts.tick(self.db, now=self.clock())

    def forecast(self):
        """Let the service make its forecasts, as it does every quarter of a minute."""
        return kept_forecasts.refresh(self.db, now=self.clock())

    def create(self, rings=RINGS, actor="ann", **more):
        return plan_drafts.create(
            self.db,
            selection=Selection(packages=("openssl",)),
            rings=rings,
            actor=actor,
            role=Role.OPERATOR,
            now=self.clock(),
            **more,
        )

    def do(self, verb, plan_id, actor="ann", **more):
        getattr(plans, verb)(
            self.db, plan_id, actor=actor, role=Role.ADMIN, now=self.clock(), **more
        )

    def started(self, **more):
        plan_id = self.create(**more)
        self.do("propose", plan_id)
        self.do("approve", plan_id, actor="bob")
        self.do("start", plan_id)
        return plan_id

    def token(self, role):
        made = tokens.create(self.db, f"{role}-program", role, actor="test", now=self.clock())
        return made[-1] if isinstance(made, tuple) else made


@pytest.fixture
def program(works, app):
    """Return a client that sends a token of that role and reads JSON."""

    def make(role):
        headers = {"Authorization": f"Bearer {works.token(role)}"}
        browser = app.test_client()

        def ask(method, path, **more):
            extra = more.pop("headers", {})
            return browser.open(
                f"/api/v1{path}", method=method, headers={**headers, **extra}, **more
            )

        return ask

    return make


@pytest.fixture(scope="session")
def _works_template(filled):
    return filled(lambda db, settings, now: Works(db, settings, lambda: now, settings.home).fill())


@pytest.fixture
def works(sqlite_db, settings, clock, tmp_path):
    made = Works(sqlite_db, settings, clock, tmp_path)
    made.feed()
    made.pass_time()
    return made


@pytest.fixture
def scheduler(works):
    """Do what the scheduler does with uploads, as long as the test goes on."""
    stopped = threading.Event()

    def go_on():
        while not stopped.wait(0.1):
            import_work.work(works.db, works.settings.uploads, works.clock)

    thread = threading.Thread(target=go_on, daemon=True)
    thread.start()
    yield
    stopped.set()
    thread.join()
