"""What needrestart says after library updates: ``needrestart -b``.

Source: needrestart's ``README.batch.md``. KSTA: 0 unknown, 1 nothing pending, 2 an ABI compatible
kernel is pending, 3 another kernel version is.
"""

import re
from dataclasses import dataclass

from inventory.facts import FEW, UnreadableError, lines_of
from patchmgr.domain.facts import Reboot

_LINE = re.compile(r"NEEDRESTART-([A-Z]+):\s*(.*)")
_KERNEL = {"0": None, "1": False, "2": True, "3": True}


@dataclass(frozen=True, slots=True)
class Restarts:
    """What still uses files that have been replaced, and whether another kernel waits."""

    reboot: Reboot
    services: tuple[str, ...]
    sessions: tuple[str, ...]
    containers: tuple[str, ...]


def read(text: str) -> Restarts:
    """Return what the batch output says. Raises `UnreadableError`."""
    said: dict[str, list[str]] = {}
    for _, line in lines_of(text, FEW):
        if entry := _LINE.fullmatch(line):
            said.setdefault(entry[1], []).append(entry[2].strip())
    if "VER" not in said:
        raise UnreadableError(0, "", "has no NEEDRESTART-VER: is not what needrestart -b prints")
    state = said.get("KSTA", ["0"])[-1]
    if state not in _KERNEL:
        raise UnreadableError(0, state, "is no NEEDRESTART-KSTA; they are 0 to 3")
    return Restarts(
        _reboot(_KERNEL[state], *(said.get(key, [""])[-1] for key in ("KCUR", "KEXP"))),
        *(tuple(sorted(set(said.get(key, ())))) for key in ("SVC", "SESS", "CONT")),
    )


def _reboot(pending: bool | None, runs: str, expected: str) -> Reboot:
    if pending is None:
        return Reboot()
    if not pending:
        return Reboot(False, ("needrestart finds the newest kernel running",))
    newer = f"{expected} is installed" if expected != runs else "a rebuild of it is installed"
    return Reboot(True, (f"needrestart: kernel {runs} runs and {newer}",))
