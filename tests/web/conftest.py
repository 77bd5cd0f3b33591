"""The console over an empty database, a person of each role signed in, and a real Chromium."""

import json
import os
import re
import shutil
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from jinja2.bccache import Bucket, BytecodeCache
from playwright.sync_api import Browser, Page, sync_playwright
from werkzeug.serving import make_server

from inventory.host_import import import_hosts
from inventory.package_import import import_packages
from patchmgr.config import Settings
from patchmgr.db import models
from patchmgr.db.session import Database
from patchmgr.domain.accounts import Role
from patchmgr.services import credentials, sign_ins
from patchmgr.services.scan import scan
from patchmgr.services.sync import sync
from web.app import create_app
from web.auth import COOKIE

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)  # a Monday, as everywhere in the tests
PASSWORD = "a long enough phrase"


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self, at: datetime) -> None:
        self.at = at

    def __call__(self) -> datetime:
        return self.at


@pytest.fixture
def clock(now: datetime) -> Clock:
    return Clock(now)


# Where a story begins with a fleet, its database is a copy of one that was filled once.
BEGINNINGS = {"fleet": "_fleet_template", "works": "_works_template"}


@pytest.fixture
def sqlite_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    begun = next((BEGINNINGS[name] for name in BEGINNINGS if name in request.fixturenames), None)
    template: Path = request.getfixturevalue(begun or "_sqlite_template")
    return f"sqlite:///{shutil.copy(template, tmp_path / 'patchmgr.db')}"


@pytest.fixture
def settings(tmp_path: Path, sqlite_url: str) -> Settings:
    return Settings(home=tmp_path, database_url=sqlite_url, secret_key="0" * 64)


