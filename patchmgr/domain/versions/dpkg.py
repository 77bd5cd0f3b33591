"""Debian version order, as a byte sort key.

Source: Debian Policy 5.6.12 and deb-version(7); which texts are versions, and how they compare, was
settled by experiment with ``dpkg --validate-version`` and ``dpkg --compare-versions``.

A version is an epoch, an upstream part and a revision; a part is a sequence of (signs, number)
pairs, and a missing pair equals ("", 0). The key writes them one after the other:

* a sign is one byte: ``~`` is 01, letters are themselves, all others follow the letters;
* a number is its count of digits plus 02, then the digits without leading zeros; since every such
  count sorts after ``~`` and before the letters, it also ends the signs, as dpkg orders them;
* a part ends with 02, which is where dpkg puts the end: after ``~``, before everything else.
"""

import re
from functools import lru_cache

from patchmgr.domain.numbers import counted
from patchmgr.errors import VersionError

_BLANK = " \t"  # what dpkg forgives around a version
_EPOCH = re.compile(r"[+-]?[0-9]+")
_MAX_EPOCH = 2**31 - 1  # INT_MAX
_REST = re.compile(r"([0-9][A-Za-z0-9.+~:-]*)-([A-Za-z0-9.+~]+)|([0-9][A-Za-z0-9.+~:]*)")
_PAIRS = re.compile(r"[^0-9]*[0-9]+|[^0-9]+")
_PAIR = re.compile(r"([^0-9]*)0*([0-9]*)")
_SIGNS = str.maketrans({"~": "\x01"} | {sign: chr(ord(sign) + 0x80) for sign in "+-.:"})
_END = "\x02"
_FIRST, _LAST = 0x02, 0x3C  # of a number: after "~", before the letters
_NO_EPOCH = "\x02"
_NO_REVISION = "\x02\x02"  # as "0": a number without digits, and the end


def key(text: str) -> bytes:
    """Return a key that sorts as dpkg sorts: ``[epoch:]upstream[-revision]``.

    A missing epoch or revision is 0, so "1.0" and "0:1.0-0" have equal keys. Raises `VersionError`
    when ``text`` is not a Debian version.
    """
    text = text.strip(_BLANK)
    head, colon, rest = text.partition(":")
    match = _REST.fullmatch(rest if colon else head)
    if match is None:
        raise VersionError("dpkg", text)
    upstream, revision, whole = match.groups()
    pieces = [
        _epoch(head, text) if colon else _NO_EPOCH,
        *map(_encoded, _PAIRS.findall(upstream or whole)),
        _END,
    ]
    if revision:
        pieces += map(_encoded, _PAIRS.findall(revision))
        pieces.append(_END)
    else:
        pieces.append(_NO_REVISION)
    return "".join(pieces).encode("latin-1")


def _epoch(head: str, text: str) -> str:
    """Return the number before the colon, encoded; dpkg reads it as C's strtol does."""
    if not _EPOCH.fullmatch(head) or len(head) > 4000 or not 0 <= int(head) <= _MAX_EPOCH:
        raise VersionError("dpkg", text)
    return counted(head.lstrip("+-0"), _FIRST, _LAST)


@lru_cache(maxsize=1 << 16)
def _encoded(pair: str) -> str:
    signs, digits = _PAIR.fullmatch(pair).groups()  # type: ignore[union-attr] # matches every pair
    return str(signs.translate(_SIGNS)) + counted(digits, _FIRST, _LAST)
