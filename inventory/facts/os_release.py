"""Which system a host runs: ``/etc/os-release`` (os-release(5))."""

import re
import shlex

from inventory.facts import UnreadableError, lines_of
from patchmgr.domain.packages import platform

_WORD = re.compile(r"[A-Za-z0-9._+~-]{0,64}", re.ASCII)


def read(text: str) -> str:
    """Return ``ID:VERSION_ID``, the second "rolling" where there is none."""
    said = {}
    for number, line in lines_of(text):
        name, equals, value = line.strip().partition("=")
        if not equals or name.startswith("#"):
            continue
        if name in ("ID", "VERSION_ID"):
            try:
                said[name] = "".join(shlex.split(value, posix=True))
            except ValueError as error:
                raise UnreadableError(number, line, "is not a value of os-release") from error
            if not _WORD.fullmatch(said[name]):
                raise UnreadableError(number, line, "is not a value of os-release")
    if not said.get("ID"):
        raise UnreadableError(0, "", "has no ID: is not an os-release")
    return platform(said["ID"].lower(), said.get("VERSION_ID", ""))
