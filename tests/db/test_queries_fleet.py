"""Lists of hosts and findings: every page, filter and order, held to the whole."""

import json
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, update

from inventory import host_import, package_import, retirement
from patchmgr import config
from patchmgr.db import models
from patchmgr.db.queries import (
    explanations,
    finding_order,
    findings,
    hosts,
    installations,
    paging,
    past,
    software,
    windows,
)
from patchmgr.db.queries.finding_filters import FindingFilter
from patchmgr.db.queries.hosts import HostFilter
from patchmgr.db.queries.installations import Wanted
from patchmgr.domain.advisories import Severity
from patchmgr.domain.urgency import Row
from patchmgr.domain.urgency_presets import PRESETS
from patchmgr.errors import InputError, NotFoundError
from patchmgr.services import policies, scan, sync

COUNT = 30  # hosts


def record(status, fixed, urgency):
    release = {"status": status, "urgency": urgency} | ({"fixed_version": fixed} if fixed else {})
    return {"releases": {"bookworm": release}}


TRACKER = {
    "x": {
        "CVE-2026-0001": record("resolved", "2", "high"),
        "CVE-2026-0002": record("open", "", "low"),
        "CVE-2026-0003": record("undetermined", "", "medium"),
    },
    "y": {"CVE-2026-0004": record("resolved", "9", "unimportant")},
}


@pytest.fixture
def fleet(db, tmp_path, now):
    """30 hosts in upper and lower case: each third without findings, one retired, one silent."""
    names = [f"{'Web' if number % 2 else 'db'}-{number:02}" for number in range(COUNT)]
    lines = [
        f"{name},debian,12,{'prod' if number % 4 else 'test'},site-{number % 3},team {number % 5}"
        for number, name in enumerate(names)
    ]
    path = tmp_path / "hosts.csv"
    path.write_text("hostname,os_id,os_release,environment,site,owner\n" + "\n".join(lines) + "\n")
    host_import.import_hosts(db, path, actor="test", now=now)
    rows = [
        f"{name},dpkg,{package},{1 if number % 3 else 99},amd64,{source}"
        for number, name in enumerate(names)
        for package, source in (("libx", "x"), ("X-tools", "x"), ("y", ""))[: 1 + number % 3]
    ]
    path = tmp_path / "packages.csv"
    header = "hostname,manager,name,version,arch,source\n"
    path.write_text(header + "\n".join(rows) + "\n")
    package_import.import_packages(db, path, actor="test", now=now)
    path = tmp_path / "tracker.json"
    path.write_text(json.dumps(TRACKER))
    given = {"settings": config.load({"PATCHMGR_HOME": str(tmp_path)}), "now": now}
    sync.sync(db, "debian", source=path, actor="test", **given)
    scan.scan(db, **given)
    with db.writing() as session:
        silent = models.Host.hostname == names[7]
        session.execute(update(models.Host).where(silent).values(reported_at=now - 30 * DAY))
        reboot = models.Host.hostname == names[10]
        session.execute(update(models.Host).where(reboot).values(reboot_pending=True))
    retirement.retire(db, names[5], actor="test", now=now)
    return db


DAY = timedelta(days=1)
FILTERS = (
    FindingFilter(),
    FindingFilter(host="Web-01"),
    FindingFilter(environment="prod"),
    FindingFilter(platform="debian:12", package="x"),
    FindingFilter(package="X-tools"),
    FindingFilter(advisory="CVE-2026-0002"),
    FindingFilter(cve="CVE-2026-0001", environment="test"),
    FindingFilter(status="undetermined"),
    FindingFilter(severity=Severity.HIGH),
    FindingFilter(severity_at_least=Severity.MEDIUM),
    FindingFilter(search="web-1"),
    FindingFilter(search="0003"),
    FindingFilter(search="%"),
    FindingFilter(search="nothing-like-it"),
)


def key(line):
    return line.host, line.package, line.advisory, line.package_version_id


def pages(session, filters, limit, **options):
    """Return the lines of all pages, and the total that each of them names."""
    lines, totals, cursor = [], set(), ""
    while cursor is not None:
        page = findings.listing(session, filters, limit=limit, cursor=cursor, **options)
        assert len(page.lines) == limit or page.next is None
        lines += page.lines
        totals.add(page.total)
        cursor = page.next
    return lines, totals


@pytest.mark.parametrize("limit", [7, 500])
def test_pages_of_findings_are_all_of_them_once_and_in_order(fleet, now, limit):
    with fleet.reading() as session:
        for filters in FILTERS:
            for at in (None, now, now - DAY):
                lines, totals = pages(session, filters, limit, at=at, now=now)
                whole = list(findings.every(session, filters, at))
                assert lines == whole
                assert totals == {len(whole)}
                assert list(map(key, whole)) == sorted(map(key, whole))


