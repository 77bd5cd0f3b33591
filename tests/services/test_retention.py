"""What is kept only for so long goes, and never what a report that was made relies on."""

import shutil
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from patchmgr import config
from patchmgr.db import models, package_sets
from patchmgr.services import audit, installations, jobs, reports
from patchmgr.services.housekeeping import tidy

DAY = timedelta(days=1)
NEVER = {}
HISTORY = {"PATCHMGR_KEEP_HISTORY_DAYS": "30"}
FINDINGS = {"PATCHMGR_KEEP_FINDINGS_DAYS": "30"}
BOTH = HISTORY | FINDINGS
NEW = tuple(
    (name, version.replace("3.0.15-1~deb12u1", "3.0.17-1~deb12u2"), source, source_version)
    for name, version, source, source_version in (
        ("openssl", "3.0.15-1~deb12u1", "openssl", ""),
        ("bash", "5.2.15-2", "bash", ""),
    )
)


@pytest.fixture
def aged(fleet):
    """A fleet of which one host was patched half a year ago, and another last week."""
    fleet.set_up()
    fleet.now += 10 * DAY
    fleet.inventory({"c1": NEW})
    fleet.scan()
    fleet.patched_at = fleet.now
    fleet.now += 180 * DAY
    fleet.inventory({"c2": NEW})
    fleet.scan()
    fleet.now += 7 * DAY
    return fleet


def keep(fleet, environ):
    """Tidy with these settings."""
    settings = config.load({"PATCHMGR_HOME": str(fleet.settings.home), **environ})
    return tidy(fleet.db, settings=settings, now=fleet.now)


def rows(fleet, *tables):
    with fleet.db.reading() as session:
        return [session.scalar(select(func.count()).select_from(table)) for table in tables]


def made(fleet, at):
    """Make the report as of ``at``; return what is in it, by the digests of its files."""
    found = reports.make(
        fleet.db, at=at, formats=["json", "csv"], settings=fleet.settings, actor="a", now=fleet.now
    )
    return found.id, dict(found.files)


PAST = (models.HostPackageSet, models.HostFact, models.PackageSet, models.Exposure)


def test_by_default_nothing_of_the_past_goes(aged):
    before = rows(aged, *PAST, models.Judgement, models.Snapshot)

    done = keep(aged, NEVER)

    assert (done.forgotten.history, done.forgotten.findings) == (0, 0)
    assert rows(aged, *PAST, models.Judgement, models.Snapshot) == before


def test_old_history_goes_and_what_hosts_have_stays(aged):
    with aged.db.reading() as session:
        had = dict(session.execute(select(models.Host.hostname, models.Host.package_set_id)).all())

    done = keep(aged, HISTORY)

    # What c1 had until half a year ago, and that the four others were not silent then.
    assert done.forgotten.history == 5
    assert done.forgotten.findings == 0
    with aged.db.reading() as session:
        now = dict(session.execute(select(models.Host.hostname, models.Host.package_set_id)).all())
        assert now == had
        assert all(len(package_sets.members_of(session, each)) for each in now.values())
        assert installations.wrong(session) == []
    assert str(keep(aged, HISTORY)) == ""


def test_old_closed_findings_go_and_open_ones_stay(aged):
    opened = select(func.count()).where(models.Exposure.until.is_(None))
    with aged.db.reading() as session:
        before = session.scalar(opened)

    done = keep(aged, FINDINGS)

    assert done.forgotten.findings > 0
    with aged.db.reading() as session:
        assert session.scalar(opened) == before
        recent = select(func.count()).where(models.Exposure.until > aged.now - 30 * DAY)
        assert session.scalar(recent) > 0


@pytest.mark.parametrize("days", [0, 1, 60])
def test_a_report_that_is_kept_can_be_made_again_byte_for_byte(aged, days):
    at = aged.patched_at + days * DAY
    _, before = made(aged, at)

    keep(aged, BOTH)

    _, again = made(aged, at)
    assert again == before


def test_without_a_report_the_same_past_does_go(aged):
    report_id, before = made(aged, aged.patched_at + DAY)
    with aged.db.writing() as session:
        session.delete(session.get(models.Report, report_id))

    done = keep(aged, BOTH)

    assert done.forgotten.history > 0
    shutil.rmtree(aged.settings.reports)
    _, again = made(aged, aged.patched_at + DAY)
    assert again != before


def test_old_reports_go_by_their_own_setting_with_their_files_and_a_word_in_the_log(aged):
    old, _ = made(aged, aged.now)
    aged.now += 400 * DAY
    new, _ = made(aged, aged.now)
    folders = {each.name for each in aged.settings.reports.iterdir() if each.is_dir()}

    assert keep(aged, BOTH).forgotten.reports == 0
    done = keep(aged, {"PATCHMGR_KEEP_REPORTS_DAYS": "365"})

    assert done.forgotten.reports == 1
    with aged.db.reading() as session:
        assert list(session.scalars(select(models.Report.id))) == [new]
        entry = session.scalar(select(models.AuditEntry).order_by(models.AuditEntry.id.desc()))
        assert (entry.action, entry.details["ids"]) == ("reports.forget", [old])
        assert audit.first_broken(session) is None
    assert len({each.name for each in aged.settings.reports.iterdir()} & folders) == 1


def test_a_set_that_nothing_refers_to_goes_its_base_after_it(aged):
    aged.inventory({"c1": (*NEW, ("one-off", "1", "one-off", ""))})
    aged.now += DAY
    aged.inventory({"c1": NEW})
    with aged.db.writing() as session:
        past = models.HostPackageSet
        for row in session.scalars(select(past).where(past.until.is_not(None))):
            session.delete(row)
        session.flush()
        session.execute(models.Host.__table__.update().values(judged_set_id=None))

    keep(aged, NEVER)

    with aged.db.reading() as session:
        left = set(session.scalars(select(models.PackageSet.id)))
        used = set(session.scalars(select(models.Host.package_set_id)))
        bases = set(session.scalars(select(models.PackageSet.base_id))) - {None}
    assert left == used | bases


def test_old_runs_go_by_days_and_those_at_work_stay(db, tmp_path, now):
    def run(state, finished):
        return models.JobRun(
            job="scan",
            trigger="schedule",
            state=state,
            started_at=now - 99 * DAY,
            finished_at=finished,
            summary="",
            error="",
        )

    with db.writing() as session:
        session.add_all(
            [run("succeeded", now - 98 * DAY), run("succeeded", now), run("running", None)]
        )
    with db.writing() as session:
        assert jobs.forget(session, keep=500, before=now - 30 * DAY) == 1
    with db.reading() as session:
        assert sorted(session.scalars(select(models.JobRun.state))) == ["running", "succeeded"]
