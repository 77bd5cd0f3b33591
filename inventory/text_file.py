"""Text files as people have them: packed or not, in one of several encodings, within bounds.

Whatever a file is in, it is read as UTF-8: a file that is something else is rewritten into a
temporary one first, piece by piece. Each file is looked through once before that, which finds what
no reader should meet: bytes that are no text, and lines without end.

Source: the Encoding Standard for what Windows-1252 leaves undefined.
"""

import codecs
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from inventory import packed
from inventory.refusals import Refusal
from patchmgr.errors import BadFileError, BadRow, DiskFullError, InputError, is_full_disk

ENCODINGS = (  # that a person may name
    "utf-8", "utf-16", "utf-16-le", "utf-16-be",
    *(f"windows-{number}" for number in range(1250, 1259)),
    *(f"iso-8859-{number}" for number in (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 13, 14, 15, 16)),
    "cp437", "cp850", "cp852", "cp866", "koi8-r", "mac-roman",
    "shift_jis", "euc-jp", "euc-kr", "big5", "gb18030",
)  # fmt: skip
BLOCK = 1 << 20  # bytes looked at at a time, and the longest line: a longer one spans two blocks

_LOOK = 512  # first bytes that tell UTF-16 without a byte order mark
_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
# A sign in UTF-8, of those that files have: what begins with another byte is more likely a capital
# or an ß of Windows-1252 before one of its quotes, dashes and blanks.
_UTF8_SEQUENCE = re.compile(
    rb"[\xc3-\xc5\xcb\xcc\xce-\xda][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}"
)
_CHARACTER = 4  # bytes of the longest one
# Undefined in Windows-1252, control characters, and signs that it has but no word inside itself:
# older code pages have letters there.
_NOT_1252 = re.compile(
    rb"[\x81\x8d\x8f\x90\x9d\x00-\x08\x0b\x0c\x0e-\x1f\x7f]"
    rb"|(?<=[A-Za-z])[\x82\x84\x86\x87\x89\x8b\x94](?=[A-Za-z])"
)


@dataclass(frozen=True, slots=True)
class Text:
    """A file that can be read as UTF-8, and what it was."""

    path: Path  # the file as it was given
    plain: Path  # in UTF-8: the file itself, or a copy
    encoding: str  # for people: "UTF-8", "Windows-1252"
    packed: str = ""  # "gzip", "zip"; "" when it was not
    form: str = ""  # what was rewritten as CSV: "JSON lines"; "" when it is CSV itself

    @property
    def added(self) -> int:
        """Return how many lines at the beginning are ours, and not the file's."""
        return 1 if self.form else 0


@contextmanager
def opened(path: Path, encoding: str = "") -> Iterator[Text]:
    """Yield the file at ``path`` as text, in ``encoding`` unless that is to be recognised.

    Raises `BadFileError` for what is no text or cannot be told, naming the place; `InputError`
    when it cannot be opened.
    """
    if encoding and encoding.lower() not in ENCODINGS:
        raise InputError({"encoding": f"{encoding!r} is not one of {', '.join(ENCODINGS)}"})
    if path.exists() and not (path.is_file() or path.is_dir()):
        why = "is a pipe or a device, and a file is read more than once; save it as a file first"
        raise InputError({str(path): why})
    try:
        with path.open("rb") as binary:
            start = binary.read(8)
        if start == packed.OLD_WORKBOOK:
            raise _bad(Text(path, path, ""), 0, Refusal.WORKBOOK.said())
        how = packed.kind(start)
        with tempfile.TemporaryDirectory(prefix="patchmgr-import-") as folder:
            plain = path
            if how:
                plain = Path(folder) / "unpacked"
                packed.unpack(path, how, plain, name=path.name)
            yield _as_utf8(Text(path, plain, "", how), encoding.lower(), Path(folder) / "text")
    except OSError as error:
        if is_full_disk(error):
            raise DiskFullError(where=f"of {tempfile.gettempdir()}") from error
        raise InputError({str(path): error.strerror or str(error)}) from error


def _as_utf8(text: Text, encoding: str, copy: Path) -> Text:
    codec = encoding or _recognised(text)
    if codec == "utf-16":
        codec = _by_first_bytes(text) or "utf-16-le"
    if codec == "utf-8":
        if (place := _examined(text)) is not None:
            raise _at_byte(text, place, Refusal.NOT_ENCODED.said(encoding="UTF-8"))
        return Text(text.path, text.plain, "UTF-8", text.packed)
    _rewrite(text, codec, copy)
    whole = Text(text.path, copy, _shown(codec), text.packed)
    _examined(whole)
    return whole


def _shown(codec: str) -> str:
    """Return the name that people know an encoding by."""
    return codec.replace("windows", "Windows") if "windows" in codec else codec.upper()


