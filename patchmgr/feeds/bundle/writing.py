"""Make a bundle: its documents first, then the manifest of them, then the whole."""

import hashlib
import io
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from patchmgr.feeds.bundle import container, lines

MANIFEST = "manifest.json"
SIGNATURE = "manifest.json.sig"


@dataclass(frozen=True, slots=True)
class Packed:
    """A document that was written, as the manifest tells of it."""

    sha256: str
    size: int
    unpacked: int
    counts: dict[str, int]


def document(values: Iterable[lines.Value], file: BinaryIO) -> Packed:
    """Write a document of ``values`` at the end of ``file``, where others may lie before it."""
    counts: Counter[str] = Counter()
    start = file.tell()
    unpacked = lines.pack(_counted(values, counts), file)
    size = file.tell() - start
    file.seek(start)
    digest = hashlib.sha256()
    while chunk := file.read(container.STEP):
        digest.update(chunk)
    return Packed(digest.hexdigest(), size, unpacked, dict(counts))


def _counted(values: Iterable[lines.Value], counts: Counter[str]) -> Iterator[lines.Value]:
    for value in values:
        counts[lines.KINDS[type(value)]] += 1
        yield value


def bundle(
    file: BinaryIO,
    manifest: bytes,
    signature: bytes,
    documents: BinaryIO,
    members: Iterable[tuple[str, int]],
) -> None:
    """Write the whole to the empty ``file``.

    ``documents`` holds one document after the other, ``members`` has name and size of each.
    """
    writer = container.Writer(file)
    writer.add(MANIFEST, io.BytesIO(manifest), len(manifest))
    writer.add(SIGNATURE, io.BytesIO(signature), len(signature))
    for name, size in members:
        writer.add(name, documents, size)
    writer.close()
