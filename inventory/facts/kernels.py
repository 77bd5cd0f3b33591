"""Which kernels a host has and runs: ``uname -r``, and ``/boot/vmlinuz-*`` or ``/lib/modules``."""

import re

from inventory.facts import FEW, UnreadableError, lines_of

_RELEASE = re.compile(r"[0-9]+\.[0-9][A-Za-z0-9._+~-]*", re.ASCII)
_WORD = re.compile(r"[A-Za-z0-9._+~-]{1,64}", re.ASCII)
_PREFIX = re.compile(r"(?:vmlinu[xz]|kernel|Image|bzImage)-")


def running(text: str) -> str:
    """Return the release that ``uname -r`` printed. Raises `UnreadableError`."""
    lines = list(lines_of(text, FEW))
    if len(lines) != 1 or not _RELEASE.fullmatch(lines[0][1].strip()):
        number, line = lines[0] if lines else (0, "")
        raise UnreadableError(number, line, "is not what uname -r prints")
    return lines[0][1].strip()


def machine(text: str) -> str:
    """Return the machine that ``uname -m`` printed. Raises `UnreadableError`."""
    lines = list(lines_of(text, FEW))
    if len(lines) != 1 or not _WORD.fullmatch(lines[0][1].strip()):
        number, line = lines[0] if lines else (0, "")
        raise UnreadableError(number, line, "is not what uname -m prints")
    return lines[0][1].strip()


def installed(text: str) -> tuple[str, ...]:
    """Return the releases among paths of kernels or of their modules; the rest tells none."""
    names = {line.strip().rstrip("/").rpartition("/")[2] for _, line in lines_of(text, FEW)}
    releases = {_PREFIX.sub("", name) for name in names}
    return tuple(sorted(each for each in releases if _RELEASE.fullmatch(each)))
