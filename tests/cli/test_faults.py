"""The command where nothing is as it should be: one line, an exit code, and never a traceback."""

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

HOSTS = "hostname,os_id,os_release,owner\nweb-1,debian,12,Jörg 😀\n"


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    folder = tmp_path_factory.mktemp("home")
    file = folder / "hosts.csv"
    file.write_text(HOSTS)
    assert run(folder, "hosts", "import", file)[0] == 0
    return folder


def run(home, *words, stdout=subprocess.PIPE, **environ):
    """Call the command as a shell does; return exit code, stdout and stderr."""
    command = [sys.executable, "-m", "patchmgr", *map(str, words)]
    env = {**os.environ, "PATCHMGR_HOME": str(home), **environ}
    done = subprocess.run(command, stdout=stdout, stderr=subprocess.PIPE, env=env, check=False)
    assert b"Traceback" not in done.stderr, done.stderr.decode()
    return done.returncode, done.stdout, done.stderr.decode()


def test_an_output_that_is_full_is_said(home):
    with Path("/dev/full").open("wb") as full:
        code, _, error = run(home, "hosts", "list", stdout=full)

    assert (code, error) == (75, "patchmgr: the output: No space left on device\n")


def test_an_output_that_nobody_reads_is_no_error(home):
    reading, writing = os.pipe()
    os.close(reading)
    code, _, error = run(home, "hosts", "list", stdout=writing)
    os.close(writing)

    assert (code, error) == (0, "")


def test_no_output_at_all_is_no_error(home):
    words = f"{sys.executable} -m patchmgr hosts list >&-"
    env = {**os.environ, "PATCHMGR_HOME": str(home)}
    done = subprocess.run(["sh", "-c", words], env=env, capture_output=True, check=False)

    assert (done.returncode, done.stderr) == (0, b"")


def test_names_that_the_output_has_no_signs_for_are_escaped(home):
    code, out, _ = run(home, "hosts", "list", PYTHONIOENCODING="latin-1:strict")
    assert (code, b"web-1" in out) == (0, True)

    code, out, _ = run(home, "hosts", "show", "web-1", "--json", PYTHONIOENCODING="latin-1:strict")
    assert code == 0
    assert json.loads(out.decode("latin-1"))["owner"] == "Jörg 😀"


@pytest.mark.parametrize(
    ("words", "environ", "code", "said"),
    [
        (["db", "upgrade"], {"PATCHMGR_DATABASE_URL": "postgresql://[::1/x"}, 2, "DATABASE_URL: "),
        (["db", "upgrade"], {"PATCHMGR_DATABASE_URL": "postgresql+no://x/y"}, 2, "DATABASE_URL: "),
        (["db", "check"], {"PATCHMGR_DATABASE_URL": "sqlite:////proc/x/y"}, 2, "DATABASE_URL: "),
        (["db", "upgrade"], {"PATCHMGR_DATABASE_URL": "sqlite:////proc/x/y"}, 2, "DATABASE_URL: "),
        (["hosts", "list"], {"PATCHMGR_SCAN_MINUTES": "9" * 5000}, 2, "is more than"),
        (["hosts", "list"], {"PATCHMGR_SCAN_MINUTES": "0"}, 2, "is not a whole number above zero"),
        (["db", "backup", "x" * 3000], {}, 2, "File name too long"),
        (["calendar", "--from", "9999-12-31"], {}, 2, "not all in the calendar"),
        (["calendar", "--from", "0001-01-01", "--zone", "Asia/Tokyo"], {}, 2, "not all in the"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(home, words, environ, code, said):
    done, _, error = run(home, *words, **environ)

    assert done == code
    assert said in error
    assert error.startswith("patchmgr: ")
    assert error.count("\n") == 1


def test_a_database_of_a_later_program_is_left_as_it_is(tmp_path):
    assert run(tmp_path, "db", "upgrade")[0] == 0
    with closing(sqlite3.connect(tmp_path / "patchmgr.db")) as database, database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")

    for words in (["db", "upgrade"], ["hosts", "list"]):
        code, _, error = run(tmp_path, *words)
        assert code == 1
        assert "install the patchmgr that wrote it" in error
