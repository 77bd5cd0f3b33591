"""Groups in the form of a plan: which hosts belong together, and how many may be down at a time.

Fields of the n-th group are called ``group-<n>-<setting>``, as those of rings are.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from werkzeug.datastructures import MultiDict

from patchmgr.domain.groups import NAMED_BY, GroupSettings, checked, from_json
from patchmgr.errors import InputError

BY, HOSTS, FIELDS, TAGGED = "by", "hosts", "fields", "tagged"
KINDS = {
    BY: "each value of a column or tag",
    HOSTS: "these hosts",
    FIELDS: "hosts whose columns are",
    TAGGED: f"hosts tagged {NAMED_BY}=(its name)",
}
SETTINGS = ("name", "kind", "members", "max_unavailable", "order")
MOST_ROWS = 200  # in the form; a file or the API takes more
_BESIDE = {BY: "members", HOSTS: "members", FIELDS: "members"}  # setting -> field that it is in


@dataclass(slots=True)
class GroupRow:
    """One group as it was typed, and by field what is wrong with it."""

    values: dict[str, str]
    problems: dict[str, str] = field(default_factory=dict)

    def settings(self) -> GroupSettings:
        """Return the group. Raises `InputError`; what is wrong stands in ``problems`` then."""
        self.problems = {}
        try:
            return from_json(self._document())
        except InputError as error:
            for at, why in error.problems.items():
                setting = at.split(" of group ")[0] or "name"
                where = _BESIDE.get(setting, setting)
                self.problems[where if where in SETTINGS else "name"] = why
            raise

    def _document(self) -> dict[str, Any]:
        given = {name: text.strip() for name, text in self.values.items()}
        limit = given["max_unavailable"]
        is_number = limit.isascii() and limit.isdigit() and len(limit) < 8
        document: dict[str, Any] = {
            "max_unavailable": int(limit) if is_number else limit,
            "order": _words(given["order"]),
        }
        if given["name"]:
            document["name"] = given["name"]
        if given["kind"] not in KINDS:
            raise InputError({"kind": f"{given['kind'][:80]!r} is not one of the choices"})
        if given["kind"] != TAGGED and not given["members"]:
            raise InputError({"members": "say which"})
        if given["kind"] == BY:
            document["by"] = given["members"]
        elif given["kind"] == HOSTS:
            document["hosts"] = _words(given["members"])
        elif given["kind"] == FIELDS:
            document["fields"] = _fields(given["members"])
        return document


def rows_of(groups: Sequence[Mapping[str, Any]]) -> list[GroupRow]:
    """Return groups, in their canonical form, as the form shows them."""
    return [_row(group) for group in groups]


def empty_row() -> GroupRow:
    return GroupRow(
        {"name": "", "kind": BY, "members": "", "max_unavailable": "1", "order": ""},
    )


def read_rows(given: MultiDict[str, str]) -> list[GroupRow]:
    """Return the groups that were sent, in their order."""
    return [
        GroupRow({name: given.get(f"group-{number}-{name}", "") for name in SETTINGS})
        for number in range(MOST_ROWS)
        if f"group-{number}-kind" in given
    ]


def settings_of(rows: Sequence[GroupRow]) -> tuple[GroupSettings, ...]:
    """Return the groups of all rows. Raises `InputError` when one cannot be."""
    found, bad = [], {}
    for number, row in enumerate(rows, start=1):
        try:
            found.append(row.settings())
        except InputError:
            name = row.values["name"].strip() or f"number {number}"
            bad[f"group {name}"] = "has a setting that cannot be; it says so below"
    if bad:
        raise InputError(bad)
    names = [group.name for group in found]
    for name, row in zip(names, rows, strict=True):
        if names.count(name) > 1:
            row.problems["name"] = f"two groups are called {name!r}"
    return checked(found)


def _row(group: Mapping[str, Any]) -> GroupRow:
    if group["by"]:
        kind, members = BY, group["by"]
    elif group["hosts"]:
        kind, members = HOSTS, " ".join(group["hosts"])
    elif group["fields"]:
        kind = FIELDS
        members = ", ".join(f"{name}={value}" for name, value in group["fields"].items())
    else:
        kind, members = TAGGED, ""
    return GroupRow(
        {
            "name": "" if group["name"] == group["by"] else group["name"],
            "kind": kind,
            "members": members,
            "max_unavailable": str(group["max_unavailable"]),
            "order": " ".join(group["order"]),
        }
    )


def _words(text: str) -> list[str]:
    return list(dict.fromkeys(text.replace(",", " ").split()))


def _fields(text: str) -> dict[str, str]:
    """Return ``site=fra, environment=production`` as columns and their values."""
    found = {}
    for one in filter(None, (part.strip() for part in text.split(","))):
        name, is_told, value = (part.strip() for part in one.partition("="))
        if not (name and is_told and value):
            raise InputError({FIELDS: f"{one[:80]!r} is not a column and its value, as site=fra"})
        found[name] = value
    return found
