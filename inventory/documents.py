"""The wire format of what the collector sends: one JSON document, checked before it is believed.

``{"version": 1, "collected_at": …, "host": {…}, "sections": {name: raw text, …}}``; its digest is
SHA-256 over host and sections as canonical JSON (sorted keys, no spaces, UTF-8), so that an
unchanged report is known by its digest alone. What the sections say is read elsewhere.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from patchmgr.domain.identity import ADDRESSES, LONGEST_ID, LONGEST_NAME, Identity, normal
from patchmgr.errors import InputError

VERSION = 1
SECTIONS = 64  # names of one report
LONGEST_SECTION_NAME = 40
_IDS = ("machine_id", "boot_id", "product_uuid")
_FIELDS = {"version", "collected_at", "host", "sections"}


@dataclass(frozen=True, slots=True)
class Document:
    """A report as it was sent; ``host`` in its normal form."""

    collected_at: datetime
    host: Identity
    sections: Mapping[str, str]
    digest: bytes


def recognises(body: bytes) -> bool:
    """Return whether ``body`` looks like a report of the collector, and not of another tool."""
    return body[:1] == b"{" and b'"collected_at"' in body and b'"sections"' in body


def read(body: bytes) -> Document:
    """Return the report in ``body``. Raises `InputError` naming the part that is wrong."""
    document = _object(_json(body), "body")
    for name in ("host", "sections"):
        if name not in document:
            raise InputError({name: "is missing from the report"})
    for name in document.keys() - _FIELDS:
        raise InputError({name[:80]: "is no part of a report of version 1"})
    if document.get("version") != VERSION or isinstance(document.get("version"), bool):
        raise InputError({"version": f"must be {VERSION}: this service reads no other"})
    sections = _sections(document["sections"])
    return Document(
        _instant(document.get("collected_at")),
        identity(document["host"]),
        sections,
        digest(document["host"], sections),
    )


def identity(value: Any) -> Identity:
    """Return what a machine says of itself. Raises `InputError`."""
    host = _object(value, "host")
    for name in host.keys() - {"hostname", "addresses", *_IDS}:
        raise InputError({f"host.{name[:80]}": "is no part of a host"})
    addresses = host.get("addresses", [])
    if not isinstance(addresses, list) or len(addresses) > ADDRESSES:
        raise InputError({"host.addresses": f"must be a list of at most {ADDRESSES}"})
    ids = {name: _word(host.get(name, ""), f"host.{name}", LONGEST_ID) for name in _IDS}
    return normal(
        Identity(
            _word(host.get("hostname", ""), "host.hostname", LONGEST_NAME, required=True),
            addresses=tuple(_word(each, "host.addresses", LONGEST_ID) for each in addresses),
            **ids,
        )
    )


def digest(host: Mapping[str, Any], sections: Mapping[str, str]) -> bytes:
    """Return what names a report's content. Raises `InputError` for text that is not Unicode."""
    content = {"host": host, "sections": sections}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    try:
        return hashlib.sha256(text.encode()).digest()
    except UnicodeEncodeError as error:
        raise InputError({"body": "has a half of a surrogate pair, which is no text"}) from error


def _json(body: bytes) -> Any:
    try:
        return json.loads(body.decode("utf-8"), object_pairs_hook=_once)
    except UnicodeDecodeError as error:
        raise InputError({"body": "is not UTF-8"}) from error
    except RecursionError as error:
        raise InputError({"body": "is nested too deeply"}) from error
    except ValueError as error:
        raise InputError({"body": f"is not JSON: {str(error)[:200]}"}) from error


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name is given twice in one object")
    return found


def _object(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InputError({where: "must be a JSON object"})
    return value


def _sections(value: Any) -> dict[str, str]:
    sections = _object(value, "sections")
    if len(sections) > SECTIONS:
        raise InputError({"sections": f"has more than {SECTIONS}"})
    for name, text in sections.items():
        if len(name) > LONGEST_SECTION_NAME or not name.isprintable():
            raise InputError({f"sections.{name[:40]!r}": "is no name of a section"})
        if not isinstance(text, str):
            raise InputError({f"sections.{name}": "must be text"})
    return sections


def _word(value: Any, where: str, longest: int, *, required: bool = False) -> str:
    if not isinstance(value, str):
        raise InputError({where: "must be text"})
    word = value.strip()
    if required and not word:
        raise InputError({where: "is empty; the machine needs a name"})
    if len(word) > longest or not word.isprintable():
        raise InputError({where: f"must be at most {longest} printable characters"})
    return word


def _instant(value: Any) -> datetime:
    try:
        at = datetime.fromisoformat(value)
        if at.tzinfo is not None:
            return at
    except (TypeError, ValueError):
        pass
    raise InputError({"collected_at": "must be an instant such as 2026-03-02T09:30:00Z"})
