"""The database as the services see it: one place that opens transactions."""

import logging
import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, OperationalError
from sqlalchemy.orm import Session

from patchmgr.db.last_seen import LastSeen
from patchmgr.db.line import Line
from patchmgr.db.locks import Lock, wait_for
from patchmgr.db.turns import Turns
from patchmgr.errors import OverloadedError

READ_ONLY = "patchmgr_read_only"
SOON = "patchmgr_soon"
BACKENDS = ("sqlite", "postgresql")
BUSY_TIMEOUT = 30_000  # ms a writer waits for another to finish
CACHE = -16_384  # KiB of SQLite page cache a connection, negative as the pragma wants it
POOL, OVERFLOW = 8, 32  # connections kept, and more when every thread of a worker asks
ANALYSED = 1_000  # rows of an index that SQLite's ANALYZE looks at
MMAP = 256 * 1024 * 1024  # bytes
PATIENCE = 5  # seconds that what a host sends may wait for its turn to be written
ASK_AGAIN = 15  # seconds after which a host that was told to come later should
WAITING = 24  # of each process: a web worker has more threads, and others want some too
AT_ONCE = 4  # reports that a process writes to PostgreSQL at the same time


class Database:
    """Opens transactions on one database, SQLite or PostgreSQL.

    `reading` gives a session on a snapshot that takes no write lock; `writing` gives one that has
    the write lock from its first statement (SQLite: ``BEGIN IMMEDIATE``; without it concurrent
    read-modify-write loses updates) and commits when the block ends without an error; `trying`
    gives one that never commits.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.engine = _engine(url)
        at_once = 1 if self.is_sqlite else AT_ONCE
        self._turns = Turns(at_once, WAITING, PATIENCE, ASK_AGAIN)
        self._bodies = Turns(at_once, WAITING, PATIENCE, ASK_AGAIN)
        self.last_seen = LastSeen(self.touching, Turns(1, WAITING, PATIENCE, ASK_AGAIN), ASK_AGAIN)

    @property
    def is_sqlite(self) -> bool:
        return self.engine.dialect.name == "sqlite"

    @contextmanager
    def reading(self, *, snapshot: bool = False) -> Iterator[Session]:
        """Yield a session for reads; whatever it changed is rolled back.

        ``snapshot``: all its statements see the same moment, as SQLite's always do.
        """
        options: dict[str, Any] = {READ_ONLY: True}
        if snapshot and not self.is_sqlite:
            options["isolation_level"] = "REPEATABLE READ"
        with (
            self.engine.connect().execution_options(**options) as connection,
            Session(connection, expire_on_commit=False) as session,
        ):
            yield session

    @contextmanager
    def writing(self, *, alone: bool = False) -> Iterator[Session]:
        """Yield a session whose changes are committed together, or not at all.

        ``alone`` is for what brings in inventory or advisories, and for the scan that reads them:
        one at a time. A scan notes how far it has read by highest ids, which says nothing while
        others may still commit lower ones. SQLite has one writer at a time anyway.
        """
        with (
            self.engine.connect() as connection,
            Session(connection, expire_on_commit=False) as session,
            session.begin(),
        ):
            if alone:
                wait_for(session, Lock.BATCH)
            yield session

    def in_turn(self) -> AbstractContextManager[None]:
        """Hold a turn to read and store what a host sends; others wait for it, before they begin.

        Threads of a process share one core's time: to read them all at once would have the one that
        holds the database's lock, and with it everybody, wait for all the others.
        Raises `OverloadedError`.
        """
        return self._bodies.taken()

    @contextmanager
    def reporting(self) -> Iterator[Session]:
        """Yield a session as `writing` does, for what one host sends: many hosts do at once.

        None of them waits long, for each other or for a scan: where it would, it raises
        `OverloadedError`, and nothing was written. In PostgreSQL they are written side by side, and
        none during what is done `alone`.
        """
        with self._turns.taken(), self._impatient() as session:
            wait_for(session, Lock.BATCH, shared=True)
            yield session

    @contextmanager
    def touching(self) -> Iterator[Session]:
        """Yield a session as `reporting` does, for times of last use: also while a scan reads."""
        with self._turns.taken(), self._impatient() as session:
            yield session

    @contextmanager
    def _impatient(self) -> Iterator[Session]:
        """Yield a session that commits, and waits for no lock longer than `PATIENCE`."""
        options: dict[str, Any] = {SOON: True}
        try:
            with (
                self.engine.connect().execution_options(**options) as connection,
                Session(connection, expire_on_commit=False) as session,
                session.begin(),
            ):
                if not self.is_sqlite:
                    session.execute(text(f"SET LOCAL lock_timeout = {PATIENCE * 1000}"))
                yield session
        except OperationalError as error:
            if _is_locked(error):
                raise OverloadedError(ASK_AGAIN) from error
            raise

    @contextmanager
    def trying(self) -> Iterator[Session]:
        """Yield a session as `writing` does, alone, and roll back whatever it changed."""
        with self.engine.connect() as connection, Session(connection) as session:
            wait_for(session, Lock.BATCH)
            yield session
            session.rollback()

    def close(self) -> None:
        self.engine.dispose()


def refresh_statistics(session: Session) -> None:
    """Let the query planner see what a large change made of the tables."""
    if session.get_bind().dialect.name == "sqlite":
        session.execute(text(f"PRAGMA analysis_limit={ANALYSED}"))
    session.execute(text("ANALYZE"))


def _engine(url: str) -> Engine:
    parsed = make_url(url)
    if parsed.get_backend_name() not in BACKENDS:
        raise ArgumentError(f"{parsed.get_backend_name()!r} is not one of {', '.join(BACKENDS)}")
    if parsed.get_backend_name() != "sqlite":
        # What it warns of when a transaction breaks off, the error that follows says.
        logging.getLogger("psycopg").setLevel(logging.ERROR)
        return create_engine(url, pool_pre_ping=True, pool_size=POOL, max_overflow=OVERFLOW)
    if parsed.database and parsed.database != ":memory:":
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(
        url, connect_args={"timeout": BUSY_TIMEOUT / 1000}, pool_size=POOL, max_overflow=OVERFLOW
    )
    line = None
    if parsed.database and parsed.database != ":memory:":
        line = Line(Path(f"{parsed.database}-line"), BUSY_TIMEOUT / 1000)
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", partial(_begin, line))
    return engine


def _prepare(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # transactions are ours to begin, see `_begin`
    for pragma in (
        "journal_mode=WAL",
        "synchronous=NORMAL",
        f"busy_timeout={BUSY_TIMEOUT}",
        "foreign_keys=ON",
        f"cache_size={CACHE}",
        f"mmap_size={MMAP}",
        "temp_store=MEMORY",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin(line: Line | None, connection: Connection) -> None:
    options = connection.get_execution_options()
    if options.get(READ_ONLY, False):
        connection.exec_driver_sql("BEGIN")
        return
    raw: Any = connection.connection.dbapi_connection
    patience = PATIENCE if options.get(SOON, False) else BUSY_TIMEOUT / 1000
    raw.execute("PRAGMA busy_timeout=0")  # how long to wait for the lock is up to the line
    try:
        if line is None or not line.wait(partial(_immediate, raw), patience):
            connection.exec_driver_sql("BEGIN IMMEDIATE")  # fails as SQLAlchemy has it fail
    finally:
        raw.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT}")


def _immediate(raw: Any) -> bool:
    """Return whether a transaction that may write could begin: nobody else writes just now."""
    try:
        raw.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY:
            return False
        raise
    return True


def _is_locked(error: OperationalError) -> bool:
    """Return whether a lock that another holds was waited for in vain."""
    code = getattr(error.orig, "sqlstate", None)  # of PostgreSQL: lock_not_available, deadlock
    return code in ("55P03", "40P01") or "database is locked" in str(error.orig)
