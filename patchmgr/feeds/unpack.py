"""Compressed documents and archives, recognised by their first bytes and unpacked within bounds."""

import bz2
import io
import lzma
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator

import zstandard

from patchmgr.errors import FeedMalformedError
from patchmgr.feeds import tar

MIB = 1 << 20
MAX_UNPACKED = 1024 * MIB  # bytes that one document may unpack to
MANY = 8  # times that, all members of an archive together: each is gone before the next comes
MOST_MEMBERS = 500_000  # of a zip: its directory is read whole
COMPRESSED = (".bz2", ".gz", ".xz", ".zst")
ARCHIVES = (".zip", ".tar", ".tar.bz2", ".tar.gz", ".tar.xz", ".tar.zst", ".tgz")

_STEP = MIB  # bytes unpacked at a time
_ZSTD_STEP = 1024  # compressed bytes at a time; each four may become a block of 128 KiB
_ZSTD_WINDOW = 128 * MIB
_XZ_MEMORY = 256 * MIB
_DEPTH = 3  # a compressed file in an archive that was sent compressed
_ZIP_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_BROKEN = (
    zlib.error, lzma.LZMAError, zstandard.ZstdError, zipfile.BadZipFile, EOFError,
    NotImplementedError, RuntimeError, ValueError, IndexError, struct.error,  # of a damaged zip
)  # fmt: skip


class _Budget:
    """Bytes that may still be unpacked of one document, and of the archive that it is in."""

    def __init__(self, name: str, limit: int, archive: "_Budget | None" = None) -> None:
        self.name = name
        self.limit = limit
        self.left = limit
        self.archive = archive

    def of_a_member(self) -> "_Budget":
        """Return what each member of an archive may have: as much as one that is alone."""
        whole = self.archive or _Budget(self.name, self.limit * MANY)
        self.archive = whole
        return _Budget(self.name, self.limit, whole)

    def take(self, chunk: bytes) -> bytes:
        if self.archive:
            self.archive.take(chunk)
        self.left -= len(chunk)
        if self.left < 0:
            raise FeedMalformedError(
                f"{self.name}: unpacks to more than {self.limit / MIB:.0f} MiB, which is refused"
            )
        return chunk


def unpack(
    name: str, body: bytes, suffixes: tuple[str, ...], limit: int = MAX_UNPACKED
) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of each document in ``body``: itself, unless it is packed.

    Of an archive, the members are yielded whose names end with one of ``suffixes``, also behind
    a further compression. Raises `FeedMalformedError` when it is damaged, cut off, encrypted, or
    unpacks to more than ``limit`` bytes, as a zip all together to more than `MANY` times that.
    """
    budget = _Budget(name, limit)
    try:
        yield from _unpack(name, body, suffixes, budget, _DEPTH)
    except _BROKEN as error:
        raise FeedMalformedError(f"{name}: damaged or cut off: {error}") from error


def _unpack(
    name: str, body: bytes, suffixes: tuple[str, ...], budget: _Budget, depth: int
) -> Iterator[tuple[str, bytes]]:
    if body.startswith(b"PK\x03\x04"):
        for member, content, left in _members(body, suffixes, budget):
            yield from _unpack(_inside(name, member), content, suffixes, left, depth - 1)
        return
    if tar.is_tar(body):
        for member, content in tar.members(name, body):
            if member.endswith(documents(suffixes)):
                yield from _unpack(_inside(name, member), content, suffixes, budget, depth - 1)
        return
    stream = next((read for magic, read in _STREAMS.items() if body.startswith(magic)), None)
    if stream is None:
        yield name, body
    elif depth == 0:
        raise FeedMalformedError(f"{name}: packed more than {_DEPTH} times over")
    else:
        content = b"".join(budget.take(chunk) for chunk in stream(body))
        yield from _unpack(name, content, suffixes, budget, depth - 1)


def _inside(name: str, member: str) -> str:
    """Return the name of a member of archive ``name``: what follows its ``#`` stays last."""
    path, mark, fragment = name.partition("#")
    return f"{path}/{member}{mark}{fragment}"


def _gzip(body: bytes) -> Iterator[bytes]:
    while body:
        stream = zlib.decompressobj(wbits=31)
        while not stream.eof:
            chunk = stream.decompress(body, _STEP)
            body = stream.unconsumed_tail
            if not chunk and not body and not stream.eof:
                raise EOFError("the gzip stream has no end")
            yield chunk
        body = stream.unused_data.lstrip(b"\0")  # padding, as tape archives have


def _bzip2(body: bytes) -> Iterator[bytes]:
    while body:
        stream = bz2.BZ2Decompressor()
        while not stream.eof:
            try:
                chunk = stream.decompress(body, _STEP)
            except OSError as error:
                raise EOFError(f"in its bzip2 stream: {error}") from error
            if not chunk and stream.needs_input and not stream.eof:
                raise EOFError("the bzip2 stream has no end")
            body = b""
            yield chunk
        body = stream.unused_data.lstrip(b"\0")


def _xz(body: bytes) -> Iterator[bytes]:
    while body:
        stream = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY)
        while not stream.eof:
            chunk = stream.decompress(body, _STEP)
            if not chunk and stream.needs_input and not stream.eof:
                raise EOFError("the xz stream has no end")
            body = b""
            yield chunk
        body = stream.unused_data.lstrip(b"\0")


def _zstd(body: bytes) -> Iterator[bytes]:
    packer = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW)
    stream, at = packer.decompressobj(), 0
    while at < len(body):
        piece = body[at : at + _ZSTD_STEP]
        at += len(piece)
        yield stream.decompress(piece)
        if stream.eof:
            at -= len(stream.unused_data)
            stream = packer.decompressobj()
            if at == len(body):
                return
    raise EOFError("the zstd stream has no end")


_STREAMS: dict[bytes, Callable[[bytes], Iterator[bytes]]] = {
    b"BZh": _bzip2,
    b"\x1f\x8b": _gzip,
    b"\xfd7zXZ\x00": _xz,
    b"\x28\xb5\x2f\xfd": _zstd,
}


def _members(
    body: bytes, suffixes: tuple[str, ...], budget: _Budget
) -> Iterator[tuple[str, bytes, _Budget]]:
    """Yield name, content, and what may still be unpacked of it, of each member of a zip."""
    wanted = documents(suffixes)
    if body.count(b"PK\x01\x02") > MOST_MEMBERS:
        raise FeedMalformedError(f"{budget.name}: holds more than {MOST_MEMBERS} files")
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        for member in sorted(archive.infolist(), key=lambda info: info.filename):
            if member.is_dir() or not member.filename.endswith(wanted):
                continue
            if member.flag_bits & 0x1 or member.compress_type not in _ZIP_METHODS:
                raise FeedMalformedError(
                    f"{budget.name}: {member.filename} is encrypted or packed in an unusual way"
                )
            with archive.open(member) as file:
                left = budget.of_a_member()
                chunks = iter(lambda: file.read(_STEP), b"")
                yield member.filename, b"".join(left.take(chunk) for chunk in chunks), left


def documents(suffixes: tuple[str, ...]) -> tuple[str, ...]:
    """Return the endings of names that a feed with ``suffixes`` takes, packed or not."""
    return suffixes + tuple(suffix + packed for suffix in suffixes for packed in COMPRESSED)
