"""Reading ``hosts.csv`` (design.md 5.1)."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from inventory import csv_file
from inventory.csv_file import Layout
from patchmgr.domain.windows import LONGEST_NAMES, canonical
from patchmgr.errors import BadRow

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
)
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
}
_WORD = 64  # characters of every other column


@dataclass(frozen=True, slots=True)
class HostRow:
    """One good row: the columns that the file has, cleaned; a missing column is not in it."""

    row: int
    values: Mapping[str, str]

    @property
    def hostname(self) -> str:
        return self.values["hostname"]

    @property
    def external_id(self) -> str:
        return self.values.get("external_id", "")

    @property
    def lists(self) -> dict[str, list[str]]:
        """The columns of `LISTS` that the file has, each sorted."""
        return {
            column: sorted(set(self.values[column].split()))
            for column in LISTS
            if column in self.values
        }


@dataclass(slots=True)
class HostsFile:
    layout: Layout
    rows: list[HostRow] = field(default_factory=list)
    bad: list[BadRow] = field(default_factory=list)

    def record(self, row: HostRow) -> str:
        """Return ``row`` as the file would have it, for a reject that only the fleet reveals."""
        fields = [""] * len(self.layout.header)
        for column, position in self.layout.index.items():
            fields[position] = row.values.get(column, "")
        return csv_file.write_record(fields, self.layout.delimiter)


def read(path: Path, mapping: Mapping[str, str] | None = None) -> HostsFile:
    """Return the rows of ``path``, good and bad. Raises `BadFileError` when it is no such file."""
    layout = csv_file.recognise(path, known=COLUMNS, required=REQUIRED, mapping=mapping)
    file = HostsFile(layout)
    seen: dict[tuple[str, str], int] = {}
    for number, fields in csv_file.records(layout):
        problem = _problem(layout, fields) or _repeated(layout, fields, number, seen)
        if problem is None:
            file.rows.append(HostRow(number, _values(layout, fields)))
            continue
        column, value, remedy = problem
        record = csv_file.write_record(fields, layout.delimiter)
        file.bad.append(BadRow(number, column, value, remedy, record))
    return file


Problem = tuple[str, str, str]  # column, value, remedy


def _values(layout: Layout, fields: list[str]) -> dict[str, str]:
    values = {column: fields[position].strip() for column, position in layout.index.items()}
    if "os_id" in values:
        values["os_id"] = values["os_id"].lower()  # os-release(5): ID is in lower case
    if "window" in values:
        values["window"] = canonical(values["window"])
    return values


def _problem(layout: Layout, fields: list[str]) -> Problem | None:
    if len(fields) != len(layout.header):
        return "", "", f"has {len(fields)} fields, the header has {len(layout.header)}"
    for column, value in _values(layout, fields).items():
        if (why := wrong(column, value)) is not None:
            return column, value, why
    return None


def wrong(column: str, value: str) -> str | None:
    """Return why ``value`` cannot stand in ``column``; None when it can."""
    longest = _LONGEST.get(column, _WORD)
    if len(value) > longest:
        return f"is longer than {longest} characters"
    if not _PRINTABLE.fullmatch(value):
        return "has control characters"
    return _CHECKS.get(column, _anything)(value)


def _anything(_value: str) -> str | None:
    return None


def _hostname(value: str) -> str | None:
    if not value:
        return "is empty; every host needs a hostname"
    if not _HOSTNAME.fullmatch(value):
        return "is not a hostname (letters, digits, dots, hyphens, underscores)"
    return None


def _os_word(value: str) -> str | None:
    if _OS_WORD.fullmatch(value):
        return None
    return "is not a value of os-release (letters, digits and . _ + ~ -)"


def _exposure(value: str) -> str | None:
    return None if value in ("", "public", "internal") else "is neither public nor internal"


def _tags(value: str) -> str | None:
    wrong = next((tag for tag in value.split() if not _TAG.fullmatch(tag)), None)
    return None if wrong is None else f"has the tag {wrong!r}; tags are words or key=value"


def _entitlements(value: str) -> str | None:
    wrong = next((each for each in value.split() if not _ENTITLEMENT.fullmatch(each)), None)
    return None if wrong is None else f"has {wrong!r}; entitlements are words such as esm-infra"


_CHECKS: Mapping[str, Callable[[str], str | None]] = {
    "hostname": _hostname,
    "os_id": _os_word,
    "os_release": _os_word,
    "exposure": _exposure,
    "tags": _tags,
    "entitlements": _entitlements,
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
            return column, values[column], f"stands on row {first} already"
    return None
