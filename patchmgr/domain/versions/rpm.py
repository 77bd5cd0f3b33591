"""RPM version order, as a byte sort key.

Source: rpm-version(7); which texts are versions, and how they compare, was settled by experiment
with rpm 4.18: ``rpm.vercmp`` of its Lua and what ``rpmspec`` accepts as ``Version:``.

A text is ``[epoch:]version[-release]``. A part is a sequence of numbers, words, ``~`` and ``^``;
every other character only separates them. The key writes, in this order of bytes:

* ``~`` is 01, the end of the part is 02, ``^`` is 03: a pre-release sorts before the end, a
  snapshot after it but before anything longer;
* a word is 04 and its letters. Whatever may follow is less than a letter, so a shorter word sorts
  first;
* a number is its count of digits from 05 on, then the digits without leading zeros;
* a missing epoch is 0. A missing release is 00, less than any release: so rpm 4.18 itself orders
  ``1.2`` before ``1.2-1``, while older ones did not compare a release with none.

rpmbuild refuses characters that rpm's comparison merely skips. We refuse them too, as they come
from a wrong column rather than from a package; other scripts' letters are skipped, as in rpm's own
test of its comparison.
"""

import re
from functools import lru_cache

from patchmgr.domain.numbers import counted
from patchmgr.errors import VersionError

_PART = r"[0-9A-Za-z._+%{}~^\x80-\U0010ffff]+"
_EVR = re.compile(rf"(?:([0-9]*):)?({_PART})(?:-({_PART}))?")
_TOKENS = re.compile(r"[0-9]+|[A-Za-z]+|[~^]")
_SIGNS = {"~": "\x01", "^": "\x03"}
_WORD = "\x04"
_FIRST, _LAST = 0x05, 0x40  # of a number: after a word's mark, before its letters
_END = "\x02"
_NO_RELEASE = "\x00"


def key(text: str) -> bytes:
    """Return a key that sorts as rpm sorts: ``[epoch:]version[-release]``.

    A missing epoch is 0, a missing release sorts before all. Raises `VersionError` when ``text`` is
    not a version that a package could have.
    """
    match = _EVR.fullmatch(text)
    if match is None:
        raise VersionError("rpm", text)
    epoch, version, release = match.groups()
    pieces = [_encoded(epoch or "0"), *map(_encoded, _TOKENS.findall(version)), _END]
    if release:
        pieces += map(_encoded, _TOKENS.findall(release))
        pieces.append(_END)
    else:
        pieces.append(_NO_RELEASE)
    return "".join(pieces).encode("latin-1")


@lru_cache(maxsize=1 << 16)
def _encoded(token: str) -> str:
    if "0" <= token[0] <= "9":
        return counted(token.lstrip("0"), _FIRST, _LAST)
    return _SIGNS.get(token) or _WORD + token
