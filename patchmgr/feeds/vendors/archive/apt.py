"""apt's repositories: `InRelease` says what there is, `Packages` has it.

Source: Debian's wiki, DebianRepository/Format; Debian policy 5.6.1 for ``Source: name (version)``;
apt.conf(5), ``APT::Get::Always-Include-Phased-Updates`` for ``Phased-Update-Percentage``.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urljoin

from patchmgr.domain.debian_releases import PLATFORMS, UBUNTU
from patchmgr.domain.offers import EVERYBODY, Offer
from patchmgr.errors import FeedMalformedError
from patchmgr.feeds.base import Page, SetAside
from patchmgr.feeds.formats.labels import labelled, labels_of, without_labels
from patchmgr.feeds.formats.names import is_name
from patchmgr.feeds.formats.offers import newest
from patchmgr.feeds.formats.platforms import platform_of
from patchmgr.feeds.vendors.archive.suites import suite_of

ARCHITECTURES = ("amd64", "arm64")
PACKED = (".xz", ".gz", ".zst", "")
ODD_SHARE = 4  # more than one package in this many: not a list of packages at all
_ORIGINS = {"Debian": PLATFORMS, "Ubuntu": UBUNTU}
_FIELD = re.compile(r"^([A-Za-z0-9-]+):[ \t]*(.*)$", re.MULTILINE)
_SHA256 = re.compile(r"^SHA256:[ \t]*\n((?:[ \t].*(?:\n|\Z))+)", re.MULTILINE)
_PACKAGES = re.compile(r"(?!.*-installer/)(?:[A-Za-z0-9._-]+/)+binary-([a-z0-9-]+)/Packages")
_DIST = re.compile(r"(?:^|[/_])dists[/_](.+?)[/_]InRelease$")
_PERCENTAGE = re.compile(r"[0-9]{1,3}")
_SOURCE = re.compile(r"(\S+)(?:\s+\((\S+)\))?\s*")


def release(url: str, body: bytes, platform: str) -> Page:
    """Return which `Packages` of a Release to read, and until when the Release holds.

    Those of the architectures that ``url`` says, each with its digest. Suites that apt does not
    install from by itself (``NotAutomatic``, such as backports) offer nothing.
    """
    text = body.decode("utf-8", "replace")
    fields = dict(_FIELD.findall(text))
    codename = fields.get("Codename", "").strip()
    suite = fields.get("Suite", "").strip()
    if not is_name(codename or suite):
        raise FeedMalformedError(f"{url}: a Release without Codename and Suite")
    _check_place(url, codename, suite)
    where = _platform(url, fields.get("Origin", "").strip(), codename, platform)
    expires = _date(url, "Valid-Until", fields)
    made_at = _date(url, "Date", fields)
    if fields.get("NotAutomatic", "").strip() == "yes":
        return Page(expires=expires, made_at=made_at)
    # Debian's Suite changes meaning with time ("oldstable"), Ubuntu's names the pocket.
    name = suite if suite.startswith(codename) and suite else codename
    lists, set_aside = _lists(url, text, fields)
    labels = {"platform": where, "suite": name}
    follow = tuple(labelled(place, **labels, sha256=digest) for place, digest in lists)
    return Page(follow=follow, set_aside=set_aside, expires=expires, made_at=made_at)


def _check_place(url: str, codename: str, suite: str) -> None:
    """Raise `FeedMalformedError` when another suite's Release stands at ``url``."""
    found = _DIST.search(without_labels(url))
    if found and found[1].replace("_", "/") not in (codename, suite, f"{codename}/updates"):
        raise FeedMalformedError(f"{url}: the Release there is that of {codename or suite}")


def _platform(url: str, origin: str, codename: str, given: str) -> str:
    said = labels_of(url).get("platform", "")
    found = _ORIGINS.get(origin, {}).get(re.split("[-/]", codename)[0], "")
    if found and said not in ("", found):
        raise FeedMalformedError(f"{url}: the Release there is of {found}, not of {said}")
    return found or platform_of(url, given, "debian:12")


def _date(url: str, name: str, fields: dict[str, str]) -> datetime | None:
    text = fields.get(name, "").strip()
    if not text:
        return None
    try:
        found = parsedate_to_datetime(text)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, TypeError, OverflowError) as error:
        raise FeedMalformedError(f"{url}: {name} {text[:80]!r} is no date") from error


