"""``patchmgr db``: backups that are whole, restores that cannot lose anything."""

import sqlite3
import sys
from contextlib import closing
from itertools import count
from pathlib import Path

import pytest
from click.testing import CliRunner

from patchmgr.cli import main
from patchmgr.cli.app import App
from patchmgr.db import models
from patchmgr.db.session import Database
from patchmgr.jobs import leader

sys.path.insert(0, str(Path(__file__).parents[1] / "bench"))
from dying import FILES, in_a_process


@pytest.fixture
def home(tmp_path):
    return tmp_path / "home"


@pytest.fixture
def call(home):
    """Call the command in ``home``; return exit code, stdout and stderr."""

    def call(*arguments, **environ):
        app = App({"PATCHMGR_HOME": str(home), **environ})
        result = CliRunner().invoke(main, arguments, obj=app, catch_exceptions=False)
        return result.exit_code, result.stdout, result.stderr

    return call


def database(home):
    return Database(f"sqlite:///{home / 'patchmgr.db'}")


def attempt(home, subject, now):
    db = database(home)
    with db.writing() as session:
        session.add(models.LoginAttempt(subject=subject, at=now))
    db.close()


def attempts(home):
    db = database(home)
    with db.reading() as session:
        found = sorted(row.subject for row in session.query(models.LoginAttempt))
    db.close()
    return found


def test_upgrading_twice_does_nothing_the_second_time(call):
    first, second = call("db", "upgrade"), call("db", "upgrade")

    assert first[0] == second[0] == 0
    assert "nothing to do" not in first[1]
    assert "nothing to do" in second[1]


def test_a_new_database_is_sound(call):
    call("db", "upgrade")

    assert call("db", "check") == (
        0,
        "the database is sound: schema, data, counts, audit log\n",
        "",
    )


def test_a_column_too_many_is_noticed(call, home):
    call("db", "upgrade")
    with closing(sqlite3.connect(home / "patchmgr.db")) as connection:
        connection.execute("ALTER TABLE task ADD COLUMN surprise TEXT")

    code, _out, error = call("db", "check")

    assert code == 1
    assert "surprise" in error


def test_a_backup_brings_back_what_was_there(call, home, tmp_path, now):
    call("db", "upgrade")
    attempt(home, "before", now)
    assert call("db", "backup", str(tmp_path / "backup.db"))[0] == 0
    attempt(home, "after", now)

    code, said, _error = call("db", "restore", str(tmp_path / "backup.db"))

    assert code == 0
    assert "before-restore" in said
    assert attempts(home) == ["before"]
    assert call("db", "check")[0] == 0
    kept = Database(f"sqlite:///{home / 'patchmgr.db.before-restore'}")
    with kept.reading() as session:
        assert session.query(models.LoginAttempt).count() == 2
    kept.close()


def test_a_restore_that_is_killed_leaves_the_one_database_or_the_other(call, home, tmp_path, now):
    call("db", "upgrade")
    attempt(home, "before", now)
    call("db", "backup", str(tmp_path / "backup.db"))
    attempt(home, "after", now)
    there = [["after", "before"]]

    def restore():
        call("db", "restore", str(tmp_path / "backup.db"))

    for change in count():
        if not in_a_process(restore, at=change, of=(FILES,)).killed:
            break
        there.append(attempts(home))

    assert there[:-1] == sorted(there[:-1])  # there is one all the time, and it changes once
    assert attempts(home) == ["before"]
    assert not list(home.glob("*.part*"))


def test_a_backup_never_overwrites(call, home, tmp_path):
    call("db", "upgrade")
    (tmp_path / "backup.db").write_text("precious")

    code, _out, error = call("db", "backup", str(tmp_path / "backup.db"))

    assert (code, error.count("\n")) == (1, 1)
    assert (tmp_path / "backup.db").read_text() == "precious"


@pytest.mark.parametrize("kind", ["text", "empty", "foreign", "truncated", "newer"])
def test_what_is_no_backup_is_refused_and_nothing_changes(call, home, tmp_path, now, kind):
    call("db", "upgrade")
    attempt(home, "precious", now)
    file = tmp_path / "backup.db"
    make_bad(kind, file, call)

    code, _out, error = call("db", "restore", str(file))

    assert code == 2, error
    assert error.count("\n") == 1
    assert attempts(home) == ["precious"]
    assert sorted(path.name for path in home.iterdir() if path.suffix == ".part") == []


def make_bad(kind, file, call):
    if kind == "text":
        file.write_text("hostname,version\n" * 100)
    elif kind == "empty":
        file.write_bytes(b"")
    elif kind == "foreign":
        with closing(sqlite3.connect(file)) as connection:
            connection.execute("CREATE TABLE something (else_ TEXT)")
    else:
        call("db", "backup", str(file))
        if kind == "truncated":
            file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
        else:
            with closing(sqlite3.connect(file)) as connection, connection:
                connection.execute("UPDATE alembic_version SET version_num = '9999'")


def test_nothing_is_restored_while_somebody_serves(call, home, tmp_path):
    call("db", "upgrade")
    call("db", "backup", str(tmp_path / "backup.db"))
    db = database(home)
    for lock in (leader.scheduler_lock(db), leader.web_lock(db)):
        assert lock.acquire()
        code, _out, error = call("db", "restore", str(tmp_path / "backup.db"))
        lock.release()
        assert (code, "stop it first" in error) == (1, True)
    db.close()


def test_postgresql_is_left_to_its_own_tools(call, tmp_path):
    url = "postgresql+psycopg://nobody@127.0.0.1:9/none"

    for action in ("backup", "restore"):
        file = tmp_path / "backup.db"
        if action == "restore":
            file.touch()
        code, _out, error = call("db", action, str(file), PATCHMGR_DATABASE_URL=url)
        assert (code, "pg_dump" in error) == (1, True)


def test_a_database_of_another_schema_is_refused_with_the_remedy(call, home):
    call("db", "upgrade")
    with closing(sqlite3.connect(home / "patchmgr.db")) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '0001'")

    code, _out, error = call("jobs", "history")

    assert code == 1
    assert "patchmgr db upgrade" in error
