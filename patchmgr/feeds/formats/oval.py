"""OVAL definitions about rpm packages, read into plain values.

Source: the OVAL Language 5.10 (definitions, rpminfo tests, objects and states), as Red Hat, Oracle
and Microsoft write it. A definition holds a tree of criteria; each criterion refers to a test, the
test to an object (a package) and to a state (a version and how to compare it).

The tests come after the definitions, so a document is read twice: `Tests` first, then the
`definitions`, one at a time. Of a criterion about a release, an architecture or a module the
comment is read, which their generators write in the same few words; so is that of a criterion about
a package where the document lacks its test, as excerpts do.
"""

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from patchmgr.feeds.formats import xml
from patchmgr.feeds.formats.dates import instant

ROOT = "oval_definitions"
LESS, LESS_OR_EQUAL = "less than", "less than or equal"
MORE, MORE_OR_EQUAL = "greater than", "greater than or equal"
NONE_EXIST = "none_exist"

_TESTED = ("rpminfo_object", "rpminfo_state", "rpminfo_test")
_KINDS = ("rpminfo", "rpmverifyfile", "textfilecontent54", "uname", "family")
_PARTS = tuple(f"{kind}_{part}" for kind in _KINDS for part in ("object", "state", "test"))
_ARCHES = re.compile(r"\^?\(?([\w|]+)\)?\$?")
_SIGNED = re.compile(r" is signed with ")
_RELEASE = re.compile(
    r"(?:Red Hat Enterprise Linux|Oracle Linux) (\d+)(?:\.\d+)?(?: \w+)? is installed"
)
_GUARD = re.compile(
    r" must be installed$|^Red Hat CoreOS \d+ is installed$"
    r"|^kernel\S* earlier than \S+ is (currently running$|set to boot up on next boot$)"
)
_ARCH = re.compile(r"Oracle Linux arch is (\S+)")
_MODULE = re.compile(r"Module (\S+:\S+) is enabled")
_EARLIER = re.compile(r"(\S+) is earlier than (\S+)")
_INSTALLED = re.compile(r"(\S+) is installed")
_ABSENT = re.compile(r"\S+ is not installed")


@dataclass(frozen=True, slots=True)
class Bound:
    """What a test asks of an installed package: that its version is ``operation`` ``evr``."""

    package: str
    operation: str = ""  # "" with no ``evr``: that it is installed, whatever its version
    evr: str = ""
    arches: frozenset[str] = frozenset()  # of the package; empty for any
    absent: bool = False  # that it is not installed


@dataclass(frozen=True, slots=True)
class Condition:
    """What a criterion asks of the host: its ``release``, ``arch``, or an enabled ``module``."""

    kind: str
    value: str


@dataclass(frozen=True, slots=True)
class Claim:
    """A package test of a definition, and the host conditions under which it counts."""

    bound: Bound
    releases: frozenset[str] = frozenset()
    arches: frozenset[str] = frozenset()
    modules: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Definition:
    id: str
    kind: str  # "patch", "vulnerability"
    title: str
    severity: str
    issued: datetime | None
    platforms: tuple[str, ...]
    references: tuple[tuple[str, str], ...]  # source in lower case, and id
    cpes: tuple[str, ...]
    resolutions: tuple[tuple[str, tuple[str, ...]], ...]  # state, and the components it is of
    patchable: str
    criteria: xml.Element

    def refs(self, source: str) -> tuple[str, ...]:
        return tuple(dict.fromkeys(ref for kind, ref in self.references if kind == source))


class UnknownTestError(Exception):
    """A criterion refers to a test that neither the document nor its comment explains."""


def definitions(url: str, body: bytes) -> Iterator[Definition]:
    """Yield each definition. Raises `FeedMalformedError` as `xml.elements` does."""
    for element in xml.elements(url, body, ("definition", *_PARTS), ROOT):
        if xml.local(element) == "definition":
            yield _definition(element)


def _definition(element: xml.Element) -> Definition:
    metadata = xml.child(element, "metadata")
    parts = metadata if metadata is not None else ()
    affected = xml.child(parts, "affected")
    advisory = xml.child(parts, "advisory")
    details = advisory if advisory is not None else ()
    resolved = xml.child(details, "affected")
    issued = xml.child(details, "issued")
    days = (
        issued.get("date", "") if issued is not None else "",
        xml.text(metadata, "advisory_date"),
        *(each.get("public", "") for each in xml.children(details, "cve")),
    )
    return Definition(
        id=element.get("id", ""),
        kind=element.get("class", ""),
        title=xml.text(metadata, "title"),
        severity=xml.text(advisory, "severity") or xml.text(metadata, "severity"),
        issued=next(filter(None, map(instant, days)), None),
        platforms=_texts(affected, "platform"),
        references=tuple(
            (each.get("source", "").lower(), each.get("ref_id", "").strip())
            for each in xml.children(parts, "reference")
        ),
        cpes=_texts(xml.child(details, "affected_cpe_list"), "cpe"),
        resolutions=tuple(
            (each.get("state", "").strip(), _texts(each, "component"))
            for each in xml.children(resolved if resolved is not None else (), "resolution")
        ),
        patchable=xml.text(metadata, "patchable"),
        criteria=xml.child(element, "criteria"),
    )


def _texts(element: xml.Element | None, name: str) -> tuple[str, ...]:
    found = xml.children(element, name) if element is not None else ()
    return tuple(dict.fromkeys(filter(None, map(xml.text, found))))


