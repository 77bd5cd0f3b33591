"""Members of a tar archive that is in memory, each a slice of it.

Source: POSIX.1-2001 pax format and its ustar header; GNU's long names. The standard library's
module makes sparse members as large as they claim to be, and some of its versions can be kept
busy for ever by a hostile archive; here, a member is what lies in the archive or nothing.
"""

from collections.abc import Iterator

from patchmgr.errors import FeedMalformedError

_BLOCK = 512
_MAGIC = slice(257, 262)
_LONG_NAME, _EXTENDED = b"L", b"x"
_LONGEST = 4096  # bytes of a name


def is_tar(body: bytes) -> bool:
    return body[_MAGIC] == b"ustar"


def members(name: str, body: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of each regular file in ``body``.

    Raises `FeedMalformedError` when the archive is damaged or cut off.
    """
    at = 0
    long_name = ""
    while at < len(body):
        header = body[at : at + _BLOCK]
        at += _BLOCK
        if not header.strip(b"\0"):
            continue  # two of these end an archive; more, or another archive, may follow
        if len(header) < _BLOCK or not is_tar(header) or _checksum(header) != _number(header, 148):
            raise FeedMalformedError(f"{name}: damaged or cut off: not a header of a tar archive")
        size = _number(header, 124, 12)
        if size < 0 or at + size > len(body):
            raise FeedMalformedError(f"{name}: damaged or cut off: a tar archive without its end")
        content = body[at : at + size]
        at += -(-size // _BLOCK) * _BLOCK
        kind = header[156:157]
        if kind == _LONG_NAME:
            long_name = _text(content)
        elif kind == _EXTENDED:
            long_name = _path(content) or long_name
        else:
            if kind in (b"0", b"\0"):
                yield long_name or _short_name(header), content
            long_name = ""


def _checksum(header: bytes) -> int:
    return sum(header) - sum(header[148:156]) + 8 * ord(" ")


def _number(header: bytes, start: int, length: int = 8) -> int:
    """Return a number in octal, or in binary as GNU has large ones; -1 for neither."""
    field = header[start : start + length]
    if field[0] & 0x80:
        return int.from_bytes(field[1:], "big")
    digits = field.strip(b" \0")
    if not digits:
        return 0
    return int(digits, 8) if not digits.strip(b"01234567") else -1


def _short_name(header: bytes) -> str:
    prefix, name = _text(header[345:500]), _text(header[:100])
    return f"{prefix}/{name}" if prefix and header[263:265] == b"00" else name


def _text(field: bytes) -> str:
    return field[:_LONGEST].partition(b"\0")[0].decode("utf-8", "replace")


def _path(records: bytes) -> str:
    """Return the ``path`` of pax records, ``<length> <keyword>=<value>`` and a line feed each."""
    for record in records.split(b"\n"):
        keyword, _, value = record.partition(b" ")[2].partition(b"=")
        if keyword == b"path":
            return _text(value)
    return ""
