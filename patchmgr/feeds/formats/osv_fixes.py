"""What an OSV record says of one affected package, as statements that can be matched."""

import re
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from patchmgr.domain.advisories import Fix, Match, Severity, Status
from patchmgr.feeds.formats import ratings
from patchmgr.feeds.formats.osv_builds import streams
from patchmgr.feeds.formats.osv_places import ESM, Place
from patchmgr.feeds.formats.osv_records import BROKEN, Affected, Rating, Specific
from patchmgr.feeds.formats.osv_spans import Event, Span, spans, with_later_fix, with_listed
from patchmgr.feeds.formats.ubuntu_pro import half_of_esm

NAME = 200  # characters of the longest name or version that is stored
MANY = 4_000_000  # comparisons of versions with ranges; PyPA's largest record needs 3,000
NO_FIX = "no fixed version is named"
NOTHING = Specific()

_PEP503 = re.compile(r"[-_.]+")
_DEBUG = ("-debuginfo", "-debugsource", "-dbgsym")


def fixes(name: str, affected: Affected, where: Place, summary: str) -> Iterator[Fix]:
    """Yield the statements about package ``name`` in ``where``.

    ``summary`` of the record names the module stream where rpm builds are for one.
    """
    if name.endswith(_DEBUG):
        return
    severity = _severity_there(affected)
    specific = affected.ecosystem_specific or NOTHING
    said = word(specific.rpm_modularity) or summary
    channel = where.channel
    if channel == ESM:
        purl = (affected.package.purl if affected.package else "") or ""
        channel = half_of_esm(purl, word(specific.availability))
    for package, match, found in _named(name, affected, where):
        for span in found:
            for module in streams(span.fixed, said) if where.scheme == "rpm" else ("",):
                yield Fix(
                    platform=where.platform,
                    package=package,
                    match=match,
                    status=Status.AFFECTED if span.fixed else Status.NO_FIX,
                    fixed=span.fixed,
                    introduced=span.introduced,
                    last_affected=span.last_affected,
                    severity=severity,
                    reason="" if span.fixed else NO_FIX,
                    scheme=where.scheme,
                    module=module,
                    channel=channel,
                )


def oddity(affected: Affected) -> str:
    """Return what is wrong with the names and versions of ``affected``; "" when nothing is."""
    name = affected.package.name if affected.package else ""
    if not is_name(name):
        return "the name of a package is not one"
    events, versions = list(_events(affected)), affected.versions or ()
    if len(events) * max(len(events), len(versions)) > MANY:
        return f"{name}: more ranges and versions than a package has"
    if any(event.limit and event.limit != "*" for event in events):
        return f"{name}: a range of versions with a limit"
    named = [each for event in events for each in _versions(event)]
    if not all(map(is_name, (*named, *versions))):
        return f"{name}: a version is not one"
    return ""


def is_name(text: str) -> bool:
    return 0 < len(text) <= NAME and text.isprintable()


def word(said: Any) -> str:
    """Return ``said`` where a database put a word; "" where it put anything else, or nothing."""
    return said if isinstance(said, str) else ""


def severity_of(words: Iterable[Any], rated: Iterable[Rating]) -> Severity:
    """Return the worst of the vendor's own words; without any, what the CVSS vectors amount to."""
    rated = list(rated)
    vectors = [str(each.score) for each in rated if each.type.startswith("CVSS")]
    said = [str(each.score) for each in rated if not each.type.startswith("CVSS")]
    worst = max(map(ratings.from_word, (*map(word, words), *said)), default=Severity.UNKNOWN)
    return worst or ratings.from_vectors(vectors)


def _events(affected: Affected) -> Iterator[Event]:
    """Yield the events of the ranges that are of versions, not of commits."""
    return (event for each in affected.ranges or () if each.type != "GIT" for event in each.events)


def _versions(event: Event) -> Iterator[str]:
    return (
        each for each in (event.introduced, event.fixed, event.last_affected) if each is not None
    )


def _named(
    name: str, affected: Affected, where: Place
) -> Iterator[tuple[str, Match, tuple[Span, ...]]]:
    """Yield each package that is meant: SUSE names a source, and what it builds with versions."""
    binaries = _binaries(affected) if where.platform.startswith(("sles", "opensuse")) else {}
    for binary, version in sorted(binaries.items()):
        if is_name(binary) and is_name(version) and not binary.endswith(_DEBUG):
            yield binary, Match.BINARY, (Span(fixed=version),)
    if not binaries:
        shown = _PEP503.sub("-", name).lower() if where.platform == "pypi" else name
        yield shown, where.match, _spans(affected, where)


def _binaries(affected: Affected) -> dict[str, str]:
    raw = (affected.ecosystem_specific or NOTHING).binaries
    try:
        listed = msgspec.json.decode(raw, type=list[dict[str, str]] | None)
    except BROKEN:
        return {}
    return {name: version for each in listed or () for name, version in each.items()}


def _spans(affected: Affected, where: Place) -> tuple[Span, ...]:
    found = [
        span
        for each in affected.ranges or ()
        if each.type != "GIT"
        for span in spans(where.scheme, each.events)
    ]
    # A distribution's list repeats which of its own versions the ranges hold.
    if where.is_language or not found:
        found = list(with_listed(where.scheme, found, affected.versions or ()))
    return with_later_fix(where.scheme, found)


def _severity_there(affected: Affected) -> Severity:
    """Return how bad it is called for one package, where a database says that."""
    here, there = affected.ecosystem_specific or NOTHING, affected.database_specific or NOTHING
    rated = list(affected.severity or ())
    for cve in (there.cves_map.cves if there.cves_map else None) or ():
        rated += cve.severity or ()
    words = (here.urgency, here.ubuntu_priority, here.severity, there.severity)
    return severity_of(words, rated)
