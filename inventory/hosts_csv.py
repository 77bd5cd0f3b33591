"""Reading ``hosts.csv`` (design.md 5.1)."""

import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from inventory import csv_file, json_rows, presets, spreadsheets
from inventory.csv_file import Layout, Refused, Watch
from inventory.csv_header import AS_IT_IS, Kind, Reading
from inventory.refusals import Problem, Reason, Refusal
from patchmgr.domain import os_names
from patchmgr.domain.windows import LONGEST_NAMES, canonical
from patchmgr.errors import BadFileError, BadRow

REQUIRED = ("hostname",)
COLUMNS = (
    "hostname",
    "external_id",
    "os_id",
    "os_release",
    "arch",
    "environment",
    "site",
    "owner",
    "criticality",
    "exposure",
    "ring",
    "window",
    "tags",
    "entitlements",
    "running_kernel",
    "os",  # as people write it: "Red Hat Enterprise Linux 8.6"
    "os_version",  # what another column says of it
)
KIND = Kind("hosts", COLUMNS, REQUIRED)
WRITTEN = ("os", "os_version")  # become os_id and os_release; are not stored as they are
MOST = 2_000_000  # rows of one file
UNREAD_KEPT = 50  # names of systems that cannot be read, as examples
LISTS = ("tags", "entitlements")  # words separated by spaces

# RFC 1123 names, and the underscores that real fleets have in spite of it.
_HOSTNAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?", re.ASCII)
_OS_WORD = re.compile(r"[A-Za-z0-9._+~-]*", re.ASCII)
_PRINTABLE = re.compile(r"[^\x00-\x1f\x7f\ud800-\udfff]*")
_TAG = re.compile(r"[^\s=,;]+(?:=[^\s]*)?")
_ENTITLEMENT = re.compile(r"[a-z0-9][a-z0-9.-]*", re.ASCII)
_LONGEST = {
    "hostname": 253,
    "external_id": 200,
    "owner": 200,
    "window": LONGEST_NAMES,
    "tags": 4000,
    "entitlements": 150,
    "running_kernel": 200,
    "os": 200,
    "os_version": 200,
}
_WORD = 64  # characters of every other column


@dataclass(frozen=True, slots=True)
class HostRow:
    """One good row: the columns that the file has, cleaned; a missing column is not in it."""

    row: int
    columns: tuple[str, ...]
    cells: tuple[str, ...]

    @property
    def values(self) -> dict[str, str]:
        return dict(zip(self.columns, self.cells, strict=True))

    @property
    def hostname(self) -> str:
        return self.cells[self.columns.index("hostname")]

    @property
    def external_id(self) -> str:
        return self.values.get("external_id", "")

    @property
    def lists(self) -> dict[str, list[str]]:
        """The columns of `LISTS` that the file has, each sorted."""
        values = self.values
        return {column: sorted(set(_words(values[column]))) for column in LISTS if column in values}


@dataclass(slots=True)
class HostsFile:
    """What a file says: its rows, and whom it names at all, which bad rows do too."""

    layout: Layout
    rows: list[HostRow] = field(default_factory=list)
    refused: Refused = field(default_factory=Refused)
    named: set[str] = field(default_factory=set)  # hostnames of bad rows, in lower case
    named_ids: set[str] = field(default_factory=set)  # external ids of bad rows
    nameless: int = 0  # bad rows that do not say which host they speak of
    unread: Counter[str] = field(default_factory=Counter)  # systems that cannot be told -> rows
    undetermined: int = 0  # rows of which the system cannot be told
    system: str = ""  # that a release without a name is of

    def refuse_fields(self, number: int, fields: list[str], problem: Problem) -> None:
        values = _values(self.layout, fields) if len(fields) == len(self.layout.header) else {}
        if _HOSTNAME.fullmatch(values.get("hostname", "")):
            self._name(values["hostname"], values.get("external_id", ""))
        else:
            self.nameless += 1
        record = csv_file.write_record(fields, self.layout.delimiter)
        self.refused.add(BadRow(number, *problem, record))

    def _name(self, hostname: str, external_id: str) -> None:
        self.named.add(hostname.lower())
        if external_id:
            self.named_ids.add(external_id)

    def cannot_tell(self, name: str) -> None:
        self.undetermined += 1
        if name in self.unread or len(self.unread) < UNREAD_KEPT:
            self.unread[name] += 1


def read(path: Path, how: Reading = AS_IT_IS, watch: Watch | None = None) -> HostsFile:
    """Return the rows of ``path``, good and bad. Raises `BadFileError` when it is no such file."""
    with json_rows.opened(path, KIND.name, how.encoding) as text:
        return _read(csv_file.recognise(text, KIND, how, watch))


