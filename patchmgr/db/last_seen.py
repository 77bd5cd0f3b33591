"""When hosts were seen last: many of these writes at once, in one transaction.

A fleet's reports are mostly unchanged, and each of those is one time stamp. SQLite has one writer,
so a commit each would have them wait for one another; whoever has the turn to write writes for all
that came meanwhile, and nobody is answered before the commit.
"""

import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from patchmgr.db import models
from patchmgr.db.bulk import in_lists
from patchmgr.db.turns import Turns
from patchmgr.errors import OverloadedError


@dataclass(slots=True)
class _Batch:
    times: dict[int, datetime] = field(default_factory=dict)  # by host
    written: set[int] = field(default_factory=set)
    is_over: bool = False


class LastSeen:
    """Writes when hosts were seen, through transactions of ``touching``."""

    def __init__(
        self,
        touching: Callable[[], AbstractContextManager[Session]],
        turns: Turns,
        ask_again: int,
    ) -> None:
        self._touching = touching
        self._turns = turns
        self._ask_again = ask_again
        self._guard = threading.Lock()
        self._open = _Batch()

    def note(self, host_id: int, at: datetime) -> None:
        """Return when it is stored that a host was seen. Raises `OverloadedError` if it is not."""
        with self._guard:
            batch = self._open
            batch.times[host_id] = at
        with self._turns.taken():
            if not batch.is_over:  # nobody else has the turn, so this is the open one
                self._write(batch)
        if host_id not in batch.written:
            raise OverloadedError(self._ask_again)

    def _write(self, batch: _Batch) -> None:
        with self._guard:
            self._open = _Batch()
        try:
            with self._touching() as session:
                written = store(session, batch.times)
            batch.written = written
        finally:
            batch.is_over = True


def store(session: Session, times: Mapping[int, datetime]) -> set[int]:
    """Store when hosts were seen; return those of which it could be stored.

    A host that another transaction writes just now is left out and not waited for: so these writes
    cannot deadlock with a scan, which writes hosts in an order of its own.
    """
    host = models.Host
    written: set[int] = set()
    for part in in_lists(sorted(times)):
        free = session.scalars(
            select(host.id)
            .where(host.id.in_(part))
            .with_for_update(skip_locked=True, key_share=True)
        ).all()
        if free:  # they came within seconds of each other: one time for all
            session.execute(
                update(host)
                .where(host.id.in_(free))
                .values(reported_at=max(times[host_id] for host_id in part))
                .execution_options(synchronize_session=False)
            )
            written |= set(free)
    return written
