"""Ubuntu's CVE records as OpenVEX documents.

Source: https://documentation.ubuntu.com/security/security-updates/vex/ and the OpenVEX
specification. Products are package URLs of what the release has now: source packages
(``arch=source``) and all that was built from them, which only repeat it. ``fixed`` says that this
very version has the fix, not that it was the first: older ones are undetermined, unless a notice
says more (`patchmgr.feeds.vendors.ubuntu.folding`).
"""

import re
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from urllib.parse import parse_qs, unquote

import msgspec

from patchmgr.domain.advisories import Advisory, Fix, Match, Status
from patchmgr.errors import FeedMalformedError
from patchmgr.feeds.base import Page, SetAside
from patchmgr.feeds.formats.osv import moment
from patchmgr.feeds.formats.osv_records import BROKEN
from patchmgr.feeds.formats.text import shortened
from patchmgr.feeds.vendors.ubuntu.releases import located

CVE_PAGE = "https://ubuntu.com/security/"
OLDER = "~"  # sorts before the version that it follows, and after every one before it
_CONTEXT = re.compile(rb'"@context"\s*:\s*"https://openvex\.dev/')
_PURL = re.compile(r"pkg:deb/ubuntu/([^@?#]+)(?:@([^?#]+))?\?([^#]+)")
_CVE = re.compile(r"CVE-[0-9]{4}-[0-9]{4,12}")
_HEAD = 4096  # bytes in which a document says what it is
_NAME = 200


class Product(msgspec.Struct, frozen=True):
    id: str = msgspec.field(name="@id", default="")


class Vulnerability(msgspec.Struct, frozen=True):
    name: str


class Statement(msgspec.Struct, frozen=True):
    vulnerability: Vulnerability
    status: str
    products: list[Product]
    timestamp: str | None = None
    status_notes: str | None = None
    action_statement: str | None = None
    impact_statement: str | None = None


class Document(msgspec.Struct, frozen=True):
    statements: list[msgspec.Raw]


_decode_document = msgspec.json.Decoder(Document).decode
_decode_statement = msgspec.json.Decoder(Statement).decode


def is_vex(body: bytes) -> bool:
    return _CONTEXT.search(body[:_HEAD]) is not None


def page(url: str, body: bytes) -> Page:
    """Return one record per CVE of the document; odd statements go aside.

    Raises `FeedMalformedError` when none of it can be read.
    """
    try:
        statements = _decode_document(body).statements
    except BROKEN as error:
        raise FeedMalformedError(f"{url}: not a whole OpenVEX document: {error}") from error
    reading = _Reading()
    for number, raw in enumerate(statements, 1):
        reading.add(number, raw)
    if not reading.fixes:
        first = reading.set_aside[0].reason if reading.set_aside else "it has none"
        raise FeedMalformedError(f"{url}: no statement can be read: {first}")
    return Page(
        tuple(reading.advisory(cve) for cve in sorted(reading.fixes)),
        set_aside=tuple(reading.set_aside),
        skipped=dict(sorted(reading.skipped.items())),
    )


class _Reading:
    """What has been read of one document so far."""

    def __init__(self) -> None:
        self.fixes: dict[str, dict[Fix, None]] = {}
        self.published: dict[str, datetime] = {}
        self.set_aside: list[SetAside] = []
        self.skipped: Counter[str] = Counter()

    def add(self, number: int, raw: msgspec.Raw) -> None:
        try:
            statement = _decode_statement(raw)
        except BROKEN as error:
            self.set_aside.append(SetAside("", f"statement {number}", str(error)))
            return
        cve = statement.vulnerability.name
        if not _CVE.fullmatch(cve):
            self.set_aside.append(SetAside("", f"statement {number}", "it names no CVE"))
            return
        fixes = self.fixes.setdefault(cve, {})
        for package, version, distro in _sources(statement):
            where = located(distro)
            if where is None:
                self.skipped[shortened(distro)] += 1
            else:
                fixes[_fix(statement, package, version, *where)] = None
        at = moment(statement.timestamp)
        if at:
            self.published[cve] = min(at, self.published.get(cve, at))

    def advisory(self, cve: str) -> Advisory:
        return Advisory(
            ref=f"UBUNTU-{cve}",
            cves=(cve,),
            title=cve,
            published=self.published.get(cve),
            url=CVE_PAGE + cve,
            fixes=tuple(self.fixes[cve]),
        )


def _sources(statement: Statement) -> Iterator[tuple[str, str, str]]:
    """Yield name, version and part of the archive of each source package among the products."""
    for product in statement.products:
        if "arch=source" not in product.id:
            continue
        found = _PURL.fullmatch(product.id)
        if found is None:
            continue
        name, version = unquote(found[1]), unquote(found[2] or "")
        if name.isprintable() and version.isprintable() and len(name + version) <= _NAME:
            yield name, version, parse_qs(found[3]).get("distro", [""])[0]


def _fix(statement: Statement, package: str, version: str, platform: str, channel: str) -> Fix:
    status, reason, last = Status.UNDETERMINED, f"Ubuntu says {statement.status[:80]!r}", ""
    match statement.status:
        case "fixed":
            reason = f"fixed in {version}, or already in an older one" if version else reason
            last = f"{version}{OLDER}" if version else ""
        case "affected":
            status, reason = Status.NO_FIX, statement.action_statement or "no fixed version yet"
        case "not_affected":
            status, reason = Status.NOT_AFFECTED, statement.impact_statement or ""
        case "under_investigation":
            reason = statement.status_notes or "Ubuntu is still evaluating it"
    return Fix(
        platform=platform,
        package=package,
        match=Match.SOURCE,
        status=status,
        reason=shortened(reason),
        scheme="dpkg",
        last_affected=last,
        channel=channel,
    )
