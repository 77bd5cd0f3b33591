"""What dnf and yum say: updates, enabled module streams, version locks, and whether to reboot.

Sources: dnf(8), the plugins' own pages (versionlock, needs-restarting), and dnf's ``output.py``.
dnf translates its words and wraps long names; the columns are ``name.arch``, version, repository.
"""

import re
from dataclasses import dataclass

from inventory.facts import FEW, UnreadableError, lines_of
from patchmgr.domain.facts import Reboot

_ARCH = re.compile(
    r"noarch|x86_64(?:_v[0-9])?|i[3-6]86|aarch64|armv7hl|ppc64(?:le)?|s390x|riscv64", re.ASCII
)
_PACKAGE = re.compile(r"(\S+)\.([a-z0-9_]+)")
_VERSION = re.compile(r"(?:[0-9]+:)?[^\s:-]+-[^\s:-]+")
_FAILED = re.compile(r"(?:Error|Errors during downloading|Failed to )\b", re.IGNORECASE)
_EXIT = re.compile(r"exit=([0-9]+)")
_STREAM = re.compile(r"([A-Za-z0-9_.+-]+)\s+(\S+)\s((?:\s*\[[a-z]\])+)(?:\s.*)?")
_LOCK = re.compile(r"(?P<no>!)?(?P<name>\S+?)-[0-9]+:[^\s-]+-\S+")  # bash-0:5.1.8-6.el9.*
_YUM_LOCK = re.compile(r"(?P<no>!)?[0-9]+:(?P<name>\S+)-[^\s-]+-[^\s-]+")  # 0:bash-4.2.46-34.el7.*
_DNF5_LOCK = re.compile(r"Package name: (?P<name>\S+)")
_ITEM = re.compile(r"\s+\* (\S+)(?: .*)?")


COLUMNS = 3  # name.arch, version, repository


@dataclass(frozen=True, slots=True)
class Newer:
    """A package that a repository has in a newer version."""

    name: str
    arch: str
    version: str
    repository: str


def updates(text: str) -> tuple[Newer, ...]:
    """Return what ``dnf check-update`` lists, but for what obsoletes something else.

    A row with an indented one below it is of the list of obsoletes: something of another name
    takes its place. Raises `UnreadableError`, also when dnf could not read a repository; and where
    it lists nothing, and does not say that it succeeded either: its errors are printed elsewhere.
    """
    found: list[Newer] = []
    row: list[str] = []  # as far as it is there: its columns may come on the next lines
    is_below = succeeded = False  # whether the row is below another; whether dnf says so
    number = 0
    for number, line in lines_of(text):
        if code := _EXIT.fullmatch(line):
            if code[1] not in ("0", "100"):
                raise UnreadableError(number, line, "says that dnf failed")
            succeeded = True
            continue
        if _FAILED.match(line):
            raise UnreadableError(number, line, "is an error of dnf")
        words, is_indented = line.split(), line[0].isspace()
        if row and is_indented and len(row) + len(words) <= COLUMNS:
            row = [*row, *words]
        else:
            row, is_below = words, is_indented
        if (one := _newer(row)) is None:
            row = row if _is_package(row[0]) else []
            continue
        row = []
        if is_below and found:
            found.pop()
        else:
            found.append(one)
    if not found and not succeeded:
        raise UnreadableError(number, "", "lists nothing, nor ends with exit=N: it may have failed")
    return tuple(found)


def _newer(words: list[str]) -> Newer | None:
    if len(words) != 3 or not _is_package(words[0]) or not _VERSION.fullmatch(words[1]):
        return None
    name, _, arch = words[0].rpartition(".")
    return Newer(name, arch, words[1].removeprefix("0:"), words[2])


def _is_package(word: str) -> bool:
    named = _PACKAGE.fullmatch(word)
    return named is not None and _ARCH.fullmatch(named[2]) is not None


def modules(text: str) -> tuple[str, ...]:
    """Return the ``name:stream`` that ``dnf module list --enabled`` marks as enabled."""
    found = set()
    for number, line in lines_of(text, FEW):
        if _FAILED.match(line):
            raise UnreadableError(number, line, "is an error of dnf")
        row = _STREAM.fullmatch(line)
        if row and "[e]" in row[3]:
            found.add(f"{row[1]}:{row[2]}")
    return tuple(sorted(found))


def locks(text: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the names that ``dnf versionlock list`` locks, and the entries as they stand.

    An entry that begins with ``!`` keeps one version out and locks nothing.
    """
    names, entries = set(), []
    for number, line in lines_of(text, FEW):
        if _FAILED.match(line):
            raise UnreadableError(number, line, "is an error of dnf")
        entry = line.strip()
        found = _DNF5_LOCK.fullmatch(entry) or _YUM_LOCK.fullmatch(entry) or _LOCK.fullmatch(entry)
        if found is None:
            continue
        entries.append(entry)
        if not found.groupdict().get("no"):
            names.add(found["name"])
    return tuple(sorted(names)), tuple(sorted(entries))


def needs_restarting(text: str) -> Reboot:
    """Return what ``needs-restarting -r`` says; its last line is ``exit=N``, 1 for a reboot."""
    lines = list(lines_of(text, FEW))
    number, last = lines[-1] if lines else (0, "")
    code = _EXIT.fullmatch(last)
    if code is None:
        raise UnreadableError(number, last, "does not end with exit=N")
    if code[1] not in ("0", "1"):
        raise UnreadableError(number, last, "is an error of needs-restarting")
    if code[1] == "0":
        return Reboot(False, ("needs-restarting asks for none",))
    named = [item[1] for _, line in lines if (item := _ITEM.fullmatch(line))]
    of = f" for {', '.join(named)}" if named else ""
    return Reboot(True, (f"needs-restarting asks for one{of}",))
