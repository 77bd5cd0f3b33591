"""Turns to write, within one process: few at a time, in the order they came, and no long wait."""

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from patchmgr.errors import OverloadedError


class Turns:
    """Lets ``at_once`` threads through; up to ``waiting`` others wait, ``patience`` seconds each.

    Who waits longest is next: a turn that ends is handed over, and nobody who comes just then gets
    it instead. Who would wait longer, or finds the queue full, is refused with `OverloadedError`,
    which names ``ask_again``: an honest answer at once is better than a thread that hangs.
    """

    def __init__(self, at_once: int, waiting: int, patience: float, ask_again: int) -> None:
        self._free = at_once
        self._most = waiting
        self._patience = patience
        self._ask_again = ask_again
        self._guard = threading.Lock()
        self._line: deque[threading.Event] = deque()  # nobody stands in it while a turn is free

    @property
    def waiting(self) -> int:
        """How many wait for a turn."""
        return len(self._line)

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Hold a turn for the block. Raises `OverloadedError`."""
        self._take()
        try:
            yield
        finally:
            self._hand_over()

    def _take(self) -> None:
        with self._guard:
            if self._free:
                self._free -= 1
                return
            if len(self._line) >= self._most:
                raise OverloadedError(self._ask_again)
            mine = threading.Event()
            self._line.append(mine)
        if mine.wait(self._patience):
            return
        with self._guard:
            if not mine.is_set():  # it was not handed over in this very moment
                self._line.remove(mine)
                raise OverloadedError(self._ask_again)

    def _hand_over(self) -> None:
        with self._guard:
            if self._line:
                self._line.popleft().set()
            else:
                self._free += 1