class Tests:
    """The package tests of a document by id, and the product streams that it speaks of.

    Raises `FeedMalformedError` as `xml.elements` does.
    """

    def __init__(self, url: str, body: bytes) -> None:
        self._names: dict[str, str] = {}
        self._states: dict[str, tuple[str, str, frozenset[str]]] = {}
        self._tests: dict[str, tuple[str, tuple[str, ...], bool]] = {}
        cpes: dict[str, None] = {}
        for element in xml.elements(url, body, ("definition", *_PARTS), ROOT):
            kind = xml.local(element)
            if kind in _TESTED:
                self._add(kind, element.get("id", ""), element)
            elif kind == "definition":
                cpes.update(dict.fromkeys(map(xml.text, element.iter("{*}cpe"))))
        self.cpes = tuple(filter(None, cpes))  # of all definitions

    def _add(self, kind: str, key: str, element: xml.Element) -> None:
        if kind == "rpminfo_object":
            self._names[key] = sys.intern(xml.text(element, "name"))
        elif kind == "rpminfo_state":
            evr = xml.child(element, "evr")
            operation = evr.get("operation", "equals") if evr is not None else ""
            arches = _arches(xml.text(element, "arch"))
            self._states[key] = (sys.intern(operation), sys.intern(xml.text(evr)), arches)
        else:
            named = xml.child(element, "object")
            states = xml.children(element, "state")
            self._tests[key] = (
                named.get("object_ref", "") if named is not None else "",
                tuple(each.get("state_ref", "") for each in states),
                element.get("check_existence") == NONE_EXIST,
            )

    def bound(self, key: str) -> Bound | None:
        """Return what the test ``key`` asks; None where the document has not the whole of it."""
        named, refs, absent = self._tests.get(key, ("", (), False))
        package = self._names.get(named, "")
        states = [self._states[ref] for ref in refs if ref in self._states]
        if not package or len(states) < len(refs):
            return None
        versions = [(operation, evr) for operation, evr, _arches in states if evr]
        operation, evr = versions[0] if versions else ("", "")
        arches = frozenset(arch for state in states for arch in state[2])
        return Bound(package, operation, evr, arches, absent)


def _arches(pattern: str) -> frozenset[str]:
    """Return the architectures of a pattern such as ``aarch64|x86_64``; none of another form."""
    plain = _ARCHES.fullmatch(pattern)
    return frozenset(filter(None, plain[1].split("|"))) if plain else frozenset()


def claims(criteria: xml.Element, tests: Tests) -> tuple[Claim, ...]:
    """Return each package test below ``criteria`` with the conditions that lead to it.

    Signatures are left out: what is installed is taken to be the vendor's; so is which kernel
    runs: that is the host's. Raises `UnknownTestError`.
    """
    return tuple(_Tree(tests).claims(criteria, ())) if criteria is not None else ()


_Conditions = tuple[frozenset[Condition], ...]  # each: one of them must hold


class _Tree:
    def __init__(self, tests: Tests) -> None:
        self._tests = tests

    def claims(self, criteria: xml.Element, above: _Conditions) -> Iterator[Claim]:
        parts = list(xml.children(criteria, "criterion"))
        said = [each for each in map(self._said, parts) if each is not None]
        nested = [(node, self._conditions(node)) for node in xml.children(criteria, "criteria")]
        conditions = above
        if criteria.get("operator", "AND").upper() == "AND":
            own = (frozenset((each,)) for each in said if isinstance(each, Condition))
            below = (found for _node, found in nested if found)
            conditions = (*above, *own, *below)
        for each in said:
            if isinstance(each, Bound):
                yield Claim(each, *(_of(conditions, k) for k in ("release", "arch", "module")))
        for node, found in nested:
            if not found:
                yield from self.claims(node, conditions)

    def _conditions(self, criteria: xml.Element) -> frozenset[Condition]:
        """Return the conditions below ``criteria`` when there is nothing else, else none."""
        found: set[Condition] = set()
        for criterion in criteria.iter("{*}criterion"):
            said = self._said(criterion)
            if isinstance(said, Bound):
                return frozenset()
            if said is not None:
                found.add(said)
        return frozenset(found)

    def _said(self, criterion: xml.Element) -> Condition | Bound | None:
        comment = " ".join(criterion.get("comment", "").split())
        if _SIGNED.search(comment) or _GUARD.search(comment):
            return None
        for kind, pattern in (("release", _RELEASE), ("arch", _ARCH), ("module", _MODULE)):
            if found := pattern.fullmatch(comment):
                return Condition(kind, found[1])
        bound = self._tests.bound(criterion.get("test_ref", "")) or _told(comment)
        if bound is None:
            raise UnknownTestError(f"nothing explains the criterion {comment[:120]!r}")
        return bound


def _told(comment: str) -> Bound | None:
    """Return what a comment says of a package."""
    if earlier := _EARLIER.fullmatch(comment):
        return Bound(earlier[1], LESS, earlier[2])
    if installed := _INSTALLED.fullmatch(comment):
        return Bound(installed[1])
    absent = _ABSENT.fullmatch(comment)
    return Bound(comment.partition(" ")[0], absent=True) if absent else None


def _of(conditions: _Conditions, kind: str) -> frozenset[str]:
    """Return the values of ``kind`` of which one must hold; the innermost condition decides."""
    for alternatives in reversed(conditions):
        found = frozenset(each.value for each in alternatives if each.kind == kind)
        if found:
            return found
    return frozenset()
