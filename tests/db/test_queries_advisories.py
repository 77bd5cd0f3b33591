"""Reads of advisories: lists in every order, one with its history, and the hosts it bears on."""

import json
from datetime import timedelta

import pytest
from sqlalchemy import insert, select

from patchmgr.config import Settings
from patchmgr.db import models
from patchmgr.db.queries import advisories
from patchmgr.domain.advisories import Severity
from patchmgr.errors import InputError, NotFoundError
from patchmgr.services.sync import sync

HOUR = timedelta(hours=1)


def release(urgency="low", **more):
    return {"status": "resolved", "fixed_version": "1.2-3", "urgency": urgency, **more}


def records(**cves):
    return {f"CVE-2026-{name.strip('_')}": {"releases": value} for name, value in cves.items()}


@pytest.fixture
def bring(db, now, tmp_path):
    """Sync the tracker's JSON of the packages given; return at what time."""
    calls = []

    def call(**packages):
        calls.append(1)
        at = now + HOUR * len(calls)
        source = tmp_path / "feed.json"
        source.write_text(json.dumps(packages))
        settings = Settings(home=tmp_path, database_url="", secret_key="x")
        sync(db, "debian", settings=settings, now=at, actor="me", source=source)
        return at

    return call


@pytest.fixture
def fleet(db, bring, now):
    """Three advisories; one bears on two hosts of three, through two packages on the first."""
    bring(
        openssl=records(
            _1000={"bookworm": release("high"), "trixie": release("high")},
            _2000={"bookworm": release("unimportant")},
        ),
        zlib=records(_3000={"bookworm": release("medium")}),
    )
    with db.writing() as session:
        hosts = [_host(f"web{n}", now) for n in (1, 2, 3)]
        versions = [_version(name) for name in ("libssl3", "openssl", "zlib1g")]
        session.add_all(hosts + versions)
        session.flush()
        ref = models.Advisory.ref
        statement = session.scalars(
            select(models.Fix)
            .join(models.Advisory)
            .where(ref == "CVE-2026-1000", models.Fix.platform == "debian:12")
        ).one()
        for version in versions[:2]:
            session.add(_judgement(version, statement, now))
        for host, version in ((0, 0), (0, 1), (1, 0), (2, 2)):
            session.add(_exposure(hosts[host], versions[version], now))
    return hosts


def _host(name, now):
    words = ("os_id", "os_release", "arch", "site", "owner", "criticality", "exposure", "ring")
    return models.Host(
        hostname=name,
        platform="debian:12",
        environment="production",
        window="",
        source="",
        tags=[],
        held=[],
        entitlements=[],
        running_kernel="",
        reboot_pending=False,
        created_at=now,
        updated_at=now,
        **dict.fromkeys(words, ""),
    )


def _version(name):
    return models.PackageVersion(
        platform="debian:12",
        manager="dpkg",
        name=name,
        version="1.0-1",
        arch="amd64",
        module="",
        origin="",
        source="openssl",
        source_version="1.0-1",
        judged_source="openssl",
        judged_version="1.0-1",
        digest=name.encode().ljust(32),
    )


def _judgement(version, statement, now):
    return models.Judgement(
        package_version_id=version.id,
        advisory_id=statement.advisory_id,
        fix_id=statement.id,
        status="affected",
        severity=statement.severity,
        reason="",
        folded="",
        first_seen=now,
        published=None,
        since=now,
    )


def _exposure(host, version, now):
    return models.Exposure(
        host_id=host.id, package_version_id=version.id, first_seen=now + HOUR, since=now
    )


def refs(db, **options):
    with db.reading() as session:
        return [each.ref[-4:] for each in advisories.listing(session, **options).lines]


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ({}, ["1000", "3000", "2000"]),
        ({"sort": "ref"}, ["1000", "2000", "3000"]),
        ({"sort": "published"}, ["3000", "2000", "1000"]),
        ({"sort": "changed"}, ["3000", "2000", "1000"]),
        ({"severity_at_least": Severity.MEDIUM}, ["1000", "3000"]),
        ({"search": "2026-20"}, ["2000"]),
        ({"search": "cve-2026-3"}, ["3000"]),
        ({"search": "zlib"}, ["3000"]),
        ({"search": "%"}, []),
        ({"platform": "debian:13"}, ["1000"]),
        ({"feed_name": "debian"}, ["1000", "3000", "2000"]),
        ({"feed_name": "other"}, []),
        ({"only_affecting": True}, ["1000"]),
        ({"withdrawn": True}, []),
    ],
)
def test_a_list_is_filtered_and_sorted(db, fleet, options, found):
    assert refs(db, **options) == found


