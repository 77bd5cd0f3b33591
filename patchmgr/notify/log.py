"""The channel that is always there: the service's own log."""

import logging
from typing import ClassVar

from patchmgr.notify.base import Message

_log = logging.getLogger("patchmgr.notify")
LOUD = frozenset(
    (
        "approval",
        "break_glass",
        "completed_with_failures",
        "expired",
        "group_waits",
        "halted",
        "paused",
        "roll_back_contradicted",
        "roll_back_failed",
        "roll_back_given_up",
        "unreviewed",
    )
)


class Log:
    """Writes messages to the log; what needs somebody is a warning."""

    name: ClassVar[str] = "log"

    def send(self, message: Message) -> None:
        level = logging.WARNING if message.kind in LOUD else logging.INFO
        _log.log(level, "plan %s (%s): %s", message.plan, message.title, message.text)
