"""Reading one updateinfo document: what each update says, and what they say together."""

from dataclasses import dataclass, field
from datetime import datetime

from patchmgr.domain.advisories import Advisory, Fix, Kind, Match, Severity, Status
from patchmgr.errors import FeedMalformedError
from patchmgr.feeds.base import Page, SetAside
from patchmgr.feeds.formats import xml
from patchmgr.feeds.formats.labels import labels_of
from patchmgr.feeds.formats.names import LONGEST, is_name
from patchmgr.feeds.formats.platforms import platform_of
from patchmgr.feeds.formats.text import shortened
from patchmgr.feeds.vendors.updateinfo import words
from patchmgr.feeds.vendors.updateinfo.places import (
    NOWHERE,
    Place,
    channel_of,
    place_marked,
    place_named,
)

SCHEME = "rpm"
ODD_SHARE = 4  # more than one update in this many: not a vendor's document at all
UNPLACED = "does not say of which release it is; name that with --platform"
EXAMPLE = "almalinux:8"


@dataclass(frozen=True, slots=True)
class Row:
    """A package of an update: all that a statement needs beside its architectures."""

    platform: str  # "" where the update does not say
    name: str
    version: str  # [epoch:]version-release
    module: str
    channel: str
    severity: Severity


@dataclass(slots=True)
class Rest:
    """What updates of one package may differ in and still be one statement."""

    arches: set[str] = field(default_factory=set)
    after: str = ""


@dataclass(slots=True)
class Entry:
    """What is said under one id, of one kind."""

    kind: Kind
    title: str = ""
    url: str = ""
    severity: Severity = Severity.UNKNOWN
    published: datetime | None = None
    cves: dict[str, None] = field(default_factory=dict)
    rows: dict[Row, Rest] = field(default_factory=dict)


class Reading:
    """What has been read of one document so far."""

    def __init__(self, url: str, platform: str) -> None:
        self._url = url
        self._given = platform
        self._entries: dict[tuple[str, Kind], Entry] = {}
        self._set_aside: list[SetAside] = []
        self._updates = 0
        self._odd = 0

    def add(self, update: xml.Element) -> None:
        """Add what an ``<update>`` says; odd ones go aside."""
        self._updates += 1
        ref = xml.text(update, "id")
        if not is_name(ref):
            self._put_aside(ref, f"update {self._updates}", "its id is not a name")
        elif update.get("status", "").strip().lower() not in words.WITHDRAWN:
            self._add(ref, update)

    def _put_aside(self, ref: str, where: str, reason: str) -> None:
        self._odd += 1
        self._set_aside.append(SetAside(shortened(ref), shortened(where), reason))

    def _add(self, ref: str, update: xml.Element) -> None:
        parts = {xml.local(part): part for part in update}
        cves, page = _references(parts.get("references"))
        severity = max(
            words.severity_of(xml.text(parts.get("severity"))),
            words.severity_of(update.get("severity", "")),
        )
        kind = words.kind_of(update.get("type", ""), has_cves=bool(cves))
        entry = self._entries.setdefault((ref, kind), Entry(kind))
        entry.title = entry.title or shortened(xml.text(parts.get("title")))
        entry.url = entry.url or page
        entry.severity = max(entry.severity, severity)
        entry.cves.update(dict.fromkeys(cves))
        issued = words.instant(parts["issued"].get("date", "")) if "issued" in parts else None
        if issued and (entry.published is None or issued < entry.published):
            entry.published = issued
        rows = _Rows(ref, xml.text(parts.get("release")), severity, _after(update))
        for packages in xml.children(update, "pkglist"):
            for collection in xml.children(packages, "collection"):
                rows.add(entry, collection)
        if rows.odd:
            self._put_aside(ref, f"{ref}, {rows.odd[0]}", "a package without name or version")

    def page(self) -> Page:
        """Return all that was read. Raises `FeedMalformedError` when it is mostly odd."""
        fallback = self._fallback()
        if self._odd * ODD_SHARE > self._updates:
            first = self._set_aside[0]
            raise FeedMalformedError(
                f"{self._url}: {self._odd} of {self._updates} updates are odd, such as"
                f" {first.where}: {first.reason}"
            )
        refs = sorted({ref for ref, _kind in self._entries})
        advisories = [each for ref in refs for each in self._advisories(ref, fallback)]
        return Page(tuple(advisories), set_aside=tuple(self._set_aside))

    def _fallback(self) -> str:
        """Return the platform of updates that do not say theirs, "" where there is no such update.

        That of the address or the one given, else the only one that the document speaks of.
        """
        said = {row.platform for entry in self._entries.values() for row in entry.rows}
        if "" not in said:
            return ""
        named = labels_of(self._url).get("platform") or self._given
        others = said - {""}
        if named or not others:
            return platform_of(self._url, named, EXAMPLE)
        if len(others) == 1:
            return others.pop()
        for (ref, _kind), entry in self._entries.items():
            if any(not row.platform for row in entry.rows):
                self._put_aside(ref, ref, UNPLACED)
        return ""

    def _advisories(self, ref: str, fallback: str) -> list[Advisory]:
        """Return what the document says under ``ref``: as a rule, one advisory.

        An id that stands for updates of several kinds is given to the most serious one; the others
        carry their kind behind it, so that no bug fix becomes a security update.
        """
        entries = [self._entries[ref, kind] for kind in Kind if (ref, kind) in self._entries]
        return [
            Advisory(
                ref=ref if place == 0 else f"{ref} ({entry.kind})",
                cves=tuple(entry.cves),
                title=entry.title,
                severity=max([entry.severity, *(row.severity for row in entry.rows)]),
                published=entry.published,
                url=entry.url,
                fixes=tuple(sorted(_fixes(entry, fallback))),
                kind=entry.kind,
                aliases=() if place == 0 else (ref,),
            )
            for place, entry in enumerate(entries)
        ]


