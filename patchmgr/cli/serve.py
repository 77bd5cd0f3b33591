"""``patchmgr serve``, and its halves ``web`` and ``scheduler``.

`serve` is the scheduler with the web server as its child process: jobs never run in a web worker,
and the end of one is the end of both.
"""

import ctypes
import gc
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
from datetime import datetime
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import click

from patchmgr.cli.app import App, pass_app
from patchmgr.db import migrate
from patchmgr.db.session import Database
from patchmgr.errors import ConflictError, InputError
from patchmgr.jobs import leader
from patchmgr.jobs.waiting import Waiting

log = logging.getLogger("patchmgr")

THREADS = 32  # of each web worker: a slow page must not keep the others waiting
WORKERS = min(2, os.cpu_count() or 1)
BACKLOG = 128
REQUEST_TIMEOUT = 120  # seconds without a sign of life before a web worker is replaced
LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
GRACE = 10.0  # seconds that pages and jobs under way have to end
DEMO_PASSWORD = "demo-password"  # noqa: S105 -- the name of a file that `patchmgr demo` writes

_host = click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
_port = click.option(
    "--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="0: a free one."
)


@click.command()
@_host
@_port
@pass_app
def serve(app: App, host: str, port: int) -> None:
    """Serve pages and API, and run the schedule, in one service."""
    db = _ready(app)
    lock = leader.scheduler_lock(db)
    if db.is_sqlite and not lock.acquire():
        raise ConflictError(f"{app.settings.home} is already being served by another patchmgr")
    listening = _listen(host, port)
    stopped = _stop_on_signals()
    web_server = _start_web(listening)
    _greet(app, db, listening)
    listening.close()
    scheduler = threading.Thread(
        target=_schedule_while_leading, args=(app, db, lock, stopped), name="leader", daemon=True
    )
    scheduler.start()
    died = _wait(web_server, stopped)
    stopped.set()
    _end(web_server)
    scheduler.join(GRACE)
    lock.release()
    if died:
        click.echo(f"patchmgr: the web server ended by itself (code {web_server.poll()})", err=True)
    _leave(1 if died else 0)


@click.command()
@_host
@_port
@click.option("--fd", type=int, hidden=True, help="A socket that `serve` listens on already.")
@pass_app
def web(app: App, host: str, port: int, fd: int | None) -> None:
    """Serve pages and API only; a scheduler must run elsewhere."""
    db = _ready(app)
    if fd is None:
        listening = _listen(host, port)
        fd = listening.fileno()
        _greet(app, db, listening)
    else:
        _end_with_parent()
    lock = leader.web_lock(db)
    if lock is not None and not lock.acquire():
        raise ConflictError("the database is being restored; start again when that is done")
    db.close()
    _gunicorn(app, fd)


@click.command()
@pass_app
def scheduler(app: App) -> None:
    """Run the schedule only; of several, one leads at a time."""
    db = _ready(app)
    lock = leader.scheduler_lock(db)
    if db.is_sqlite and not lock.acquire():
        raise ConflictError(f"another patchmgr already runs the schedule of {app.settings.home}")
    stopped = _stop_on_signals()
    click.echo("patchmgr runs the schedule; stop it with Ctrl-C")
    _schedule_while_leading(app, db, lock, stopped)
    lock.release()
    _leave(0)


def _ready(app: App) -> Database:
    """Return the database at the current schema; an embedded one is brought there."""
    logging.basicConfig(level=logging.WARNING, format=LOG_FORMAT)
    db = app.unchecked_db()
    if db.is_sqlite and not migrate.state(db).is_current:
        migrate.upgrade(db)
    db.close()
    return app.db


