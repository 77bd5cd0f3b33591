"""Housekeeping: what has served its purpose goes, everything else and the audit log stays."""

import os
from datetime import timedelta

import pytest

from patchmgr import config
from patchmgr.db import models
from patchmgr.services import audit
from patchmgr.services.housekeeping import tidy

DAY = timedelta(days=1)


@pytest.fixture
def settings(tmp_path):
    found = config.load({"PATCHMGR_HOME": str(tmp_path / "home")})
    found.uploads.mkdir()
    return found


def upload(db, settings, name, at, state="previewed"):
    """Store an upload of ``at``, its file as old as that."""
    file = settings.uploads / name
    file.write_text("hostname\n")
    os.utime(file, (at.timestamp(), at.timestamp()))
    with db.writing() as session:
        session.add(
            models.Import(
                kind="hosts",
                mode="",
                filename="hosts.csv",
                stored=name,
                state=state,
                source="",
                mapping={},
                options={},
                preview={},
                size=1,
                progress=100,
                attempts=1,
                uploaded_by="ann",
                uploaded_at=at,
                confirmed_by="",
                finished_at=None,
                error="",
            )
        )


def states(db):
    with db.reading() as session:
        return {each.stored: each.state for each in session.query(models.Import)}


def test_an_upload_nobody_confirmed_goes_after_a_week(db, settings, now):
    upload(db, settings, "old", now - 8 * DAY)
    upload(db, settings, "waiting", now - 6 * DAY)
    upload(db, settings, "applied", now - 2 * DAY, state="applied")

    done = tidy(db, settings=settings, now=now)

    assert done.uploads == 1
    assert states(db) == {"old": "discarded", "waiting": "previewed", "applied": "applied"}
    assert [file.name for file in settings.uploads.iterdir()] == ["waiting"]


def test_a_file_still_being_uploaded_is_left_alone(db, settings, now):
    file = settings.uploads / "arriving"
    file.write_text("hostn")
    os.utime(file, (now.timestamp(), now.timestamp()))

    tidy(db, settings=settings, now=now)

    assert file.exists()


def test_what_nobody_sent_the_rest_of_goes_a_week_after_its_last_piece(db, settings, now):
    for age in (8, 6):
        upload(db, settings, f"whole-{age}", now - age * DAY)
        (settings.uploads / f"part-{age}").write_bytes(b"hos")
        os.utime(settings.uploads / f"part-{age}", (0, (now - age * DAY).timestamp()))
        with db.writing() as session:
            for stored, import_id in (("part", None), ("whole", 1)):
                session.add(
                    models.Upload(
                        wish={},
                        filename="hosts.csv",
                        stored=f"{stored}-{age}",
                        size=9,
                        modified=0,
                        piece=3,
                        received=3,
                        digest="",
                        uploaded_by="ann",
                        begun_at=now - 9 * DAY,
                        heard_at=now - age * DAY,
                        import_id=import_id,
                    )
                )

    done = tidy(db, settings=settings, now=now)

    assert done.unfinished == 1
    assert sorted(file.name for file in settings.uploads.iterdir()) == ["part-6", "whole-6"]
    with db.reading() as session:
        left = {row.stored for row in session.query(models.Upload)}
        (entry,) = session.query(models.AuditEntry)
    assert left == {"part-6", "whole-6"}
    assert (entry.action, entry.details["received"]) == ("upload.forget", 3)


def test_old_failed_sign_ins_go_and_the_audit_log_stays(db, settings, now):
    with db.writing() as session:
        session.add(models.LoginAttempt(subject="ann", at=now - 30 * DAY))
        audit.record(session, at=now - 900 * DAY, actor="ann", action="user.add", subject="bob")

    done = tidy(db, settings=settings, now=now)

    assert str(done) == "1 old sign-ins and attempts"
    with db.reading() as session:
        assert session.query(models.LoginAttempt).count() == 0
        assert session.query(models.AuditEntry).count() == 1


def test_what_has_left_the_outbox_goes_after_a_month_and_what_waits_never(db, settings, now):
    def effect(done_at):
        return models.Outbox(
            made_at=now - 90 * DAY,
            kind="notify",
            plan_id=None,
            payload={},
            done_at=done_at,
            attempts=1,
            error="",
        )

    left = (now - 31 * DAY, now - 29 * DAY, None)
    with db.writing() as session:
        session.add_all(map(effect, left))

    assert str(tidy(db, settings=settings, now=now)) == "1 orders and messages that have left"
    with db.reading() as session:
        assert [row.done_at for row in session.query(models.Outbox)] == [*left[1:]]


def test_tidying_twice_finds_nothing_the_second_time(db, settings, now):
    upload(db, settings, "old", now - 8 * DAY)
    tidy(db, settings=settings, now=now)

    assert str(tidy(db, settings=settings, now=now)) == ""


def test_what_a_killed_process_left_of_a_report_goes_after_a_day(db, settings, now):
    kept = {"named": 9 * DAY, "compliance-unnamed-yet": DAY / 2, ".making-now": DAY / 2}
    for name, age in {**kept, "compliance-unnamed": 2 * DAY, ".making-once": 2 * DAY}.items():
        folder = settings.reports / name
        folder.mkdir(parents=True)
        (folder / "report.csv").touch()
        os.utime(folder, ((now - age).timestamp(),) * 2)
    with db.writing() as session:
        made = {"as_of": now, "made_at": now, "made_by": "ann", "kind": "compliance"}
        empty = {"parameters": {}, "headline": {}, "files": {}}
        session.add(models.Report(stored="named", **made, **empty))

    tidy(db, settings=settings, now=now)

    assert {path.name for path in settings.reports.iterdir()} == set(kept)
