"""Rings: the ordered stages of a plan, what each must prove, and which host is in which.

Hosts come into rings in two passes, first ring first: those that a ring names (``hosts``) or that
have its ``fields``; then, of the hosts that remain, each ring's ``representative`` ones and its
``percent``. Who is left is in the last ring. The percentage takes the hosts with the lowest hash of
(series, host id), rounded up: the same hosts are canaries plan after plan, and a canary ring of a
small fleet is never empty. Representatives are chosen for what the plan changes: see there.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from patchmgr.domain import durations
from patchmgr.domain.probes import Probe, probes_from_json
from patchmgr.domain.representatives import Sights, choose
from patchmgr.domain.terms import approvers_problem
from patchmgr.errors import InputError

FIELDS = ("ring", "environment", "site", "owner", "criticality", "exposure", "platform", "tag")
OWN_WINDOW = "own"  # each host's own window, any time for a host that has none
ANY_TIME = "any"
MOST_RINGS = 20
LARGEST = 2**31 - 1  # number of hosts or tries that databases count up to

_HOURS = timedelta(hours=1)
_DAYS = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class HostFacts:
    """What ring assignment may ask of a host."""

    id: int
    hostname: str
    ring: str = ""
    environment: str = ""
    site: str = ""
    owner: str = ""
    criticality: str = ""
    exposure: str = ""
    platform: str = ""
    tags: tuple[str, ...] = ()
    window: str = ""

    def has(self, name: str, value: "str | Sequence[str]") -> bool:
        """Return whether the field ``name`` has ``value``, or one of several."""
        wanted = (value,) if isinstance(value, str) else value
        if name == "tag":
            return not set(wanted).isdisjoint(self.tags)
        return getattr(self, name) in wanted


@dataclass(frozen=True, slots=True)
class RingSettings:
    """A stage of a plan; the defaults are those of a ring after the canary. Raises `InputError`."""

    name: str
    # how hosts come into it; all empty: only what no other ring takes (the last ring)
    hosts: tuple[str, ...] = ()  # hostnames
    # all must be so; of several values one is enough
    fields: Mapping[str, str | tuple[str, ...]] = field(default_factory=dict, hash=False)
    percent: int = 0  # of the hosts that remain, rounded up
    representative: int = 0  # at most so many that see most of what the plan changes
    # the evidence that opens the gate to the next ring
    min_attempted: int = 3  # hosts; in a smaller ring all of them
    attempted_pct: int = 90
    success_pct: int = 95  # of the attempted
    max_failures: int = 5  # hosts; one more halts the plan
    unverified_pct: int = 2  # of the attempted, still unverified when the soak is over
    soak: timedelta = timedelta(0)  # the time it must stay healthy
    min_soak: timedelta = timedelta(0)  # what the soak may be shortened to, to hold the due date
    needs_approval: bool = False  # its own, beside the plan's
    approvals: int = 1  # people who must give it
    approvers: tuple[str, ...] = ()  # names and "role:approver"; empty: any approver
    probes: tuple[Probe, ...] = ()  # asked while it rolls and soaks
    # how it changes hosts
    window: str = OWN_WINDOW  # OWN_WINDOW, ANY_TIME or the name of a maintenance window
    max_concurrent: int = 100  # hosts at work at a time
    max_attempts: int = 2  # times a host is asked that never begins
    expected: timedelta = timedelta(minutes=30)  # a host's work, which must fit into the window
    reboot_reserve: timedelta = timedelta(minutes=15)  # beside it
    # how long the server waits before it decides for itself
    lease: timedelta = 12 * _HOURS  # for a dispatched host to begin
    run: timedelta = 4 * _HOURS  # for a begun one to end
    verify: timedelta = 48 * _HOURS  # for an inventory that shows the new versions
    reboot: timedelta = 24 * _HOURS  # for a host to be back from its reboot
    wait: timedelta = 14 * _DAYS  # for a window to open, without any progress in the ring
    approval: timedelta = 7 * _DAYS  # for the ring's own approval

    def __post_init__(self) -> None:
        problems = {**self._selection_problems(), **self._number_problems()}
        if found := {f"{at} of ring {self.name!r}": why for at, why in problems.items() if why}:
            raise InputError(found)

    def _selection_problems(self) -> dict[str, str]:
        unknown = sorted(set(self.fields) - set(FIELDS))
        named = (
            self.name.strip() == self.name and 0 < len(self.name) <= 64 and self.name.isprintable()
        )
        return {
            "name": "" if named else "1 to 64 printable characters, no spaces around them",
            "fields": f"{unknown[0]!r} is none of {', '.join(FIELDS)}" if unknown else "",
            "percent": "" if 0 <= self.percent <= 100 else "from 0 to 100",
            "representative": _unless(0 <= self.representative <= 10_000, "from 0 to 10000"),
            "approvals": _unless(1 <= self.approvals <= 5, "from 1 to 5"),
            "approvers": approvers_problem(self.approvers),
            "window": "" if self.window else f"{OWN_WINDOW!r}, {ANY_TIME!r} or a window's name",
        }

    def _number_problems(self) -> dict[str, str]:
        shares = ("attempted_pct", "success_pct", "unverified_pct")
        counts = {"min_attempted": 1, "max_failures": 0, "max_concurrent": 1, "max_attempts": 1}
        deadlines = ("expected", "lease", "run", "verify", "reboot", "wait", "approval")
        return {
            **{name: _unless(0 <= getattr(self, name) <= 100, "from 0 to 100") for name in shares},
            **{
                name: _unless(least <= getattr(self, name) <= LARGEST, f"{least} or more")
                for name, least in counts.items()
            },
            **{
                name: _unless(timedelta(0) < getattr(self, name) <= 366 * _DAYS, "up to 366 days")
                for name in deadlines
            },
            "soak": _unless(timedelta(0) <= self.soak <= 90 * _DAYS, "up to 90 days"),
            "min_soak": _unless(timedelta(0) <= self.min_soak <= self.soak, "up to the soak"),
            "reboot_reserve": _unless(timedelta(0) <= self.reboot_reserve <= _DAYS, "up to a day"),
        }

    @property
    def needed_time(self) -> timedelta:
        """What must be left of a window for a host to begin."""
        return self.expected + self.reboot_reserve

    def to_json(self) -> dict[str, Any]:
        """Return the canonical form: every setting, durations as text ("24h").

        Settings that came later are left out while they ask for nothing, so that the hash of a plan
        that was made before them still stands.
        """
        later: dict[str, Any] = {
            "representative": self.representative,
            "approvals": self.approvals if self.approvals > 1 else 0,
            "approvers": sorted(self.approvers),
        }
        return {
            **{name: getattr(self, name) for name in _PLAIN},
            **{name: durations.text(getattr(self, name)) for name in _DURATIONS},
            "hosts": sorted(self.hosts),
            "fields": {name: _canonical(value) for name, value in sorted(self.fields.items())},
            **{name: value for name, value in later.items() if value},
            # Left out where there are none: a plan approved before there were any keeps its hash.
            **({"probes": [probe.to_json() for probe in self.probes]} if self.probes else {}),
        }


_DURATIONS = ("soak", "min_soak", "expected", "reboot_reserve", "lease", "run", "verify", "reboot",
              "wait", "approval")  # fmt: skip
_NUMBERS = ("percent", "min_attempted", "attempted_pct", "success_pct", "max_failures",
            "unverified_pct", "max_concurrent", "max_attempts")  # fmt: skip
_PLAIN = ("name", *_NUMBERS, "needs_approval", "window")
_LATER = ("representative", "approvals", "approvers")  # left out while they ask for nothing
SETTINGS = (*_PLAIN, "hosts", "fields", "probes", *_DURATIONS, *_LATER)


def from_json(document: object) -> RingSettings:
    """Return the ring that ``document`` describes, defaults for what it leaves out.

    Durations are texts ("24h"); a ``soak`` without a ``min_soak`` may be shortened to a quarter.
    Raises `InputError` that names the setting at fault.
    """
    if not isinstance(document, Mapping):
        raise InputError("a ring is a table of settings with at least a name")
    if unknown := sorted(set(document) - set(SETTINGS)):
        raise InputError({unknown[0]: f"no such ring setting; there are {', '.join(SETTINGS)}"})
    values: dict[str, Any] = {}
    for name, value in document.items():
        try:
            values[name] = _READERS[name](value)
        except InputError as error:
            raise InputError(
                {f"{name} of ring {document.get('name', '')!r}": str(error)}
            ) from error
    if not values.get("name"):
        raise InputError("a ring needs a name")
    if "soak" in values and "min_soak" not in values:
        values["min_soak"] = values["soak"] // 4
    return RingSettings(**values)


def series_from_json(document: object) -> tuple[RingSettings, ...]:
    """Return the rings of a list or of a table ``{"rings": [...]}``. Raises `InputError`."""
    if isinstance(document, Mapping) and set(document) <= {"rings", "ring"} and len(document) == 1:
        (document,) = document.values()
    if not isinstance(document, Sequence) or isinstance(document, str | bytes):
        raise InputError("rings are a list of tables: [[rings]] in TOML, [{...}] in JSON")
    return checked([from_json(one) for one in document])


def checked(rings: Sequence[RingSettings]) -> tuple[RingSettings, ...]:
    """Return ``rings`` if they can be the rings of one plan. Raises `InputError`."""
    names = [ring.name for ring in rings]
    if not 1 <= len(rings) <= MOST_RINGS:
        raise InputError({"rings": f"a plan has 1 to {MOST_RINGS} rings"})
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise InputError({"rings": f"two rings are called {twice[0]!r}"})
    for ring in rings[:-1]:
        if not (ring.hosts or ring.fields or ring.percent or ring.representative):
            raise InputError(
                {
                    f"ring {ring.name!r}": "name its hosts, fields, percent or representative; "
                    "only the last ring takes who is left"
                }
            )
    return tuple(rings)


def assign(
    hosts: Sequence[HostFacts],
    rings: Sequence[RingSettings],
    series: str,
    sights: Sights | None = None,
) -> dict[int, int]:
    """Return host id -> position of its ring; every host is in exactly one.

    ``sights`` is what each host would show of the plan's changes, for representative rings.
    """
    placed: dict[int, int] = {}
    for host in hosts:
        position = next((i for i, ring in enumerate(rings) if _names(ring, host)), None)
        if position is not None:
            placed[host.id] = position
    remaining = sorted(
        (host.id for host in hosts if host.id not in placed), key=lambda id_: rank(id_, series)
    )
    for position, ring in enumerate(rings):
        if ring.representative and sights is not None:
            before = [id_ for id_, at in placed.items() if at <= position]
            places = {id_: place for place, id_ in enumerate(remaining)}
            chosen = choose(
                {id_: sights.of[id_] for id_ in remaining},
                ring.representative,
                places.__getitem__,
                sights.union(before),
            )
            placed.update(dict.fromkeys(chosen, position))
            remaining = [id_ for id_ in remaining if id_ not in placed]
        taken = -(-len(remaining) * ring.percent // 100)
        placed.update(dict.fromkeys(remaining[:taken], position))
        del remaining[:taken]
    placed.update(dict.fromkeys(remaining, len(rings) - 1))
    return placed


def rank(host_id: int, series: str) -> bytes:
    """Return the host's place in the percentage order of ``series``; no other host bears on it."""
    return hashlib.sha256(f"{series}\0{host_id}".encode()).digest()


