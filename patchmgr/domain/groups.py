"""Groups: hosts that stand in for each other, so that only some may be down at a time.

A group is named (``hosts``, or ``fields`` that all must be equal), or is made for each value of a
field (``by``): of a column of the host, or of a tag ``key=value``. A host can be in several groups;
what a named group has, no ``by`` takes again under the same name. How many of a group may be
unavailable is counted among the plan's hosts, a percentage of them rounded down, at least one.

The order inside a group is one of beginning: of two members in the same ring, the later one begins
only when the earlier has begun or is over.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from patchmgr.domain.rings import FIELDS, HostFacts, RingSettings, series_from_json
from patchmgr.errors import InputError

MOST_GROUPS = 1000  # settings of one plan; a ``by`` makes as many groups as there are values
BY_NAME = "hostname"
LONGEST_KEY = 200  # characters of the key of one
NAMED_BY = "group"  # the tag that puts a host into the group of that name


@dataclass(frozen=True, slots=True)
class GroupSettings:
    """Which hosts belong together, and how many of them may be down. Raises `InputError`."""

    name: str
    by: str = ""  # a column or the key of a tag: a group for each of its values
    hosts: tuple[str, ...] = ()  # hostnames; never two of them at once, unless told otherwise
    fields: Mapping[str, str] = field(default_factory=dict, hash=False)
    max_unavailable: int = 1  # hosts
    max_unavailable_pct: int = 0  # instead of the number, when it is above zero
    order: tuple[str, ...] = ()  # hostnames, those left out after them; or one column to sort by

    def __post_init__(self) -> None:
        ways = sum(bool(way) for way in (self.by, self.hosts, self.fields))
        unknown = sorted(set(self.fields) - set(FIELDS))
        is_number = 1 <= self.max_unavailable <= 1_000_000
        problems = {
            "name": ""
            if self.name.strip() == self.name and 0 < len(self.name) <= 64
            else "1 to 64 characters, no spaces around them",
            "by": "name its hosts, its fields or by: one of them" if ways > 1 else "",
            "fields": f"{unknown[0]!r} is none of {', '.join(FIELDS)}" if unknown else "",
            "max_unavailable": ""
            if is_number and 0 <= self.max_unavailable_pct <= 100
            else 'a number of hosts, 1 or more, or a share such as "25%"',
        }
        if found := {f"{at} of group {self.name!r}": why for at, why in problems.items() if why}:
            raise InputError(found)

    def limit(self, size: int) -> int:
        """Return how many of ``size`` hosts may be unavailable at a time."""
        if self.max_unavailable_pct:
            return max(1, size * self.max_unavailable_pct // 100)
        return self.max_unavailable

    def to_json(self) -> dict[str, Any]:
        """Return the canonical form: every setting."""
        share = self.max_unavailable_pct
        return {
            "name": self.name,
            "by": self.by,
            "hosts": sorted(self.hosts),
            "fields": dict(sorted(self.fields.items())),
            "max_unavailable": f"{share}%" if share else self.max_unavailable,
            "order": list(self.order),
        }


@dataclass(frozen=True, slots=True)
class Group:
    """A group of one plan: how many may be down, and its hosts."""

    key: str
    limit: int
    members: tuple[int, ...]  # in their order, when it has one
    is_ordered: bool = False

    def sequence(self, rings: Mapping[int, int]) -> list[tuple[int, int | None]]:
        """Return each member with the one of its ring that must begin before it; None: nobody."""
        last: dict[int, int] = {}
        found: list[tuple[int, int | None]] = []
        for host in self.members:
            first = last.get(rings[host]) if self.is_ordered else None
            found.append((host, first))
            last[rings[host]] = host
        return found


@dataclass(frozen=True, slots=True)
class Membership:
    """What groups mean for one host."""

    groups: tuple[str, ...] = ()
    after: tuple[int, ...] = ()  # hosts that must have begun before it


def gather(hosts: Sequence[HostFacts], settings: Sequence[GroupSettings]) -> tuple[Group, ...]:
    """Return the groups that ``hosts`` are in, by key; one without hosts is not there."""
    members: dict[str, list[HostFacts]] = {}
    made_by: dict[str, GroupSettings] = {}
    named = [one for one in settings if not one.by]
    for one in (*named, *(one for one in settings if one.by)):
        found: dict[str, list[HostFacts]] = {}
        for host in hosts:
            key = key_of(one, host)
            if key and key not in made_by:
                found.setdefault(key, []).append(host)
        members |= found
        made_by |= dict.fromkeys(found, one)
    return tuple(
        Group(
            key,
            made_by[key].limit(len(members[key])),
            tuple(host.id for host in _in_order(members[key], made_by[key].order)),
            bool(made_by[key].order),
        )
        for key in sorted(members)
    )


def memberships(groups: Sequence[Group], rings: Mapping[int, int]) -> dict[int, Membership]:
    """Return what ``groups`` mean for each host; ``rings`` is host -> position of its ring."""
    keys: dict[int, list[str]] = {}
    after: dict[int, list[int]] = {}
    for group in groups:
        for host, first in group.sequence(rings):
            keys.setdefault(host, []).append(group.key)
            if first is not None:
                after.setdefault(host, []).append(first)
    return {host: Membership(tuple(keys[host]), tuple(after.get(host, ()))) for host in keys}


def from_json(document: object) -> GroupSettings:
    """Return the group that ``document`` describes. Raises `InputError` naming the setting."""
    if not isinstance(document, Mapping):
        raise InputError("a group is a table of settings with at least a name")
    if unknown := sorted(set(document) - set(_READERS)):
        raise InputError({unknown[0]: f"no such group setting; there are {', '.join(_READERS)}"})
    values: dict[str, Any] = {}
    for name, value in document.items():
        try:
            values |= _READERS[name](value)
        except InputError as error:
            at = f"{name} of group {document.get('name', document.get('by', ''))!r}"
            raise InputError({at: str(error)}) from error
    if not values.get("name"):
        values["name"] = values.get("by", "")
    if not values["name"]:
        raise InputError("a group needs a name or by")
    return GroupSettings(**values)


def stages_from_json(
    document: object,
) -> tuple[tuple[RingSettings, ...], tuple[GroupSettings, ...]]:
    """Return the rings and groups of a rings file. Raises `InputError`."""
    rings, groups = document, []
    if isinstance(document, Mapping) and "groups" in document:
        rings = {name: value for name, value in document.items() if name != "groups"}
        groups = document["groups"]
    if not isinstance(groups, list):
        raise InputError({"groups": "a list of tables: [[groups]] in TOML"})
    return series_from_json(rings), checked([from_json(one) for one in groups])


def checked(groups: Sequence[GroupSettings]) -> tuple[GroupSettings, ...]:
    """Return ``groups`` if they can be the groups of one plan. Raises `InputError`."""
    names = [group.name for group in groups]
    if len(groups) > MOST_GROUPS:
        raise InputError({"groups": f"a plan has at most {MOST_GROUPS}"})
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise InputError({"groups": f"two groups are called {twice[0]!r}"})
    return tuple(groups)


def key_of(settings: GroupSettings, host: HostFacts) -> str:
    """Return the key of the group that ``settings`` put ``host`` into; empty for none."""
    if settings.by:
        value = _value(host, settings.by)
        key = value if settings.by == NAMED_BY or not value else f"{settings.by}={value}"
        return key if len(key) <= LONGEST_KEY else _shortened(key)
    if settings.hosts:
        is_in = host.hostname.lower() in {name.lower() for name in settings.hosts}
    elif settings.fields:
        is_in = all(host.has(name, value) for name, value in settings.fields.items())
    else:
        is_in = f"{NAMED_BY}={settings.name}" in host.tags
    return settings.name if is_in else ""


def _shortened(key: str) -> str:
    """Return what stands for the key of a long tag: its beginning, and what tells it apart."""
    digest = hashlib.sha256(key.encode()).hexdigest()[:16]
    return f"{key[: LONGEST_KEY - len(digest) - 1]}…{digest}"


def _value(host: HostFacts, name: str) -> str:
    if name != "tag" and name in FIELDS:
        return str(getattr(host, name))
    return next((tag.partition("=")[2] for tag in host.tags if tag.startswith(f"{name}=")), "")


def is_column(order: Sequence[str]) -> bool:
    """Return whether ``order`` says by what to sort; otherwise it names hosts."""
    return len(order) == 1 and (order[0] == BY_NAME or order[0] in FIELDS)


def _in_order(hosts: Sequence[HostFacts], order: Sequence[str]) -> list[HostFacts]:
    by_name = sorted(hosts, key=lambda host: host.hostname)
    if is_column(order):
        at = order[0]
        return by_name if at == BY_NAME else sorted(by_name, key=lambda host: _value(host, at))
    places = {name.lower(): place for place, name in enumerate(order)}
    return sorted(by_name, key=lambda host: places.get(host.hostname.lower(), len(places)))


def _read_word(name: str) -> Callable[[object], dict[str, Any]]:
    def read(value: object) -> dict[str, Any]:
        if not isinstance(value, str) or not value:
            raise InputError(f"{value!r} is not a word")
        return {name: value}

    return read


def _read_hosts(value: object) -> dict[str, Any]:
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise InputError("a list of hostnames")
    return {"hosts": tuple(value)}


def _read_fields(value: object) -> dict[str, Any]:
    if not isinstance(value, Mapping) or not all(isinstance(v, str) for v in value.values()):
        raise InputError('a table of words, such as {site = "fra"}')
    return {"fields": dict(value)}


def _read_limit(value: object) -> dict[str, Any]:
    if isinstance(value, int) and not isinstance(value, bool):
        return {"max_unavailable": value}
    share = value.removesuffix("%").strip() if isinstance(value, str) else ""
    if not (share.isascii() and share.isdigit() and 1 <= int(share[:9]) <= 100):
        raise InputError('a number of hosts, 1 or more, or a share such as "25%"')
    return {"max_unavailable_pct": int(share)}


def _read_order(value: object) -> dict[str, Any]:
    words = [value] if isinstance(value, str) else value
    if not isinstance(words, list) or not all(isinstance(one, str) and one for one in words):
        raise InputError(f"a list of hostnames, {BY_NAME!r} or a column to sort by")
    return {"order": tuple(words)}


_READERS: dict[str, Callable[[object], dict[str, Any]]] = {
    "name": _read_word("name"),
    "by": lambda value: {"by": ""} if value == "" else _read_word("by")(value),
    "hosts": _read_hosts,
    "fields": _read_fields,
    "max_unavailable": _read_limit,
    "order": _read_order,
}
