"""Values that many requests want at the same time: each is made once, and few are kept."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from threading import Lock
from typing import Generic, TypeVar

Value = TypeVar("Value")


@dataclass(slots=True)
class _Kept(Generic[Value]):
    making: Lock = field(default_factory=Lock)
    value: Value | None = None


class Shared(Generic[Value]):
    """The latest value of each key, for the ``most`` keys that were asked for last.

    Only one thread makes the value of a key; the others that want it wait, and take what it made.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: OrderedDict[Hashable, _Kept[Value]] = OrderedDict()
        self._lock = Lock()

    def get(
        self,
        key: Hashable,
        is_good: Callable[[Value], bool],
        make: Callable[[Value | None], Value],
    ) -> Value:
        """Return the value of ``key`` if it is still good, else what ``make`` makes of it.

        What ``make`` raises goes to who has called; the next one that asks tries again.
        """
        kept = self._of(key)
        with kept.making:
            if kept.value is None or not is_good(kept.value):
                kept.value = make(kept.value)
            return kept.value

    def _of(self, key: Hashable) -> _Kept[Value]:
        with self._lock:
            kept = self._kept.setdefault(key, _Kept())
            self._kept.move_to_end(key)
            if len(self._kept) > self._most:
                self._kept.popitem(last=False)
            return kept