BY = {
    "host": key,
    "package": lambda line: (line.package, line.advisory, line.package_version_id, line.host),
    "advisory": lambda line: (line.advisory, line.package, line.package_version_id, line.host),
    "severity": lambda line: (
        line.severity,
        line.package,
        line.advisory,
        line.package_version_id,
        line.host,
    ),
    "due": lambda line: (line.due is None, line.due, *key(line)),
}


def in_order(whole, sort, descending):
    """Return lines as ``sort`` says; only its first value descends."""
    lines = sorted(whole, key=BY[sort])
    return sorted(lines, key=lambda line: BY[sort](line)[0], reverse=True) if descending else lines


def test_every_order_has_its_key():
    assert set(BY) == set(finding_order.SORTS)


@pytest.mark.parametrize(
    ("sort", "descending", "walked"),
    [(sort, down, down) for sort in BY for down in (False, True) if (sort, down) != ("due", True)]
    + [("due", False, True)],
)
def test_pages_in_any_order_are_all_of_them_once(fleet, now, sort, descending, walked, monkeypatch):
    if walked:  # a few findings are sorted at once; here they are walked through
        monkeypatch.setattr(findings, "FEW_EXPOSURES", -1)
    later = now + 20 * DAY
    filters = (*FILTERS, FindingFilter(overdue=True), FindingFilter(overdue=True, search="db"))
    with fleet.reading() as session:
        for each in filters:
            for at in (None,) if sort == "due" or each.overdue else (None, now - DAY):
                asked = {"sort": sort, "descending": descending, "at": at, "now": later}
                lines, totals = pages(session, each, 13, **asked)
                whole, _ = pages(session, each, 500, at=at, now=later)
                assert lines == in_order(whole, sort, descending), each
                assert totals == {len(whole)}


def test_by_due_date_nothing_is_missing_before_the_scan_counts_other_due_dates(fleet, now):
    hours = replace(PRESETS["severity"], rows=(Row("all", {}, 1, "within a day"),))
    policies.adopt(fleet, hours, actor="test", now=now)

    with fleet.reading() as session:
        lines, totals = pages(session, FindingFilter(), 7, sort="due", now=now)

        assert set(map(key, lines)) == set(map(key, findings.every(session)))
        assert totals == {len(lines)}


def test_by_due_date_they_sort_as_they_are_now_only(fleet, now):
    with fleet.reading() as session, pytest.raises(InputError, match="only as it is now"):
        findings.listing(session, sort="due", at=now)


@pytest.mark.parametrize("sort", finding_order.SORTS)
def test_no_order_takes_more_statements(fleet, now, statements, sort):
    with fleet.reading() as session:
        statements.clear()
        findings.listing(session, sort=sort, limit=50)
        assert len(statements) <= 8


def test_filters_take_what_they_say(fleet, now):
    with fleet.reading() as session:
        everything = list(findings.every(session))

        def found(**filters):
            return set(map(key, findings.every(session, FindingFilter(**filters))))

        assert found(package="x") == {key(f) for f in everything if f.source == "x"}
        assert found(status="no_fix") == {key(f) for f in everything if f.status == "no_fix"}
        assert found(search="WEB-1") == {key(f) for f in everything if "web-1" in f.host.lower()}
        high = {key(f) for f in everything if f.severity >= Severity.HIGH}
        assert found(severity_at_least=Severity.HIGH) == high
        assert {f.status for f in everything} == {"affected", "no_fix", "undetermined"}
        assert "Web-05" not in {f.host for f in everything}


def test_overdue_findings_are_those_whose_due_date_is_past(fleet, now):
    later = now + 20 * DAY

    with fleet.reading() as session:
        overdue = {key(f) for f in findings.every(session) if f.due and f.due < later}
        lines, totals = pages(session, FindingFilter(overdue=True), 5, now=later)

    assert set(map(key, lines)) == overdue
    assert totals == {len(overdue)}
    assert overdue


def test_a_page_of_findings_takes_few_statements_however_many_there_are(fleet, now, statements):
    with fleet.reading() as session:
        statements.clear()
        findings.listing(session, limit=50)
        assert len(statements) <= 6


def test_an_explanation_takes_few_statements(fleet, now, statements):
    with fleet.reading() as session:
        statements.clear()
        explanations.explain(session, "WEB-01", "libx", at=now)
        assert len(statements) <= 9


# --- hosts --------------------------------------------------------------------------------------


def walked(session, now, limit, **options):
    names, totals, cursor = [], set(), ""
    while cursor is not None:
        page = hosts.listing(session, now=now, limit=limit, cursor=cursor, **options)
        names += [line.hostname for line in page.lines]
        totals.add(page.total)
        cursor = page.next
    return names, totals


