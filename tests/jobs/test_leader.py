"""One leads: the second waits, and takes over when the first is gone, however it went."""

import os
import signal
import subprocess
import sys

import pytest
from sqlalchemy import text

from patchmgr.db.session import Database
from patchmgr.jobs import leader

HOLD = """
import sys
from patchmgr.db.session import Database
from patchmgr.jobs import leader
print(leader.scheduler_lock(Database(sys.argv[1])).acquire(), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def two(db):
    """Two processes' view of one database."""
    other = Database(db.engine.url.render_as_string(hide_password=False))
    locks = leader.scheduler_lock(db), leader.scheduler_lock(other)
    yield locks
    for lock in locks:
        lock.release()
    other.close()


def test_one_leads_and_the_other_takes_over(two):
    first, second = two

    assert (first.acquire(), second.acquire()) == (True, False)
    assert (first.holds(), second.holds()) == (True, False)
    first.release()
    assert (second.acquire(), first.acquire()) == (True, False)


def test_acquiring_twice_is_holding_once(two):
    first, second = two

    assert first.acquire()
    assert first.acquire()
    first.release()
    assert second.acquire()


def test_a_leader_whose_connection_is_cut_knows_that_it_lost(postgresql_db):
    lock = leader.scheduler_lock(postgresql_db)
    assert lock.acquire()

    with postgresql_db.writing() as session:
        session.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_locks"
                " WHERE locktype = 'advisory' AND pid <> pg_backend_pid() AND database ="
                " (SELECT oid FROM pg_database WHERE datname = current_database())"
            )
        )

    assert not lock.holds()
    assert lock.acquire()
    lock.release()


def test_the_lock_goes_with_a_killed_process(sqlite_db):
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            HOLD,
            sqlite_db.url,
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout.readline() == "True\n"
    ours = leader.scheduler_lock(sqlite_db)
    assert not ours.acquire()

    os.kill(holder.pid, signal.SIGKILL)
    holder.communicate()

    assert ours.acquire()
    ours.release()


def test_pages_share_their_lock_and_a_restore_wants_it_alone(sqlite_db):
    page, other = leader.web_lock(sqlite_db), leader.web_lock(sqlite_db)
    restore = leader.web_lock(sqlite_db, shared=False)

    assert page.acquire()
    assert other.acquire()
    assert not restore.acquire()
    page.release()
    other.release()
    assert restore.acquire()
    restore.release()
