"""Reads a scenario (docs/simulation.md).

What is wrong is named by its path, such as ``hosts[3].window``.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from patchmgr.domain import durations
from patchmgr.domain import groups as group_settings
from patchmgr.domain import rings as ring_settings
from patchmgr.domain.probes import Health
from patchmgr.domain.rings import ANY_TIME, DEFAULT_RINGS, OWN_WINDOW, HostFacts, RingSettings
from patchmgr.domain.simulation.behaviour import Behaviour, Course
from patchmgr.domain.simulation.fields import (
    each_of,
    located,
    maybe_length,
    read_count,
    read_instant,
    read_length,
    read_rate,
    read_span,
    read_table,
    read_word,
    read_words,
)
from patchmgr.domain.simulation.reading_times import MOST_WINDOWS, read_freezes, read_windows
from patchmgr.domain.simulation.scenario import (
    LONGEST,
    Act,
    PersonActs,
    ProbeSays,
    Scenario,
    VirtualHost,
)
from patchmgr.domain.windows import Window, Windows, united
from patchmgr.errors import InputError

MOST_HOSTS = 1_000_000
MOST_YEARS = 5
AHEAD = timedelta(days=62)  # of the end: a freeze that begins then matters before it

_HOST_WORDS = ("ring", "environment", "site", "owner", "criticality", "exposure", "platform")
_HOST_KEYS = ("name", "hostname", "group", "zone", "window", "tags", "behaviour", *_HOST_WORDS)
_FLEET_KEYS = ("count", "groups", "windows", "zones", *_HOST_KEYS)
_KEYS = ("start", "seed", "due", "plan", "until", "behaviour", "windows", "freezes", "rings",
         "groups", "hosts", "fleets", "people", "probes", "acknowledge_after",
         "resume_after")  # fmt: skip
_RATES = {
    Course.SUCCEEDS: {},
    Course.FAILS: {"failure_rate": 1.0},
    Course.OFFLINE: {"offline_rate": 1.0},
    Course.HANGS: {"hang_rate": 1.0},
    Course.LOST: {"lost_rate": 1.0},
    Course.UNVERIFIED: {"unverified_rate": 1.0},
}  # fmt: skip
_ALSO = {"reboots": {"reboot_rate": 1.0}}
WORDS = (*_RATES, *_ALSO)


def scenario_from_json(document: object) -> Scenario:
    """Return the scenario that ``document`` describes.

    Raises `InputError` with the path of each field at fault.
    """
    root = read_table(document, "scenario", _KEYS)
    if "start" not in root:
        raise InputError({"start": "say when the plan starts, such as 2026-03-27T18:00:00Z"})
    start = read_instant(root["start"], "start")
    until = read_length(root.get("until", durations.text(LONGEST)), "until")
    if until > MOST_YEARS * LONGEST:
        raise InputError({"until": "up to five years"})
    usual = _behaviour(root.get("behaviour", {}), "behaviour", Behaviour())
    windows = read_windows(root.get("windows", []))
    hosts = _Hosts(windows, usual)
    for at, one in each_of(root.get("hosts", []), "hosts", MOST_HOSTS):
        hosts.add(one, at)
    for at, one in each_of(root.get("fleets", []), "fleets", MOST_WINDOWS):
        hosts.add_fleet(one, at)
    if not hosts.made:
        raise InputError({"hosts": "a scenario needs hosts or fleets"})
    rings = _rings(root.get("rings"), windows, hosts.names)
    return Scenario(
        tuple(hosts.made),
        rings,
        start,
        windows=_used(hosts.made, rings, hosts.windows),
        freezes=read_freezes(root.get("freezes", []), start, start + until + AHEAD),
        groups=_groups(root.get("groups", []), hosts.names),
        people=_people(root.get("people", []), hosts.names, rings),
        answers=_answers(root.get("probes", []), rings),
        plan=read_word(root.get("plan", "1"), "plan"),
        seed=read_count(root.get("seed", 0), "seed", 0, 2**63),
        due=read_instant(root["due"], "due") if root.get("due") is not None else None,
        until=until,
        acknowledge_after=maybe_length(root, "acknowledge_after"),
        resume_after=maybe_length(root, "resume_after"),
    )


class _Hosts:
    """Hosts as they are read, with windows moved into their zones."""

    def __init__(self, windows: Mapping[str, Window], usual: Behaviour) -> None:
        self.made: list[VirtualHost] = []
        self.names: set[str] = set()
        self.windows = dict(windows)
        self._usual = usual

    def add(self, document: object, at: str) -> None:
        row = read_table(document, at, _HOST_KEYS)
        name = row.get("name", row.get("hostname"))
        if name is None:
            raise InputError({f"{at}.name": "a host needs a name"})
        self._put(
            row,
            at,
            read_word(name, f"{at}.name"),
            group=read_word(row.get("group", ""), f"{at}.group"),
            window=row.get("window", ""),
            zone=read_word(row.get("zone", ""), f"{at}.zone"),
            behaviour=_behaviour(row.get("behaviour", {}), f"{at}.behaviour", self._usual),
        )

    def add_fleet(self, document: object, at: str) -> None:
        """Add ``count`` hosts alike, spread evenly over groups, windows and zones."""
        row = read_table(document, at, _FLEET_KEYS)
        if "count" not in row:
            raise InputError({f"{at}.count": "say how many hosts"})
        count = read_count(row["count"], f"{at}.count", 1, MOST_HOSTS - len(self.made))
        stem = read_word(row.get("name", f"fleet{len(self.made)}"), f"{at}.name")
        group = read_word(row.get("group", stem), f"{at}.group")
        groups = read_count(row.get("groups", 0), f"{at}.groups", 0, count)
        windows = _spread(row, at, "window", "windows")
        zones = _spread(row, at, "zone", "zones")
        behaviour = _behaviour(row.get("behaviour", {}), f"{at}.behaviour", self._usual)
        for number in range(count):
            in_group = group if "group" in row else ""
            if groups:
                in_group = f"{group}-{number % groups + 1}"
            self._put(
                row,
                at,
                f"{stem}-{number + 1:0{len(str(count))}}",
                group=in_group,
                window=windows[number % len(windows)],
                zone=read_word(zones[number // len(windows) % len(zones)], f"{at}.zones"),
                behaviour=behaviour,
            )

    def _put(
        self,
        row: Mapping[str, Any],
        at: str,
        name: str,
        *,
        group: str,
        window: object,
        zone: str,
        behaviour: Behaviour,
    ) -> None:
        if not name.strip():
            raise InputError({f"{at}.name": "a host needs a name"})
        if name in self.names:
            raise InputError({f"{at}.name": f"two hosts are called {name!r}"})
        self.names.add(name)
        tags = read_words(row.get("tags", []), f"{at}.tags")
        facts = HostFacts(
            len(self.made) + 1,
            name,
            **{key: read_word(row.get(key, ""), f"{at}.{key}") for key in _HOST_WORDS},
            tags=(*tags, f"group={group}") if group else tags,
        )
        key = self._window(window, zone, at)
        self.made.append(VirtualHost(facts, behaviour, key, group))

    def _window(self, value: object, zone: str, at: str) -> str | None:
        """Return the name of a host's window on the wall clock of its zone; None for any time."""
        if value in ("", None, ANY_TIME):
            return None
        name = read_word(value, f"{at}.window")
        if name not in self.windows:
            known = Windows(self.windows)
            if name not in known:
                raise InputError({f"{at}.window": known.complaint(name)})
            self.windows[name] = known[name]  # several, united
        window = self.windows[name]
        if not zone or all(zone == one.zone for one in (window, *window.also)):
            return name
        moved = f"{name}@{zone}"
        if moved not in self.windows:
            with located(f"{at}.zone"):
                there = [replace(one, zone=zone) for one in window.parts]
                self.windows[moved] = united(moved[:64], there)
        if len(self.windows) > MOST_WINDOWS:
            raise InputError({f"{at}.zone": f"at most {MOST_WINDOWS} windows"})
        return moved