@pytest.mark.parametrize("sort", hosts.SORTS)
@pytest.mark.parametrize("descending", [False, True])
def test_pages_of_hosts_are_all_of_them_once_in_any_order(fleet, now, sort, descending):
    options = {"sort": sort, "descending": descending}
    with fleet.reading() as session:
        whole = hosts.listing(session, now=now, limit=None, **options)
        names, totals = walked(session, now, 4, **options)

    assert names == [line.hostname for line in whole.lines]
    assert len(set(names)) == COUNT - 1
    assert totals == {COUNT - 1}
    values = [getattr(line, sort) for line in whole.lines if getattr(line, sort) is not None]
    assert values == sorted(values, reverse=descending)


def test_states_and_facts_narrow_the_list_of_hosts(fleet, now):
    with fleet.reading() as session:

        def names(at=now, **filters):
            page = hosts.listing(session, HostFilter(**filters), now=at, limit=None)
            assert page.total == len(page.lines)
            return {line.hostname for line in page.lines}

        everything = names()
        with_findings = {line.host for line in findings.every(session)}
        assert names(state="findings") == with_findings
        assert names(state="clean") == everything - with_findings - {"Web-07"}
        assert names(state="silent") == {"Web-07"}
        assert names(state="reboot") == {"db-10"}
        assert names(state="overdue") == set()
        assert names(state="overdue", at=now + 365 * DAY) == {
            line.host for line in findings.every(session) if line.due
        }
        assert names(retired=True) == {"Web-05"}
        assert names(site="site-0", environment="test") == {"db-00", "db-12", "db-24"}
        assert names(search="WEB-0") == {name for name in everything if name.startswith("Web-0")}
        assert names(search="_") == set()
        with pytest.raises(InputError, match="state: 'odd' is not one of"):
            names(state="odd")


def test_one_host_is_found_by_id_and_by_name_in_any_case(fleet):
    with fleet.reading() as session:
        number = session.scalar(select(models.Host.id).where(models.Host.hostname == "Web-01"))

        assert hosts.get(session, "web-01") == hosts.get(session, number)
        assert hosts.get(session, "Web-01").by_severity == {"high": 2, "low": 2, "medium": 2}
        assert hosts.get(session, "Web-01").has_feed
        for missing in ("web-99", 10_000, ""):
            with pytest.raises(NotFoundError):
                hosts.get(session, missing)


def test_a_host_has_its_own_windows_or_those_of_rules(fleet, now, statements):
    week = timedelta(days=7)
    given = {"rrule": "FREQ=DAILY;BYHOUR=2", "duration": 3600, "zone": "Europe/Vienna", "also": []}
    times = {"created_at": now, "changed_at": now, "revision": 0, "first": "", "exdates": []}
    with fleet.writing() as session:
        session.add(models.Window(name="night", **given, **times))
        for window, fields in (("night", {"environment": "test"}), ("gone", {"site": "site-1"})):
            made = {"created_by": "test", "created_at": now + week}
            session.add(models.WindowRule(window=window, fields=fields, **made))
    with fleet.reading() as session:
        test, prod = (hosts.get(session, name).line for name in ("db-00", "Web-01"))
        statements.clear()
        named, window = windows.of_host(session, test)
        assert len(statements) == 1
        assert (named, window) == ("night", windows.get(session, "night"))
        assert windows.of_host(session, prod) == ("gone", None)
        assert windows.of_host(session, replace(prod, window="night")) == ("night", window)


# --- cursors come from outside ------------------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)
ANYTHING = (
    st.text(max_size=20)
    | JSON.map(lambda value: paging.encode([value, value]))
    | st.lists(JSON, max_size=5).map(paging.encode)
)


SOFTWARE = {sort: software.SORTS[place % 2] for place, sort in enumerate(hosts.SORTS)}


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ANYTHING, st.sampled_from(hosts.SORTS), st.sampled_from(finding_order.SORTS))
def test_a_forged_cursor_is_refused_or_gives_a_page(postgresql_db, now, cursor, sort, order):
    for ask in (
        lambda session: findings.listing(session, sort=order, cursor=cursor),
        lambda session: hosts.listing(session, now=now, sort=sort, cursor=cursor),
        lambda session: software.listing(session, sort=SOFTWARE[sort], cursor=cursor),
        lambda session: installations.search(session, Wanted("a"), cursor=cursor).hosts,
        lambda session: past.timeline(session, 1, cursor=cursor),
    ):
        with postgresql_db.reading() as session, suppress(InputError):
            assert ask(session).lines == ()
