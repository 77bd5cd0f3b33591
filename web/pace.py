"""How often one client may ask, within one process: a bucket that fills with time."""

import threading
from collections import OrderedDict

from patchmgr.errors import TooOftenError

MOST_CLIENTS = 200_000  # remembered; who has been away longest is forgotten first


class Pace:
    """Lets each client through ``burst`` times at once, and ``per_minute`` in the long run."""

    def __init__(self, per_minute: int, burst: int) -> None:
        self._per_second = per_minute / 60
        self._burst = burst
        self._clients: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, client: str, at: float) -> None:
        """Count a call at ``at``, in seconds. Raises `TooOftenError`."""
        with self._lock:
            left, since = self._clients.pop(client, (float(self._burst), at))
            left = min(self._burst, left + max(0.0, at - since) * self._per_second)
            allowed = left >= 1
            self._clients[client] = (left - 1 if allowed else left, at)
            if len(self._clients) > MOST_CLIENTS:
                self._clients.popitem(last=False)
        if not allowed:
            raise TooOftenError(int((1 - left) / self._per_second) + 1)
