"""Releases past their end, and packages without security support, are blind spots that are said."""

import json

import pytest
from click.testing import CliRunner
from sqlalchemy import update

from inventory.host_import import import_hosts
from inventory.package_import import import_packages
from patchmgr.cli import main
from patchmgr.cli.app import App
from patchmgr.config import Settings
from patchmgr.db import models
from patchmgr.db.queries import coverage, explanations
from patchmgr.services import reports, scan
from patchmgr.services.sync import sync

HOSTS = """\
hostname,os_id,os_release
old,debian,10
lts,debian,11
new,debian,12
new2,debian,12
plain,ubuntu,20.04
pro,ubuntu,20.04
"""
PACKAGES = """\
hostname,manager,name,version,arch,source
old,dpkg,bash,5.0-4,amd64,
lts,dpkg,bash,5.1-2,amd64,
new,dpkg,suricata,1:6.0.10-1,amd64,
new,dpkg,golang-1.19-go,1.19.8-2,amd64,golang-1.19
new,dpkg,bash,5.2.15-2,amd64,
new2,dpkg,golang-1.19-go,1.19.8-2,amd64,golang-1.19
plain,dpkg,bash,5.0-6ubuntu1,amd64,
pro,dpkg,bash,5.0-6ubuntu1,amd64,
"""
FILES = {
    "debian.csv": """\
version,codename,series,created,release,eol,eol-lts,eol-elts
10,Buster,buster,2017-06-17,2019-07-06,2022-09-10,2024-06-30,2029-06-30
11,Bullseye,bullseye,2019-07-06,2021-08-14,2024-08-14,2026-08-31,2031-06-30
12,Bookworm,bookworm,2021-08-14,2023-06-10,2026-07-11,2028-06-30,2033-06-30
""",
    "ubuntu.csv": """\
version,codename,series,created,release,eol,eol-server,eol-esm
20.04 LTS,Focal Fossa,focal,2019-10-17,2020-04-23,2025-05-29,2025-05-29,2030-04-23
""",
    "security-support-ended.deb12": (
        "suricata 1:6.0.10-1 2026-02-28 a bug\nxen 4.17 2027-01-01 later\n"
    ),
    "security-support-limited.deb12": "golang.* static linking\n",
}


@pytest.fixture
def settings(tmp_path, db):
    return Settings(home=tmp_path / "home", database_url=db.url, secret_key="0")


@pytest.fixture
def fleet(db, tmp_path, now, settings):
    """Six hosts of four releases; nothing is known of their support yet."""
    settings.home.mkdir()
    for name, text in {"hosts.csv": HOSTS, "packages.csv": PACKAGES}.items():
        (tmp_path / name).write_text(text)
    import_hosts(db, tmp_path / "hosts.csv", actor="test", now=now)
    import_packages(db, tmp_path / "packages.csv", actor="test", now=now)
    with db.writing() as session:
        entitled = update(models.Host).where(models.Host.hostname == "pro")
        session.execute(entitled.values(entitlements=["esm-infra"]))
    scan.scan(db, now=now, settings=settings)


@pytest.fixture
def told(db, fleet, tmp_path, now, settings):
    """The same, after the lifecycle feed."""
    folder = tmp_path / "lifecycle"
    folder.mkdir()
    for name, text in FILES.items():
        (folder / name).write_text(text)
    return sync(db, "lifecycle", settings=settings, now=now, actor="test", source=folder)


def covered(db, now):
    with db.reading() as session:
        return coverage.coverage(session, now=now, silent_days=7, stale_hours=48)


def test_what_is_said_of_support_is_counted_and_stays_until_it_changes(db, told, settings, now):
    assert {kind: n for kind, n in told.counts.items() if n} == {"support": 14, "new": 14}


@pytest.mark.usefixtures("fleet")
def test_where_nothing_was_read_nothing_is_said(db, now):
    found = covered(db, now)

    assert (found.releases, found.unsupported, found.past_support) == ((), (), 0)
    assert found.unknown_support == found.hosts - found.unknown_platform > 0


