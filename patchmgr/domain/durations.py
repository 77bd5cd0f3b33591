"""Lengths of time as people write them: ``4h``, ``90m``, ``1d12h``, or ISO 8601 ``PT4H``."""

import re
from datetime import timedelta

from patchmgr.errors import InputError

_PLAIN = re.compile(r"(?:(\d{1,5})d)?(?:(\d{1,6})h)?(?:(\d{1,7})m)?(?:(\d{1,8})s)?", re.ASCII)
_ISO = re.compile(r"P(?:(\d{1,5})D)?(?:T(?:(\d{1,6})H)?(?:(\d{1,7})M)?(?:(\d{1,8})S)?)?", re.ASCII)


def parse(text: str, field: str = "") -> timedelta:
    """Return the length that ``text`` says, in whole seconds. Raises `InputError` of ``field``."""
    stripped = text.strip()
    match = _ISO.fullmatch(stripped.upper()) or _PLAIN.fullmatch(stripped.lower())
    if match is None or not any(match.groups()):
        why = f"{text!r} is not a duration; write 4h, 90m, 1d12h or PT4H"
        raise InputError({field: why} if field else why)
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)


def text(length: timedelta) -> str:
    """Return the canonical text of ``length``: hours, minutes and seconds without zeros ("0m")."""
    seconds = length // timedelta(seconds=1)
    parts = ((seconds // 3600, "h"), (seconds // 60 % 60, "m"), (seconds % 60, "s"))
    return "".join(f"{count}{unit}" for count, unit in parts if count) or "0m"


def words(length: timedelta) -> str:
    """Return ``length`` for people, its two largest units: "3 h 10 min", "2 d"."""
    seconds = max(length // timedelta(seconds=1), 0)
    parts = (
        (seconds // 86400, "d"),
        (seconds // 3600 % 24, "h"),
        (seconds // 60 % 60, "min"),
        (seconds % 60, "s"),
    )
    first = next((i for i, (count, _) in enumerate(parts) if count), None)
    if first is None:
        return "0 min"
    return " ".join(f"{count} {unit}" for count, unit in parts[first : first + 2] if count)
