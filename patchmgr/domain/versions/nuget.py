"""NuGet's version order, as a byte sort key.

Source: NuGet's "package versioning" reference; what it leaves open is as in the `VersionComparer`
and `NuGetVersion` of NuGet.Client, whose own tests are among our vectors.

A text is one to four numbers, labels after a hyphen, build metadata after a plus. Missing numbers
are zero, letters compare without case, metadata does not count. Unlike SemVer's, the numbers may
have leading zeros and must fit into 32 bits, and a label is a number only where it does, perhaps
negative.

The key is the four numbers in 4 bytes each, then 01 for a release; or 00 and the labels: 01 before
a number, in 4 bytes from the lowest on; 02 before a word, which ends where the next such byte is
less than any character in it; 00 for the end.
"""

import re
from functools import lru_cache

from patchmgr.errors import VersionError

_LABEL = r"(?:(?!0[0-9]+(?:[.+]|\s*\Z))[0-9A-Za-z-]++)"
_VERSION = re.compile(
    rf"\s*+([0-9]++(?:\.[0-9]++){{0,3}}+)(?:-({_LABEL}(?:\.{_LABEL})*+))?"
    r"(?:\+[0-9A-Za-z-]++(?:\.[0-9A-Za-z-]++)*+)?\s*+",
    re.ASCII,
)
_NUMERIC = re.compile(r"(-?)0*([0-9]{1,10})")
_MAX = 2**31 - 1  # int.MaxValue
_NUMBERS = 4
_RELEASE, _PRERELEASE = b"\x01", b"\x00"
_NUMBER, _WORD, _END = b"\x01", b"\x02", b"\x00"


def key(text: str) -> bytes:
    """Return a key that sorts as NuGet's default comparer sorts.

    Raises `VersionError` when ``text`` is not a version that NuGet reads.
    """
    match = _VERSION.fullmatch(text)
    if match is None:
        raise VersionError("nuget", text)
    numbers, labels = match.groups()
    pieces = []
    for digits in numbers.split("."):
        number = _int32(digits)
        if number is None:
            raise VersionError("nuget", text)
        pieces.append(number.to_bytes(4))
    pieces += [bytes(4)] * (_NUMBERS - len(pieces))
    if labels is None:
        pieces.append(_RELEASE)
    else:
        pieces += [_PRERELEASE, *map(_label, labels.split(".")), _END]
    return b"".join(pieces)


@lru_cache(maxsize=1 << 14)
def _label(label: str) -> bytes:
    number = _int32(label)
    if number is None:
        return _WORD + label.upper().encode("ascii")
    return _NUMBER + (number + _MAX + 1).to_bytes(4)


def _int32(text: str) -> int | None:
    """Return the number that ``text`` is to .NET; None for other texts and what does not fit."""
    match = _NUMERIC.fullmatch(text)
    if match is None:
        return None
    number = int(match[1] + match[2])
    return number if -_MAX - 1 <= number <= _MAX else None
