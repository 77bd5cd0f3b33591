"""OSV records as advisories, whichever database wrote them.

Source: https://ossf.github.io/osv-schema/ . What a database does in its own way is known from its
records: AlmaLinux and Rocky Linux put CVEs in ``related`` and a severity in front of ``summary``;
AlmaLinux lists a package once for each build that has the fix.
"""

import re
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime

import msgspec

from patchmgr.domain.advisories import Advisory, Fix, Kind, Severity
from patchmgr.errors import FeedMalformedError
from patchmgr.feeds.base import Page, SetAside
from patchmgr.feeds.formats.osv_builds import earliest_builds
from patchmgr.feeds.formats.osv_fixes import NAME, NOTHING, fixes, is_name, oddity, severity_of
from patchmgr.feeds.formats.osv_places import place
from patchmgr.feeds.formats.osv_records import (
    BROKEN,
    Record,
    decode_record,
    name_of,
    raw_records,
)
from patchmgr.feeds.formats.text import shortened

ODD_SHARE = 4  # more than one record in this many: not OSV at all
PAGE = "https://osv.dev/vulnerability/"

_OWN_CVE = re.compile(r"(?:[A-Z]+-)?(CVE-[0-9]{4}-[0-9]{4,12})")  # UBUNTU-CVE-…, ALPINE-CVE-…
_NOT_SECURITY = {
    Kind.BUGFIX: re.compile(r"(?:AL|RL|RX|RH)BA-|(?:SUSE|openSUSE)-RU-"),
    Kind.ENHANCEMENT: re.compile(r"(?:AL|RL|RX|RH)EA-|(?:SUSE|openSUSE)-[FO]U-"),
}
_WORDED = re.compile(r"(Critical|Important|Moderate|Low): ")


def page(url: str, body: bytes, os_id: str = "", only: frozenset[str] = frozenset()) -> Page:
    """Return what all records of a document say, of ``os_id`` alone when that is given.

    Of the platforms in ``only`` when there are some: the others are left out unseen. Raises
    `FeedMalformedError` for what is no OSV, also when more than a quarter of it is odd.
    """
    reading = _Reading(os_id, only)
    for raw in raw_records(url, body):
        reading.add(raw)
    if not reading.records:
        raise FeedMalformedError(f"{url}: does not hold a single record")
    if len(reading.set_aside) * ODD_SHARE > reading.records:
        first = reading.set_aside[0]
        raise FeedMalformedError(
            f"{url}: {len(reading.set_aside)} of {reading.records} records are not OSV's,"
            f" such as {first.where or 'one without id'}: {first.reason}"
        )
    return Page(
        tuple(reading.advisories),
        set_aside=tuple(reading.set_aside),
        skipped=dict(sorted(reading.skipped.items())),
    )


class _Reading:
    """What has been read of one document so far."""

    def __init__(self, os_id: str, only: frozenset[str]) -> None:
        self.advisories: list[Advisory] = []
        self.set_aside: list[SetAside] = []
        self.skipped: Counter[str] = Counter()
        self.records = 0
        self._os_id = os_id
        self._only = only

    def add(self, raw: bytes | msgspec.Raw) -> None:
        """Add one record; an odd one goes aside, a withdrawn one is left out."""
        self.records += 1
        try:
            record = decode_record(raw)
        except BROKEN as error:
            self._put_aside(name_of(raw), str(error))
            return
        if not is_name(record.id):
            self._put_aside(record.id, "its id is not one")
        elif not record.withdrawn:
            self._add_record(record)

    def _put_aside(self, ref: str, reason: str) -> None:
        self.set_aside.append(SetAside(ref[:NAME], ref[:NAME], reason))

    def _add_record(self, record: Record) -> None:
        found: list[Fix] = []
        for affected in record.affected or ():
            if affected.package is None:
                continue  # commits of a repository, which no host reports
            ecosystem = affected.package.ecosystem
            where = place(ecosystem)
            if where is None or not where.platform.startswith(self._os_id):
                self.skipped[shortened(ecosystem)] += 1
                continue
            if self._only and where.platform not in self._only:
                continue
            reason = oddity(affected)
            if reason:
                self._put_aside(record.id, reason)
                return
            found += fixes(affected.package.name, affected, where, record.summary or "")
        if found:
            self.advisories.append(_advisory(record, earliest_builds(found)))


def _advisory(record: Record, found: tuple[Fix, ...]) -> Advisory:
    worded = _WORDED.match(record.summary or "")
    words = (worded[1] if worded else "", (record.database_specific or NOTHING).severity)
    severity = severity_of(words, record.severity or ())
    severity = severity or max((fix.severity for fix in found), default=Severity.UNKNOWN)
    aliases = [each for each in record.aliases or () if is_name(each)]
    return Advisory(
        ref=record.id,
        cves=_cves(record, found),
        title=shortened(record.summary or (record.details or "").lstrip().partition("\n")[0]),
        severity=severity,
        published=moment(record.published),
        url=_url(record),
        fixes=tuple(fix if fix.severity else replace(fix, severity=severity) for fix in found),
        kind=next(
            (kind for kind, ids in _NOT_SECURITY.items() if ids.match(record.id)), Kind.SECURITY
        ),
        aliases=tuple(dict.fromkeys(each for each in aliases if not _OWN_CVE.fullmatch(each))),
    )


def _cves(record: Record, found: tuple[Fix, ...]) -> tuple[str, ...]:
    """Return the CVEs that the record is about, not those that it merely resembles.

    ``related`` holds them where a distribution's advisory names them nowhere else.
    """
    named = _bare([record.id, *(record.aliases or ()), *(record.upstream or ())])
    if not named and any(":" in fix.platform for fix in found):
        named = _bare(record.related or ())
    return tuple(dict.fromkeys(named))


def _bare(ids: list[str] | tuple[()]) -> list[str]:
    return [match[1] for each in ids if (match := _OWN_CVE.fullmatch(each))]


def moment(text: str | None) -> datetime | None:
    """Return the moment that ``text`` (RFC 3339) names, in UTC; None when it names none."""
    try:
        found = datetime.fromisoformat(text or "")
        return found.replace(tzinfo=found.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _url(record: Record) -> str:
    """Return the vendor's own page of this advisory; without one, OSV's."""
    ids = (record.id, record.id.replace(":", "-"))
    own = (
        each.url
        for each in record.references or ()
        if each.type == "ADVISORY"
        and each.url.startswith("https://")
        and is_name(each.url)
        and any(name in each.url for name in ids)
    )
    return next(own, PAGE + record.id)
