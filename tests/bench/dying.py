"""Do something in a process of its own that is killed at a chosen point, or at a chosen time.

Points are what a crash can come between: statements and commits; files and folders made, opened for
writing, renamed or removed. Nothing in the program knows of it.
"""

import os
import signal
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Collection
from dataclasses import dataclass

from sqlalchemy import Engine, event

COMMIT = -1  # the point before the first commit
STATEMENTS, FILES = "statements", "files"
CHANGES = {"os.rename", "os.remove", "os.link", "os.mkdir", "os.rmdir", "os.truncate"}


@dataclass(frozen=True)
class Outcome:
    """How it ended: killed or with an exit code, what it printed, and the points it came by."""

    killed: bool
    code: int
    said: str
    points: int


def in_a_process(
    work: Callable[[], object],
    *,
    at: int | None = None,
    after: float | None = None,
    of: Collection[str] = (STATEMENTS, FILES),
) -> Outcome:
    """Do ``work`` in a child that SIGKILL ends before its point ``at``, or ``after`` seconds.

    Points are counted from 0; ``of`` says which kinds count.
    """
    with tempfile.TemporaryFile("w+") as said, tempfile.TemporaryFile("w+b") as counted:
        process = os.fork()
        if process == 0:
            sys.stdout = sys.stderr = os.fdopen(os.dup(said.fileno()), "w", buffering=1)
            os._exit(_child(work, at, after, of, counted.fileno()))
        _, status = os.waitpid(process, 0)
        said.seek(0)
        points = os.pread(counted.fileno(), 20, 0)
        return Outcome(
            os.WIFSIGNALED(status), os.waitstatus_to_exitcode(status), said.read(), int(points or 0)
        )


def _child(
    work: Callable[[], object],
    at: int | None,
    after: float | None,
    of: Collection[str],
    counted: int,
) -> int:
    points = _Points(at, counted)
    if STATEMENTS in of:
        event.listen(Engine, "before_cursor_execute", points.pass_one)
        event.listen(Engine, "commit", points.pass_commit)
    if FILES in of:
        sys.addaudithook(points.pass_change)
    if after is not None:
        threading.Timer(after, _die).start()
    try:
        work()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001 -- whatever it was, the parent is told
        traceback.print_exc()
        return 70
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return 0


class _Points:
    """Counts the points that a process comes by, and ends it at one of them."""

    def __init__(self, at: int | None, counted: int) -> None:
        self._at, self._counted, self._seen = at, counted, 0

    def pass_one(self, *_anything: object) -> None:
        self._seen += 1
        if self._at is None:
            os.pwrite(self._counted, b"%d" % self._seen, 0)
        elif 0 <= self._at < self._seen:
            _die()

    def pass_commit(self, *_anything: object) -> None:
        if self._at == COMMIT:
            _die()
        self.pass_one()

    def pass_change(self, name: str, arguments: tuple[object, ...]) -> None:
        writes = name == "open" and isinstance(arguments[2], int) and arguments[2] & os.O_ACCMODE
        if name in CHANGES or writes:
            self.pass_one()


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
