"""Which reader a feed has: what it made of a document holds only until another one reads it."""

import hashlib
from collections.abc import Iterator
from functools import lru_cache
from importlib.resources import files
from importlib.resources.abc import Traversable

from patchmgr.feeds.base import Feed

# What all vendors read with: the formats, how versions are written, and which releases there are.
SHARED = ("patchmgr.feeds.formats", "patchmgr.domain.versions", "patchmgr.domain.debian_releases")
SOURCE = ".py"


def reader_of(feed: Feed) -> str:
    """Return a digest of the code that reads the documents of ``feed``.

    It is taken of the code itself, so that nobody has to remember to count.
    """
    return _digest((type(feed).__module__, *SHARED))


@lru_cache(maxsize=64)
def _digest(modules: tuple[str, ...]) -> str:
    found = hashlib.sha256()
    for module in modules:
        for name, source in sorted(_sources(module)):
            found.update(f"{name} {len(source)}\n".encode())
            found.update(source)
    return found.hexdigest()[:16]


def _sources(module: str) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of a module's file, or of all files of a package."""
    package, _, name = module.rpartition(".")
    folder = files(package)
    file = folder / f"{name}{SOURCE}"
    if file.is_file():
        yield module, file.read_bytes()
    else:
        yield from _below(folder / name, module)


def _below(folder: Traversable, module: str) -> Iterator[tuple[str, bytes]]:
    for each in folder.iterdir():
        if each.name.endswith(SOURCE):
            yield f"{module}.{each.name}", each.read_bytes()
