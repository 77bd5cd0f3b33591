"""One scheduler leads at a time: a lock that ends with the process that holds it."""

import contextlib
import fcntl
import os
from pathlib import Path
from typing import Protocol

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from patchmgr.db.session import Database

_LOCK = 0x736368656475  # any constant: PostgreSQL's advisory lock of the leading scheduler


class Lock(Protocol):
    """Something that one process at a time can hold."""

    def acquire(self) -> bool:
        """Return whether the lock is ours now; does not wait."""
        ...

    def holds(self) -> bool:
        """Return whether it is still ours."""
        ...

    def release(self) -> None: ...


class FileLock:
    """A lock on a file. The kernel releases it when the process ends, however it ends."""

    def __init__(self, path: Path, *, shared: bool = False) -> None:
        self._path = path
        self._kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        self._file: int | None = None

    def acquire(self) -> bool:
        if self._file is not None:
            return True
        file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, self._kind | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            return False
        self._file = file
        return True

    def holds(self) -> bool:
        return self._file is not None

    def release(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None


class PostgresqlLock:
    """An advisory lock on a connection of its own; it is gone when that connection is.

    Does not work through a pooler in transaction mode, which shares connections.
    """

    def __init__(self, db: Database) -> None:
        self._db = db
        self._connection: Connection | None = None

    def acquire(self) -> bool:
        if self.holds():
            return True
        try:
            connection = self._db.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
            if connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": _LOCK}):
                self._connection = connection
                return True
        except DBAPIError:
            return False  # the server is away: nobody leads until it is back
        connection.close()
        return False

    def holds(self) -> bool:
        if self._connection is None:
            return False
        try:
            self._connection.execute(text("SELECT 1"))
        except DBAPIError:
            self.release()
            return False
        return True

    def release(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(DBAPIError):
                self._connection.invalidate()  # closes it for good: a pool would keep the lock
                self._connection.close()
            self._connection = None


def scheduler_lock(db: Database) -> Lock:
    """Return the lock of the scheduler that leads on ``db``."""
    if db.is_sqlite:
        return FileLock(_beside(db, "scheduler"))
    return PostgresqlLock(db)


def web_lock(db: Database, *, shared: bool = True) -> FileLock | None:
    """Return the lock that each web process on an embedded database shares; None on PostgreSQL.

    Who gets it alone (``shared=False``) knows that no page is being served.
    """
    return FileLock(_beside(db, "web"), shared=shared) if db.is_sqlite else None


def _beside(db: Database, what: str) -> Path:
    return Path(f"{db.engine.url.database}.{what}-lock")
