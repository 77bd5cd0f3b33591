"""Debian's advisories as text: ``data/DSA/list``, ``data/DLA/list`` and ``data/DTSA/list``.

Freexian's list of Extended LTS (``ELA-300-1``) has the same form; its fixes are for who subscribes.

A header ``[01 Apr 2023] DLA-3379-1 intel-microcode - security update``, the CVEs in braces, and a
line per suite and source package. ``DSA-n-2`` updates ``DSA-n-1``, mostly because of a regression,
and is an advisory of its own; where it names no CVEs it has none. Announcements, such as of a
release's end of life, have no lines about packages.
"""

import re
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime

from patchmgr.domain.advisories import Advisory, Fix
from patchmgr.domain.debian_releases import PLATFORMS
from patchmgr.feeds.base import Page, SetAside
from patchmgr.feeds.formats.text import shortened
from patchmgr.feeds.vendors.debian import lists
from patchmgr.feeds.vendors.debian.releases import UNSTABLE
from patchmgr.feeds.vendors.debian.statements import PAGE, statement

REF = re.compile(r"(?:DSA|DLA|DTSA|ELA)-[0-9]{1,6}(?:-[0-9]{1,3})?")
EXTENDED, ELTS = "ELA-", "elts"
EXTENDED_PAGE = "https://deb.freexian.com/extended-lts/tracker/"
_REST = rf"(?P<ref>{REF.pattern})(?:\s+(?P<title>.*))?"
_HEADER = re.compile(
    rf"\[(?P<day>[0-9]{{2}}) (?P<month>[A-Z][a-z]{{2}}) (?P<year>[0-9]{{4}})\] {_REST}"
)
# DTSA, of the team that once secured testing: "[August 26th, 2005] DTSA-1-1 kismet - ..."
_OLD_HEADER = re.compile(
    r"\[(?P<month>[A-Z][a-z]{2})[a-z]* (?P<day>[0-9]{1,2})(?:st|nd|rd|th), "
    rf"(?P<year>[0-9]{{4}})\] {_REST}"
)
_MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
_START = re.compile(rb"\[[0-9A-Za-z ,]{9,24}\] ")
_CVE = re.compile(r"CVE-[0-9]{4}-[0-9]{4,}")


def is_one(start: bytes) -> bool:
    """Return whether a document that begins with ``start`` is such a list."""
    return _START.match(start) is not None


def read(url: str, body: bytes) -> Page:
    """Return the advisories of the list. Raises `FeedMalformedError` when it is mostly odd."""
    found: dict[str, Advisory] = {}
    odd: list[SetAside] = []
    skipped: Counter[str] = Counter()
    count = 0
    for record in lists.records(body):
        count += 1
        draft = _draft(record.header.text)
        if draft is None:
            where = f"line {record.header.number}"
            odd.append(
                SetAside("", where, f"no header of an advisory: {record.header.text[:80]!r}")
            )
            continue
        advisory = _with_lines(draft, record.lines, odd, skipped)
        known = found.get(advisory.ref)
        found[advisory.ref] = _united(known, advisory) if known else advisory
    lists.refuse_if_odd(url, count, odd)
    return Page(
        tuple(found[ref] for ref in sorted(found)),
        set_aside=tuple(odd),
        skipped=dict(sorted(skipped.items())),
    )


def _draft(header: str) -> Advisory | None:
    found = _HEADER.fullmatch(header) or _OLD_HEADER.fullmatch(header)
    if found is None or found["month"] not in _MONTHS:
        return None
    month = _MONTHS.index(found["month"]) + 1
    try:
        published = datetime(int(found["year"]), month, int(found["day"]), tzinfo=UTC)
    except ValueError:
        return None
    ref, title = found["ref"], shortened(found["title"] or "")
    page = EXTENDED_PAGE if ref.startswith(EXTENDED) else PAGE
    return Advisory(ref=ref, title=title, published=published, url=page + ref)


def _with_lines(
    draft: Advisory, lines: list[lists.Line], odd: list[SetAside], skipped: Counter[str]
) -> Advisory:
    """Return ``draft`` with what its lines say; what cannot be read goes to ``odd``."""
    channel = ELTS if draft.ref.startswith(EXTENDED) else ""
    cves: list[str] = []
    fixes: list[Fix] = []
    for number, text in lines:
        if (named := lists.ids(text)) is not None:
            cves += (each for each in named if _CVE.fullmatch(each))
        elif note := lists.note(text):
            platform = PLATFORMS.get(note.suite or UNSTABLE)
            if platform is None:
                skipped[note.suite] += 1
            else:
                fix = statement(platform, note.package, note.said(), note.severity)
                fixes.append(replace(fix, channel=channel))
        elif not lists.is_remark(text):
            where = f"{draft.ref}, line {number}"
            odd.append(SetAside(draft.ref, where, f"cannot be read: {text[:80]!r}"))
    return replace(
        draft,
        cves=tuple(dict.fromkeys(cves)),
        fixes=tuple(dict.fromkeys(fixes)),
        severity=max((fix.severity for fix in fixes), default=draft.severity),
    )


def _united(one: Advisory, other: Advisory) -> Advisory:
    """Return two records of the same id as one advisory."""
    return replace(
        one,
        cves=tuple(dict.fromkeys(one.cves + other.cves)),
        fixes=tuple(dict.fromkeys(one.fixes + other.fixes)),
        severity=max(one.severity, other.severity),
    )