def _names(ring: RingSettings, host: HostFacts) -> bool:
    if host.hostname.lower() in {name.lower() for name in ring.hosts}:
        return True
    return bool(ring.fields) and all(host.has(name, value) for name, value in ring.fields.items())


def _unless(holds: bool, why: str) -> str:
    return "" if holds else why


def _read_duration(value: object) -> timedelta:
    if not isinstance(value, str):
        raise InputError("a duration such as 24h, 90m or PT4H, in quotes")
    return durations.parse(value)


def _read_number(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise InputError(f"{value!r} is not a whole number")
    return value


def _read_word(value: object) -> str:
    if not isinstance(value, str):
        raise InputError(f"{value!r} is not a word")
    return value


def _read_flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise InputError("true or false")
    return value


def _read_hosts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not all(isinstance(one, str) for one in value):
        raise InputError("a list of hostnames")
    return tuple(value)


def _read_names(value: object) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not all(isinstance(one, str) for one in value):
        raise InputError('a list of names, and of roles such as "role:approver"')
    return tuple(value)


def _read_fields(value: object) -> dict[str, str | tuple[str, ...]]:
    if not isinstance(value, Mapping):
        raise InputError(_FIELDS_ARE)
    return {str(name): _read_words(one) for name, one in value.items()}


def _read_words(value: object) -> str | tuple[str, ...]:
    if isinstance(value, str):
        return value
    if not isinstance(value, list | tuple) or not value:
        raise InputError(_FIELDS_ARE)
    if not all(isinstance(one, str) for one in value):
        raise InputError(_FIELDS_ARE)
    return tuple(value)


def _canonical(value: str | tuple[str, ...]) -> str | list[str]:
    """Return one word as itself, several in order: which came first makes no difference."""
    several = [value] if isinstance(value, str) else sorted(set(value))
    return several[0] if len(several) == 1 else several


_FIELDS_ARE = 'a table of words or lists of them, such as {environment = ["test", "staging"]}'


_READERS: dict[str, Callable[[object], Any]] = {
    **dict.fromkeys(_DURATIONS, _read_duration),
    **dict.fromkeys(_NUMBERS, _read_number),
    "name": _read_word,
    "window": _read_word,
    "needs_approval": _read_flag,
    "hosts": _read_hosts,
    "fields": _read_fields,
    "representative": _read_number,
    "approvals": _read_number,
    "approvers": _read_names,
    "probes": probes_from_json,
}

DEFAULT_RINGS = (
    RingSettings(
        "canary",
        fields={"ring": "canary"},
        percent=5,
        max_failures=0,
        soak=24 * _HOURS,
        min_soak=6 * _HOURS,
    ),
    RingSettings(
        "early",
        fields={"ring": "early"},
        percent=25,
        max_failures=2,
        soak=48 * _HOURS,
        min_soak=12 * _HOURS,
    ),
    RingSettings("broad", fields={"ring": "broad"}, max_failures=10),
)
