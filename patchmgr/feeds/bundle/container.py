"""The zip of a bundle, which has one form only, so that every byte of it is accounted for.

Members are stored one after the other, then comes the directory: no dates, no comments, no extra
fields, no gaps. Any zip program can open it. Who reads it builds headers and directory anew from
names, sizes and checksums, and so sees each byte that is not as it was written.

Source: PKWARE's APPNOTE.TXT 6.3.10, sections 4.3.7, 4.3.12 and 4.3.16.
"""

import re
import struct
import zlib
from dataclasses import dataclass
from typing import BinaryIO

from patchmgr.errors import ConflictError, InputError

STEP = 1 << 20  # bytes copied at a time
LARGEST = 0xFFFF_FFFF  # bytes of a bundle: what a zip without its later additions can hold
_LOCAL = struct.Struct("<4s5H3I2H")
_ENTRY = struct.Struct("<4s6H3I5H2I")
_END = struct.Struct("<4s4H2IH")
_VERSION = 20  # of the zip format: 2.0
_DAY = 0x21  # 1 January 1980, the first day that a zip knows
_NAME = re.compile(rb"[a-z0-9][a-z0-9.-]{0,99}")


@dataclass(frozen=True, slots=True)
class Member:
    """One file in the zip."""

    name: str
    size: int
    checksum: int  # CRC-32
    header: int  # where its header begins

    @property
    def start(self) -> int:
        """Return where its content begins."""
        return self.header + _LOCAL.size + len(self.name)


class Content:
    """The bytes of one member, as a file to read once; its checksum is held at its end."""

    def __init__(self, file: BinaryIO, member: Member, where: str) -> None:
        self._file, self._member, self._where = file, member, where
        self._left, self._at, self._checksum = member.size, member.start, 0

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes, none at the end. Raises `InputError`."""
        wanted = self._left if size < 0 else min(size, self._left)
        self._file.seek(self._at)
        chunk = _whole(self._file, wanted, f"{self._where}: {self._member.name}")
        self._at += wanted
        self._left -= wanted
        self._checksum = zlib.crc32(chunk, self._checksum)
        if self._left == 0 and self._checksum != self._member.checksum:
            raise InputError({f"{self._where}: {self._member.name}": "changed since it was made"})
        return chunk


class Writer:
    """Puts members into ``file``, which is empty and can be gone back in."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._members: list[Member] = []

    def add(self, name: str, source: BinaryIO, size: int) -> None:
        """Add the next ``size`` bytes of ``source`` as ``name``. Raises `ConflictError`."""
        header, checksum, left = self._file.tell(), 0, size
        self._file.seek(header + _LOCAL.size + len(name))
        while left and (chunk := source.read(min(STEP, left))):
            checksum = zlib.crc32(chunk, checksum)
            left -= self._file.write(chunk)
        after = self._file.tell()
        if after > LARGEST:
            raise ConflictError("the bundle would be larger than 4 GiB; name fewer feeds")
        member = Member(name, size, checksum, header)
        self._file.seek(header)
        self._file.write(_local(member))
        self._file.seek(after)
        self._members.append(member)

    def close(self) -> None:
        """Write the directory."""
        self._file.write(_directory(self._members, self._file.tell()))


class Reader:
    """Walks through the members of ``file``; ``where`` names it in what it refuses."""

    def __init__(self, file: BinaryIO, where: str) -> None:
        self._file, self._where = file, where
        self._members: list[Member] = []
        self._at = 0

    def member(self, name: str, limit: int) -> Member:
        """Return the next member, which must be ``name``. Raises `InputError`."""
        self._file.seek(self._at)
        header = self._file.read(_LOCAL.size)
        if len(header) < _LOCAL.size or not header.startswith(b"PK\x03\x04"):
            raise InputError({self._where: self._not_there(header, name)})
        *_, checksum, size, _size, length, _extra = _LOCAL.unpack(header)
        found = _whole(self._file, min(length, 100), self._where)
        if not _NAME.fullmatch(found) or found.decode() != name:
            said = found.decode("ascii", "backslashreplace")
            raise InputError({self._where: f"has {said!r} where {name!r} must be"})
        member = Member(name, size, checksum, self._at)
        if header + found != _local(member):
            raise InputError({f"{self._where}: {name}": "its header is not as patchmgr writes it"})
        if size > limit:
            raise InputError({f"{self._where}: {name}": f"larger than {limit} bytes"})
        self._at = member.start + size
        self._members.append(member)
        return member

    def content(self, member: Member) -> Content:
        return Content(self._file, member, self._where)

    def close(self) -> None:
        """Read the directory, and nothing after it. Raises `InputError`."""
        expected = _directory(self._members, self._at)
        self._file.seek(self._at)
        found = self._file.read(len(expected) + 1)
        if found.startswith(b"PK\x03\x04"):
            raise InputError({self._where: "holds a member that its manifest does not name"})
        if len(found) < len(expected):
            raise InputError({self._where: "cut off: the end of the bundle is missing"})
        if found != expected:
            raise InputError({self._where: "its directory is not as patchmgr writes it"})

    def _not_there(self, header: bytes, name: str) -> str:
        if self._at == 0 and not header.startswith(b"PK"):
            return "not a bundle, which patchmgr feeds export makes"
        if len(header) < _LOCAL.size:
            return f"cut off before {name}"
        return f"{name} is missing"


def _whole(file: BinaryIO, size: int, where: str) -> bytes:
    found = file.read(size)
    if len(found) < size:
        raise InputError({where: "cut off"})
    return found


def _local(member: Member) -> bytes:
    form = (_VERSION, 0, 0, 0, _DAY, member.checksum, member.size, member.size)
    return _LOCAL.pack(b"PK\x03\x04", *form, len(member.name), 0) + member.name.encode()


def _directory(members: list[Member], start: int) -> bytes:
    entries = b"".join(_entry(member) for member in members)
    count = len(members)
    return entries + _END.pack(b"PK\x05\x06", 0, 0, count, count, len(entries), start, 0)


def _entry(member: Member) -> bytes:
    form = (_VERSION, _VERSION, 0, 0, 0, _DAY, member.checksum, member.size, member.size)
    rest = (len(member.name), 0, 0, 0, 0, 0, member.header)
    return _ENTRY.pack(b"PK\x01\x02", *form, *rest) + member.name.encode()
