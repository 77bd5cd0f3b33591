"""A fleet with something to patch, and a real Chromium to patch it in."""

import json
import os
import re
import threading
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright
from werkzeug.serving import make_server

from inventory import import_work
from inventory.host_import import import_hosts
from inventory.package_import import import_packages
from patchmgr.domain.accounts import Role
from patchmgr.domain.plans import Selection
from patchmgr.domain.rings import RingSettings
from patchmgr.services import accounts, kept_forecasts, plans, rollouts
from patchmgr.services.scan import scan
from patchmgr.services.sync import sync

CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
AXE = Path(__file__).parents[2] / "data" / "axe" / "axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
PASSWORD = "a long enough phrase"

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
        hosts = "".join(
            f"{name},debian,12,production,{'canary' if name == 'canary-1' else ''}\n"
            for name in NAMES
        )
        path = self.file("hosts.csv", "hostname,os_id,os_release,environment,ring\n" + hosts)
        import_hosts(db, path, actor="test", now=clock())
        self.inventory(dict.fromkeys(NAMES, OLD))
        release = {"status": "resolved", "urgency": "high", "fixed_version": NEW}
        flaw = {"scope": "local", "releases": {"bookworm": {**release, "repositories": {}}}}
        tracker = self.file("debian.json", json.dumps({"openssl": {"CVE-2026-1001": flaw}}))
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
        self.pass_time()

    def file(self, name, text):
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        return path

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
        return plans.create(
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
        made = accounts.create_token(
            self.db, f"{role}-program", role, actor="test", now=self.clock()
        )
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


@pytest.fixture
def works(sqlite_db, settings, clock, tmp_path):
    return Works(sqlite_db, settings, clock, tmp_path)


@pytest.fixture(scope="module")
def chromium():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def address(strict_app):
    server = make_server("127.0.0.1", 0, strict_app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def open_page(chromium, address, person):
    """Return a page of a fresh browser in which a person of that role has signed in."""
    contexts = []

    def make(role, **options):
        context = chromium.new_context(base_url=address, **options)
        contexts.append(context)
        page = context.new_page()
        page.complaints = []
        page.on("console", lambda said: said.type == "error" and page.complaints.append(said.text))
        page.goto("/sign-in")
        page.get_by_label("Name").fill(person(role))
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url(re.compile(r"/$"))
        return page

    yield make
    for context in contexts:
        context.close()


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


@pytest.fixture
def violations():
    """Return what axe finds on a page."""

    def run(page):
        page.evaluate(AXE.read_text(encoding="utf-8"))
        found = page.evaluate(
            "rules => axe.run(document, {runOnly: rules}).then(r => r.violations.map("
            "v => `${v.id}: ${v.nodes[0].html} ${v.nodes[0].failureSummary}`))",
            RULES,
        )
        return [f"{page.url}: {each}" for each in found]

    return run