def _rings(
    documents: object, windows: Mapping[str, Window], names: set[str]
) -> tuple[RingSettings, ...]:
    if documents is None:
        return DEFAULT_RINGS
    rings = []
    for at, one in each_of(documents, "rings", ring_settings.MOST_RINGS):
        with located(at, is_table=True):
            ring = ring_settings.from_json(one)
        _check_names(ring.hosts, names, f"{at}.hosts")
        if not (ring.hosts or ring.fields or ring.percent):
            # A ring that names nobody has the hosts that name it.
            ring = replace(ring, fields={"ring": ring.name})
        if ring.window not in (OWN_WINDOW, ANY_TIME, *windows):
            raise InputError({f"{at}.window": f"there is no window {ring.window!r}"})
        rings.append(ring)
    with located("rings"):
        return ring_settings.checked(rings)


def _groups(documents: object, names: set[str]) -> tuple[group_settings.GroupSettings, ...]:
    groups = []
    for at, one in each_of(documents, "groups", group_settings.MOST_GROUPS):
        with located(at, is_table=True):
            groups.append(group_settings.from_json(one))
        _check_names(groups[-1].hosts, names, f"{at}.hosts")
        if not group_settings.is_column(groups[-1].order):
            _check_names(groups[-1].order, names, f"{at}.order")
    with located("groups"):
        return group_settings.checked(groups)


