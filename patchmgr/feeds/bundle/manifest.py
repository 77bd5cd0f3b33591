"""The manifest of a bundle: what it holds, as of when, and the key that signs it."""

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from patchmgr.errors import InputError

FORMAT = "patchmgr feed bundle 1"
LARGEST = 4 * 1024 * 1024  # bytes
SUFFIX = ".jsonl.zst"

Instant = Annotated[datetime, Meta(tz=True)]
Count = Annotated[int, Meta(ge=0)]
Digest = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]


class Key(Struct, frozen=True, forbid_unknown_fields=True):
    """Who signed: the public key itself, and its fingerprint for people."""

    algorithm: str
    fingerprint: str
    public: str  # PEM


class Part(Struct, frozen=True, forbid_unknown_fields=True):
    """One feed in a bundle."""

    name: Annotated[str, Meta(pattern="^[a-z0-9][a-z0-9-]{0,63}$")]
    revision: Digest  # of the feed's content, as `feed_revision.digest`
    made_at: Instant  # when that content was new where the bundle was made
    as_of: Instant  # last good sync there: how fresh it is
    source: Annotated[str, Meta(max_length=1000)]  # what it was read from there
    sha256: Digest  # of the document as it lies in the bundle, packed
    size: Count  # bytes, packed
    unpacked: Count  # bytes
    counts: dict[str, Count]  # values by kind
    # What could not be used of the vendor's documents, as the revision counts it.
    skipped: dict[str, Count] = {}
    set_aside: Count = 0
    set_aside_examples: tuple[str, ...] = ()

    @property
    def file(self) -> str:
        return self.name + SUFFIX


class Manifest(Struct, frozen=True, forbid_unknown_fields=True):
    """Everything that is signed."""

    format: str
    made_at: Instant
    feeds: tuple[Part, ...]  # by name
    key: Key


class _Signer(Struct):
    """As much as must be read of a manifest before its signature can be checked."""

    format: str
    key: Key


def encode(manifest: Manifest) -> bytes:
    return msgspec.json.format(msgspec.json.encode(manifest), indent=1) + b"\n"


def signer(data: bytes, where: str) -> Key:
    """Return the key that is said to have signed. Raises `InputError` naming ``where``."""
    try:
        found = msgspec.json.decode(data, type=_Signer)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InputError({where: f"is not a bundle's manifest: {error}"}) from error
    if found.format != FORMAT:
        raise InputError(
            {where: f"is of the form {found.format[:80]!r}; this patchmgr reads {FORMAT!r}"}
        )
    return found.key


def decode(data: bytes, where: str) -> Manifest:
    """Return the manifest that was signed. Raises `InputError` naming ``where``."""
    try:
        found = msgspec.json.decode(data, type=Manifest)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InputError({where: f"is not a bundle's manifest: {error}"}) from error
    names = [part.name for part in found.feeds]
    if names != sorted(set(names)):
        raise InputError({where: "names a feed twice, or not in order"})
    return found
