"""Read a bundle: first that it is whole and as it was signed, only then what it says."""

import hashlib
from collections.abc import Iterator
from typing import BinaryIO

from patchmgr.errors import InputError
from patchmgr.feeds.bundle import container, lines, manifest
from patchmgr.feeds.bundle.manifest import Manifest, Part
from patchmgr.feeds.bundle.writing import MANIFEST, SIGNATURE

MAX_PACKED = 1 << 30  # bytes of one document
_SIGNATURE = 64  # bytes of an Ed25519 signature


class Bundle:
    """A bundle in an open file. ``where`` names it in what it refuses, always with `InputError`.

    `signed` and `signature` are for the caller to compare; what they do not vouch for must not be
    read further.
    """

    def __init__(self, file: BinaryIO, where: str) -> None:
        self.where = where
        self._zip = container.Reader(file, where)
        self._members: dict[str, container.Member] = {}
        self.signed = self._small(MANIFEST, manifest.LARGEST)
        self.signature = self._small(SIGNATURE, _SIGNATURE)

    @property
    def signer(self) -> manifest.Key:
        """The key that is said to have signed the manifest."""
        return manifest.signer(self.signed, f"{self.where}: {MANIFEST}")

    def checked(self) -> Manifest:
        """Return the manifest, when everything that it names is there unchanged, and no more."""
        found = manifest.decode(self.signed, f"{self.where}: {MANIFEST}")
        for part in found.feeds:
            member = self._zip.member(part.file, MAX_PACKED)
            self._members[part.name] = member
            content = _Hashed(self._zip.content(member))
            while content.read(container.STEP):
                pass
            self._compare(part, member, content)
        self._zip.close()
        return found

    def values(self, part: Part) -> Iterator[lines.Value]:
        """Yield what the document of ``part`` says; it is as it was signed once all is read."""
        member = self._members[part.name]
        if part.unpacked > lines.MAX_UNPACKED:
            most = lines.MAX_UNPACKED // lines.MIB
            raise InputError({f"{self.where}: {part.file}": f"unpacks to more than {most} MiB"})
        content = _Hashed(self._zip.content(member))
        yield from lines.unpack(content, part.unpacked, f"{self.where}: {part.file}")
        self._compare(part, member, content)

    def _small(self, name: str, limit: int) -> bytes:
        return self._zip.content(self._zip.member(name, limit)).read()

    def _compare(self, part: Part, member: container.Member, content: "_Hashed") -> None:
        if (member.size, content.digest) != (part.size, part.sha256):
            raise InputError({f"{self.where}: {part.file}": "not the document that was signed"})


class _Hashed:
    """A member's content, whose digest is known once it is read."""

    def __init__(self, content: container.Content) -> None:
        self._content = content
        self._digest = hashlib.sha256()

    def read(self, size: int = -1, /) -> bytes:
        chunk = self._content.read(size)
        self._digest.update(chunk)
        return chunk

    @property
    def digest(self) -> str:
        return self._digest.hexdigest()
