"""What apt says: candidates of packages, what can be upgraded, and what is held.

Sources: apt-cache(8) and ``apt-private/private-show.cc`` for the layout of ``policy``, apt(8) and
``private-output.cc`` for ``list``. Words are translated and columns are not, so only these count.
"""

import re
from dataclasses import dataclass

from inventory.facts import FEW, UnreadableError, lines_of

_NAME = r"[A-Za-z0-9][A-Za-z0-9+.-]*"
_HEADER = re.compile(rf"({_NAME})(?::([a-z0-9-]+))?:", re.ASCII)
# Below " ***" for what is installed, or blanks, stand version, priority and perhaps "(phased 10%)".
_VERSION = re.compile(r"(?: \*\*\*|    ) (\S+) (-?[0-9]{1,11})(?: \([^()0-9]*([0-9]{1,3})%\))?")
_PLACE = re.compile(r"        (?: )*(-?[0-9]{1,11}) (\S.*)")
_UPGRADABLE = re.compile(rf"({_NAME})/(\S+) (\S+) ([a-z0-9-]+)(?: \[.*\])?", re.ASCII)
_HELD = re.compile(rf"({_NAME})(?::[a-z0-9-]+)?", re.ASCII)
_LISTING = re.compile(r"[^/\[\]]+(?:\.\.\.|…)[^/\[\]]*")  # "Listing... Done", in any language
_STATUS = "/var/lib/dpkg/status"
_NOISE = ("N: ", "W: ", "WARNING: ")
_FAILED = "E: "


@dataclass(frozen=True, slots=True)
class Choice:
    """What apt would install of a package; ``version`` is "" when there is nothing to install."""

    name: str
    arch: str  # "" when apt does not say
    installed: str  # "" when not installed, or not said
    version: str
    suites: tuple[str, ...] = ()
    phased: int | None = None
    withheld: str = ""  # a version above the candidate in the table, which a pin keeps back
    pin: str = ""


@dataclass(slots=True)
class _Row:
    version: str
    priority: str
    phased: int | None
    suites: list[str]


def policy(text: str) -> tuple[Choice, ...]:
    """Return what ``apt-cache policy PACKAGE…`` says of each package. Raises `UnreadableError`."""
    found: list[Choice] = []
    block: list[tuple[int, str]] = []
    for number, line in lines_of(text):
        if line.startswith(_FAILED):
            raise UnreadableError(number, line, "is an error of apt")
        if line.startswith(_NOISE):
            continue
        if not line.startswith(" "):
            if block:
                found.append(_choice(block))
            if not _HEADER.fullmatch(line):
                raise UnreadableError(number, line, "is not what apt-cache policy PACKAGE prints")
            block = []
        elif not block:
            raise UnreadableError(number, line, "belongs to no package")
        block.append((number, line))
    if block:
        found.append(_choice(block))
    return tuple(found)


def _choice(block: list[tuple[int, str]]) -> Choice:
    """Return what one package's lines say: installed, candidate, a pin perhaps, and the table."""
    header = _HEADER.fullmatch(block[0][1])
    head = [line for _, line in block[1:] if re.match(r"  \S", line)]
    if header is None or len(head) < 3:
        raise UnreadableError(*block[0], "is not followed by what apt knows of it")
    installed, candidate = (_value(line) for line in head[:2])
    rows = _table(block)
    chosen = next((row for row in rows if row.version == candidate), None)
    if candidate and chosen is None:
        raise UnreadableError(
            *block[0], f"has the candidate {candidate}, which its table does not list"
        )
    above = rows[: rows.index(chosen)] if chosen else []  # the table comes newest first
    kept = next((row for row in above if row.suites), None)
    return Choice(
        header[1],
        header[2] or "",
        installed,
        candidate,
        tuple(dict.fromkeys(chosen.suites)) if chosen else (),
        chosen.phased if chosen else None,
        kept.version if kept else "",
        f"pin to priority {kept.priority}" if kept else "",
    )


def _value(line: str) -> str:
    """Return what follows the first colon; "(none)" in any language is nothing."""
    value = line.partition(":")[2].strip()
    return "" if value.startswith("(") else value


def _table(block: list[tuple[int, str]]) -> list[_Row]:
    rows: list[_Row] = []
    for number, line in block[1:]:
        if row := _VERSION.fullmatch(line):
            rows.append(_Row(row[1], row[2], int(row[3]) if row[3] else None, []))
        elif place := _PLACE.fullmatch(line):
            if not rows:
                raise UnreadableError(number, line, "comes before any version")
            if place[2].strip() != _STATUS:
                rows[-1].suites.append(_suite(place[2]))
    return rows


def _suite(place: str) -> str:
    """Return the suite of "http://mirror/debian bookworm-security/main amd64 Packages"."""
    words = place.split()
    return words[1].partition("/")[0] if len(words) > 1 else words[0]


def upgradable(text: str) -> tuple[Choice, ...]:
    """Return what ``apt list --upgradable`` lists. Raises `UnreadableError`."""
    found = []
    for number, line in lines_of(text):
        if row := _UPGRADABLE.fullmatch(line):
            name, suites, version, arch = row.groups()
            places = tuple(each for each in suites.split(",") if each != "now")
            if places:  # others are what is installed, which "apt list -a" names as well
                found.append(Choice(name, arch, "", version, places))
        elif line.startswith(_FAILED):
            raise UnreadableError(number, line, "is an error of apt")
        elif not (line.startswith(_NOISE) or _LISTING.fullmatch(line)):
            raise UnreadableError(number, line, "is not what apt list --upgradable prints")
    return tuple(found)


def holds(text: str) -> tuple[str, ...]:
    """Return the names that ``apt-mark showhold`` prints. Raises `UnreadableError`."""
    found = set()
    for number, line in lines_of(text, FEW):
        if not (held := _HELD.fullmatch(line.strip())):
            raise UnreadableError(number, line, "is not the name of a package")
        found.add(held[1])
    return tuple(sorted(found))
