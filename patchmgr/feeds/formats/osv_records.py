"""OSV records as they stand in a document: one record, a JSON array of them, or JSON lines.

Source: https://ossf.github.io/osv-schema/ - only the fields that we read.
"""

import codecs
import io
from collections.abc import Iterator
from typing import Any

import msgspec

from patchmgr.errors import FeedMalformedError
from patchmgr.feeds.formats.osv_spans import Event


class Rating(msgspec.Struct, frozen=True):
    type: str = ""
    score: str | float = ""


class Package(msgspec.Struct, frozen=True):
    ecosystem: str
    name: str
    purl: str | None = None


class Range(msgspec.Struct, frozen=True):
    type: str = ""
    events: list[Event] = []


class RatedCve(msgspec.Struct, frozen=True):
    severity: list[Rating] | None = None


class CveMap(msgspec.Struct, frozen=True):
    cves: list[RatedCve] | None = None


class Specific(msgspec.Struct, frozen=True):
    """What databases add of their own, to a record or to an affected package."""

    severity: Any = None  # GitHub, Go, Root: a word
    urgency: Any = None  # Debian
    ubuntu_priority: Any = None
    availability: Any = None  # Ubuntu: whether the fix needs Pro
    rpm_modularity: Any = None  # name:stream
    cves_map: CveMap | None = None  # Ubuntu
    binaries: msgspec.Raw = msgspec.Raw(b"null")  # SUSE: what the source package builds


class Affected(msgspec.Struct, frozen=True):
    package: Package | None = None
    ranges: list[Range] | None = None
    versions: list[str] | None = None
    severity: list[Rating] | None = None
    ecosystem_specific: Specific | None = None
    database_specific: Specific | None = None


class Reference(msgspec.Struct, frozen=True):
    type: str = ""
    url: str = ""


class Record(msgspec.Struct, frozen=True):
    id: str
    modified: str
    published: str | None = None
    withdrawn: str | None = None
    summary: str | None = None
    details: str | None = None
    aliases: list[str] | None = None
    upstream: list[str] | None = None
    related: list[str] | None = None
    severity: list[Rating] | None = None
    affected: list[Affected] | None = None
    references: list[Reference] | None = None
    database_specific: Specific | None = None


class Named(msgspec.Struct, frozen=True):
    """What is still known of a record that is odd."""

    id: str = ""


_decode_array = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_any = msgspec.json.Decoder(msgspec.Raw).decode
decode_record = msgspec.json.Decoder(Record).decode
_decode_named = msgspec.json.Decoder(Named).decode
BROKEN = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def raw_records(url: str, body: bytes) -> Iterator[bytes | msgspec.Raw]:
    """Yield each record of a document as JSON, not yet looked into.

    Raises `FeedMalformedError` when the document is empty, or not whole.
    """
    body = body.removeprefix(codecs.BOM_UTF8).strip()
    if not body:
        raise FeedMalformedError(f"{url}: the document is empty")
    if body.startswith(b"<"):
        raise FeedMalformedError(f"{url}: this is a page of HTML or XML, not JSON")
    try:
        if body.startswith(b"["):
            yield from _decode_array(body)
        elif is_lines(body):
            for line in io.BytesIO(body):
                if line.strip():
                    yield _decode_any(line)
        else:
            yield _decode_any(body)
    except BROKEN as error:
        raise FeedMalformedError(f"{url}: not whole JSON: {error}") from error


def is_lines(body: bytes) -> bool:
    """Return whether the first line is JSON of its own, with more lines to come."""
    first, _, rest = body.partition(b"\n")
    if not rest or not first.rstrip().endswith(b"}"):
        return False
    try:
        _decode_any(first)
    except BROKEN:
        return False
    return True


def name_of(raw: bytes | msgspec.Raw) -> str:
    """Return the id of a record that cannot be read otherwise; "" when not even that."""
    try:
        return _decode_named(raw).id[:200]
    except BROKEN:
        return ""
