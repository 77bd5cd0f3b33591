"""Alpine version order, as a byte sort key.

Source: apk-package(5), Alpine's package policies and Gentoo's PMS 3.2 and 3.3, from which apk took
its order; settled by the comparisons of apk-tools' own test. apk-tools 3 is followed where 2
differed, which is only in numbers with leading zeros.

A text is ``number{.number}[letter]{_suffix[number]}[~hash][-rnumber]``, and nothing else is a
version. The key writes its tokens one after the other; a token begins with a byte that says what
it is, in apk's order of "what follows where the other version has ended or says something else":

* 01 to 04 ``_alpha _beta _pre _rc``, 05 the end, 06 ``-r``, 07 ``~hash``, 08 a suffix's number,
  09 to 0d ``_cvs _svn _git _hg _p``, 0e a letter, 0f a component with a leading zero, from 10 on
  one without;
* numbers are their count and their digits; but a component after the first that has a leading zero
  is compared as text, and so written as text: ``1.02`` < ``1.1``, ``1.010`` < ``1.02``;
* all these bytes are less than a digit or a letter, so that a shorter text sorts first.
"""

import re
from functools import lru_cache

from patchmgr.domain.numbers import counted
from patchmgr.errors import VersionError

_VERSION = re.compile(
    r"([0-9]+)((?:\.[0-9]+)*+)([a-z]?)"
    r"((?:_(?:alpha|beta|pre|rc|cvs|svn|git|hg|p)[0-9]*+)*+)"
    r"(?:~([0-9a-f]+))?(?:-r([0-9]+))?"
)
_SUFFIX = re.compile(r"_([a-z]+)([0-9]*)")
_SUFFIXES = {"alpha": "\x01", "beta": "\x02", "pre": "\x03", "rc": "\x04"} | {
    "cvs": "\x09", "svn": "\x0a", "git": "\x0b", "hg": "\x0c", "p": "\x0d",
}  # fmt: skip
_END = "\x05"
_REVISION = "\x06"
_HASH = "\x07"
_SUFFIX_NUMBER = "\x08"
_LETTER = "\x0e"
_FRACTION = "\x0f"
_FIRST, _LAST = 0x10, 0x2F  # of a number: after all other tokens, before any digit


def key(text: str) -> bytes:
    """Return a key that sorts as apk sorts.

    Raises `VersionError` for what ``apk version --check`` calls invalid.
    """
    match = _VERSION.fullmatch(text)
    if match is None:
        raise VersionError("apk", text)
    first, others, letter, suffixes, commit, revision = match.groups()
    pieces = [_number(first)]
    if others:
        pieces += map(_component, others[1:].split("."))
    if letter:
        pieces.append(_LETTER + letter)
    if suffixes:
        pieces += map(_suffix, _SUFFIX.findall(suffixes))
    if commit:
        pieces.append(_HASH + commit)
    if revision:
        pieces.append(_REVISION + _number(revision))
    pieces.append(_END)
    return "".join(pieces).encode("latin-1")


@lru_cache(maxsize=1 << 16)
def _component(digits: str) -> str:
    return _FRACTION + digits if digits[0] == "0" else _number(digits)


@lru_cache(maxsize=1 << 12)
def _suffix(suffix: tuple[str, str]) -> str:
    name, digits = suffix
    return _SUFFIXES[name] + (_SUFFIX_NUMBER + _number(digits) if digits else "")


def _number(digits: str) -> str:
    return counted(digits.lstrip("0"), _FIRST, _LAST)
