"""The text lists of the tracker: records of one header line and indented lines.

Source: lib/python/bugs.py of the security tracker, which reads ``data/CVE/list`` and
``data/DSA/list``. A line about a package is ``[suite] - package version (notes)``, or a word in
angle brackets in place of the version; notes are separated by semicolons.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from patchmgr.domain.advisories import Severity, Status
from patchmgr.errors import FeedMalformedError
from patchmgr.feeds.base import SetAside
from patchmgr.feeds.formats.names import LONGEST
from patchmgr.feeds.formats.text import shortened
from patchmgr.feeds.vendors.debian.statements import (
    SEVERITIES,
    UNDETERMINED,
    UNFIXED,
    fixed_in,
    no_dsa,
)

ODD_SHARE = 4  # more than one record in this many, and more than one: not Debian's list at all

_PACKAGE = re.compile(
    r"(?:\[(?P<suite>[a-z]+)\] *)?- (?P<package>[A-Za-z0-9:.+-]+)"
    r"(?:\s+(?:<(?P<word>[a-z-]+)>|(?P<version>[A-Za-z0-9:.+~-]+)))?(?:\s+\((?P<notes>.*)\))?"
)
_IDS = re.compile(r"\{\s*([^}]*?)\s*\}")
_REMARK = re.compile(r"(?:NOTE|TODO|HELP|CHECK|NOT-FOR-US):|RESERVED$|REJECTED$")
_PASSED_OVER = re.compile(r"\s*$|--|STOP:|begin claimed by |end claimed by ")
_BUG = re.compile(r"bug #([0-9]{1,7})")


class Line(NamedTuple):
    number: int
    text: str  # without blanks around


@dataclass(slots=True)
class Record:
    header: Line
    lines: list[Line] = field(default_factory=list)


def records(body: bytes) -> Iterator[Record]:
    """Yield each record; indented lines before the first header belong to none and are left out."""
    record: Record | None = None
    for number, line in enumerate(body.decode("utf-8-sig", "replace").split("\n"), start=1):
        if _PASSED_OVER.match(line):
            continue
        if line[0] in "\t ":
            if record is not None:
                record.lines.append(Line(number, line.strip()))
            continue
        if record is not None:
            yield record
        record = Record(Line(number, line.strip()))
    if record is not None:
        yield record


@dataclass(frozen=True, slots=True)
class Note:
    """What a line says of a package."""

    suite: str  # "" for unstable
    package: str
    word: str  # "unfixed", "no-dsa", ...; "" where a version is named
    version: str
    notes: str

    @property
    def severity(self) -> Severity:
        words = (word.strip().rstrip("*") for word in self.notes.split(";"))
        return max(SEVERITIES.get(word, Severity.UNKNOWN) for word in words)

    @property
    def bug(self) -> int:
        """Return the number of the first bug it names; 0 for none."""
        found = _BUG.search(self.notes)
        return int(found[1]) if found else 0

    def said(self) -> tuple[Status, str, str]:
        """Return status, fixed version and reason."""
        match self.word:
            case "":
                return fixed_in(self.version)
            case "unfixed":
                return Status.NO_FIX, "", UNFIXED
            case "removed":
                return Status.NO_FIX, "", "removed from Debian"
            case "end-of-life":
                return Status.NO_FIX, "", "end of life"
            case "no-dsa":
                return Status.NO_FIX, "", no_dsa(self.notes)
            case "postponed" | "ignored":
                return Status.NO_FIX, "", no_dsa(self.notes, self.word)
            case "undetermined":
                return Status.UNDETERMINED, "", UNDETERMINED
            case "not-affected":
                return Status.NOT_AFFECTED, "", shortened(self.notes) or "not affected"
            case "itp":
                return Status.NOT_AFFECTED, "", "not in Debian"
        return Status.UNDETERMINED, "", f"Debian says <{self.word[:80]}>"


def note(text: str) -> Note | None:
    """Return what ``text`` says of a package; None when it is not such a line."""
    found = _PACKAGE.fullmatch(text)
    if found is None:
        return None
    suite, package, word, version, notes = (part or "" for part in found.groups())
    if len(package) > LONGEST:
        return None
    return Note(suite, package, word if word or version else "unfixed", version, notes)


def ids(text: str) -> tuple[str, ...] | None:
    """Return the ids in ``{...}``; None when ``text`` is not such a line."""
    found = _IDS.fullmatch(text)
    return tuple(found[1].split()) if found else None


def is_remark(text: str) -> bool:
    return _REMARK.match(text) is not None


def refuse_if_odd(url: str, records: int, odd: list[SetAside]) -> None:
    """Raise `FeedMalformedError` when too many of the ``records`` could not be read."""
    if not records:
        raise FeedMalformedError(f"{url}: a list without a single record")
    if len(odd) > 1 and len(odd) * ODD_SHARE > records:
        raise FeedMalformedError(
            f"{url}: {len(odd)} of {records} records are not the security tracker's,"
            f" such as {odd[0].where}: {odd[0].reason}"
        )
