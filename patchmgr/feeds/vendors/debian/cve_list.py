"""Debian's own record of every CVE: ``data/CVE/list``.

A line without a suite speaks of unstable, and of every other release that has no line of its own
for that package: one that is older than the version named there is affected. Such implied
statements say so in their reason, because an advisory knows better (see `joining`): it names the
version that was fixed for its release, and this list does not repeat it. So read it together with
the lists of advisories. ``CVE-2023-XXXX`` stands for a flaw without an id; like the tracker, we
give it a name made of its bug and description.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace

from patchmgr.domain.advisories import Advisory, Fix, Severity, Status
from patchmgr.domain.debian_releases import PLATFORMS
from patchmgr.feeds.base import Page, SetAside
from patchmgr.feeds.formats.text import shortened
from patchmgr.feeds.vendors.debian import advisory_list, lists
from patchmgr.feeds.vendors.debian.lists import Note
from patchmgr.feeds.vendors.debian.releases import UNSTABLE, concerned
from patchmgr.feeds.vendors.debian.statements import PAGE, statement

AS_IN_UNSTABLE = "as in unstable"

_HEADER = re.compile(
    r"(?P<cve>CVE-(?P<year>[0-9]{4})-(?:[0-9]{4,}|XXXX))(?:\s+[(\[]?(?P<description>.*?)[)\]]?)?"
)
_START = re.compile(rb"CVE-[0-9]{4}-")


def is_one(start: bytes) -> bool:
    """Return whether a document that begins with ``start`` is such a list."""
    return _START.match(start) is not None


def is_implied(fix: Fix) -> bool:
    """Return whether ``fix`` is only concluded from what is said of unstable."""
    return fix.reason.endswith(AS_IN_UNSTABLE)


def read(url: str, body: bytes) -> Page:
    """Return an advisory per CVE that concerns Debian.

    Its ``aliases`` are the advisories that the record names, for `joining`. Raises
    `FeedMalformedError` when the list is mostly odd.
    """
    found: dict[str, Advisory] = {}
    odd: list[SetAside] = []
    skipped: Counter[str] = Counter()
    count = 0
    for record in lists.records(body):
        count += 1
        advisory = _advisory(record, odd, skipped)
        if advisory is None or not advisory.fixes:
            continue
        known = found.get(advisory.ref)
        if known:
            fixes = tuple(dict.fromkeys(known.fixes + advisory.fixes))
            advisory = replace(known, fixes=fixes, severity=max(known.severity, advisory.severity))
        found[advisory.ref] = advisory
    lists.refuse_if_odd(url, count, odd)
    return Page(
        tuple(found[ref] for ref in sorted(found)),
        set_aside=tuple(odd),
        skipped=dict(sorted(skipped.items())),
    )


def _advisory(record: lists.Record, odd: list[SetAside], skipped: Counter[str]) -> Advisory | None:
    """Return what the record says; None when it says nothing of Debian."""
    header = _HEADER.fullmatch(record.header.text)
    if header is None:
        where = f"line {record.header.number}"
        odd.append(SetAside("", where, f"no header of a CVE: {record.header.text[:80]!r}"))
        return None
    notes: list[Note] = []
    named: list[str] = []
    unread: list[lists.Line] = []
    for line in record.lines:
        if note := lists.note(line.text):
            notes.append(note)
        elif line.text == "REJECTED":
            return None
        elif (ids := lists.ids(line.text)) is not None:
            named += (each for each in ids if advisory_list.REF.fullmatch(each))
        elif not lists.is_remark(line.text):
            unread.append(line)
    description = header["description"] or ""
    ref = _ref(header["cve"], notes, description)
    odd += (
        SetAside(ref, f"{ref}, line {number}", f"cannot be read: {text[:80]!r}")
        for number, text in unread
    )
    if not notes:
        return None
    fixes = tuple(dict.fromkeys(_fixes(int(header["year"]), notes, skipped)))
    return Advisory(
        ref=ref,
        cves=(ref,) if ref == header["cve"] else (),
        title=shortened(description),
        severity=max((fix.severity for fix in fixes), default=Severity.UNKNOWN),
        url=PAGE + ref,
        fixes=fixes,
        aliases=tuple(named),
    )


def _ref(cve: str, notes: Iterable[Note], description: str) -> str:
    """Return the CVE, or what the tracker calls a flaw that has none."""
    if not cve.endswith("XXXX"):
        return cve
    bug = next((note.bug for note in notes if note.bug), 0)
    digest = hashlib.md5(description.encode(), usedforsecurity=False).hexdigest()
    return f"TEMP-{bug:07d}-{digest[:6].upper()}"


def _fixes(year: int, notes: list[Note], skipped: Counter[str]) -> Iterator[Fix]:
    own = {(note.package, note.suite) for note in notes if note.suite}
    bare = {note.package: note.severity for note in notes if not note.suite}
    for note in notes:
        said = note.said()
        severity = note.severity or bare.get(note.package, Severity.UNKNOWN)
        platform = PLATFORMS.get(note.suite or UNSTABLE)
        if platform is None:
            skipped[note.suite] += 1
            continue
        if note.suite:
            yield statement(platform, note.package, said, severity)
            continue
        if said[0] is Status.NOT_AFFECTED:
            continue  # of unstable and all that follow it: nothing that a scan needs
        yield statement(platform, note.package, said, severity)
        status, fixed, reason = said
        implied = (status, fixed, f"{reason}, {AS_IN_UNSTABLE}" if reason else AS_IN_UNSTABLE)
        for codename in concerned(year):
            if (note.package, codename) not in own:
                yield statement(PLATFORMS[codename], note.package, implied, severity)
