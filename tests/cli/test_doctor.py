"""``patchmgr doctor``: names what is wrong, says what to do, and fails then."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner

from patchmgr.cli import main
from patchmgr.cli.app import App
from patchmgr.db import models
from patchmgr.services import jobs

DAY = timedelta(days=1)


@pytest.fixture
def app(tmp_path):
    mirror = {"PATCHMGR_DEBIAN_URL": "https://mirror.example/"}
    return App({"PATCHMGR_HOME": str(tmp_path / "home"), **mirror})


@pytest.fixture
def clock():
    return datetime.now(UTC)  # noqa: TID251 -- the command's own clock


@pytest.fixture
def healthy(app, clock):
    """An installation with nothing wrong: a user, a fresh feed, a schedule that is not late."""
    with app.db.writing() as session:
        session.add(
            models.User(
                name="ann",
                role="admin",
                password_hash="x",
                disabled_at=None,
                created_at=clock,
                theme="auto",
                zone="",
            )
        )
        session.add(
            models.Feed(
                name="debian",
                title="Debian",
                enabled=True,
                state="ok",
                error="",
                attempted_at=clock,
                succeeded_at=clock,
            )
        )
    jobs.publish(app.db, {"scan": (DAY, clock + DAY)})
    return app


def doctor(app):
    result = CliRunner().invoke(main, ["doctor", "--json"], obj=app, catch_exceptions=False)
    checks = {check["about"]: check for check in json.loads(result.stdout)}
    return result.exit_code, {about for about, check in checks.items() if not check["ok"]}, checks


def test_a_healthy_installation_passes(healthy):
    code, wrong, checks = doctor(healthy)

    assert (code, wrong) == (0, set())
    assert set(checks) == {
        "configuration",
        "disk",
        "database",
        "audit log",
        "users",
        "feeds",
        "platforms",
        "releases",
        "reviews",
        "schedule",
        "clock",
    }


def test_a_fresh_installation_is_told_what_to_do(app):
    app.db.close()

    code, wrong, checks = doctor(app)

    assert (code, wrong) == (1, {"users", "feeds", "schedule"})
    assert "patchmgr users add" in checks["users"]["remedy"]


def started_without_approvals(at):
    texts = dict.fromkeys(("title", "series", "author", "content_hash", "state_by", "reason"), "x")
    empty = {name: {} for name in ("selection", "summary", "windows", "acknowledged", "terms")}
    lists = {name: [] for name in ("authors", "groups", "halt_signals")}
    times = dict.fromkeys(("created_at", "state_since", "changed_at", "broken_at"), at)
    numbers = {"approvals_needed": 1, "live_tasks": 0}
    glass = {"state": "completed", "broken_by": "bob", "broken_reason": "exploited"}
    return models.Plan(**texts, **empty, **lists, **times, **numbers, **glass)


@pytest.mark.parametrize(
    ("about", "damage"),
    [
        ("feeds", lambda s, at: s.query(models.Feed).update({"succeeded_at": at - 3 * DAY})),
        ("feeds", lambda s, at: s.query(models.Feed).update({"state": "failed", "error": "404"})),
        ("schedule", lambda s, at: s.query(models.ScheduledJob).update({"next_at": at - DAY})),
        (
            "schedule",
            lambda s, at: s.add(
                models.JobRun(
                    job="scan",
                    trigger="schedule",
                    state="failed",
                    started_at=at,
                    finished_at=at,
                    summary="",
                    error="disk full",
                )
            ),
        ),
        ("clock", lambda s, at: s.query(models.Feed).update({"attempted_at": at + DAY})),
        (
            "audit log",
            lambda s, at: s.add(
                models.AuditEntry(
                    at=at,
                    actor="eve",
                    action="plan.approve",
                    subject="plan 1",
                    details={},
                    previous="",
                    hash="0",
                )
            ),
        ),
        ("reviews", lambda s, at: s.add(started_without_approvals(at))),
    ],
)
def test_what_is_wrong_is_named(healthy, clock, about, damage):
    with healthy.db.writing() as session:
        damage(session, clock)

    code, wrong, checks = doctor(healthy)

    assert (code, wrong) == (1, {about})
    assert checks[about]["remedy"]


def test_a_home_that_others_can_read_is_wrong(healthy):
    healthy.settings.home.chmod(0o755)

    assert doctor(healthy)[1] == {"configuration"}


def test_an_unknown_setting_is_wrong(tmp_path):
    code, wrong, checks = doctor(App({"PATCHMGR_HOME": str(tmp_path), "PATCHMGR_COLOUR": "mauve"}))

    assert (code, wrong) == (1, {"configuration"})
    assert "PATCHMGR_COLOUR" in checks["configuration"]["found"]


def test_a_database_that_does_not_answer_is_wrong(tmp_path):
    url = "postgresql+psycopg://nobody@127.0.0.1:9/none"
    app = App({"PATCHMGR_HOME": str(tmp_path / "home"), "PATCHMGR_DATABASE_URL": url})

    code, wrong, _checks = doctor(app)

    assert (code, wrong) == (1, {"database"})
