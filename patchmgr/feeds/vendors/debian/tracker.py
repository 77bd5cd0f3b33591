"""The tracker's JSON: what it makes of all lists, per package, CVE and release.

Source: https://security-tracker.debian.org/tracker/data/json - source package, then CVE, then
release: ``resolved`` in ``fixed_version`` (``0``: never affected), ``open`` or ``undetermined``.
``nodsa`` and ``nodsa_reason`` say why no advisory will come for an open one, ``urgency`` how bad it
is, with ``*`` for a guess from the outside. A release that is not listed does not have the package.
"""

import codecs
import re
from collections import Counter
from collections.abc import Iterator, Mapping

import msgspec

from patchmgr.domain.advisories import Advisory, Fix, Severity, Status
from patchmgr.domain.debian_releases import PLATFORMS
from patchmgr.errors import FeedMalformedError
from patchmgr.feeds.base import Page, SetAside
from patchmgr.feeds.formats.names import LONGEST, is_name
from patchmgr.feeds.formats.text import shortened
from patchmgr.feeds.vendors.debian.statements import (
    END_OF_LIFE,
    PAGE,
    SEVERITIES,
    UNDETERMINED,
    UNFIXED,
    fixed_in,
    no_dsa,
    statement,
)

ODD_SHARE = 4  # more than one record in this many: not the tracker's document at all

_CVE = re.compile(r"CVE-[0-9]{4}-[0-9]{4,}")


class Release(msgspec.Struct, frozen=True):
    status: str | None = None
    fixed_version: str | None = None
    urgency: str | None = None
    nodsa: str | None = None
    nodsa_reason: str | None = None


class Record(msgspec.Struct, frozen=True):
    # An empty list stands for "no release" in what some mirrors publish.
    releases: dict[str, Release] | list[msgspec.Raw]
    description: str | None = None


def read(url: str, body: bytes) -> Page:
    """Return one advisory per CVE, with the fixes of every source package it concerns.

    Raises `FeedMalformedError` for what is not the tracker's document, also when more than a
    quarter of it is odd.
    """
    packages = _packages(url, body)
    if _is_about_releases(packages):
        return Page()
    reading = _Reading()
    for package, raw in packages.items():
        reading.add(package, raw)
    if not reading.records:
        raise FeedMalformedError(f"{url}: packages without a single record")
    if reading.odd * ODD_SHARE > reading.records:
        first = reading.set_aside[0]
        raise FeedMalformedError(
            f"{url}: {reading.odd} of {reading.records} records are not the security tracker's,"
            f" such as {first.where}: {first.reason}"
        )
    return reading.page()


def _is_about_releases(packages: Mapping[str, msgspec.Raw]) -> bool:
    """Return whether this is the list of releases that lies beside the tracker's data."""
    return set(packages) <= {*PLATFORMS, "distributions"} and all(
        b'"major-version"' in bytes(raw) for raw in packages.values()
    )


def _packages(url: str, body: bytes) -> dict[str, msgspec.Raw]:
    body = body.removeprefix(codecs.BOM_UTF8)
    start = body[:64].lstrip()
    if not start:
        raise FeedMalformedError(f"{url}: the document is empty")
    if start.startswith(b"<"):
        raise FeedMalformedError(f"{url}: this is a page of HTML or XML, not the tracker's JSON")
    try:
        packages = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    except msgspec.ValidationError as error:
        raise FeedMalformedError(f"{url}: not an object of packages: {error}") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise FeedMalformedError(f"{url}: not whole JSON: {error}") from error
    if not packages:
        raise FeedMalformedError(f"{url}: an object without any package")
    return packages


_decode_package = msgspec.json.Decoder(dict[str, Record]).decode
_decode_parts = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_record = msgspec.json.Decoder(Record).decode


class _Reading:
    """What has been read of one document so far."""

    def __init__(self) -> None:
        self.fixes: dict[str, list[Fix]] = {}
        self.titles: dict[str, str] = {}
        self.set_aside: list[SetAside] = []
        self.skipped: Counter[str] = Counter()
        self.records = 0
        self.odd = 0

    def add(self, package: str, raw: msgspec.Raw) -> None:
        """Add what the document says of ``package``; odd records go aside one by one."""
        try:
            records = _decode_package(raw)
        except (msgspec.DecodeError, UnicodeDecodeError):
            records = dict(self._one_by_one(package, raw))
        for cve, record in records.items():
            where = f"{package}, {cve}"
            if not (is_name(package) and is_name(cve)):
                self._put_aside(cve[:LONGEST], where[:LONGEST], "not names of a package and a CVE")
            elif isinstance(record.releases, list) and record.releases:
                self._put_aside(cve, where, "its releases are a list")
            else:
                self._add_record(package, cve, record)

    def _one_by_one(self, package: str, raw: msgspec.Raw) -> Iterator[tuple[str, Record]]:
        try:
            parts = _decode_parts(raw)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            self._put_aside("", package, str(error))
            return
        for cve, part in parts.items():
            try:
                yield cve, _decode_record(part)
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                self._put_aside(cve, f"{package}, {cve}", str(error))

    def _put_aside(self, ref: str, where: str, reason: str) -> None:
        self.records += 1
        self.odd += 1
        self.set_aside.append(SetAside(ref, where, reason))

    def _add_record(self, package: str, cve: str, record: Record) -> None:
        self.records += 1
        fixes = self.fixes.setdefault(cve, [])
        if record.description and cve not in self.titles:
            self.titles[cve] = shortened(record.description)
        if isinstance(record.releases, list):
            return
        for codename, release in record.releases.items():
            platform = PLATFORMS.get(codename)
            if platform is None:
                self.skipped[codename] += 1
            else:
                fixes.append(self._fix(platform, package, release))

    @staticmethod
    def _fix(platform: str, package: str, release: Release) -> Fix:
        urgency = (release.urgency or "").rstrip("*").strip()
        severity = SEVERITIES.get(urgency, Severity.UNKNOWN)
        return statement(platform, package, _said(release, urgency), severity)

    def page(self) -> Page:
        return Page(
            tuple(self._advisory(ref, self.fixes[ref]) for ref in sorted(self.fixes)),
            set_aside=tuple(self.set_aside),
            skipped=dict(sorted(self.skipped.items())),
        )

    def _advisory(self, ref: str, fixes: list[Fix]) -> Advisory:
        return Advisory(
            ref=ref,
            cves=(ref,) if _CVE.fullmatch(ref) else (),  # TEMP-… is no CVE
            title=self.titles.get(ref, ""),
            severity=max((fix.severity for fix in fixes), default=Severity.UNKNOWN),
            url=PAGE + ref,
            fixes=tuple(fixes),
        )


def _said(release: Release, urgency: str) -> tuple[Status, str, str]:
    """Return status, fixed version and reason of what the tracker says of a release."""
    match release.status:
        case "resolved" if fixed := (release.fixed_version or "").strip():
            return fixed_in(fixed)
        case "resolved":
            return Status.UNDETERMINED, "", "resolved, but without a fixed version"
        case "open":
            return Status.NO_FIX, "", _why_open(release, urgency)
        case "undetermined":
            return Status.UNDETERMINED, "", UNDETERMINED
    said = repr(release.status[:80]) if release.status else "nothing of its status"
    return Status.UNDETERMINED, "", f"the tracker says {said}"


def _why_open(release: Release, urgency: str) -> str:
    if urgency == END_OF_LIFE:
        return "end of life"
    if not release.nodsa:
        return UNFIXED
    return no_dsa(release.nodsa, release.nodsa_reason or "")