def _lists(
    url: str, text: str, fields: dict[str, str]
) -> tuple[list[tuple[str, str]], tuple[SetAside, ...]]:
    """Return (address, SHA-256 of its content) of each list of packages, and what cannot be had."""
    digests = _digests(text)
    if not digests:
        raise FeedMalformedError(f"{url}: a Release that gives no SHA-256 of anything")
    by_hash = fields.get("Acquire-By-Hash", "").strip() == "yes"
    wanted = _architectures(url, fields)
    base = without_labels(url).removesuffix("InRelease")
    found: list[tuple[str, str]] = []
    odd: list[SetAside] = []
    paths = {path.removesuffix(end) for path in digests for end in PACKED if path.endswith(end)}
    for path in sorted(paths):
        match = _PACKAGES.fullmatch(path)
        if match is None or match[1] not in wanted or ".." in path:
            continue
        if path not in digests:
            odd.append(SetAside("", f"{base}{path}", "its Release lists it only packed"))
        elif digests[path][1]:
            sent = next(path + end for end in PACKED if path + end in digests)
            place = f"by-hash/SHA256/{digests[sent][0]}" if by_hash else sent.rpartition("/")[2]
            found.append((urljoin(base, f"{path.removesuffix('Packages')}{place}"), path))
    return [(place, digests[path][0]) for place, path in found], tuple(odd)


def _digests(text: str) -> dict[str, tuple[str, int]]:
    """Return SHA-256 and size in bytes of each file that a Release lists, by path."""
    listed = _SHA256.search(text)
    rows = (line.split() for line in listed[1].splitlines()) if listed else ()
    return {
        row[2]: (row[0].lower(), int(row[1]))
        for row in rows
        if len(row) == 3 and re.fullmatch("[0-9a-fA-F]{64}", row[0]) and _is_size(row[1])
    }


def _is_size(text: str) -> bool:
    return text.isdecimal() and len(text) < 20


def _architectures(url: str, fields: dict[str, str]) -> tuple[str, ...]:
    """Return those to read; ``all`` only where the other lists do not have it as well."""
    said = labels_of(url).get("arch", "")
    wanted = tuple(said.split(",")) if said else ARCHITECTURES
    apart = "all" in fields.get("Architectures", "").split()
    if apart and "Packages" not in fields.get("No-Support-for-Architecture-all", "").split():
        return (*wanted, "all")
    return wanted


def packages(url: str, body: bytes, platform: str) -> Page:
    """Return the newest of each package in a `Packages` file."""
    if not body.endswith(b"\n"):
        raise FeedMalformedError(f"{url}: cut off: its last line has no end")
    where = platform_of(url, platform, "debian:12")
    suite = suite_of(url)
    offers: list[Offer] = []
    odd: list[SetAside] = []
    for number, stanza in enumerate(_stanzas(body), start=1):
        offer = _offer(stanza, where, suite)
        if offer is None:
            said = _value(stanza, b"Package")[:80] or f"package {number}"
            odd.append(SetAside("", said, "without name, version or architecture"))
        else:
            offers.append(offer)
    if len(odd) * ODD_SHARE > len(odd) + len(offers):
        raise FeedMalformedError(
            f"{url}: {len(odd)} of {len(odd) + len(offers)} packages are odd, such as"
            f" {odd[0].where}: {odd[0].reason}"
        )
    return Page(offers=newest(offers, "dpkg"), set_aside=tuple(odd))


def _stanzas(body: bytes) -> Iterator[bytes]:
    """Yield each stanza with a line feed before it, so that a field's name follows one."""
    start = 0
    while start < len(body):
        end = body.find(b"\n\n", start)
        end = len(body) if end < 0 else end
        stanza = body[start:end].strip(b"\n")
        if stanza:
            yield b"\n" + stanza
        start = end + 2


def _value(stanza: bytes, name: bytes) -> str:
    """Return the first line of a field; "" for none."""
    start = stanza.find(b"\n" + name + b":")
    if start < 0:
        return ""
    start += len(name) + 2
    end = stanza.find(b"\n", start)
    return stanza[start : len(stanza) if end < 0 else end].decode("utf-8", "replace").strip()


def _offer(stanza: bytes, platform: str, suite: str) -> Offer | None:
    name, version = _value(stanza, b"Package"), _value(stanza, b"Version")
    arch = _value(stanza, b"Architecture")
    source = _SOURCE.fullmatch(_value(stanza, b"Source") or name)
    if source is None or not (is_name(name) and is_name(version) and is_name(arch)):
        return None
    built_from = source[1], source[2] or version
    phased = _percentage(_value(stanza, b"Phased-Update-Percentage"))
    return Offer(platform, suite, "dpkg", name, version, arch, *built_from, phased=phased)


def _percentage(text: str) -> int:
    """Return what a package says of its phasing; what is no percentage says nothing, as for apt."""
    number = int(text) if _PERCENTAGE.fullmatch(text) else EVERYBODY
    return min(number, EVERYBODY)
