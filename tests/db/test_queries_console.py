"""What the console reads beside its lists: overview, coverage, search, audit, accounts."""

from datetime import timedelta

import pytest
from sqlalchemy import JSON, insert

from patchmgr.db import models
from patchmgr.db.queries import accounts, audit, coverage, feed_changes, overview, paging, search
from patchmgr.db.queries.audit import AuditFilter
from patchmgr.domain.accounts import Role
from patchmgr.errors import InputError
from patchmgr.services import accounts as service
from patchmgr.services import sign_ins
from patchmgr.services.audit import record

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def filled(model, **values):
    """Return a row with an empty value in every column that must have one."""
    row = model(**values)
    for column in model.__table__.columns:
        if getattr(row, column.key) is None and not column.nullable and not column.primary_key:
            is_json = isinstance(column.type, JSON)
            setattr(row, column.key, {} if is_json else column.type.python_type())
    return row


@pytest.fixture
def session(db):
    with db.writing() as opened:
        yield opened


def host(session, name, now, **values):
    values = {"platform": "debian:12", "reported_at": now, "tags": [], "held": []} | values
    row = filled(models.Host, hostname=name, created_at=now, updated_at=now, **values)
    session.add(row)
    session.flush()
    return row


def feed(session, name, now, **values):
    values = {"enabled": True, "state": "ok", "attempted_at": now, "succeeded_at": now} | values
    row = filled(models.Feed, name=name, **values)
    session.add(row)
    session.flush()
    return row


def troubles(session, now):
    return [each.message for each in overview.troubles(session, now=now, stale_hours=48)]


def test_a_healthy_service_has_no_trouble_and_is_asked_once(session, now, statements):
    feed(session, "debian", now)
    session.add(models.ScheduledJob(name="scan", every=900, next_at=now + HOUR))
    session.flush()
    statements.clear()

    assert troubles(session, now) == []
    assert len(statements) == 1


def test_failed_and_stale_feeds_are_trouble_unless_switched_off_or_never_tried(session, now):
    feed(session, "failed", now, state="failed", error="cut short")
    feed(session, "stale", now, succeeded_at=now - 49 * HOUR)
    feed(session, "off", now, enabled=False, state="failed")
    feed(session, "new", now, attempted_at=None, succeeded_at=None, state="never")

    assert troubles(session, now) == [
        "Feed failed: cut short",
        "Feed stale has had no good sync for 48 h",
    ]


def test_a_job_is_trouble_while_its_last_finished_run_failed(session, now):
    for job, state in (("a", "failed"), ("a", "running"), ("b", "failed"), ("b", "succeeded")):
        session.add(
            models.JobRun(
                job=job, trigger="schedule", state=state, started_at=now, summary="", error="why"
            )
        )
    session.flush()

    assert troubles(session, now) == ["Job a failed: why"]


def test_a_failed_sync_is_told_once_as_its_feeds(session, now):
    feed(session, "debian", now, state="failed", error="cut short")
    for job in ("sync:debian", "sync:other"):
        session.add(
            models.JobRun(
                job=job,
                trigger="schedule",
                state="failed",
                started_at=now,
                summary="",
                error="cut short",
            )
        )
    session.flush()

    assert troubles(session, now) == [
        "Feed debian: cut short",
        "Job sync:other failed: cut short",
    ]


def test_a_schedule_that_is_late_says_that_nobody_leads(session, now):
    session.add(models.ScheduledJob(name="scan", every=900, next_at=now - 6 * HOUR / 60))
    session.flush()

    assert troubles(session, now) == [
        "No scheduler is running: syncs, scans and rollouts stand still"
    ]


def snapshot(at, open_findings):
    return filled(models.Snapshot, at=at, open_findings=open_findings, by_severity={"high": 1})


def test_the_trend_has_the_last_point_of_each_day(session, now):
    for days, hours, count in ((100, 0, 1), (2, 2, 2), (2, 1, 3), (0, 1, 4)):
        session.add(snapshot(now - days * DAY - hours * HOUR, count))
    session.flush()

    assert [point.open_findings for point in overview.trend(session, now=now)] == [3, 4]


