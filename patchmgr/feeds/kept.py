"""Documents of a sync that was cut short, on disk, so that the next one goes on from there.

A document is kept under its address with what its server named it by: whether it is still that one
is asked before it is used. Only what a server can be asked about, or an address with a digest,
is worth keeping. Losing any of it costs another fetch and nothing else.
"""

import hashlib
import json
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

from patchmgr.feeds.crawl import Document
from patchmgr.feeds.formats.labels import says_its_digest
from patchmgr.feeds.unpack import MIB

LIMIT = 1024 * MIB  # bytes of one feed
RESERVE = 1024 * MIB  # bytes of the disk that are left free
HEAD = 64 * 1024  # bytes within which a file says what it has


class Nothing:
    """What a transport has that keeps no documents."""

    def get(self, _url: str) -> Document | None:
        return None


NOTHING = Nothing()


class Kept:
    """The documents of one feed in ``folder``, which is made when there is one to keep."""

    def __init__(self, folder: Path, limit: int = LIMIT) -> None:
        self._folder = folder
        self._limit = limit
        self._size = sum(_size(file) for file in _files(folder))

    def get(self, url: str) -> Document | None:
        """Return the document kept of ``url``; None without one, or with one that is damaged."""
        try:
            head, _, body = self._file(url).read_bytes().partition(b"\n")
            said = json.loads(head)
            document = Document(body, said["etag"], said["last_modified"], said["digest"])
        except (OSError, ValueError, KeyError, TypeError):
            return None
        is_whole = said.get("url") == url and _digest(body) == document.digest
        return document if is_whole else None

    def put(self, url: str, document: Document) -> None:
        """Keep ``document`` if there is room; a disk that is full is no reason to fail."""
        if not (document.etag or document.last_modified or says_its_digest(url)):
            return
        said = {
            "url": url,
            "etag": document.etag,
            "last_modified": document.last_modified,
            "digest": document.digest,
        }
        head = json.dumps(said).encode() + b"\n"
        file = self._file(url)
        more = len(head) + len(document.body) - _size(file)
        if len(head) > HEAD or self._size + more > self._limit:
            return
        with suppress(OSError):
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if shutil.disk_usage(self._folder).free - more > RESERVE:
                _write(file, head, document.body)
                self._size += more

    def clear(self) -> None:
        """Throw everything away."""
        shutil.rmtree(self._folder, ignore_errors=True)
        self._size = 0

    def _file(self, url: str) -> Path:
        return self._folder / _digest(url.encode())


def _write(file: Path, head: bytes, body: bytes) -> None:
    """Write ``file`` whole or not at all."""
    descriptor, draft = tempfile.mkstemp(dir=file.parent)
    try:
        with os.fdopen(descriptor, "wb") as out:
            out.write(head)
            out.write(body)
        Path(draft).replace(file)
    except OSError:
        Path(draft).unlink(missing_ok=True)
        raise


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _files(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:
        return 0
