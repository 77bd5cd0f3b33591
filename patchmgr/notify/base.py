"""What a channel is: something that brings a message to people."""

from dataclasses import dataclass
from typing import ClassVar, Protocol


@dataclass(frozen=True, slots=True)
class Message:
    """What people must hear of. ``id`` is the same when it has to be sent again."""

    id: int
    kind: str  # those of docs/rollouts.md, "Messages"
    plan: int | None
    title: str  # of the plan
    text: str


class Channel(Protocol):
    """Brings messages to people. Sending one again must do no harm."""

    name: ClassVar[str]

    def send(self, message: Message) -> None:
        """Send ``message``. Raises `PatchmgrError` when that must be tried again."""
        ...
