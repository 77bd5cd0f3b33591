"""Ubuntu's notices as one JSON document, ``database-all.json`` and its like.

Source: number of the notice, then ``releases`` by codename with ``sources`` (name, version) and
``allbinaries`` (with ``source`` and ``pocket``, the part of the archive, in newer notices);
``action`` is what to do besides updating. Pockets other than ``security`` need Ubuntu Pro; older
notices tell it only by a version that ESM has marked.
"""

import re
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime

import msgspec

from patchmgr.domain.advisories import Advisory, Fix, Match, Status
from patchmgr.domain.debian_releases import UBUNTU
from patchmgr.errors import FeedMalformedError
from patchmgr.feeds.base import Page, SetAside
from patchmgr.feeds.formats.osv_records import BROKEN
from patchmgr.feeds.formats.text import shortened
from patchmgr.feeds.formats.ubuntu_pro import INFRA, is_esm, service_of

NOTICE_PAGE = "https://ubuntu.com/security/notices/"
ODD_SHARE = 4  # more than one notice in this many: not the database at all
_FIRST = re.compile(rb'\s*\{\s*"[0-9]+-[0-9]+"\s*:')
_NUMBER = re.compile(r"[0-9]+-[0-9]+")
_CVE = re.compile(r"CVE-[0-9]{4}-[0-9]{4,12}")
_AFTER = {
    "reboot": re.compile(r"reboot"),
    "relogin": re.compile(r"restart (?:your|the) (?:desktop )?session|log ?out|log back in"),
    "restart": re.compile(r"restart"),
}
_NAME = 200


class Source(msgspec.Struct, frozen=True):
    version: str


class Binary(msgspec.Struct, frozen=True):
    source: str | None = None
    pocket: str | None = None


class Release(msgspec.Struct, frozen=True):
    sources: dict[str, Source]
    allbinaries: dict[str, Binary] | None = None


class Notice(msgspec.Struct, frozen=True):
    releases: dict[str, Release]
    cves: list[str] | None = None
    title: str | None = None
    action: str | None = None
    timestamp: float | None = None


_decode_notices = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_notice = msgspec.json.Decoder(Notice).decode


def is_database(body: bytes) -> bool:
    return _FIRST.match(body[:256]) is not None


def page(url: str, body: bytes) -> Page:
    """Return one advisory per notice; odd ones go aside. Raises `FeedMalformedError`."""
    try:
        notices = _decode_notices(body)
    except BROKEN as error:
        raise FeedMalformedError(f"{url}: not a whole database of notices: {error}") from error
    advisories: list[Advisory] = []
    set_aside: list[SetAside] = []
    skipped: Counter[str] = Counter()
    for number, raw in notices.items():
        ref = f"USN-{number[:_NAME]}"
        try:
            advisories.append(_advisory(ref, _decode_notice(raw), skipped))
        except (*BROKEN, ValueError) as error:
            set_aside.append(SetAside(ref, ref, str(error)))
    if len(set_aside) * ODD_SHARE > len(notices):
        raise FeedMalformedError(
            f"{url}: {len(set_aside)} of {len(notices)} notices are not the database's,"
            f" such as {set_aside[0].where}: {set_aside[0].reason}"
        )
    return Page(
        tuple(advisories), set_aside=tuple(set_aside), skipped=dict(sorted(skipped.items()))
    )


def _advisory(ref: str, notice: Notice, skipped: Counter[str]) -> Advisory:
    """Raises `ValueError` when a name or version in it is not one."""
    if not _NUMBER.fullmatch(ref.removeprefix("USN-")):
        raise ValueError("its number is not one of a notice")
    fixes: dict[Fix, None] = {}
    for codename, release in notice.releases.items():
        if codename in UBUNTU:
            fixes.update(dict.fromkeys(_fixes(UBUNTU[codename], release, notice.action or "")))
        else:
            skipped[shortened(codename)] += 1
    return Advisory(
        ref=ref,
        cves=tuple(dict.fromkeys(cve for cve in notice.cves or () if _CVE.fullmatch(cve))),
        title=shortened(notice.title or ""),
        published=_moment(notice.timestamp),
        url=NOTICE_PAGE + ref,
        fixes=tuple(fixes),
    )


def _fixes(platform: str, release: Release, action: str) -> Iterator[Fix]:
    services = _services(release)
    for name, source in release.sources.items():
        if not (_is_name(name) and _is_name(source.version)):
            raise ValueError(f"{platform}, {name[:80]!r}: not a package and a version")
        marked = INFRA if is_esm(source.version) else ""
        yield Fix(
            platform=platform,
            package=name,
            match=Match.SOURCE,
            status=Status.AFFECTED,
            fixed=source.version,
            scheme="dpkg",
            channel=services.get(name, marked),
            after=next((word for word, said in _AFTER.items() if said.search(action)), ""),
        )


def _services(release: Release) -> dict[str, str]:
    """Return by source package which service has its binaries, where they say their pocket."""
    found: dict[str, str] = {}
    only = next(iter(release.sources)) if len(release.sources) == 1 else ""
    for binary in (release.allbinaries or {}).values():
        source = only or binary.source or ""
        if binary.pocket:
            found[source] = max(service_of(binary.pocket), found.get(source, ""))
    return found


def _is_name(text: str) -> bool:
    return 0 < len(text) <= _NAME and text.isprintable()


def _moment(timestamp: float | None) -> datetime | None:
    try:
        return datetime.fromtimestamp(timestamp, UTC) if timestamp is not None else None
    except (ValueError, OverflowError, OSError):
        return None
