"""Processes that write to one SQLite database take turns: none writes on and on."""

import subprocess
import sys
from contextlib import closing, contextmanager
from threading import Event, Thread

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from patchmgr.db import session as sessions
from patchmgr.db.line import Line
from patchmgr.db.session import Database
from patchmgr.errors import OverloadedError

ROUNDS = 30
WRITER = """
import sys
from sqlalchemy import text
from patchmgr.db.session import Database

name, rounds = sys.argv[2], int(sys.argv[3])
db = Database(sys.argv[1])
db.engine.connect().close()
print("ready", flush=True)
sys.stdin.readline()
for _ in range(rounds):
    with db.writing() as session:
        session.execute(text("INSERT INTO wrote (name) VALUES (:name)"), {"name": name})
"""


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path / 'patchmgr.db'}"


@pytest.fixture
def wrote(url):
    with closing(Database(url)) as db, db.writing() as session:
        session.execute(text("CREATE TABLE wrote (id INTEGER PRIMARY KEY, name TEXT)"))
    return url


def test_two_processes_that_write_without_a_pause_lose_nothing(wrote):
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, wrote, name, str(ROUNDS)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in "ab"
    ]
    for each in writers:
        assert each.stdout.readline() == "ready\n"
    for each in writers:
        each.stdin.write("go\n")
        each.stdin.flush()
    for each in writers:
        each.communicate()

    assert [each.returncode for each in writers] == [0, 0]
    with closing(Database(wrote)) as db, db.reading() as session:
        names = list(session.scalars(text("SELECT name FROM wrote")))
    assert sorted(names) == ["a"] * ROUNDS + ["b"] * ROUNDS


def test_who_has_just_written_does_not_come_before_who_waits(tmp_path):
    path = tmp_path / "line"
    mine, of_another = Line(path, patience=60), Line(path, patience=60)
    asked, is_free, came = Event(), Event(), []

    def begin():
        asked.set()
        return is_free.is_set()

    other = Thread(target=lambda: came.append(of_another.wait(begin, patience=60)))
    other.start()
    asked.wait()

    assert not mine.wait(lambda: True, patience=0)
    is_free.set()
    other.join()
    assert came == [True]
    assert mine.wait(lambda: True, patience=0)


def test_who_waits_in_vain_is_told_as_sqlite_does(wrote, monkeypatch):
    monkeypatch.setattr(sessions, "BUSY_TIMEOUT", 50)

    with (
        closing(Database(wrote)) as db,
        busy(wrote),
        pytest.raises(OperationalError, match="database is locked"),
        db.writing() as session,
    ):
        session.execute(text("SELECT 1"))


def test_a_host_that_waits_in_vain_is_told_to_come_again(wrote, monkeypatch):
    monkeypatch.setattr(sessions, "PATIENCE", 0.05)

    with (
        closing(Database(wrote)) as db,
        busy(wrote),
        pytest.raises(OverloadedError) as refused,
        db.reporting() as session,
    ):
        session.execute(text("SELECT 1"))

    assert refused.value.seconds == sessions.ASK_AGAIN


def test_threads_of_a_process_wait_for_each_other(wrote):
    with closing(Database(wrote)) as db:

        def write(name):
            with db.writing() as session:
                session.execute(text("INSERT INTO wrote (name) VALUES (:name)"), {"name": name})

        with db.writing() as session:
            session.execute(text("INSERT INTO wrote (name) VALUES ('first')"))
            threads = [Thread(target=write, args=(name,)) for name in "abc"]
            for thread in threads:
                thread.start()
        for thread in threads:
            thread.join()
        with db.reading() as session:
            names = list(session.scalars(text("SELECT name FROM wrote ORDER BY id")))

    assert names[0] == "first"
    assert sorted(names[1:]) == ["a", "b", "c"]


def test_a_line_that_cannot_be_made_stops_nobody(tmp_path):
    line = Line(tmp_path / "missing" / "line", patience=1)

    assert line.wait(lambda: True, patience=1)


def test_the_place_of_a_process_that_ended_is_free(tmp_path):
    path = tmp_path / "line"
    code = (
        "import fcntl, os, sys\n"
        "fcntl.flock(os.open(sys.argv[1], os.O_RDWR | os.O_CREAT), fcntl.LOCK_EX)\n"
        "print('holds', flush=True)\n"
        "sys.stdin.read()\n"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout.readline() == "holds\n"
    line = Line(path, patience=60)
    assert not line.wait(lambda: True, patience=0)

    holder.kill()
    holder.communicate()

    assert line.wait(lambda: True, patience=60)


@contextmanager
def busy(url):
    """Have another connection write until the block ends."""
    with closing(Database(url)) as other, other.writing() as session:
        session.execute(text("INSERT INTO wrote (name) VALUES ('busy')"))
        yield
