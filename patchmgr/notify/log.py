"""The channel that is always there: the service's own log."""

import logging
from typing import ClassVar

from patchmgr.notify.base import Message

_log = logging.getLogger("patchmgr.notify")
_LOUD = ("halted", "expired", "completed_with_failures")


class Log:
    """Writes messages to the log; what needs somebody is a warning."""

    name: ClassVar[str] = "log"

    def send(self, message: Message) -> None:
        level = logging.WARNING if message.kind in _LOUD else logging.INFO
        _log.log(level, "plan %s (%s): %s", message.plan, message.title, message.text)