def _people(
    documents: object, names: set[str], rings: Sequence[RingSettings]
) -> tuple[PersonActs, ...]:
    found = []
    for at, one in each_of(documents, "people", 10_000):
        row = read_table(one, at, ("at", "do", "reason", "ring", "host", "hosts"))
        missing = [key for key in ("at", "do") if key not in row]
        if missing:
            raise InputError({f"{at}.{missing[0]}": "an act needs it"})
        try:
            act = Act(row["do"])
        except ValueError:
            raise InputError({f"{at}.do": f"{row['do']!r} is none of {', '.join(Act)}"}) from None
        hosts = read_words(row.get("hosts", row.get("host", [])), f"{at}.hosts")
        _check_names(hosts, names, f"{at}.hosts")
        if act in (Act.ACCEPT, Act.RETRY) and not hosts:
            raise InputError({f"{at}.hosts": f"say which hosts to {act}"})
        ring = read_word(row.get("ring", ""), f"{at}.ring")
        if ring not in ("", *(one.name for one in rings)):
            raise InputError({f"{at}.ring": f"there is no ring {ring!r}"})
        if act in (Act.SKIP, Act.APPROVE) and not ring:
            raise InputError({f"{at}.ring": f"say which ring to {act}"})
        when = read_instant(row["at"], f"{at}.at")
        reason = read_word(row.get("reason", ""), f"{at}.reason")
        found.append(PersonActs(when, act, reason, ring, hosts))
    return tuple(found)


def _check_names(hosts: Iterable[str], names: set[str], at: str) -> None:
    if unknown := [name for name in hosts if name not in names]:
        raise InputError({at: f"there is no host {unknown[0]!r}"})


def _answers(documents: object, rings: Sequence[RingSettings]) -> tuple[ProbeSays, ...]:
    known = {probe.name for ring in rings for probe in ring.probes}
    found = []
    for at, one in each_of(documents, "probes", 10_000):
        row = read_table(one, at, ("probe", "ring", "health", "from", "until", "detail"))
        missing = [key for key in ("probe", "health", "from", "until") if key not in row]
        if missing:
            raise InputError({f"{at}.{missing[0]}": "an answer needs it"})
        name = read_word(row["probe"], f"{at}.probe")
        if name not in known:
            raise InputError({f"{at}.probe": f"no ring has a probe {name!r}"})
        try:
            health = Health(row["health"])
        except ValueError:
            words = ", ".join(Health)
            raise InputError({f"{at}.health": f"{row['health']!r} is none of {words}"}) from None
        found.append(
            ProbeSays(
                name,
                health,
                read_instant(row["from"], f"{at}.from"),
                read_instant(row["until"], f"{at}.until"),
                read_word(row.get("ring", ""), f"{at}.ring"),
                read_word(row.get("detail", ""), f"{at}.detail"),
            )
        )
    return tuple(found)


def _behaviour(value: object, at: str, usual: Behaviour) -> Behaviour:
    """Return ``usual`` with what ``value``, a word or a table, says otherwise."""
    document = {"kind": value} if isinstance(value, str) else value
    row = read_table(document, at, (*_BEHAVIOUR, "kind"))
    values: dict[str, Any] = {}
    if "kind" in row:
        kind = row["kind"]
        if kind not in WORDS:
            raise InputError({at: f"{kind!r} is none of {', '.join(WORDS)}"})
        rates = ("failure_rate", "offline_rate", "hang_rate", "lost_rate", "unverified_rate")
        values = dict.fromkeys(rates, 0.0)
        values |= _ALSO[kind] if kind in _ALSO else _RATES[Course(kind)]
    for key, one in row.items():
        if key != "kind":
            values[key] = _BEHAVIOUR[key](one, f"{at}.{key}")
    made = replace(usual, **values)
    rates_sum = (
        made.failure_rate + made.offline_rate + made.hang_rate + made.lost_rate
    ) + made.unverified_rate
    if rates_sum > 1 + 1e-9:
        raise InputError({at: "the rates together are more than 1"})
    return made


def _used(
    hosts: Iterable[VirtualHost], rings: Iterable[RingSettings], windows: Mapping[str, Window]
) -> dict[str, Window]:
    names = {host.window for host in hosts} | {ring.window for ring in rings}
    return {name: window for name, window in windows.items() if name in names}


def _spread(row: Mapping[str, Any], at: str, one: str, many: str) -> Sequence[object]:
    if many not in row:
        return [row.get(one, "")]
    values = row[many]
    if not isinstance(values, list) or not values:
        raise InputError({f"{at}.{many}": "a list of at least one"})
    return values


_BEHAVIOUR: dict[str, Callable[[Any, str], Any]] = {
    **dict.fromkeys(
        ("failure_rate", "offline_rate", "hang_rate", "lost_rate", "unverified_rate",
         "reboot_rate"),
        read_rate,
    ),
    "fails_first": lambda value, at: read_count(value, at, 0, 1000),
    "offline_until": read_instant,
    **dict.fromkeys(("begin", "duration", "reboot", "inventory"), read_span),
    "package": read_word,
}  # fmt: skip
