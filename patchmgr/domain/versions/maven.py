"""Maven's version order, as a byte sort key.

Source: "Version Order Specification" of Maven's POM reference; settled by experiment with
`ComparableVersion` of maven-artifact 3.9.6.

A version is a list of numbers and words whose last element may be such a list again: it opens at
each hyphen and where digits and letters meet. Numbers are newer than lists, and these than words.
A list may be compared with one that has ended: then the first element that is not null (zero, or
``final ga release``) says whether it is older or newer. So the key writes first what makes older,
then the end, then what makes newer:

* 01 a word, 02 a list, 03 a zero, each where the version from here on is older than its end;
* 04 the end;
* 05 a word, 06 a list, 07 a zero, from 08 on a number (its count of digits, then the digits), each
  where it is newer;
* a word is its rank among Maven's qualifiers, and behind the rank of unknown ones itself and 00.

Null elements at the end of a list are none. Maven's order is not transitive: ``1-1`` < ``1.0.rc.1``
as a list is less than a number, while ``1.0.rc.1`` < ``1`` < ``1-1``. Here the comparison with
the end, that is with the release, holds: the case that an advisory asks about.
"""

import re
from functools import lru_cache

from patchmgr.domain.numbers import counted
from patchmgr.errors import VersionError

# Visible ASCII with a letter or digit in it, without what Maven bans from versions and what belongs
# to ranges and properties.
_VERSION = re.compile(
    r"""(?=[^0-9A-Za-z]*[0-9A-Za-z])[^\x00-\x20\x7f-\U0010ffff\\/:"<>|?*(),$\[\]{}]+"""
)
_PIECES = re.compile(r"[0-9]+|[^0-9.-]+|[.-]")

# An element, as it is written where the version from it on is older and where it is newer than its
# end. What can only be older or only be newer has one of the two; null elements have both.
_Element = tuple[str, str]
_ZERO: _Element = ("\x03", "\x07")
_LIST: _Element = ("\x02", "\x06")
_OLDER_WORD, _NEWER_WORD = "\x01", "\x05"
_END = "\x04"
_FIRST, _LAST = 0x07, 0xFF  # of a number that is not zero: its count is at least one

_QUALIFIERS = ("alpha", "beta", "milestone", "rc", "snapshot", "", "sp")
_ALIASES = {"ga": "", "final": "", "release": "", "cr": "rc"}
_BEFORE_DIGIT = {"a": "alpha", "b": "beta", "m": "milestone"}
_NULL = _QUALIFIERS.index("")


def key(text: str) -> bytes:
    """Return a key that sorts as Maven's `ComparableVersion` sorts.

    Raises `VersionError` when ``text`` has a character that Maven allows in no version.
    """
    if not _VERSION.fullmatch(text):
        raise VersionError("maven", text)
    written = [_END]
    newer = False  # whether what is written so far makes newer than the end
    trimming = True  # nothing but null elements so far in this list
    for element in reversed(_elements(text.lower())):
        if element is _LIST:
            trimming = True
            if len(written) > 1:
                written.append(_LIST[newer])
            continue
        older_form, newer_form = element
        if not (older_form and newer_form):
            newer = not older_form
        elif trimming:
            continue
        trimming = False
        written.append(element[newer])
    return "".join(reversed(written)).encode("latin-1")


def _elements(text: str) -> list[_Element]:
    """Return the elements of a version, `_LIST` where a list opens; all close at the end."""
    elements: list[_Element] = []
    pending = ""  # digits or letters whose end has not been seen

    def open_unless_new() -> None:
        if elements and elements[-1] is not _LIST:
            elements.append(_LIST)

    for piece in _PIECES.findall(text):
        if piece in ".-":
            elements.append(_element(pending))
            if piece == "-":
                elements.append(_LIST)
            pending = ""
            continue
        if pending and pending[0].isdigit():
            elements += [_element(pending), _LIST]
        elif pending:
            open_unless_new()
            elements += [_element(_BEFORE_DIGIT.get(pending, pending)), _LIST]
        pending = piece
    if pending:
        if not pending[0].isdigit():
            open_unless_new()
        elements.append(_element(pending))
    return elements


@lru_cache(maxsize=1 << 16)
def _element(piece: str) -> _Element:
    """Return the element of digits or of a word; zero where nothing is between separators."""
    digits = piece.lstrip("0")
    if not digits:
        return _ZERO
    if piece[0].isdigit():
        return "", counted(digits, _FIRST, _LAST)
    word = _ALIASES.get(piece, piece)
    if word not in _QUALIFIERS:
        return "", f"{_NEWER_WORD}{chr(len(_QUALIFIERS))}{word}\x00"
    rank = _QUALIFIERS.index(word)
    return (
        _OLDER_WORD + chr(rank) if rank <= _NULL else "",
        _NEWER_WORD + chr(rank) if rank >= _NULL else "",
    )
