"""What a host's report says, whatever it came from."""

from dataclasses import dataclass
from typing import Any

from patchmgr.domain.packages import SYSTEMS, Package
from patchmgr.errors import BadFileError, BadRow

KEPT_BAD = 100  # refused entries kept to be named; the others are counted
KEPT_LEFT = 20  # of those that are not judged
SHOWN = 80  # characters of a name that is shown

_LONGEST = {"arch": 64, "manager": 64}
_LONG = 200  # characters of every other field
_SPACED = {"origin"}  # a name such as "Red Hat, Inc."

Problem = tuple[str, str, str]  # column, value, remedy


@dataclass(frozen=True, slots=True)
class Listing:
    """The packages installed on a host, and those its administrator holds back."""

    packages: frozenset[Package]
    held: frozenset[str] | None = None  # None: the report does not say
    managers: frozenset[str] = frozenset()  # beside those of the packages; see `speaks_for`
    system: str = ""  # ID:RELEASE as the report itself says, such as "debian:12"
    not_judged: int = 0  # entries of which no package could be made
    not_judged_why: tuple[str, ...] = ()  # the first of them, each with why
    notes: tuple[str, ...] = ()  # what a reader should know of how far it can be judged

    @property
    def speaks_for(self) -> frozenset[str]:
        """The managers whose packages these are all of; what the host has of others stays.

        A host has one system: what speaks of its packages speaks for every system's, so that a
        machine that was installed anew keeps nothing of the one before.
        """
        named = self.managers | {package.manager for package in self.packages}
        return named | SYSTEMS.keys() if named & SYSTEMS.keys() else named


class Collector:
    """A listing in the making: packages found, entries refused, entries left out."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.packages: set[Package] = set()
        self.bad: list[BadRow] = []
        self.bad_count = 0
        self.left: list[str] = []
        self.left_count = 0

    def take(self, package: Package, row: int = 0, where: str = "") -> None:
        """Add ``package``, which stands in line ``row`` or at ``where``, unless it is none."""
        if (problem := wrong(package)) is None:
            self.packages.add(package)
            return
        column, value, remedy = problem
        self.refuse(row, f"{where}.{column}" if where else column, value, remedy)

    def refuse(self, row: int, column: str, value: Any, remedy: str) -> None:
        """Count what makes the listing bad, and keep it while there is room."""
        self.bad_count += 1
        if len(self.bad) < KEPT_BAD:
            self.bad.append(BadRow(row, column, str(value)[:_LONG], remedy))

    def leave(self, what: str, why: str) -> None:
        """Count an entry that says nothing which could be judged."""
        self.left_count += 1
        if len(self.left) < KEPT_LEFT:
            self.left.append(f"{shown(what)}: {why}")

    def check(self) -> None:
        """Raise `BadFileError` when anything was refused."""
        if self.bad_count:
            raise BadFileError(self.file, self.bad, self.bad_count)

    def listing(self, *, may_be_empty: bool = False, **facts: Any) -> Listing:
        """Return what was collected, with ``facts`` of it. Raises `BadFileError`."""
        if not self.packages and not may_be_empty and not self.bad_count:
            self.refuse(0, "", "", self._why_empty())
        self.check()
        return Listing(
            frozenset(self.packages),
            not_judged=self.left_count,
            not_judged_why=tuple(self.left),
            **facts,
        )

    def _why_empty(self) -> str:
        if not self.left_count:
            return "lists no installed package; an empty host is not believed"
        return f"lists nothing that can be judged; {self.left[0]}"


def shown(text: str) -> str:
    """Return the beginning of ``text`` as it can be printed anywhere."""
    text = text[:SHOWN]
    return text if text.isprintable() else ascii(text)


def lines(listing: str) -> list[str]:
    """Return the lines of ``listing``, parted by line ends alone; Unicode has more signs for it."""
    return listing.replace("\r\n", "\n").split("\n")


def wrong(package: Package) -> Problem | None:
    """Return which field of ``package`` cannot be stored, and why; None when all can."""
    for column in Package.__slots__:
        value = getattr(package, column)
        longest = _LONGEST.get(column, _LONG)
        if len(value) > longest:
            return column, value, f"is longer than {longest} characters"
        if not value.isprintable() or (" " in value and column not in _SPACED):
            return column, value, "has spaces or control characters"
    for column in ("name", "version"):
        if not getattr(package, column):
            return (
                column,
                "",
                f"is missing for {shown(package.name)}" if package.name else ("is missing"),
            )
    return None
