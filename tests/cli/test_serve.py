"""``patchmgr serve`` as a process: it answers, says how to sign in, and ends in order."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from patchmgr.cli import serve
from patchmgr.cli.app import App
from patchmgr.db import models
from patchmgr.services import jobs

PATIENCE = 30  # seconds


def command(home, *arguments, **settings):
    return [sys.executable, "-m", "patchmgr", *arguments], {
        **{name: value for name, value in os.environ.items() if not name.startswith("PATCHMGR_")},
        "PATCHMGR_HOME": str(home),
        "PATCHMGR_DEBIAN_URL": "http://127.0.0.1:9/tracker.json",  # nobody listens there
        **settings,
    }


def run(home, *arguments, **settings):
    line, environ = command(home, *arguments, **settings)
    return subprocess.run(line, env=environ, capture_output=True, text=True, check=False)


@contextmanager
def serving(home, *, half=("serve", "--port", "0"), **settings):
    """Start ``patchmgr serve`` on a free port; yield the process and its address."""
    line, environ = command(home, *half, **settings)
    process = subprocess.Popen(line, env=environ, stdout=subprocess.PIPE, text=True)
    try:
        said = process.stdout.readline()
        found = re.search(r"http://\S+", said)
        yield process, found.group() if found else said
    finally:
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        process.communicate(timeout=PATIENCE)


def answer(address):
    """Return the status of ``address`` once the server answers at all."""
    pause = threading.Event()
    for _ in range(PATIENCE * 10):
        try:
            with urllib.request.urlopen(address, timeout=PATIENCE) as response:
                return response.status
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            pause.wait(0.1)
    raise AssertionError(f"{address} did not answer")


def listens(address):
    port = int(address.rsplit(":", 1)[1])
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def ended(process, number=signal.SIGTERM):
    process.send_signal(number)
    process.communicate(timeout=PATIENCE)
    return process.returncode


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_serves_and_ends_in_order(tmp_path, number):
    with serving(tmp_path) as (process, address):
        assert answer(f"{address}/healthz") == 200
        assert "patchmgr users add" in process.stdout.readline()  # nobody can sign in yet
        assert ended(process, number) == 0

    assert not listens(address)


def test_the_schedule_runs_in_it_and_no_second_one_can(tmp_path):
    with serving(tmp_path) as (_process, address):
        answer(f"{address}/healthz")
        scan = run(tmp_path, "jobs", "run", "scan", "--json")
        second = run(tmp_path, "serve", "--port", "0")
        restore = run(tmp_path, "db", "restore", str(tmp_path / "patchmgr.db"))

    assert scan.returncode == 0, scan.stderr
    assert json.loads(scan.stdout)["state"] == "succeeded"
    assert (second.returncode, second.stderr.count("\n")) == (1, 1)
    assert "already being served" in second.stderr
    assert restore.returncode == 1
    assert "stop it first" in restore.stderr


def test_the_halves_work_apart_on_postgresql(tmp_path, postgresql_url):
    url = {"PATCHMGR_DATABASE_URL": postgresql_url}
    with (
        serving(tmp_path, half=("web", "--port", "0"), **url) as (_web, address),
        serving(tmp_path, half=("scheduler",), **url) as (scheduler, _said),
    ):
        assert answer(f"{address}/healthz") == 200
        scan = run(tmp_path, "jobs", "run", "scan", "--json", **url)
        assert answer(f"{address}/readyz") == 200
        assert ended(scheduler) == 0

    assert json.loads(scan.stdout)["state"] == "succeeded", scan.stderr


def test_a_job_that_is_run_by_hand_finds_what_a_killed_one_left(tmp_path, sqlite_db, now):
    dead = jobs.begin(sqlite_db, "scan", now=now)
    url = {"PATCHMGR_DATABASE_URL": sqlite_db.url}

    outcome = run(tmp_path, "jobs", "run", "propose", **url)

    assert outcome.returncode == 0, outcome.stderr
    with sqlite_db.reading() as session:
        assert session.get(models.JobRun, dead).state == "interrupted"


def test_a_port_in_use_is_one_clear_line(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        outcome = run(tmp_path, "serve", "--port", str(port))

    assert outcome.returncode == 1
    assert outcome.stderr == (
        f"patchmgr: cannot listen on 127.0.0.1 port {port}: Address already in use; "
        "--port takes another one\n"
    )


def test_ends_with_an_error_when_the_web_server_dies(tmp_path):
    with serving(tmp_path) as (process, address):
        answer(f"{address}/healthz")
        (child,) = children(process.pid)
        os.kill(child, signal.SIGKILL)
        process.communicate(timeout=PATIENCE)

    assert process.returncode == 1


def test_the_web_server_does_not_outlive_a_killed_parent(tmp_path):
    with serving(tmp_path) as (process, address):
        answer(f"{address}/healthz")
        assert ended(process, signal.SIGKILL) == -signal.SIGKILL
        pause = threading.Event()
        for _ in range(PATIENCE * 10):
            if not listens(address):
                break
            pause.wait(0.1)
        assert not listens(address)

    with serving(tmp_path) as (_process, again):  # and the next start is clean
        assert answer(f"{again}/healthz") == 200


def children(pid):
    listed = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    return [int(child) for child in listed.split()]


class Recovering:
    """A lock of the schedule on a database that does not answer at first."""

    def __init__(self, stopped):
        self.asked = 0
        self.stopped = stopped

    def acquire(self):
        self.asked += 1
        if self.asked < 3:
            raise OperationalError("BEGIN IMMEDIATE", {}, Exception("database is locked"))
        self.stopped.set()
        return False

    def holds(self):
        return False

    def release(self):
        pass


def test_a_database_that_does_not_answer_at_the_start_is_waited_for_and_said_once(
    tmp_path, sqlite_db, caplog
):
    stopped = threading.Event()
    lock = Recovering(stopped)

    serve._schedule_while_leading(App({"PATCHMGR_HOME": str(tmp_path)}), sqlite_db, lock, stopped)

    assert lock.asked == 3
    (line,) = caplog.messages
    assert "schedule, the database did not answer (database is locked)" in line


def test_a_signal_may_come_while_its_event_is_being_waited_for():
    """The main thread holds the event's lock for a moment of every wait."""
    code = (
        "import os, signal\n"
        "from patchmgr.cli import serve\n"
        "stopped = serve._stop_on_signals()\n"
        "with stopped._cond:\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "    signal.sigtimedwait([], 0.1)\n"
        "print(stopped.wait(10))\n"
    )

    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=PATIENCE
    )

    assert (ended.stdout, ended.stderr) == ("True\n", "")