def _by_first_bytes(text: Text) -> str:
    """Return the encoding that a byte order mark names or the NULs of UTF-16 give away."""
    with text.plain.open("rb") as binary:
        start = binary.read(_LOOK)
    if start.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        raise _bad(text, 0, Refusal.UTF_32.said())
    for mark, codec in _BOMS:
        if start.startswith(mark):
            return codec
    return utf_16(start)


def utf_16(start: bytes) -> str:
    """Return the encoding of UTF-16 that the NULs in ``start`` give away; "" where none is."""
    pairs = len(start) // 2
    high, low = start[0 : 2 * pairs : 2].count(0), start[1 : 2 * pairs : 2].count(0)
    if low * 2 > pairs and high == 0:
        return "utf-16-le"
    if high * 2 > pairs and low == 0:
        return "utf-16-be"
    return ""


def _recognised(text: Text) -> str:
    """Return the encoding of a file; raise `BadFileError` where it cannot be told."""
    if (codec := _by_first_bytes(text)) != "":
        return codec
    place = _examined(text)
    if place is None:
        return "utf-8"
    _check_1252(text, place)
    return "windows-1252"


def _examined(text: Text) -> int | None:
    """Return where a file stops being UTF-8, the first byte being 0; None when it is all of it.

    Raises `BadFileError` for a line that is longer than `BLOCK`.
    """
    offset, since, tail = 0, 0, b""  # bytes before the block, of the line so far, of a character
    with text.plain.open("rb") as binary:
        while block := binary.read(BLOCK):
            first = _first_end(block)
            if since + (len(block) if first < 0 else first) > BLOCK:
                why = Refusal.LONG_LINE.said(mebibytes=BLOCK >> 20)
                raise _at_byte(text, offset - since, why)
            since = since + len(block) if first < 0 else len(block) - 1 - _last_end(block)
            if tail or not block.isascii():
                joined = tail + block
                try:
                    joined.decode()
                    tail = b""
                except UnicodeDecodeError as error:
                    if error.reason != "unexpected end of data" or error.end != len(joined):
                        return offset - len(tail) + error.start
                    tail = joined[error.start :]
            offset += len(block)
    return offset - len(tail) if tail else None


def _first_end(block: bytes) -> int:
    """Return where the first line of ``block`` ends; -1 when it does not."""
    end = block.find(b"\n")
    return block.find(b"\r") if end < 0 else end


def _last_end(block: bytes) -> int:
    return max(block.rfind(b"\n"), block.rfind(b"\r"))


def _check_1252(text: Text, place: int) -> None:
    """Raise `BadFileError` unless a file that is no UTF-8 can only be Windows-1252."""
    seen = b""
    offset = 0
    with text.plain.open("rb") as binary:
        while block := binary.read(BLOCK):
            joined = seen + block
            start = offset - len(seen)
            if (found := _UTF8_SEQUENCE.search(joined)) is not None:
                if text.plain.stat().st_size - place < _CHARACTER:
                    raise _at_byte(text, place, Refusal.CUT_CHARACTER.said())
                other = start + found.start() + 1
                raise _at_byte(text, place, Refusal.TWO_ENCODINGS.said(other=other))
            if (found := _NOT_1252.search(joined)) is not None:
                raise _at_byte(text, start + found.start(), Refusal.NO_ENCODING.said())
            seen = joined[-3:]
            offset += len(block)


def _rewrite(text: Text, codec: str, copy: Path) -> None:
    """Write ``text`` to ``copy`` in UTF-8. Raises `BadFileError` where it is not in ``codec``."""
    decoder = codecs.getincrementaldecoder(codec)()
    offset = 0
    with text.plain.open("rb") as binary, copy.open("wb") as plain:
        while True:
            block = binary.read(BLOCK)
            pending = len(decoder.getstate()[0])
            try:
                chunk = decoder.decode(block, final=not block)
                if offset == 0:
                    chunk = chunk.removeprefix("\ufeff")
                plain.write(chunk.encode())
            except UnicodeError as error:
                at = offset - pending + getattr(error, "start", 0)
                why = Refusal.NOT_ENCODED.said(encoding=_shown(codec))
                raise _at_byte(text, max(at, 0), why) from error
            if not block:
                return
            offset += len(block)


def _at_byte(text: Text, place: int, why: str) -> BadFileError:
    """Return the error about the byte at ``place``, counted from 0; it names the row as well."""
    row, before, value = 1, place, b""
    with text.plain.open("rb") as binary:
        while before > 0 and (block := binary.read(min(BLOCK, before))):
            row += block.count(b"\n")
            before -= len(block)
            value = block[-20:].rpartition(b"\n")[2]
        value += binary.read(20).partition(b"\n")[0]
        byte = f"byte {place + 1}"
    return _bad(text, row, f"{byte} {why}", value.decode("latin-1"))


def _bad(text: Text, row: int, why: str, value: str = "") -> BadFileError:
    shown = "".join(sign if sign.isprintable() else "?" for sign in value)
    return BadFileError(text.path.name, [BadRow(row, "", shown, why)])
