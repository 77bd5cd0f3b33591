"""The console over an empty database, with a person of each role signed in."""

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from inventory.host_import import import_hosts
from inventory.package_import import import_packages
from patchmgr.config import Settings
from patchmgr.db import models
from patchmgr.db.session import Database
from patchmgr.domain.accounts import Role
from patchmgr.services import accounts
from patchmgr.services.scan import scan
from patchmgr.services.sync import sync
from web.app import create_app
from web.auth import COOKIE

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


@pytest.fixture
def settings(tmp_path: Path, sqlite_url: str) -> Settings:
    return Settings(home=tmp_path, database_url=sqlite_url, secret_key="0" * 64)


@pytest.fixture
def app(sqlite_db: Database, settings: Settings, clock: Clock) -> Flask:
    """The console with forms that need no token; `strict_app` has them as they are served."""
    made = create_app(sqlite_db, settings, clock)
    made.config["WTF_CSRF_ENABLED"] = False
    made.testing = True
    return made


@pytest.fixture
def strict_app(sqlite_db: Database, settings: Settings, clock: Clock) -> Flask:
    return create_app(sqlite_db, settings, clock)


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
    return accounts._hash(PASSWORD)


@pytest.fixture
def client(
    app: Flask, sqlite_db: Database, clock: Clock, person: Callable[[Role], str]
) -> Callable[[Role | None], FlaskClient]:
    """Return a browser in which a person of that role is signed in; None: nobody."""

    def make(role: Role | None = Role.ADMIN) -> FlaskClient:
        browser = app.test_client()
        if role is not None:
            key = accounts.sign_in(
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
def fleet(sqlite_db: Database, settings: Settings, clock: Clock, tmp_path: Path) -> None:
    """Four hosts: with and without findings, of a platform without a feed, silent."""
    files = {"hosts.csv": HOSTS, "packages.csv": PACKAGES, "debian.json": json.dumps(TRACKER)}
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    then = clock() - timedelta(days=40)
    import_hosts(sqlite_db, tmp_path / "hosts.csv", actor="test", now=then)
    import_packages(sqlite_db, tmp_path / "packages.csv", actor="test", now=then)
    sync(
        sqlite_db,
        "debian",
        settings=settings,
        now=then,
        actor="test",
        source=tmp_path / "debian.json",
        platform="debian:12",
    )
    scan(sqlite_db, now=then, settings=settings)
    updated = PACKAGES.replace("web-1,dpkg,bash,5.2.15-2", "web-1,dpkg,bash,5.2.15-3")
    (tmp_path / "packages.csv").write_text(updated, encoding="utf-8")
    import_packages(
        sqlite_db, tmp_path / "packages.csv", actor="test", now=clock() - timedelta(hours=3)
    )
    scan(sqlite_db, now=clock() - timedelta(hours=2), settings=settings)
    with sqlite_db.writing() as session:
        session.add_all(
            [
                models.ScheduledJob(name="scan", every=900, next_at=clock() + timedelta(minutes=5)),
                models.JobRun(
                    job="scan",
                    trigger="schedule",
                    state="succeeded",
                    started_at=clock() - timedelta(hours=2),
                    finished_at=clock() - timedelta(hours=2),
                    summary="4 hosts",
                    error="",
                ),
            ]
        )
