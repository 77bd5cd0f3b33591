"""Where the processes on one SQLite database stand in line to write.

SQLite lets one write at a time, and whoever waits asks again and again, more and more seldom: who
has just written is the first to ask, and others may wait for seconds while it writes a hundred
times. So only one at a time asks, closely; the others wait for its place, which the one that
writes has given up before and has to wait for as well.
"""

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from patchmgr.db.turns import Turns
from patchmgr.errors import OverloadedError

ALL = 1_000_000  # threads of a process that may wait here; others limit how many come
CLOSE, SELDOM = 0.001, 0.02  # seconds between two tries, at first and after a while
GROWING = 20  # times that pause has been waited when it begins to grow


class Line:
    """A line on the file ``path``. The kernel gives up the place of a process that ends."""

    def __init__(self, path: Path, patience: float) -> None:
        self._path = path
        self._threads = Turns(1, ALL, patience, 0)

    def wait(self, begin: Callable[[], bool], patience: float) -> bool:
        """Call ``begin`` until it returns True, which is returned; False after ``patience``."""
        ends = time.monotonic() + patience
        try:
            with self._threads.taken(), self._first(ends) as is_first:
                return is_first and _tried(begin, ends)
        except OverloadedError:
            return False

    @contextmanager
    def _first(self, ends: float) -> Iterator[bool]:
        """Hold the first place of all processes for the block; yield whether it came to that."""
        try:
            file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError:  # another user's: then they ask at the same time, which is only less fair
            yield True
            return
        try:
            yield _tried(lambda: _locked(file), ends)
        finally:
            os.close(file)


def _locked(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _tried(attempt: Callable[[], bool], ends: float) -> bool:
    """Return whether ``attempt`` succeeded before ``ends``; it is made at least once."""
    began = time.monotonic()
    while not attempt():
        now = time.monotonic()
        if now >= ends:
            return False
        time.sleep(min(SELDOM, max(CLOSE, (now - began) / GROWING)))
    return True