@pytest.mark.parametrize("sort", advisories.SORTS)
def test_pages_go_on_where_the_one_before_ended(db, fleet, sort):
    with db.reading() as session:
        whole = advisories.listing(session, sort=sort)
        lines, cursor = [], ""
        while cursor is not None:
            page = advisories.listing(session, sort=sort, limit=1, cursor=cursor)
            assert page.total == 3
            lines += page.lines
            cursor = page.next
    assert tuple(lines) == whole.lines


def test_a_list_takes_three_statements(db, fleet, statements):
    with db.reading() as session:
        statements.clear()
        page = advisories.listing(session)

    assert [each.hosts for each in page.lines] == [2, 0, 0]
    assert len(statements) == 3


def test_an_unknown_order_is_refused(db):
    with db.reading() as session, pytest.raises(InputError, match="'mood' is not one of severity"):
        advisories.listing(session, sort="mood")


def test_an_advisory_is_shown_with_what_it_says_and_said(db, bring):
    first = bring(openssl=records(_1000={"bookworm": release(), "trixie": release()}))
    second = bring(
        openssl=records(_1000={"bookworm": release(fixed_version="2.0-1"), "trixie": release()})
    )

    with db.reading() as session:
        detail = advisories.get(session, "cve-2026-1000")

    assert [(each.platform, each.fixed, each.since) for each in detail.fixes] == [
        ("debian:12", "2.0-1", second),
        ("debian:13", "1.2-3", first),
    ]
    assert [(each.fixed, each.since, each.until) for each in detail.past] == [
        ("1.2-3", first, second)
    ]
    assert (detail.line.cves, detail.line.severity) == (("CVE-2026-1000",), Severity.LOW)
    assert (detail.first_seen, detail.line.changed_at) == (first, second)


def test_an_advisory_that_is_not_there_is_said_so(db, bring):
    with db.reading() as session, pytest.raises(NotFoundError, match="no advisory 'DSA-1'"):
        advisories.get(session, "DSA-1")


def test_a_cve_finds_the_advisories_that_name_it(db, bring, now):
    bring(openssl=records(_1000={"bookworm": release()}, _10001={"bookworm": release()}))
    with db.writing() as session:
        dsa = {
            "feed_id": session.scalar(select(models.Feed.id).where(models.Feed.name == "debian")),
            "ref": "DSA-1-1",
            "title": "",
            "severity": 0,
            "url": "",
            "cves": "CVE-2025-1 CVE-2026-1000",
            "content": b"x",
            "first_seen": now,
            "changed_at": now,
        }
        session.execute(insert(models.Advisory), [dsa])

    with db.reading() as session:
        found = [each.ref for each in advisories.by_cve(session, "cve-2026-1000")]
        assert advisories.by_cve(session, "CVE-2026-100") == []
        assert advisories.by_cve(session, "CVE-2026-_000") == []

    assert found == ["CVE-2026-1000", "DSA-1-1"]


def test_affected_hosts_come_by_name_and_package(db, fleet, now):
    with db.reading() as session:
        number = advisories.get(session, "CVE-2026-1000").line.id
        page = advisories.affected(session, number)
        first = advisories.affected(session, number, limit=2)
        rest = advisories.affected(session, number, limit=2, cursor=first.next)

    assert [(each.host, each.package) for each in page.lines] == [
        ("web1", "libssl3"),
        ("web1", "openssl"),
        ("web2", "libssl3"),
    ]
    assert (page.total, page.next) == (3, None)
    assert first.lines + rest.lines == page.lines
    line = page.lines[0]
    assert (line.installed, line.fixed, line.status) == ("1.0-1", "1.2-3", "affected")
    assert line.first_seen == now + HOUR
