"""How long a ring waits for a window, its approval or a place for its last hosts.

What may not happen is not late: time in freezes does not count. But a freeze that never ends, or
one that comes whenever a window opens, must not keep a ring waiting in silence, so no more than
`FROZEN_TIMES` its patience is forgiven.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from patchmgr.domain.rollout.events import Tick
from patchmgr.domain.rollout.model import Ring
from patchmgr.domain.rollout.states import WAITING_RINGS

FROZEN_TIMES = 2  # a ring waits at most three times as long as it says

Spans = Iterable[tuple[datetime, datetime]]


def is_over(ring: Ring, tick: Tick) -> bool:
    """Return whether the ring has waited too long at ``tick``."""
    until = waits_until(ring, tick.frozen_times, tick.at)
    return until is not None and tick.at >= until


def waits_since(ring: Ring) -> datetime | None:
    """Return since when a ring has waited without any progress; None when it does not."""
    if ring.deadline is None:
        return None
    begun = ring.deadline - ring.settings.wait
    # One that waits for its approval has another patience, and the whole of it from its turn on.
    return max(begun, ring.since) if ring.since and ring.state in WAITING_RINGS else begun


def waits_until(ring: Ring, frozen: Spans, at: datetime) -> datetime | None:
    """Return when the ring's patience ends if no other freeze comes after ``at``.

    ``frozen`` are the times up to ``at`` in which a freeze held, none of them twice.
    """
    since = waits_since(ring)
    if since is None or ring.deadline is None:
        return None
    held = (min(end, at) - max(start, since) for start, end in frozen)
    forgiven = sum((one for one in held if one > timedelta(0)), timedelta(0))
    return ring.deadline + min(forgiven, FROZEN_TIMES * ring.settings.wait)