class Compiled(BytecodeCache):
    """Templates as this process has compiled them: each test has an app of its own."""

    def __init__(self) -> None:
        self.codes: dict[str, bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        if bucket.key in self.codes:
            bucket.bytecode_from_string(self.codes[bucket.key])

    def dump_bytecode(self, bucket: Bucket) -> None:
        self.codes[bucket.key] = bucket.bytecode_to_string()


TEMPLATES = Compiled()


@pytest.fixture
def app(sqlite_db: Database, settings: Settings, clock: Clock) -> Flask:
    """The console with forms that need no token; `strict_app` has them as they are served."""
    made = _console(sqlite_db, settings, clock)
    made.config["WTF_CSRF_ENABLED"] = False
    made.testing = True
    return made


@pytest.fixture
def strict_app(sqlite_db: Database, settings: Settings, clock: Clock) -> Flask:
    return _console(sqlite_db, settings, clock)


def _console(db: Database, settings: Settings, clock: Clock) -> Flask:
    made = create_app(db, settings, clock)
    made.jinja_env.bytecode_cache = TEMPLATES
    return made


@pytest.fixture
def person(sqlite_db: Database, clock: Clock) -> Callable[[Role], str]:
    """Return the name of an account with that role, made when first asked for."""

    @cache
    def make(role: Role) -> str:
        with sqlite_db.writing() as session:
            session.add(
                models.User(
                    name=f"the-{role}",
                    role=role.value,
                    password_hash=_hashed(),
                    created_at=clock(),
                    disabled_at=None,
                    theme="auto",
                    zone="",
                )
            )
        return f"the-{role}"

    return make


@cache
def _hashed() -> str:
    return credentials.hashed(PASSWORD)


@pytest.fixture
def client(
    app: Flask, sqlite_db: Database, clock: Clock, person: Callable[[Role], str]
) -> Callable[[Role | None], FlaskClient]:
    """Return a browser in which a person of that role is signed in; None: nobody."""

    def make(role: Role | None = Role.ADMIN) -> FlaskClient:
        browser = app.test_client()
        if role is not None:
            key = sign_ins.sign_in(
                sqlite_db, person(role), PASSWORD, address="127.0.0.1", now=clock()
            )
            browser.set_cookie(COOKIE, key)
        return browser

    return make


@pytest.fixture
def admin(client: Callable[[Role | None], FlaskClient]) -> FlaskClient:
    return client(Role.ADMIN)


@pytest.fixture
def operator(client: Callable[[Role | None], FlaskClient]) -> FlaskClient:
    return client(Role.OPERATOR)


# A real Chromium, and what it finds wrong with a page.

CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
AXE = Path(__file__).parents[1] / "data" / "axe" / "axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
NARROW = {"width": 390, "height": 844}
ZOOMED = {"width": 640, "height": 450}  # 1280 pixels at 200 %


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def address(strict_app: Flask) -> Iterator[str]:
    server = make_server("127.0.0.1", 0, strict_app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def open_page(
    chromium: Browser, address: str, person: Callable[[Role], str]
) -> Iterator[Callable[..., Page]]:
    """Return a page of a fresh browser in which a person of that role has signed in."""
    contexts = []

    def make(role: Role = Role.ADMIN, **options: Any) -> Page:
        context = chromium.new_context(base_url=address, **options)
        contexts.append(context)
        page: Any = context.new_page()
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
def faults() -> Callable[[Page], list[str]]:
    """Return what axe finds on an open page, and where it is too wide: light, dark, narrow."""

    def find(page: Page) -> list[str]:
        page.emulate_media(reduced_motion="reduce")  # a colour on its way is none to judge
        page.evaluate(AXE.read_text(encoding="utf-8"))
        found = [*_broken(page, {"runOnly": RULES}), *_too_wide(page)]
        page.emulate_media(color_scheme="dark")
        found += _broken(page, {"runOnly": ["color-contrast"]})
        page.emulate_media(color_scheme="light")
        wide = page.viewport_size
        page.set_viewport_size(ZOOMED)
        found += _too_wide(page)
        page.set_viewport_size(NARROW)
        found += [*_broken(page, {"runOnly": ["target-size"]}), *_too_wide(page)]
        page.set_viewport_size(wide)
        return [f"{page.url}: {each}" for each in found]

    return find


def _broken(page: Page, options: dict[str, Any]) -> list[str]:
    found: list[str] = page.evaluate(
        "options => axe.run(document, options).then(r => r.violations.map("
        "v => `${v.id}: ${v.nodes[0].html} ${v.nodes[0].failureSummary}`))",
        options,
    )
    return found


def _too_wide(page: Page) -> list[str]:
    width = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    return [f"{width} px too wide"] if width > 0 else []


# A small fleet, brought in as a person would: two files, a feed, a scan.

HOSTS = """\
hostname,os_id,os_release,arch,environment,site,owner,criticality,exposure,tags
web-1,debian,12,amd64,production,vienna,payments,high,public,role=web
web-2,debian,12,amd64,staging,vienna,payments,low,internal,role=web
old-1,centos,6,x86_64,production,graz,support,high,internal,
silent-1,debian,12,amd64,production,graz,support,medium,internal,
"""
PACKAGES = """\
hostname,manager,name,version,arch,source,source_version
web-1,dpkg,libssl3,3.0.15-1~deb12u1,amd64,openssl,3.0.15-1~deb12u1
web-1,dpkg,openssl,3.0.15-1~deb12u1,amd64,openssl,3.0.15-1~deb12u1
web-1,dpkg,curl,7.88.1-10+deb12u1,amd64,curl,7.88.1-10+deb12u1
web-1,dpkg,bash,5.2.15-2,amd64,bash,5.2.15-2
web-2,dpkg,libssl3,3.0.17-1~deb12u2,amd64,openssl,3.0.17-1~deb12u2
web-2,dpkg,curl,7.88.1-10+deb12u1,amd64,curl,7.88.1-10+deb12u1
"""


def _cve(status: str, fixed: str = "", urgency: str = "not yet assigned") -> dict[str, Any]:
    release = {"status": status, "urgency": urgency, "repositories": {"bookworm": "1"}}
    if fixed:
        release["fixed_version"] = fixed
    return {"scope": "local", "releases": {"bookworm": release}}


TRACKER = {
    "openssl": {
        "CVE-2026-1001": _cve("resolved", "3.0.17-1~deb12u2", "high"),
        "CVE-2026-1002": _cve("resolved", "3.0.16-1~deb12u1", "medium"),
    },
    "curl": {"CVE-2026-2001": _cve("open", urgency="low")},
    "bash": {"CVE-2026-3001": _cve("undetermined")},
}


@pytest.fixture
def fleet(sqlite_db: Database, tmp_path: Path) -> None:
    """Four hosts: with and without findings, of a platform without a feed, silent."""
    (tmp_path / "debian.json").write_text(json.dumps(TRACKER), encoding="utf-8")  # the feed's


@pytest.fixture(scope="session")
def _fleet_template(filled: "Filled") -> Path:
    return filled(_fill)


Filled = Callable[[Callable[[Database, Settings, datetime], None]], Path]


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory, _sqlite_template: Path) -> Filled:
    """Return a database that one call has filled, as one file."""

    def make(fill: Callable[[Database, Settings, datetime], None]) -> Path:
        folder = tmp_path_factory.mktemp("filled")
        path = folder / "patchmgr.db"
        url = f"sqlite:///{shutil.copy(_sqlite_template, path)}"
        database = Database(url)
        fill(database, Settings(home=folder, database_url=url, secret_key="0" * 64), NOW)
        database.close()
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return path

    return make


def _fill(db: Database, settings: Settings, now: datetime) -> None:
    files = {"hosts.csv": HOSTS, "packages.csv": PACKAGES, "debian.json": json.dumps(TRACKER)}
    for name, text in files.items():
        (settings.home / name).write_text(text, encoding="utf-8")
    then = now - timedelta(days=40)
    import_hosts(db, settings.home / "hosts.csv", actor="test", now=then)
    import_packages(db, settings.home / "packages.csv", actor="test", now=then)
    sync(
        db,
        "debian",
        settings=settings,
        now=then,
        actor="test",
        source=settings.home / "debian.json",
        platform="debian:12",
    )
    scan(db, now=then, settings=settings)
    updated = PACKAGES.replace("web-1,dpkg,bash,5.2.15-2", "web-1,dpkg,bash,5.2.15-3")
    (settings.home / "packages.csv").write_text(updated, encoding="utf-8")
    import_packages(db, settings.home / "packages.csv", actor="test", now=now - timedelta(hours=3))
    scan(db, now=now - timedelta(hours=2), settings=settings)
    with db.writing() as session:
        session.add_all(
            [
                models.ScheduledJob(name="scan", every=900, next_at=now + timedelta(minutes=5)),
                models.JobRun(
                    job="scan",
                    trigger="schedule",
                    state="succeeded",
                    started_at=now - timedelta(hours=2),
                    finished_at=now - timedelta(hours=2),
                    summary="4 hosts",
                    error="",
                ),
            ]
        )
