"""CISA's SSVC decisions: Vulnrichment, a git repository with one CVE record a file.

Source: https://github.com/cisagov/vulnrichment, in CVE JSON 5. Of a record the container "CISA ADP
Vulnrichment" is read, and of its metrics the one whose type is ``ssvc``: Exploitation (none, poc,
active), Automatable (no, yes), Technical Impact (partial, total). What the record's other
containers say is for other feeds.

The repository has tens of thousands of records and no address for what is new, so nothing is
fetched unless asked for: ``--from`` reads a checkout, or its zip.
"""

import codecs
import re
from collections.abc import Iterator, Mapping
from typing import ClassVar

import msgspec

from patchmgr.domain.flaws import FlawNote
from patchmgr.errors import FeedMalformedError
from patchmgr.feeds.base import Feed, Page, SetAside

ARCHIVE = "https://codeload.github.com/cisagov/vulnrichment/zip/refs/heads/develop"
CONTAINER = "CISA ADP Vulnrichment"
ODD_SHARE = 4  # more than one record in this many: not CVE records at all
OPTIONS: Mapping[str, tuple[str, tuple[str, ...]]] = {  # name -> field of the note, its words
    "exploitation": ("ssvc_exploitation", ("none", "poc", "active")),
    "automatable": ("ssvc_automatable", ("no", "yes")),
    "technical impact": ("ssvc_impact", ("partial", "total")),
}
_CVE = re.compile(r"CVE-[0-9]{4}-[0-9]{4,19}", re.ASCII)


class Metadata(msgspec.Struct, frozen=True, rename={"cve_id": "cveId"}):
    cve_id: str
    state: str = ""


class Content(msgspec.Struct, frozen=True):
    options: list[dict[str, str]] = []
    timestamp: str = ""


class Other(msgspec.Struct, frozen=True):
    type: str = ""
    content: msgspec.Raw = msgspec.Raw(b"{}")


class Metric(msgspec.Struct, frozen=True):
    other: Other | None = None


class Container(msgspec.Struct, frozen=True):
    title: str = ""
    metrics: list[msgspec.Raw] = []


class Containers(msgspec.Struct, frozen=True):
    adp: list[Container] = []


class Record(msgspec.Struct, frozen=True, rename={"metadata": "cveMetadata"}):
    metadata: Metadata
    containers: Containers


class Ssvc(Feed):
    name: ClassVar[str] = "ssvc"
    title: ClassVar[str] = "CISA Vulnrichment (SSVC)"
    start: ClassVar[tuple[str, ...]] = (ARCHIVE,)
    suffixes: ClassVar[tuple[str, ...]] = (".json",)
    by_default: ClassVar[bool] = False

    def addresses(self, platforms: frozenset[str]) -> tuple[str, ...]:
        """Return nothing: the repository is read when asked for, from a checkout or its zip."""
        return ()

    def read(self, url: str, body: bytes, platform: str = "") -> Page:
        """Return a note for each CVE record that CISA decided on, or that was rejected.

        The document is one record, an array of them, or one a line. A single odd record is set
        aside, not refused: it is a file among very many. Raises `FeedMalformedError`.
        """
        notes: list[FlawNote] = []
        odd: list[SetAside] = []
        records = 0
        for raw in _records(url, body):
            records += 1
            try:
                note = _note(_decode_record(raw))
            except (ValueError, RecursionError) as error:
                odd.append(SetAside(_ref(raw), f"record {records}", str(error)))
                continue
            if note is not None:
                notes.append(note)
        is_one = records == 1 and bool(odd) and bool(odd[0].ref)  # a file of the repository
        if len(odd) * ODD_SHARE > records and not is_one:
            raise FeedMalformedError(
                f"{url}: {len(odd)} of {records} are not CVE records, such as {odd[0].where}: "
                f"{odd[0].reason}"
            )
        return Page(notes=tuple(notes), set_aside=tuple(odd))


_decode_record = msgspec.json.Decoder(Record).decode
_decode_metric = msgspec.json.Decoder(Metric).decode
_decode_content = msgspec.json.Decoder(Content).decode


def _records(url: str, body: bytes) -> Iterator[msgspec.Raw]:
    body = body.removeprefix(codecs.BOM_UTF8).strip()
    try:
        if body.startswith(b"["):
            found = msgspec.json.decode(body, type=list[msgspec.Raw])
        else:
            try:
                found = [msgspec.json.decode(body, type=msgspec.Raw)]
            except msgspec.DecodeError:
                lines = [line for line in body.split(b"\n") if line.strip()]
                found = [msgspec.json.decode(line, type=msgspec.Raw) for line in lines]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise FeedMalformedError(f"{url}: not whole JSON: {error}") from error
    if not found:
        raise FeedMalformedError(f"{url}: no CVE record in it")
    yield from found


def _note(record: Record) -> FlawNote | None:
    """Return what CISA decided; None when it did not. Raises `ValueError`."""
    cve = record.metadata.cve_id
    if not _CVE.fullmatch(cve):
        raise ValueError(f"{cve[:40]!r} is not a CVE")
    if record.metadata.state == "REJECTED":
        return FlawNote(cve, rejected=True)
    decisions = [
        _decode_content(metric.other.content)
        for container in record.containers.adp
        if container.title == CONTAINER
        for metric in map(_decode_metric, container.metrics)
        if metric.other is not None and metric.other.type == "ssvc"
    ]
    if not decisions:
        return None
    last = max(decisions, key=lambda content: content.timestamp)
    values: dict[str, str] = {}
    for option in last.options:
        for name, word in option.items():
            if name.lower() not in OPTIONS:
                continue
            field, words = OPTIONS[name.lower()]
            if word.lower() not in words:
                raise ValueError(f"{name} is {word[:40]!r}, not one of {', '.join(words)}")
            values[field] = word.lower()
    return FlawNote(cve, **values) if values else None  # type: ignore[arg-type] # fields of words


class _Named(msgspec.Struct, frozen=True, rename={"metadata": "cveMetadata"}):
    metadata: Metadata


def _ref(raw: msgspec.Raw) -> str:
    """Return the CVE that an odd record is about, if it says so: what is known of it stays."""
    try:
        cve = msgspec.json.decode(raw, type=_Named).metadata.cve_id
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""
    return cve if _CVE.fullmatch(cve) else ""
