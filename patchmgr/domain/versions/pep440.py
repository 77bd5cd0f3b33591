"""Python's version order, as a byte sort key, through `packaging`.

Source: the version specifiers specification (PEP 440). Releases from before it, which `packaging`
does not read, sort before all others and among themselves as setuptools once did: osv.dev's order,
and that of its comparisons (``0.9-ivysaur`` < ``1.0``). They must look like what
PyPI holds of them: letters, digits, ``.``, ``-`` and ``_``, with a digit among them, or an instant.

The key of a version is its parts in PEP 440's order, each so that what is missing sorts where PEP
440 puts it:

* 01 for a version, 00 for one from before PEP 440;
* epoch and release without trailing zeros, numbers as their count from 06 on and their digits;
* 01 a development release of no pre-release, 02 to 04 ``a b rc`` and a number, 05 no pre-release;
* post: 01 none, 02 and a number. dev: 01 and a number, 02 none;
* local: nothing, or 01 and the identifiers, 01 before a word, and the end 00.
"""

import re

from packaging.version import InvalidVersion, Version

from patchmgr.domain.numbers import counted
from patchmgr.errors import VersionError

_FIRST, _LAST = 0x06, 0x2F  # of a number: after all marks, before any digit or letter
_OLD, _NEW = "\x00", "\x01"
_BEFORE_PRE = "\x01"
_PRE = {"a": "\x02", "b": "\x03", "rc": "\x04"}
_NO_PRE = "\x05"
_NO_POST, _POST = "\x01", "\x02"
_DEV, _NO_DEV = "\x01", "\x02"
_LOCAL = "\x01"
_WORD = "\x01"
_END = "\x00"

_LEGACY = re.compile(
    r"(?=.*[0-9])[a-z0-9._-]+"
    r"|[0-9]{4}-[0-9]{2}-[0-9]{2}t[0-9:]+(?:[+-][0-9]{4})?"
    r"|-class\.-[a-z.-]+"  # what one project's releases were named by its template
)
_LEGACY_PARTS = re.compile(r"[0-9]+|[a-z]+|-|[^0-9a-z.-]+")
_LEGACY_NAMES = {"pre": "c", "preview": "c", "-": "final-", "rc": "c", "dev": "@"}
_LEGACY_ZERO = "00000000"


def key(text: str) -> bytes:
    """Return a key that sorts as `packaging` sorts, releases from before PEP 440 first.

    Raises `VersionError` when ``text`` is neither.
    """
    if not text.isascii():  # `packaging` takes a few letters for others that they resemble
        raise VersionError("pep440", text)
    try:
        version = Version(text)
    except InvalidVersion:
        return _legacy_key(text)
    except ValueError:  # a number too long for int()
        raise VersionError("pep440", text) from None
    release = version.release
    used = len(release)
    while used and not release[used - 1]:
        used -= 1
    pieces = [_NEW, _number(version.epoch), *map(_number, release[:used])]
    pieces += _stages(version)
    if version.local is not None:
        pieces += [_LOCAL, *map(_local, version.local.split(".")), _END]
    return "".join(pieces).encode("latin-1")


def _stages(version: Version) -> tuple[str, str, str]:
    """Return pre, post and dev, encoded."""
    pre, post, dev = version.pre, version.post, version.dev
    if pre is not None:
        before = _PRE[pre[0]] + _number(pre[1])
    else:
        before = _BEFORE_PRE if post is None and dev is not None else _NO_PRE
    return (
        before,
        _NO_POST if post is None else _POST + _number(post),
        _NO_DEV if dev is None else _DEV + _number(dev),
    )


def _local(identifier: str) -> str:
    if identifier.isdigit():
        return _number(int(identifier))
    return _WORD + identifier


def _number(value: int) -> str:
    return counted(str(value) if value else "", _FIRST, _LAST)


def _legacy_key(text: str) -> bytes:
    """Return the key of a release from before PEP 440.

    setuptools compared lists of texts: numbers padded to eight digits, and names behind a ``*``, so
    that ``*final``, which ends the list, comes after ``*alpha`` and before ``*patch``.
    """
    lower = text.lower()
    if not _LEGACY.fullmatch(lower):
        raise VersionError("pep440", text)
    parts: list[str] = []
    for piece in _LEGACY_PARTS.findall(lower):
        if piece.isdigit():
            parts.append(piece.zfill(8))
            continue
        name = "*" + _LEGACY_NAMES.get(piece, piece)
        if name < "*final":
            while parts and parts[-1] == "*final-":
                parts.pop()
        while parts and parts[-1] == _LEGACY_ZERO:
            parts.pop()
        parts.append(name)
    while parts and parts[-1] == _LEGACY_ZERO:
        parts.pop()
    parts.append("*final")
    return (_OLD + "".join(part + _END for part in parts)).encode("latin-1")