def test_what_is_due_soon_counts_neither_the_overdue_nor_the_planned_as_unplanned(session, now):
    ids = [host(session, name, now).id for name in ("planned", "unplanned", "late")]
    for host_id, due in ((ids[0], 2 * DAY), (ids[1], 3 * DAY), (ids[1], 9 * DAY), (ids[2], -DAY)):
        session.add(models.HostDue(host_id=host_id, due=now + due, findings=5))
    plan = filled(
        models.Plan, title="p", state="approved", created_at=now, state_since=now, changed_at=now
    )
    session.add(plan)
    session.flush()
    ring = filled(models.Ring, plan_id=plan.id, name="canary")
    session.add(ring)
    session.flush()
    session.add(
        filled(
            models.Task,
            plan_id=plan.id,
            ring_id=ring.id,
            host_id=ids[0],
            state="queued",
            state_since=now,
        )
    )
    session.flush()

    soon = overview.due_soon(session, now=now, within=7 * DAY)

    assert (soon.findings, soon.hosts, soon.unplanned) == (10, 2, 1)
    assert [work.title for work in overview.work_of(session, ids[0])] == ["p"]


def test_coverage_tells_silent_hosts_from_those_without_a_feed(session, now):
    known = feed(session, "debian", now)
    made = filled(
        models.FeedRevision, feed_id=known.id, made_at=now, counts={"platforms": {"debian:12": 9}}
    )
    session.add(made)
    session.flush()
    known.revision_id = made.id
    host(session, "judged", now)
    host(session, "silent", now, reported_at=now - 8 * DAY)
    host(session, "never", now, reported_at=None)
    host(session, "unknown", now, platform="plan9:4")
    host(session, "gone", now, retired_at=now)
    session.flush()

    found = coverage.coverage(session, now=now, silent_days=7, stale_hours=48)

    assert (found.hosts, found.reporting, found.judged, found.without_feed) == (4, 2, 1, 1)
    assert [line.hostname for line in found.silent] == ["never", "silent"]
    assert [(line.platform, line.has_feed) for line in found.platforms] == [
        ("plan9:4", False),
        ("debian:12", True),
    ]


@pytest.mark.parametrize("text", ["WEB", "b_1", "100%"])
def test_search_takes_any_case_and_no_wildcards(session, now, text):
    for name in ("web_1", "webx1", "cpu100%"):
        host(session, name, now)

    found = search.search(session, text)

    expected = {"WEB": ["web_1", "webx1"], "b_1": ["web_1"], "100%": ["cpu100%"]}[text]
    assert sorted(name for name, _ in found.hosts) == sorted(expected)


def test_search_finds_advisories_by_cve_and_plans_by_number(session, now):
    known = feed(session, "debian", now)
    session.execute(
        insert(models.Advisory).values(
            feed_id=known.id,
            ref="DSA-1-1",
            title="openssl",
            severity=4,
            url="",
            cves="CVE-2026-1 CVE-2026-2",
            content=b"",
            first_seen=now,
            changed_at=now,
        )
    )
    plan = filled(models.Plan, title="Monthly", created_at=now, state_since=now, changed_at=now)
    session.add(plan)
    session.flush()

    by_cve = search.search(session, "cve-2026-2")
    by_number = search.search(session, str(plan.id))

    assert [ref for ref, *_ in by_cve.advisories] == ["DSA-1-1"]
    assert [title for _, title, _ in by_number.plans] == ["Monthly"]


def test_a_cursor_of_another_listing_is_refused(session):
    with pytest.raises(InputError, match="cursor"):
        audit.listing(session, cursor=paging.encode(["mars"]))
    with pytest.raises(InputError, match="cursor"):
        feed_changes.notes(session, 1, cursor=paging.encode([7]))


def test_the_audit_log_comes_newest_first_in_pages(session, now):
    for number in range(5):
        record(session, at=now, actor="alice", action="plan.approve", subject=f"plan {number}")
    record(session, at=now, actor="bob", action="planet.visit", subject="mars")

    first = audit.listing(session, AuditFilter(action="plan"), limit=3)
    rest = audit.listing(session, AuditFilter(action="plan"), limit=3, cursor=first.next)
    searched = audit.listing(session, AuditFilter(search="MARS"))

    assert [line.subject for line in (*first.lines, *rest.lines)] == [
        f"plan {number}" for number in (4, 3, 2, 1, 0)
    ]
    assert (first.total, rest.next) == (5, None)
    assert [line.actor for line in searched.lines] == ["bob"]
    assert audit.actions(session) == ["plan.approve", "planet.visit"]


def test_accounts_come_by_name_with_when_they_were_seen(db, now):
    for name in ("zoe", "amy"):
        service.add_user(db, name, Role.VIEWER, "a long enough phrase", actor="t", now=now)
    sign_ins.sign_in(db, "zoe", "a long enough phrase", address="x", now=now)

    with db.reading() as session:
        found = accounts.users(session)

    assert [(each.name, each.seen_at, each.sessions) for each in found] == [
        ("amy", None, 0),
        ("zoe", now, 1),
    ]
