"""Turns to write, within one process: few at a time, a bounded queue, and no long wait."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from patchmgr.errors import OverloadedError


class Turns:
    """Lets ``at_once`` threads through; up to ``waiting`` others wait, ``patience`` seconds each.

    Who would wait longer, or finds the queue full, is refused with `OverloadedError`, which names
    ``ask_again``: an honest answer at once is better than a thread that hangs.
    """

    def __init__(self, at_once: int, waiting: int, patience: float, ask_again: int) -> None:
        self._free = threading.Semaphore(at_once)
        self._queue = threading.Semaphore(at_once + waiting)
        self._patience = patience
        self._ask_again = ask_again

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Hold a turn for the block. Raises `OverloadedError`."""
        if not self._queue.acquire(blocking=False):
            raise OverloadedError(self._ask_again)
        try:
            if not self._free.acquire(timeout=self._patience):
                raise OverloadedError(self._ask_again)
            try:
                yield
            finally:
                self._free.release()
        finally:
            self._queue.release()
