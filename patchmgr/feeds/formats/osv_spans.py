"""From which version to which an OSV record calls a package affected.

Source: OSV schema, "affected[].ranges[].events" and its evaluation algorithm: a range's events may
stand in any order; sorted, each ``introduced`` opens a span, and a ``fixed`` or ``last_affected``
closes it. A version is also affected when ``versions`` lists it.
"""

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import msgspec

from patchmgr.domain.versions import SCHEMES
from patchmgr.errors import VersionError

BEGINNING = "0"  # the version before all versions
Key = Callable[[str], bytes]


class Event(msgspec.Struct, frozen=True):
    introduced: str | None = None
    fixed: str | None = None
    last_affected: str | None = None
    limit: str | None = None


@dataclass(frozen=True, slots=True)
class Span:
    """Affected from ``introduced`` to before ``fixed``, or up to ``last_affected``; "" is open."""

    introduced: str = ""
    fixed: str = ""
    last_affected: str = ""


def spans(scheme: str, events: Sequence[Event]) -> tuple[Span, ...]:
    """Return the spans of one range, in version order.

    Events that cannot be put in order, since a version cannot be read, are taken as they stand.
    """
    points = _points(events)
    order = SCHEMES.get(scheme)
    if order is not None:
        with suppress(VersionError):  # matching will say which one it cannot read
            points = sorted(points, key=lambda point: _place(order, point))
    if points and not any(kind == "introduced" for kind, _ in points):
        points = [("introduced", BEGINNING), *points]
    return tuple(_walk(points))


def _points(events: Iterable[Event]) -> list[tuple[str, str]]:
    return [
        (kind, version)
        for event in events
        for kind in ("introduced", "fixed", "last_affected")
        if (version := getattr(event, kind))
    ]


def _place(order: Key, point: tuple[str, str]) -> tuple[bool, bytes, int]:
    """At one version, a span ends before the next one starts, and its last version is in it."""
    kind, version = point
    if kind == "introduced" and version == BEGINNING:
        return (False, b"", 0)
    return (True, order(version), ("fixed", "introduced", "last_affected").index(kind))


def _walk(points: Iterable[tuple[str, str]]) -> Iterable[Span]:
    start: str | None = None
    for kind, version in points:
        if kind == "introduced":
            start = version if start is None else start
        elif start is not None:
            introduced = "" if start == BEGINNING else start
            yield Span(introduced, **{kind: version})
            start = None
    if start is not None:
        yield Span("" if start == BEGINNING else start)


def with_listed(scheme: str, found: Sequence[Span], versions: Iterable[str]) -> tuple[Span, ...]:
    """Return ``found`` and a span for each version that is listed but lies in none of them.

    A listed version that cannot be read is left out: an installed one like it cannot be either,
    and matching says so.
    """
    order = SCHEMES.get(scheme)
    if order is None:
        points = () if found else versions
        return (*found, *(Span(each, last_affected=each) for each in points))
    try:
        edges = [_edges(order, span) for span in found]
    except VersionError:
        return tuple(found)
    missing = dict[bytes, Span]()
    for version in versions:
        try:
            key = order(version)
        except VersionError:
            continue
        if not any(
            low <= key and (not end or key < end) and (not last or key <= last)
            for low, end, last in edges
        ):
            missing[key] = Span(version, last_affected=version)
    return (*found, *(missing[key] for key in sorted(missing)))


def _edges(order: Key, span: Span) -> tuple[bytes, bytes, bytes]:
    low, end, last = (
        order(version) if version else b""
        for version in (span.introduced, span.fixed, span.last_affected)
    )
    return low, end, last


def with_later_fix(scheme: str, found: Sequence[Span]) -> tuple[Span, ...]:
    """Return ``found``, each closed span without a fix given the next fix above it, if there is.

    Whoever has a version of a span that only ended can update to where a later span was fixed.
    """
    order = SCHEMES.get(scheme)
    if order is None or not any(span.last_affected for span in found):
        return tuple(found)
    try:
        fixes = sorted((order(span.fixed), span.fixed) for span in found if span.fixed)
        return tuple(_fixed_later(order, span, fixes) for span in found)
    except VersionError:
        return tuple(found)


def _fixed_later(order: Key, span: Span, fixes: list[tuple[bytes, str]]) -> Span:
    if not span.last_affected:
        return span
    last = order(span.last_affected)
    later = next((version for key, version in fixes if key > last), "")
    return Span(span.introduced, later, span.last_affected)