@pytest.mark.usefixtures("told")
def test_releases_past_their_end_are_listed_with_what_carries_them_on(db, now, statements):
    statements.clear()
    found = covered(db, now)

    assert len(statements) <= 12
    assert [
        (line.platform, str(line.ending.since), line.hosts, line.uncovered, line.extensions)
        for line in found.releases
    ] == [
        ("ubuntu:20.04", "2025-05-30", 2, 1, "ESM until 2030-04-24 with Ubuntu Pro (esm-infra)"),
        (
            "debian:10",
            "2022-09-11",
            1,
            1,
            "ELTS until 2029-07-01 with Freexian's Extended LTS (elts)",
        ),
        (
            "debian:11",
            "2024-08-15",
            1,
            0,
            ("LTS until 2026-09-01; ELTS until 2031-07-01 with Freexian's Extended LTS (elts)"),
        ),
    ]
    assert (found.past_support, found.unknown_support) == (2, 0)


@pytest.mark.usefixtures("told")
def test_installed_packages_without_security_support_are_listed_with_their_hosts(db, now):
    assert [
        (line.package, line.platform, line.why, line.ended, line.hosts)
        for line in covered(db, now).unsupported
    ] == [
        (
            "suricata",
            "debian:12",
            "security support ended on 2026-02-28 (supported until version 1:6.0.10-1; a bug)",
            True,
            1,
        ),
        ("golang-1.19", "debian:12", "security support is limited (static linking)", False, 2),
    ]


@pytest.mark.usefixtures("told")
def test_a_retired_host_is_no_blind_spot(db, now):
    with db.writing() as session:
        gone = models.Host.hostname.in_(["new", "old"])
        session.execute(update(models.Host).where(gone).values(retired_at=now))

    found = covered(db, now)

    assert [line.platform for line in found.releases] == ["ubuntu:20.04", "debian:11"]
    assert [(line.package, line.hosts) for line in found.unsupported] == [("golang-1.19", 1)]


@pytest.mark.usefixtures("told")
def test_an_explanation_of_the_package_says_so(db, now):
    with db.reading() as session:
        said = explanations.explain(session, "new", "golang-1.19-go", at=now).installed[0].support
        nothing = explanations.explain(session, "new", "bash", at=now).installed[0].support

    assert [each.words for each in said] == ["security support is limited (static linking)"]
    assert nothing == ()


@pytest.mark.usefixtures("told")
def test_a_compliance_report_names_them_among_its_blind_spots(db, now, settings, tmp_path):
    out = tmp_path / "report.json"
    reports.make(db, at=now, formats=["json"], settings=settings, actor="test", now=now, out=out)

    spots = json.loads(out.read_text())["coverage"]["blind_spots"]

    found = {
        (spot["kind"], spot["what"].partition(":")[0], spot["hosts"]["n"])
        for spot in spots
        if spot["kind"] != "no feed"
    }
    assert found == {
        # What hosts were entitled to at a past instant is not recorded: it says what is needed.
        ("end of life", "ubuntu", 2),
        ("end of life", "debian", 1),
        ("extended support", "debian", 1),
        ("no security support", "suricata on debian", 1),
        ("limited security support", "golang-1.19 on debian", 2),
    }
    assert (
        "ubuntu:20.04: standard support ended on 2025-05-30;"
        " ESM until 2030-04-24 with Ubuntu Pro (esm-infra)"
    ) in {spot["what"] for spot in spots}


@pytest.mark.usefixtures("told")
def test_a_report_of_before_does_not_know_what_was_said_later(db, now, settings, tmp_path):
    scan.scan(db, now=now, settings=settings)
    before = now.replace(minute=now.minute - 1)
    out = tmp_path / "report.json"
    reports.make(db, at=before, formats=["json"], settings=settings, actor="test", now=now, out=out)

    spots = json.loads(out.read_text())["coverage"]["blind_spots"]

    assert not {spot["kind"] for spot in spots if "support" in spot["kind"]}


@pytest.mark.usefixtures("told")
def test_doctor_mentions_releases_past_their_end_and_does_not_call_that_wrong(db, tmp_path):
    app = App(
        {
            "PATCHMGR_HOME": str(tmp_path / "home"),
            "PATCHMGR_DATABASE_URL": db.engine.url.render_as_string(hide_password=False),
        }
    )

    result = CliRunner().invoke(main, ["doctor", "--json"], obj=app)

    checks = {check["about"]: check for check in json.loads(result.stdout)}
    assert checks["releases"]["ok"]
    assert "debian:10 since 2022-09-11 on 1 host" in checks["releases"]["found"]
    app.db.close()
