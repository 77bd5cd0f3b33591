"""What each job does with real services, and what it asks for afterwards."""

import json
import re
from functools import partial
from pathlib import Path

import pytest

from patchmgr import config
from patchmgr.db import models
from patchmgr.db.queries import jobs as queries
from patchmgr.errors import ConflictError, FeedUnreachableError
from patchmgr.jobs import bodies
from patchmgr.jobs.schedule import jobs
from patchmgr.services import rollouts, sync
from patchmgr.services.rollouts import TickResult

DOCS = Path(__file__).parents[2] / "docs"

TRACKER = {
    "bash": {
        "CVE-2026-1": {
            "scope": "local",
            "releases": {
                "bookworm": {
                    "status": "resolved",
                    "fixed_version": "5.2.15-3",
                    "repositories": {"bookworm": "5.2.15-3"},
                    "urgency": "high",
                }
            },
        }
    }
}


@pytest.fixture
def settings(tmp_path):
    return config.load(
        {
            "PATCHMGR_HOME": str(tmp_path / "home"),
            "PATCHMGR_DEBIAN_URL": "http://127.0.0.1:9/",  # nobody listens there
        }
    )


@pytest.fixture
def call(db, settings, now):
    """Call a body with a clock that stands still."""
    return lambda body, *rest: body(db, settings, lambda: now, *rest)


def waiting(db):
    with db.reading() as session:
        return [run.job for run in queries.queued(session)]


def test_a_sync_that_changed_something_asks_for_a_scan(db, settings, now, tmp_path, monkeypatch):
    document = tmp_path / "tracker.json"
    document.write_text(json.dumps(TRACKER))
    from_file = partial(sync.sync, source=document)
    monkeypatch.setattr(bodies.syncing, "sync", from_file)  # the network's part is tested elsewhere

    first = bodies.sync(db, settings, lambda: now, "debian")
    asked = waiting(db)
    bodies.sync(db, settings, lambda: now, "debian")

    assert "1 advisories" in first
    assert asked == ["scan"]
    assert waiting(db) == ["scan"]  # nothing changed: not asked again


def test_a_feed_that_cannot_be_reached_fails_the_job(sqlite_db, settings, now):
    with pytest.raises(FeedUnreachableError):
        bodies.sync(sqlite_db, settings, lambda: now, "debian")

    assert waiting(sqlite_db) == []


def test_nothing_to_do_is_said_by_saying_nothing(db, call, now):
    call(bodies.scan)

    assert call(bodies.scan) == ""
    assert bodies.tick(db, lambda: now) == ""
    assert call(bodies.housekeeping) == ""


def test_a_plan_that_cannot_be_moved_fails_the_tick_after_the_others(db, now, monkeypatch):
    result = TickResult(plans=2, changed=1, dispatched=3, verified=0, failed={7: "no such ring"})
    monkeypatch.setattr(rollouts, "tick", lambda _db, now: result)  # no real plan is that broken

    with pytest.raises(ConflictError, match="plan 7: no such ring"):
        bodies.tick(db, lambda: now)


def test_the_nightly_report_is_kept_and_listed(db, call, now):
    said = call(bodies.report)

    with db.reading() as session:
        (report,) = session.query(models.Report).all()
    assert (report.as_of, report.made_by) == (now, "scheduler")
    assert {"compliance.html", "compliance.json", "findings.csv"} <= set(report.files)
    assert said.startswith(f"report {report.id}: ")


def test_every_feed_that_is_on_and_needed_has_its_job(db, settings, now):
    before = {job.name for job in jobs(db, settings, lambda: now)}
    with db.writing() as session:
        session.query(models.Feed).update({"enabled": False})
    after = {job.name for job in jobs(db, settings, lambda: now)}

    # A mirror of debian is set; what is known of flaws concerns every fleet.
    syncs = {"sync:debian", "sync:epss", "sync:kev"}
    assert before == {"scan", "tick", "propose", "forecast", "report", "housekeeping"} | syncs
    assert after == before - syncs


def test_the_manual_names_every_job(sqlite_db, settings, now):
    known = {job.name for job in jobs(sqlite_db, settings, lambda: now, imports=str)}
    manual = (DOCS / "operations.md").read_text()
    table = manual.partition("## What it does by itself")[2].partition("\n## ")[0]

    named = set(re.findall(r"^\| `([a-z]+)(?::<feed>)?` \|", table, re.MULTILINE))

    assert named == {name.partition(":")[0] for name in known}
