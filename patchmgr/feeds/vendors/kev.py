"""CISA's catalogue of known exploited vulnerabilities, as one JSON document.

Source: https://www.cisa.gov/known-exploited-vulnerabilities-catalog and its schema. Each entry has
the CVE, when it was added, the day by which CISA's directive wants it done, what is required, and
whether ransomware is known to use it: ``Known``, or ``Unknown``, which is not "no".

That a flaw is *not* listed counts as well, so a catalogue that has not as many entries as it says
is refused: it is not the whole of it.
"""

import codecs
import re
from datetime import date
from typing import ClassVar

import msgspec

from patchmgr.domain.flaws import FlawNote
from patchmgr.errors import FeedMalformedError
from patchmgr.feeds.base import Feed, Page, SetAside
from patchmgr.feeds.formats.dates import instant

ADDRESS = "https://www.cisa.gov/sites/default/files/feeds/known_exploited_vulnerabilities.json"
TEXT = 400  # characters kept of what is required
ODD_SHARE = 4  # more than one entry in this many: not the catalogue at all
_CVE = re.compile(r"CVE-[0-9]{4}-[0-9]{4,19}", re.ASCII)
_CWE = re.compile(r"CWE-[0-9]{1,6}", re.ASCII)


class Named(msgspec.Struct, frozen=True):
    cve_id: str = msgspec.field(name="cveID")


class Entry(msgspec.Struct, frozen=True, rename="camel"):
    cve_id: str = msgspec.field(name="cveID")
    vulnerability_name: str = ""
    date_added: str = ""
    due_date: str = ""
    required_action: str = ""
    known_ransomware_campaign_use: str = ""
    cwes: tuple[str, ...] = ()


class Catalogue(msgspec.Struct, frozen=True):
    vulnerabilities: list[msgspec.Raw]
    count: int
    released: str | None = msgspec.field(name="dateReleased", default=None)


class Kev(Feed):
    name: ClassVar[str] = "kev"
    title: ClassVar[str] = "CISA known exploited vulnerabilities"
    start: ClassVar[tuple[str, ...]] = (ADDRESS,)
    suffixes: ClassVar[tuple[str, ...]] = (".json",)

    def read(self, url: str, body: bytes, platform: str = "") -> Page:
        """Return a note for each CVE of the catalogue; ``platform`` is not needed.

        An entry whose CVE can be read is listed, whatever else of it cannot be.
        Raises `FeedMalformedError` for what is not the whole catalogue.
        """
        catalogue = _catalogue(url, body)
        entries = catalogue.vulnerabilities
        notes: dict[str, FlawNote] = {}
        odd: list[SetAside] = []
        for number, raw in enumerate(entries, 1):
            note, problem = _read(raw)
            if note is not None:
                notes.setdefault(note.cve, note)
            if problem:
                odd.append(SetAside("", note.cve if note else f"entry {number}", problem))
        if len(odd) * ODD_SHARE > len(entries):
            raise FeedMalformedError(
                f"{url}: {len(odd)} of {len(entries)} entries are not the catalogue's, such as "
                f"{odd[0].where}: {odd[0].reason}"
            )
        return Page(
            notes=tuple(notes.values()),
            set_aside=tuple(odd),
            made_at=instant(catalogue.released or ""),
        )


_decode_entry = msgspec.json.Decoder(Entry).decode
_decode_named = msgspec.json.Decoder(Named).decode


def _catalogue(url: str, body: bytes) -> Catalogue:
    try:
        catalogue = msgspec.json.decode(body.removeprefix(codecs.BOM_UTF8), type=Catalogue)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise FeedMalformedError(f"{url}: not the catalogue's JSON: {error}") from error
    listed = len(catalogue.vulnerabilities)
    if not listed:
        raise FeedMalformedError(f"{url}: a catalogue without any entry")
    if catalogue.count != listed:
        raise FeedMalformedError(
            f"{url}: says that it has {catalogue.count} entries and has {listed}: not the whole "
            "catalogue"
        )
    return catalogue


def _read(raw: msgspec.Raw) -> tuple[FlawNote | None, str]:
    """Return what an entry says, None without a CVE, and what of it cannot be read."""
    try:
        return _note(_decode_entry(raw))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return _bare(raw), str(error)


def _bare(raw: msgspec.Raw) -> FlawNote | None:
    try:
        cve = _decode_named(raw).cve_id
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return FlawNote(cve, kev=True) if _CVE.fullmatch(cve) else None


def _note(entry: Entry) -> tuple[FlawNote | None, str]:
    if not _CVE.fullmatch(entry.cve_id):
        return None, f"{entry.cve_id[:40]!r} is not a CVE"
    added, due = _day(entry.date_added), _day(entry.due_date)
    note = FlawNote(
        entry.cve_id,
        kev=True,
        kev_added=added,
        kev_due=due,
        kev_ransomware=True if entry.known_ransomware_campaign_use == "Known" else None,
        kev_name=_line(entry.vulnerability_name),
        kev_action=_line(entry.required_action),
        cwes=tuple(cwe for cwe in entry.cwes if _CWE.fullmatch(cwe)),
    )
    for name, text, read in (
        ("dateAdded", entry.date_added, added),
        ("dueDate", entry.due_date, due),
    ):
        if read is None:
            return note, f"{name} {text[:40]!r} is not a day such as 2026-03-01"
    return note, ""


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if len(text) == len("2026-03-01") else None
    except ValueError:
        return None


def _line(text: str) -> str:
    return " ".join(text.replace("\0", "").split())[:TEXT]
