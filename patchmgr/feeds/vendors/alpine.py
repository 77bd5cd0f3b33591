"""Alpine's security database, secdb.

Source: https://secdb.alpinelinux.org/ - one document per release and repository; per source
package (``origin``), which flaws each version fixed. The version "0" says that the package never
had them. JSON today, YAML for releases until 3.11. An id may be followed by another id of the same
flaw, or by a remark.
"""

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar

import msgspec

from patchmgr.domain.advisories import Advisory, Fix, Match, Status
from patchmgr.errors import FeedMalformedError
from patchmgr.feeds.base import Feed, Page, SetAside
from patchmgr.feeds.formats import yaml
from patchmgr.feeds.formats.names import LONGEST, is_name

SITE = "https://secdb.alpinelinux.org/"
CVE_PAGE = "https://security.alpinelinux.org/vuln/"
SCHEME = "apk"
NEVER_AFFECTED = "0"
ODD_SHARE = 4  # more than one package in this many: not Alpine's document at all
EDGE = "edge"  # the branch without releases; a host has it as alpine:rolling

_BRANCH = re.compile(r"v(?P<release>[0-9]{1,3}\.[0-9]{1,3})|edge")
_RELEASE = re.compile(r"alpine:([0-9]{1,3})\.([0-9]{1,3})(?:\.[0-9]+)?")
_REMARK = re.compile(r"\([^)]*\)?")
_CVE = re.compile(r"CVE[-_]([0-9]{4})-([0-9]{4,})", re.IGNORECASE)
_OTHER_ID = re.compile(r"(?<![\w.-])(?!CVE)[A-Z]{2,}(?:-[0-9A-Za-z]+)+")
_FIRST_WITH_COMMUNITY = (3, 3)


class Package(msgspec.Struct, frozen=True):
    name: str
    secfixes: dict[str, list[str] | None] | None = None


class Entry(msgspec.Struct, frozen=True):
    pkg: Package


class Alpine(Feed):
    name: ClassVar[str] = "alpine"
    title: ClassVar[str] = "Alpine secdb"
    start: ClassVar[tuple[str, ...]] = ()  # see `addresses`: there is no document of all releases
    suffixes: ClassVar[tuple[str, ...]] = (".json", ".yaml", ".yml")
    serves: ClassVar[tuple[str, ...]] = ("alpine",)

    def addresses(self, platforms: frozenset[str]) -> tuple[str, ...]:
        """Return the repositories of each Alpine release in the fleet."""
        return tuple(
            f"{SITE}{branch}/{repository}.json"
            for branch, repositories in sorted(_branches(platforms))
            for repository in repositories
        )

    def read(self, url: str, body: bytes, platform: str = "") -> Page:
        """Return one advisory per flaw, with what every package says of it.

        ``platform`` is for documents without a ``distroversion``. Raises `FeedMalformedError` for
        what is not a secdb document, also when more than a quarter of its packages is odd.
        """
        document = _document(url, body)
        reading = _Reading(_platform(url, document, platform))
        entries = document["packages"]
        for position, entry in enumerate(entries, start=1):
            reading.add(f"package {position}", entry)
        if len(reading.odd) * ODD_SHARE > len(entries):
            first = reading.set_aside[0]
            raise FeedMalformedError(
                f"{url}: {len(reading.odd)} of {len(entries)} packages are not secdb's,"
                f" such as {first.where}: {first.reason}"
            )
        return Page(
            tuple(reading.advisory(ref) for ref in sorted(reading.fixes)),
            set_aside=tuple(reading.set_aside),
        )


def _branches(platforms: frozenset[str]) -> set[tuple[str, tuple[str, ...]]]:
    found: set[tuple[str, tuple[str, ...]]] = set()
    for platform in platforms:
        if platform == "alpine:rolling":
            found.add((EDGE, ("main", "community")))
        elif release := _RELEASE.fullmatch(platform):
            number = (int(release[1]), int(release[2]))
            community = ("community",) if number >= _FIRST_WITH_COMMUNITY else ()
            found.add((f"v{release[1]}.{release[2]}", ("main", *community)))
    return found


