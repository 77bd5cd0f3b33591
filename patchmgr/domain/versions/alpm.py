"""Arch Linux's version order, as a byte sort key.

Source: vercmp(8), alpm-package-version(7) and alpm-pkgver(7); settled by experiment with
`alpm_pkg_vercmp` of libalpm 13.

A text is ``[epoch:]pkgver[-pkgrel]``. A part is a sequence of numbers and words, each after some
separators; here, unlike in rpm, it matters how many: more of them are newer, none between ``1.0``
and ``a`` makes ``1.0a`` older than ``1.0``. At each place, the bytes are:

* 01 a word right here (older than the end), 02 the end, 03 a number right here;
* 04 a word after one separator, 05 the end after separators, 06 a number after one separator;
* 07 one separator more than these: 07 04 is a word after two;
* then the word, whose letters are more than any of these, or the number, its digits behind their
  count.

A missing epoch is 0. vercmp does not compare pkgrel when one is missing, which is no order: in keys
a missing one is 00 and sorts before all, as with rpm; who compares just two asks `alike`. And it is
not transitive where separators end a
part: ``1._`` = ``1.``, ``1.`` < ``1.1`` < ``1._a``, but ``1._a`` < ``1._``. Here such an end sorts
as after one separator.
"""

import re
from functools import lru_cache

from patchmgr.domain.numbers import counted
from patchmgr.errors import VersionError

# ASCII but for space and - / : < = >, with a letter or digit in it.
_PART = r"[!-,.;?@\[-`{-~]*[0-9A-Za-z][!-,.0-9;?-~]*"
_EVR = re.compile(rf"(?:([0-9]*):)?({_PART})(?:-({_PART}))?")
_PIECES = re.compile(r"([^0-9A-Za-z]*)([0-9]+|[A-Za-z]+|$)")
_FIRST, _LAST = 0x01, 0xFF  # of a number, whose place is known before
_WORD_HERE, _NUMBER_HERE = "\x01", "\x03"
_WORD, _NUMBER = "\x04", "\x06"
_SEPARATOR = "\x07"
_END, _END_AFTER_SEPARATORS = "\x02", "\x05"
_NO_RELEASE = "\x00"


def key(text: str) -> bytes:
    """Return a key that sorts as vercmp sorts: ``[epoch:]pkgver[-pkgrel]``.

    A missing epoch is 0, a missing pkgrel sorts before all. Raises `VersionError` when ``text`` is
    not a version that a package could have.
    """
    match = _EVR.fullmatch(text)
    if match is None:
        raise VersionError("alpm", text)
    epoch, version, release = match.groups()
    pieces = [_encoded(("", epoch or "0")), *map(_encoded, _PIECES.findall(version))]
    if release:
        pieces += map(_encoded, _PIECES.findall(release))
    else:
        pieces.append(_NO_RELEASE)
    return "".join(pieces).encode("latin-1")


def alike(a: str, b: str) -> tuple[str, str]:
    """Return both as vercmp compares them: without pkgrel where one of them has none."""
    if ("-" in a) == ("-" in b):
        return a, b
    return a.partition("-")[0], b.partition("-")[0]


@lru_cache(maxsize=1 << 16)
def _encoded(piece: tuple[str, str]) -> str:
    """Return separators and what follows them, which is nothing at the end of a part."""
    separators, segment = piece
    if not segment:
        return _END_AFTER_SEPARATORS if separators else _END
    further = _SEPARATOR * (len(separators) - 1)
    if segment[0] > "9":
        return further + (_WORD if separators else _WORD_HERE) + segment
    place = _NUMBER if separators else _NUMBER_HERE
    return further + place + counted(segment.lstrip("0"), _FIRST, _LAST)