def _fixes(entry: Entry, fallback: str) -> list[Fix]:
    return [
        Fix(
            platform=row.platform or fallback,
            package=row.name,
            match=Match.BINARY,
            status=Status.AFFECTED,
            fixed=row.version,
            severity=row.severity,
            scheme=SCHEME,
            arch=" ".join(sorted(rest.arches)),
            module=row.module,
            channel=row.channel,
            after=rest.after,
        )
        for row, rest in entry.rows.items()
        if row.platform or fallback
    ]


class _Rows:
    """Takes the packages of an update's collections into its entry."""

    def __init__(self, ref: str, release: str, severity: Severity, after: str) -> None:
        self._ref = ref
        self._release = release
        self._severity = severity
        self._after = after
        self.odd: list[str] = []

    def add(self, entry: Entry, collection: xml.Element) -> None:
        names = (collection.get("short", "").strip(), xml.text(collection, "name"), self._release)
        named = place_named(tuple(name for name in names if is_name(name)))
        module = _module(xml.child(collection, "module"))
        for package in xml.children(collection, "package"):
            name, arch = package.get("name", "").strip(), package.get("arch", "").strip()
            if arch in words.SOURCES or words.is_for_debugging(name):
                continue
            version = _version(package)
            if not (is_name(name) and is_name(version) and is_name(arch or "any")):
                self.odd.append(shortened(name) or "a package without a name")
                continue
            place = self._place(named, package.get("release", "")[:LONGEST])
            severity = words.severity_of(package.get("severity", "")) or self._severity
            row = Row(place.platform, name, version, module, place.channel, severity)
            rest = entry.rows.setdefault(row, Rest())
            rest.arches.update((arch,) if arch else ())
            rest.after = _stronger(rest.after, _stronger(self._after, _after(package)))

    def _place(self, named: Place, release: str) -> Place:
        place = named if named is not NOWHERE else place_marked(self._ref, release)
        return Place(place.platform, place.channel or channel_of(self._ref, release))


def _version(package: xml.Element) -> str:
    """Return ``[epoch:]version-release``; "" without a version."""
    epoch, version, release = (
        package.get(part, "").strip() for part in ("epoch", "version", "release")
    )
    if not version:
        return ""
    epoch = "" if epoch.strip("0") in ("", "(none)") else f"{epoch}:"
    return f"{epoch}{version}-{release}" if release else f"{epoch}{version}"


def _module(module: xml.Element | None) -> str:
    if module is None:
        return ""
    found = f"{module.get('name', '').strip()}:{module.get('stream', '').strip()}"
    return found if is_name(found) and not found.startswith(":") else ""


def _references(references: xml.Element | None) -> tuple[list[str], str]:
    """Return the CVEs that ``references`` name in their ids or titles, and the vendor's own page.

    A reference of type ``cve`` may as well hold a bug's number, and one of type ``bugzilla`` be
    about a CVE, as Fedora's are.
    """
    cves: list[str] = []
    page = ""
    for reference in xml.children(references, "reference") if references is not None else ():
        cves += words.cves_in(f"{reference.get('id', '')} {reference.get('title', '')}")
        href = reference.get("href", "").strip()
        if reference.get("type") == "self" and href.startswith("https://") and is_name(href):
            page = page or href
    return cves, page


def _after(element: xml.Element) -> str:
    """Return what must follow an update or a package, of what is suggested directly under it."""
    suggested = {
        xml.local(each).removesuffix("_suggested")
        for each in element
        if xml.local(each).endswith("_suggested") and words.says_yes(each.text or "")
    }
    return next((after for after in words.AFTER if after in suggested), "")


def _stronger(one: str, other: str) -> str:
    return next((after for after in words.AFTER if after in (one, other)), "")
