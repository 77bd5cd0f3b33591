"""What an adapter is: something that carries orders to hosts, or lets somebody fetch them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Protocol


@dataclass(frozen=True, slots=True)
class Order:
    """A host may begin its part of a plan, or go back, until ``deadline``.

    (plan, host, attempt) names it.
    """

    plan: int
    host: int
    attempt: int
    deadline: datetime
    is_way_back: bool = False


class Adapter(Protocol):
    """Carries orders. Each call may be repeated after a crash: a known order changes nothing."""

    name: ClassVar[str]

    def dispatch(self, orders: Sequence[Order]) -> None:
        """Hand out ``orders``. Raises `PatchmgrError` when that must be tried again."""
        ...

    def recall(self, plan: int, hosts: Sequence[int], why: str) -> None:
        """Take back what has not begun on ``hosts``. Raises as `dispatch`."""
        ...
