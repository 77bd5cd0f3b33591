"""Packed files, recognised by their first bytes and unpacked to a file, within bounds."""

import errno
import lzma
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Protocol

import zstandard

from inventory.refusals import Refusal
from patchmgr.errors import BadFileError, BadRow

MIB = 1 << 20
MOST = 8 * 1024 * MIB  # bytes that a file may unpack to
RATIO, FREELY = 250, 64 * MIB  # times its own size, beside so many bytes that any may unpack to

_STEP = MIB  # bytes unpacked at a time
_ZSTD_WINDOW = 128 * MIB
_XZ_MEMORY = 256 * MIB
_ZIP_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
BROKEN = (
    zlib.error, lzma.LZMAError, zstandard.ZstdError, zipfile.BadZipFile, EOFError,
    NotImplementedError, RuntimeError, ValueError, IndexError, struct.error,  # of a damaged zip
)  # fmt: skip
_WORKBOOKS = ("[Content_Types].xml", "mimetype")  # in those of Excel, of LibreOffice
OLD_WORKBOOK = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"  # how one of Excel before 2007 begins
_ASIDE = ("__MACOSX/", ".DS_Store")  # what a Mac puts into archives beside the file


def kind(start: bytes) -> str:
    """Return how a file that begins with ``start`` is packed; "" when it is not."""
    return next((name for name, (magic, _) in _KINDS.items() if start.startswith(magic)), "")


def pieces(how: str, packed: BinaryIO) -> Iterator[bytes]:
    """Yield what ``packed`` holds, a bounded piece at a time. Raises one of `BROKEN`."""
    return _KINDS[how][1](packed)


def unpack(path: Path, how: str, target: Path, *, name: str) -> None:
    """Write what ``path`` holds, packed as `kind` says, to ``target``.

    Raises `BadFileError` when it is damaged, cut off or no single file, or unpacks to so much that
    it was not made for reading.
    """
    most = min(MOST, FREELY + RATIO * path.stat().st_size)
    left = most
    try:
        with path.open("rb") as packed, target.open("wb") as plain:
            for chunk in pieces(how, packed):
                left -= len(chunk)
                if left < 0:
                    raise _bad(name, Refusal.UNPACKS_TO_MUCH.said(mebibytes=most // MIB))
                plain.write(chunk)
    except BROKEN as error:
        raise _damaged(name, how, error) from error
    except OSError as error:
        if error.errno != errno.EINVAL:  # a zip's directory that names a place before the file
            raise
        raise _damaged(name, how, error) from error


def _damaged(name: str, how: str, error: Exception) -> BadFileError:
    return _bad(name, Refusal.DAMAGED.said(error=f"{how}: {error}"))


def _bad(name: str, why: str) -> BadFileError:
    return BadFileError(name, [BadRow(0, "", "", why)])


def _gzip(packed: BinaryIO) -> Iterator[bytes]:
    return _members(packed, lambda: zlib.decompressobj(wbits=31), "gzip")


def _xz(packed: BinaryIO) -> Iterator[bytes]:
    return _members(
        packed, lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY), "xz"
    )


class _Stream(Protocol):
    """What the unpackers of gzip and xz have in common."""

    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


def _members(packed: BinaryIO, make: Callable[[], _Stream], name: str) -> Iterator[bytes]:
    """Yield the content of streams that stand one after the other, as gzip and xz allow."""
    rest = packed.read(_STEP)
    while rest:
        stream = make()
        while True:
            chunk = stream.decompress(rest, _STEP)
            rest = getattr(stream, "unconsumed_tail", b"")
            if chunk:
                yield chunk
            if stream.eof:
                break
            if not rest and getattr(stream, "needs_input", True):
                rest = packed.read(_STEP)
                if not rest and not chunk:
                    raise EOFError(f"the {name} stream has no end")
        rest = stream.unused_data.lstrip(b"\0") or packed.read(_STEP).lstrip(b"\0")


def _zstd(packed: BinaryIO) -> Iterator[bytes]:
    unpacker = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW)
    stream = unpacker.decompressobj()
    while piece := packed.read(1024):  # each four bytes may become a block of 128 KiB
        while piece:
            yield stream.decompress(piece)
            piece = b""
            if stream.eof:
                piece, stream = stream.unused_data, unpacker.decompressobj()
                finished = not piece
            else:
                finished = False
    if not finished:
        raise EOFError("the zstd stream has no end")


def _zip(packed: BinaryIO) -> Iterator[bytes]:
    with zipfile.ZipFile(packed) as archive:
        inside = [
            each
            for each in archive.infolist()
            if not each.is_dir() and not each.filename.startswith(_ASIDE)
        ]
        name = Path(packed.name).name
        if any(each.filename in _WORKBOOKS for each in inside):
            raise _bad(name, Refusal.WORKBOOK.said())
        if len(inside) != 1:
            raise _bad(name, Refusal.FILES.said(count=len(inside)))
        if inside[0].flag_bits & 0x1 or inside[0].compress_type not in _ZIP_METHODS:
            raise _bad(name, Refusal.ODDLY_PACKED.said())
        with archive.open(inside[0]) as file:
            yield from iter(lambda: file.read(_STEP), b"")


_KINDS: dict[str, tuple[bytes, Callable[[BinaryIO], Iterator[bytes]]]] = {
    "gzip": (b"\x1f\x8b", _gzip),
    "xz": (b"\xfd7zXZ\x00", _xz),
    "zstd": (b"\x28\xb5\x2f\xfd", _zstd),
    "zip": (b"PK\x03\x04", _zip),
}
