"""Rings: the ordered stages of a plan, what each must prove, and which host is in which.

Hosts come into rings in two passes, first ring first: those that a ring names (``hosts``) or that
have its ``fields``; then each ring's ``percent`` of the hosts that remain. Who is left is in the
last ring. The percentage takes the hosts with the lowest hash of (series, host id), rounded up:
the same hosts are canaries plan after plan, and a canary ring of a small fleet is never empty.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from patchmgr.domain import durations
from patchmgr.domain.probes import Probe, probes_from_json
from patchmgr.errors import InputError

FIELDS = ("ring", "environment", "site", "owner", "criticality", "exposure", "platform", "tag")
OWN_WINDOW = "own"  # each host's own window, any time for a host that has none
ANY_TIME = "any"
MOST_RINGS = 20

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

    def has(self, name: str, value: str) -> bool:
        return value in self.tags if name == "tag" else getattr(self, name) == value


@dataclass(frozen=True, slots=True)
class RingSettings:
    """A stage of a plan; the defaults are those of a ring after the canary. Raises `InputError`."""

    name: str
    # how hosts come into it; all empty: only what no other ring takes (the last ring)
    hosts: tuple[str, ...] = ()  # hostnames
    fields: Mapping[str, str] = field(default_factory=dict, hash=False)  # all must be equal
    percent: int = 0  # of the hosts that remain, rounded up
    # the evidence that opens the gate to the next ring
    min_attempted: int = 3  # hosts; in a smaller ring all of them
    attempted_pct: int = 90
    success_pct: int = 95  # of the attempted
    max_failures: int = 5  # hosts; one more halts the plan
    unverified_pct: int = 2  # of the attempted, still unverified when the soak is over
    soak: timedelta = timedelta(0)  # the time it must stay healthy
    min_soak: timedelta = timedelta(0)  # what the soak may be shortened to, to hold the due date
    needs_approval: bool = False  # its own, beside the plan's
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
            "window": "" if self.window else f"{OWN_WINDOW!r}, {ANY_TIME!r} or a window's name",
        }

    def _number_problems(self) -> dict[str, str]:
        shares = ("attempted_pct", "success_pct", "unverified_pct")
        counts = {"min_attempted": 1, "max_failures": 0, "max_concurrent": 1, "max_attempts": 1}
        deadlines = ("expected", "lease", "run", "verify", "reboot", "wait", "approval")
        return {
            **{name: _unless(0 <= getattr(self, name) <= 100, "from 0 to 100") for name in shares},
            **{
                name: _unless(getattr(self, name) >= least, f"{least} or more")
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
        """Return the canonical form: every setting, durations as text ("24h")."""
        return {
            **{name: getattr(self, name) for name in _PLAIN},
            **{name: durations.text(getattr(self, name)) for name in _DURATIONS},
            "hosts": sorted(self.hosts),
            "fields": dict(sorted(self.fields.items())),
            # Left out where there are none: a plan approved before there were any keeps its hash.
            **({"probes": [probe.to_json() for probe in self.probes]} if self.probes else {}),
        }


_DURATIONS = ("soak", "min_soak", "expected", "reboot_reserve", "lease", "run", "verify", "reboot",
              "wait", "approval")  # fmt: skip
_NUMBERS = ("percent", "min_attempted", "attempted_pct", "success_pct", "max_failures",
            "unverified_pct", "max_concurrent", "max_attempts")  # fmt: skip
_PLAIN = ("name", *_NUMBERS, "needs_approval", "window")
SETTINGS = (*_PLAIN, "hosts", "fields", "probes", *_DURATIONS)


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
        if not (ring.hosts or ring.fields or ring.percent):
            raise InputError(
                {
                    f"ring {ring.name!r}": "name its hosts, fields or percent; only the last ring "
                    "takes who is left"
                }
            )
    return tuple(rings)


def assign(
    hosts: Sequence[HostFacts], rings: Sequence[RingSettings], series: str
) -> dict[int, int]:
    """Return host id -> position of its ring; every host is in exactly one."""
    placed: dict[int, int] = {}
    for host in hosts:
        position = next((i for i, ring in enumerate(rings) if _names(ring, host)), None)
        if position is not None:
            placed[host.id] = position
    remaining = sorted(
        (host.id for host in hosts if host.id not in placed), key=lambda id_: rank(id_, series)
    )
    for position, ring in enumerate(rings):
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


def _read_fields(value: object) -> dict[str, str]:
    if not isinstance(value, Mapping) or not all(isinstance(v, str) for v in value.values()):
        raise InputError('a table of words, such as {environment = "test"}')
    return dict(value)


_READERS: dict[str, Callable[[object], Any]] = {
    **dict.fromkeys(_DURATIONS, _read_duration),
    **dict.fromkeys(_NUMBERS, _read_number),
    "name": _read_word,
    "window": _read_word,
    "needs_approval": _read_flag,
    "hosts": _read_hosts,
    "fields": _read_fields,
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
