"""Semantic Versioning's order, as a byte sort key: npm, Cargo and Go.

Source: Semantic Versioning 2.0.0, sections 2 to 11. Beyond it, as OSV's comparisons want it: a
leading ``v`` (Go) is not part of the version, and there may be any number of components, of which
missing ones are zero (``1.2`` = ``1.2.0``). Build metadata does not count. Leading zeros and empty
identifiers are refused, as the specification says.

The key writes components without trailing zeros, then 02, or 01 and the pre-release:

* a number is its count of digits from 03 on, then the digits, so that the end of the components
  sorts before any further one, and a pre-release before its release;
* an identifier with a letter is 2c and itself; 2c is more than any number's count and less than any
  character in an identifier, so that numbers sort first and a shorter identifier before a longer;
* 01 ends the pre-release: fewer identifiers sort first.
"""

import re
from functools import lru_cache

from patchmgr.domain.numbers import counted
from patchmgr.errors import VersionError

_NUMBER = r"(?:0|[1-9][0-9]*+)"
_IDENTIFIER = rf"(?:{_NUMBER}(?![0-9A-Za-z-])|[0-9]*+[A-Za-z-][0-9A-Za-z-]*+)"
_VERSION = re.compile(
    rf"v?({_NUMBER}(?:\.{_NUMBER})*+)(?:-({_IDENTIFIER}(?:\.{_IDENTIFIER})*+))?"
    r"(?:\+[0-9A-Za-z-]++(?:\.[0-9A-Za-z-]++)*+)?"
)
_FIRST, _LAST = 0x03, 0x2B  # of a number: after both ends, before a word
_WORD = "\x2c"
_PRERELEASE = "\x01"
_RELEASE = "\x02"
_END = "\x01"


def key(text: str) -> bytes:
    """Return a key that sorts by SemVer's precedence.

    Raises `VersionError` when ``text`` is not ``[v]number{.number}[-prerelease][+build]``.
    """
    match = _VERSION.fullmatch(text)
    if match is None:
        raise VersionError("semver", text)
    core, prerelease = match.groups()
    components = core.split(".")
    while components and components[-1] == "0":
        components.pop()
    pieces = list(map(_encoded, components))
    if prerelease:
        pieces.append(_PRERELEASE)
        pieces += map(_encoded, prerelease.split("."))
        pieces.append(_END)
    else:
        pieces.append(_RELEASE)
    return "".join(pieces).encode("latin-1")


@lru_cache(maxsize=1 << 16)
def _encoded(identifier: str) -> str:
    if identifier.isdigit():
        return counted(identifier.lstrip("0"), _FIRST, _LAST)
    return _WORD + identifier
