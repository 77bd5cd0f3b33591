"""The demo: every page has something true to show, and all of it came in by the front door."""

import os
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import func, select

from patchmgr.cli import main
from patchmgr.cli.app import App
from patchmgr.cli.demo import fleet, story
from patchmgr.db import migrate, models
from patchmgr.db.queries import exceptions
from patchmgr.domain.exceptions import State
from patchmgr.services import audit

sys.path.insert(0, str(Path(__file__).parents[1] / "bench"))
from dying import in_a_process


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("demo")


def patchmgr(home, *words):
    return CliRunner().invoke(main, words, obj=App({"PATCHMGR_HOME": str(home)}))


@pytest.fixture(scope="module")
def loaded(home):
    result = patchmgr(home, "demo")
    assert result.exit_code == 0, result.output
    return App({"PATCHMGR_HOME": str(home)})


def test_there_is_a_plan_in_every_state_of_interest(loaded):
    with loaded.db.reading() as session:
        states = Counter(session.scalars(select(models.Plan.state)))

    assert set(states) == {"completed", "rejected", "running", "halted", "proposed", "draft"}


def test_the_running_plan_is_in_the_middle_of_a_ring(loaded):
    with loaded.db.reading() as session:
        states = set(
            session.scalars(
                select(models.Task.state)
                .join(models.Plan, models.Plan.id == models.Task.plan_id)
                .where(models.Plan.state == "running")
            )
        )

    assert {"verified", "leased", "running"} <= states


def test_there_are_about_200_hosts_with_blind_spots_among_them(loaded):
    with loaded.db.reading() as session:
        last = session.scalars(
            select(models.Snapshot).order_by(models.Snapshot.at.desc()).limit(1)
        ).one()

    assert last.hosts == len(fleet.machines()) == 198
    assert last.judged < last.reporting < last.hosts  # no feed for some; some are silent
    assert 0 < last.compliant < last.judged


def test_one_exception_is_in_force_and_one_waits_for_approval(loaded):
    with loaded.db.reading() as session:
        page = exceptions.listing(session, now=loaded.now)

    assert [line.state for line in page.lines] == [State.IN_FORCE, State.PROPOSED]
    assert all(line.findings for line in page.lines)


def test_three_months_of_history_can_be_asked_for(loaded):
    with loaded.db.reading() as session:
        first, last = session.execute(
            select(func.min(models.Snapshot.at), func.max(models.Snapshot.at))
        ).one()

    assert (last - first).days >= 85


def test_the_audit_chain_holds(loaded):
    with loaded.db.reading() as session:
        assert audit.first_broken(session) is None


def test_the_kept_report_verifies(loaded):
    (folder,) = (path for path in loaded.settings.reports.iterdir() if path.is_dir())

    result = patchmgr(loaded.settings.home, "reports", "verify", str(folder))

    assert result.exit_code == 0, result.output


def test_loading_it_again_changes_nothing(loaded, home):
    with loaded.db.reading() as session:
        before = session.scalar(select(func.count(models.AuditEntry.id)))

    result = patchmgr(home, "demo")

    with loaded.db.reading() as session:
        assert session.scalar(select(func.count(models.AuditEntry.id))) == before
    assert (result.exit_code, result.output) == (0, "the demo is loaded already\n")


def test_it_does_not_mix_with_hosts_of_your_own(tmp_path):
    hosts = tmp_path / "hosts.csv"
    hosts.write_text("hostname\nweb01\n")
    patchmgr(tmp_path / "home", "hosts", "import", str(hosts))

    result = patchmgr(tmp_path / "home", "demo")

    assert result.exit_code == 1
    assert "does not mix" in result.stderr


def test_killed_while_loading_it_leaves_nothing_half_done(tmp_path):
    program = (
        "import os, signal, sys\n"
        "from patchmgr.cli.demo import story\n"
        "story._plan = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        "from patchmgr.cli import main\n"
        "main(['demo'])\n"
    )
    killed = subprocess.run(
        [sys.executable, "-c", program],
        env={"PATCHMGR_HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        check=False,
    )

    with sqlite3.connect(Path(tmp_path, "patchmgr.db")) as database:
        (hosts,) = database.execute("SELECT count(*) FROM host").fetchone()
    assert killed.returncode == -9
    assert hosts == 0


def test_killed_on_postgresql_it_says_so_and_begins_anew(tmp_path, postgresql_url):
    app = App({"PATCHMGR_HOME": str(tmp_path), "PATCHMGR_DATABASE_URL": postgresql_url})
    migrate.upgrade(app.unchecked_db())
    app.unchecked_db().close()

    def loading():
        with pytest.MonkeyPatch.context() as patch:  # as far as the second day
            patch.setattr(story, "_plan", lambda *_: os.kill(os.getpid(), signal.SIGKILL))
            main(["demo"], obj=app)

    first, second = in_a_process(loading), in_a_process(loading)

    assert (first.killed, second.killed) == (True, True)
    assert "begins anew" not in first.said
    assert "an earlier loading of the demo was cut short; it begins anew" in second.said
    with app.db.reading() as session:
        assert session.scalar(select(func.count(models.Host.id))) == 198
    app.db.close()