def _read(layout: Layout) -> HostsFile:
    preset = presets.presets().get(layout.preset)
    file = HostsFile(layout, system=preset.system if preset else "")
    seen: dict[tuple[str, str], int] = {}
    known: dict[str, str] = {}  # a fleet's file repeats most values: each is kept once
    shapes: dict[tuple[str, ...], tuple[str, ...]] = {}
    for number, fields in csv_file.records(layout):
        problem = _problem(layout, fields) or _repeated(layout, fields, number, seen)
        if problem is not None:
            file.refuse_fields(number, fields, problem)
            continue
        values = _with_system(file, _values(layout, fields))
        columns = tuple(values)
        file.rows.append(
            HostRow(
                number,
                shapes.setdefault(columns, columns),
                tuple(known.setdefault(value, value) for value in values.values()),
            )
        )
        if len(file.rows) > MOST:
            why = Refusal.MANY_HOSTS.said(most=MOST)
            raise BadFileError(layout.file, [BadRow(number, "", "", why)])
    csv_file.check_has_rows(layout, len(file.rows) + file.refused.total)
    return file


def refuse(file: HostsFile, path: Path, how: Reading, problems: Mapping[int, Problem]) -> None:
    """Refuse rows of ``path`` that only the fleet reveals as bad, as they stand there."""
    if not problems:
        return
    file.rows = [row for row in file.rows if row.row not in problems]
    with json_rows.opened(path, KIND.name, how.encoding) as text:
        for number, fields in csv_file.records(csv_file.recognise(text, KIND, how)):
            if number in problems:
                file.refuse_fields(number, fields, problems[number])


def _with_system(file: HostsFile, values: dict[str, str]) -> dict[str, str]:
    """Return ``values`` with os_id and os_release for the system's name, if that can be told.

    What cannot be told is left as it is stored. The file's own os_id and os_release win.
    """
    name, version = values.pop("os", ""), values.pop("os_version", "")
    if not name or values.get("os_id"):
        return values
    if file.system and name[0].isdigit():
        name = f"{file.system} {name}"
    found = os_names.read(name, version)
    if found is None:
        file.cannot_tell(f"{name} {version}".strip())
        values.pop("os_id", None)
        values.pop("os_release", None)
        return values
    return values | {"os_id": found.os_id, "os_release": found.os_release}


def _values(layout: Layout, fields: list[str]) -> dict[str, str]:
    values = {
        column: spreadsheets.unwrapped(fields[position].strip())
        for column, position in layout.index.items()
    }
    if "os_id" in values:
        values["os_id"] = values["os_id"].lower()  # os-release(5): ID is in lower case
    if "window" in values:
        values["window"] = canonical(values["window"])
    return values


def _problem(layout: Layout, fields: list[str]) -> Problem | None:
    if (problem := csv_file.misshapen(fields, layout)) is not None:
        return problem
    for column, value in _values(layout, fields).items():
        if (why := _wrong(column, value)) is not None:
            return layout.theirs(column), fields[layout.index[column]].strip(), str(why)
    return None


def wrong(column: str, value: str) -> str | None:
    """Return why ``value`` cannot stand in ``column``, wherever it is from; None when it can."""
    found = _wrong(column, value)
    return found.why if found else None


def _wrong(column: str, value: str) -> Reason | None:
    longest = _LONGEST.get(column, _WORD)
    if len(value) > longest:
        return Refusal.LONG.of(most=longest)
    if not _PRINTABLE.fullmatch(value):
        return Refusal.CONTROL.of()
    return _CHECKS.get(column, _anything)(value)


def _anything(_value: str) -> Reason | None:
    return None


def _hostname(value: str) -> Reason | None:
    if not value:
        return Refusal.NO_HOSTNAME.of()
    if not _HOSTNAME.fullmatch(value):
        return Refusal.HOSTNAME.of()
    return Refusal.TOTAL.of() if spreadsheets.is_total(value) else None


def _os_word(value: str) -> Reason | None:
    if (why := spreadsheets.spoilt(value)) is not None or _OS_WORD.fullmatch(value):
        return why
    return Refusal.OS_WORD.of()


def _exposure(value: str) -> Reason | None:
    return None if value in ("", "public", "internal") else Refusal.EXPOSURE.of()


def _words(value: str) -> list[str]:
    return value.replace(", ", " ").split()


def _tags(value: str) -> Reason | None:
    wrong = next((tag for tag in _words(value) if not _TAG.fullmatch(tag)), None)
    return None if wrong is None else Refusal.TAG.of(tag=wrong)


def _entitlements(value: str) -> Reason | None:
    wrong = next((each for each in _words(value) if not _ENTITLEMENT.fullmatch(each)), None)
    return None if wrong is None else Refusal.ENTITLEMENT.of(entitlement=wrong)


_CHECKS: Mapping[str, Callable[[str], Reason | None]] = {
    "hostname": _hostname,
    "external_id": spreadsheets.spoilt,
    "os_id": _os_word,
    "os_release": _os_word,
    "exposure": _exposure,
    "tags": _tags,
    "entitlements": _entitlements,
    "os_version": spreadsheets.spoilt,
}


def _repeated(
    layout: Layout, fields: list[str], number: int, seen: dict[tuple[str, str], int]
) -> Problem | None:
    values = _values(layout, fields)
    for column in ("hostname", "external_id"):
        value = values.get(column, "").lower() if column == "hostname" else values.get(column, "")
        if not value:
            continue
        if (first := seen.setdefault((column, value), number)) != number:
            return layout.theirs(column), values[column], Refusal.REPEATED.said(row=first)
    return None
