"""A vendor's own files as a feed's source, for where there is no network."""

import hashlib
from pathlib import Path

from patchmgr.errors import InputError
from patchmgr.feeds.crawl import Document
from patchmgr.feeds.unpack import ARCHIVES, MIB, documents

MAX_FILE = 512 * MIB  # bytes, as it lies on disk


class Files:
    """A `crawl.Fetch` over files; `start` names them."""

    def __init__(self, path: Path, suffixes: tuple[str, ...]) -> None:
        """Take the file at ``path``, or all below a directory that ``suffixes`` select.

        Raises `InputError` when there is nothing to read.
        """
        self.start = _files(path, suffixes)

    def __call__(self, url: str, *, unless_known: bool) -> Document:
        """Return the file; a file is always read anew. Raises `InputError`."""
        path = Path(url)
        try:
            if path.stat().st_size > MAX_FILE:
                raise InputError(f"{url}: larger than {MAX_FILE // MIB} MiB, which is refused")
            body = path.read_bytes()
        except OSError as error:
            raise InputError(f"{url}: {error.strerror or error}") from error
        return Document(body, digest=hashlib.sha256(body).hexdigest())


def _files(path: Path, suffixes: tuple[str, ...]) -> tuple[str, ...]:
    try:
        if path.is_file():
            return (str(path),)
        if not path.is_dir():
            raise InputError(f"{path}: no such file or directory")
        wanted = documents(suffixes) + ARCHIVES
        found = sorted(str(file) for file in path.rglob("*") if file.name.endswith(wanted))
        files = tuple(name for name in found if Path(name).is_file())
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: {error}") from error
    if not files:
        raise InputError(f"{path}: no file below it ends with {', '.join(wanted)}")
    return files
