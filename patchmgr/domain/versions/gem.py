"""RubyGems' version order, as a byte sort key.

Source: the documentation of `Gem::Version`; settled by experiment with RubyGems 3.3.

A version is a sequence of numbers and words, and as long as one likes: what is missing is zero. A
word is less than any number, so it makes a pre-release, and a hyphen reads ``.pre.``. The key
writes the segments without the zeros at the end of the numbers and at the end of the rest:

* 01 and the word; 03 the end; from 05 on a number's count of digits and its digits;
* a zero in between is 02 where a word is the next thing that is not zero, and 04 where a number is:
  since the end stands for zeros, what makes a version older must sort before it, after however many
  zeros, and what makes it newer must sort after it;
* all these are less than a letter, so that a shorter word sorts first.

An empty text is 0 to RubyGems; we refuse it, as a version that is not known is not 0.
"""

import re
from functools import lru_cache

from patchmgr.domain.numbers import counted
from patchmgr.errors import VersionError

_VERSION = re.compile(
    r"\s*+([0-9]++(?:\.[0-9a-zA-Z]++)*+(?:-[0-9A-Za-z-]++(?:\.[0-9A-Za-z-]++)*+)?)\s*+", re.ASCII
)
_SEGMENTS = re.compile(r"[0-9]+|[A-Za-z]+")
_WORD = "\x01"
_ZERO_BEFORE_WORD = "\x02"
_END = "\x03"
_ZERO_BEFORE_NUMBER = "\x04"
_FIRST, _LAST = 0x05, 0x40  # of a number: before any letter


def key(text: str) -> bytes:
    """Return a key that sorts as `Gem::Version` sorts.

    Raises `VersionError` when ``text`` is not a version that RubyGems reads.
    """
    match = _VERSION.fullmatch(text)
    if match is None:
        raise VersionError("gem", text)
    segments = list(map(_encoded, _SEGMENTS.findall(match[1].replace("-", ".pre."))))
    if "" in segments:
        segments = _with_zeros(segments)
    return ("".join(segments) + _END).encode("latin-1")


@lru_cache(maxsize=1 << 16)
def _encoded(segment: str) -> str:
    """Return a word or a number, encoded; nothing for zero, which depends on what follows."""
    if segment[0] > "9":
        return _WORD + segment
    digits = segment.lstrip("0")
    return counted(digits, _FIRST, _LAST) if digits else ""


def _with_zeros(segments: list[str]) -> list[str]:
    """Return ``segments`` with each zero (an empty text) written, or left out where it is nothing.

    Zeros count for nothing at the end and right before the first word.
    """
    words = (at for at, segment in enumerate(segments) if segment.startswith(_WORD))
    first_word = next(words, len(segments))
    zero = ""
    written = []
    for at in range(len(segments) - 1, -1, -1):
        if at == first_word - 1:
            zero = ""
        if segments[at]:
            zero = _ZERO_BEFORE_WORD if segments[at].startswith(_WORD) else _ZERO_BEFORE_NUMBER
        written.append(segments[at] or zero)
    return written[::-1]