def _document(url: str, body: bytes) -> dict[str, Any]:
    body = body.removeprefix(codecs.BOM_UTF8)
    document: Any
    if body.lstrip().startswith(b"{"):
        try:
            document = msgspec.json.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise FeedMalformedError(f"{url}: not whole JSON: {error}") from error
    else:
        document = yaml.plain(url, body)
    if not isinstance(document, dict) or not isinstance(document.get("packages"), list):
        raise FeedMalformedError(f"{url}: not a secdb document: it has no list of packages")
    return document


def _platform(url: str, document: dict[str, Any], given: str) -> str:
    said = document.get("distroversion")
    if not said and given:
        return given
    if not said:
        raise FeedMalformedError(
            f"{url}: does not say which platform it speaks of;"
            " name it with --platform, such as alpine:3.19"
        )
    branch = _BRANCH.fullmatch(said) if isinstance(said, str) else None
    if branch is None:
        raise FeedMalformedError(f"{url}: the distroversion {str(said)[:80]!r} is no Alpine branch")
    return f"alpine:{branch['release'] or 'rolling'}"


@dataclass(slots=True)
class _Reading:
    """What has been read of one document so far."""

    platform: str
    fixes: dict[str, dict[Fix, None]] = field(default_factory=dict)
    aliases: dict[str, dict[str, None]] = field(default_factory=dict)
    set_aside: list[SetAside] = field(default_factory=list)
    odd: set[str] = field(default_factory=set)  # where, of packages with anything set aside

    def add(self, where: str, entry: Any) -> None:
        """Add what the document says of a package; what is odd goes aside."""
        try:
            package = msgspec.convert(entry, Entry).pkg
        except msgspec.ValidationError as error:
            self._put_aside("", where, where, str(error))
            return
        if not is_name(package.name):
            self._put_aside("", where, where, "its name cannot be stored")
            return
        for key, texts in (package.secfixes or {}).items():
            version = key.strip()
            for text in texts or ():
                ids = tuple(_ids(text))
                if ids and is_name(version) and all(map(is_name, ids)):
                    self._add_fix(package.name, version, ids)
                else:
                    at = f"{package.name}, {version[:LONGEST]!r}"
                    why = f"{text[:80]!r} names no flaw" if not ids else "cannot be stored"
                    self._put_aside("", where, at, why)

    def _put_aside(self, ref: str, entry: str, where: str, reason: str) -> None:
        self.odd.add(entry)
        self.set_aside.append(SetAside(ref, where, reason))

    def _add_fix(self, package: str, version: str, ids: tuple[str, ...]) -> None:
        fix = _fix(self.platform, package, version)
        cves = [each for each in ids if each.startswith("CVE-")]
        others = [each for each in ids if not each.startswith("CVE-")]
        refs = cves or others[:1]
        for ref in refs:
            self.fixes.setdefault(ref, {})[fix] = None
            self.aliases.setdefault(ref, {}).update(
                dict.fromkeys(each for each in others if each != ref)
            )

    def advisory(self, ref: str) -> Advisory:
        is_cve = ref.startswith("CVE-")
        return Advisory(
            ref=ref,
            cves=(ref,) if is_cve else (),
            url=f"{CVE_PAGE}{ref}" if is_cve else "",
            fixes=tuple(self.fixes[ref]),
            aliases=tuple(self.aliases[ref]),
        )


def _ids(text: str) -> Iterator[str]:
    """Yield the ids in ``text``, spelled as their issuers do."""
    text = _REMARK.sub(" ", text)
    yield from dict.fromkeys(f"CVE-{year}-{number}" for year, number in _CVE.findall(text))
    yield from dict.fromkeys(_OTHER_ID.findall(text))


def _fix(platform: str, package: str, version: str) -> Fix:
    never = version == NEVER_AFFECTED
    return Fix(
        platform=platform,
        package=package,
        match=Match.SOURCE,
        status=Status.NOT_AFFECTED if never else Status.AFFECTED,
        fixed="" if never else version,
        reason="never affected" if never else "",
        scheme=SCHEME,
    )