def _listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens. Raises `ConflictError`, `InputError`."""
    try:
        family, kind, protocol, _name, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except socket.gaierror as error:
        raise InputError({"--host": f"{host}: {error.strerror}"}) from error
    listening = socket.socket(family, kind, protocol)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind(address)
    except OSError as error:
        reason = f"cannot listen on {host} port {port}: {error.strerror}; --port takes another one"
        raise ConflictError(reason) from error
    listening.listen(BACKLOG)
    listening.set_inheritable(True)
    return listening


def _address(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _greet(app: App, db: Database, listening: socket.socket) -> None:
    """Say where the console is and how to sign in."""
    from patchmgr.db.queries import accounts

    click.echo(f"patchmgr is at {_address(listening)}")
    password = app.settings.home / DEMO_PASSWORD
    with db.reading() as session:
        nobody = not accounts.has_users(session)
    if nobody:
        click.echo("nobody can sign in yet: patchmgr users add NAME --role admin")
    elif password.exists():
        click.echo("sign in as admin, operator, approver or viewer; each has the demo password:")
        click.echo(f"  {password.read_text(encoding='utf-8').strip()}   (kept in {password})")
    click.echo("stop it with Ctrl-C")


def _start_web(listening: socket.socket) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "patchmgr", "web", "--fd", str(listening.fileno())]
    return subprocess.Popen(  # noqa: S603 -- this program itself
        command,
        pass_fds=[listening.fileno()],
        start_new_session=True,  # Ctrl-C reaches the parent alone, which ends the child in order
    )


def _end_with_parent() -> None:
    """Have the kernel end this process when `serve` dies, however that dies (prctl(2))."""
    set_pdeathsig = 1
    ctypes.CDLL(None).prctl(set_pdeathsig, signal.SIGTERM)


def _gunicorn(app: App, fd: int) -> None:
    from gunicorn.app.base import BaseApplication

    class Server(BaseApplication):  # type: ignore[misc] # gunicorn is untyped
        def load_config(self) -> None:
            for name, value in _gunicorn_settings(fd).items():
                self.cfg.set(name, value)

        def load(self) -> Any:
            from web.app import create_app

            # Built in each worker after the fork: a database connection must not cross one.
            made = create_app(
                db=app.unchecked_db(),
                settings=app.settings,
                clock=lambda: app.now,
            )
            # What is here by now stays: no collection has to look through it, which takes longer
            # than most pages.
            gc.collect()
            gc.freeze()
            return made

    Server().run()


def _gunicorn_settings(fd: int) -> dict[str, object]:
    memory = Path("/dev/shm")  # noqa: S108 -- where Linux keeps files in memory; gunicorn makes its own names
    return {
        "bind": f"fd://{fd}",
        "worker_class": "gthread",
        "workers": WORKERS,
        "threads": THREADS,
        "timeout": REQUEST_TIMEOUT,
        "graceful_timeout": int(GRACE),
        "keepalive": 5,
        "loglevel": "warning",
        "control_socket_disable": True,
        "worker_tmp_dir": str(memory) if memory.is_dir() else None,
        "proc_name": "patchmgr-web",
    }


def _schedule_while_leading(
    app: App, db: Database, lock: leader.Lock, stopped: threading.Event
) -> None:
    """Run the schedule whenever this process leads, until ``stopped``.

    A database that does not answer when it is to start is waited for, and said once.
    """
    from sqlalchemy.exc import OperationalError

    from patchmgr.jobs.runner import reason

    waiting = Waiting()
    while not stopped.is_set():
        try:
            if lock.acquire():
                _lead(app, db, lock, stopped, waiting)
        except OperationalError as error:
            if line := waiting.kept("schedule", app.now, reason(error)):
                log.warning(line)
        stopped.wait(1)


def _lead(
    app: App, db: Database, lock: leader.Lock, stopped: threading.Event, waiting: Waiting
) -> None:
    from inventory import import_work
    from patchmgr.cli.scheduled import scheduled  # brings every service with it
    from patchmgr.jobs.schedule import Schedule

    def clock() -> datetime:
        return app.now

    schedule = Schedule(db, clock, lambda: scheduled(db, app.settings, clock), lock.holds)
    import_work.resume(db, app.now)
    schedule.start()
    if line := waiting.went("schedule", app.now):
        log.warning(line)
    while lock.holds() and not stopped.wait(1):
        pass
    schedule.stop()
    pause = threading.Event()
    for _ in range(int(GRACE * 10)):
        if not schedule.busy:
            return
        pause.wait(0.1)


def _stop_on_signals() -> threading.Event:
    """Return what a signal to end sets.

    Another thread sets it: a handler runs in the midst of whatever the main thread does, which may
    just then hold the event's own lock, and would wait for it for ever.
    """
    stopped = threading.Event()
    told = SimpleQueue[None]()  # the one whose `put` may interrupt another

    def tell() -> None:
        told.get()
        stopped.set()

    threading.Thread(target=tell, name="signals", daemon=True).start()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: told.put(None))
    return stopped


def _wait(child: "subprocess.Popen[bytes]", stopped: threading.Event) -> bool:
    """Wait for a signal or the child's end; return whether the child ended by itself."""
    while not stopped.wait(0.2):
        if child.poll() is not None:
            return True
    return False


def _end(child: "subprocess.Popen[bytes]") -> None:
    if child.poll() is None:
        child.terminate()
    try:
        child.wait(GRACE + 5)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def _leave(code: int) -> None:
    """End now, even if a job is still under way: each is one transaction, whole or not at all."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
