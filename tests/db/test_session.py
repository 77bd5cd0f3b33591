"""Transactions: no update is lost, no reader waits, nothing of a failed one stays."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select, text

from patchmgr.db import models

THREADS, ROUNDS = 6, 20


def counter(db, now):
    with db.writing() as session:
        session.add(
            models.Window(
                id=1, name="w", rrule="", zone="UTC", duration=0, exdates=[], also=[], first="",
                created_at=now, changed_at=now, revision=1,
            )
        )  # fmt: skip


def read(session):
    return session.scalar(select(models.Window.duration))


def test_no_update_is_lost_between_writers(sqlite_db, now):
    counter(sqlite_db, now)

    def add_one(_round: int) -> None:
        with sqlite_db.writing() as session:
            window = session.get_one(models.Window, 1)
            window.duration += 1

    with ThreadPoolExecutor(THREADS) as threads:
        list(threads.map(add_one, range(THREADS * ROUNDS)))

    with sqlite_db.reading() as session:
        assert read(session) == THREADS * ROUNDS


def test_no_update_is_lost_between_writers_that_lock_their_row(postgresql_db, now):
    counter(postgresql_db, now)

    def add_one(_round: int) -> None:
        with postgresql_db.writing() as session:
            window = session.get_one(models.Window, 1, with_for_update=True)
            window.duration += 1

    with ThreadPoolExecutor(THREADS) as threads:
        list(threads.map(add_one, range(THREADS * ROUNDS)))

    with postgresql_db.reading() as session:
        assert read(session) == THREADS * ROUNDS


def test_reading_does_not_wait_for_a_writer(db, now):
    counter(db, now)
    written, finish = threading.Event(), threading.Event()

    def write_slowly() -> None:
        with db.writing() as session:
            session.get_one(models.Window, 1).duration = 1
            session.flush()
            written.set()
            finish.wait(10)

    with ThreadPoolExecutor(1) as thread:
        writer = thread.submit(write_slowly)
        written.wait(10)
        with db.reading() as session:
            meanwhile = read(session)
        finish.set()
        writer.result()

    assert meanwhile == 0


def test_a_failed_transaction_leaves_nothing(db, now):
    def fail() -> None:
        with db.writing() as session:
            session.add(models.LoginAttempt(subject="somebody", at=now))
            session.flush()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()

    with db.reading() as session:
        assert session.scalars(select(models.LoginAttempt)).all() == []


def test_what_a_reader_changes_is_not_kept(db, now):
    with db.reading() as session:
        session.add(models.LoginAttempt(subject="somebody", at=now))
        session.flush()

    with db.reading() as session:
        assert session.scalars(select(models.LoginAttempt)).all() == []


def test_sqlite_holds_what_foreign_keys_promise(sqlite_db):
    with sqlite_db.reading() as session:
        assert session.scalar(text("PRAGMA foreign_keys")) == 1
        assert session.scalar(text("PRAGMA journal_mode")) == "wal"
