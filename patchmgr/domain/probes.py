"""Health probes of a ring: what is asked while it rolls and soaks, and what an answer means.

An HTTP probe passes on the expected status (and text); a Prometheus probe when its query has
samples and every one of them is inside the bounds. Another answer is a failure. A query without
samples is inconclusive; no answer, or one that cannot be read, is an error. Both say nothing about
the service, so a person is asked.
"""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit

from patchmgr.domain import durations
from patchmgr.errors import InputError

USUAL_ERRORS = 4
MOST_PROBES = 10  # of a ring
_SECONDS = timedelta(seconds=1)
_DAY = timedelta(days=1)


class ProbeKind(StrEnum):
    HTTP = "http"
    PROMETHEUS = "prometheus"


class Health(StrEnum):
    PASSED = "passed"
    FAILED = "failed"
    INCONCLUSIVE = "inconclusive"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Probe:
    """What to ask, what must come back, and how often it may not. Raises `InputError`."""

    name: str
    kind: ProbeKind
    url: str  # of a Prometheus probe the server's, without /api/v1/query
    query: str = ""  # PromQL
    status: int = 200
    contains: str = ""  # what the body of an HTTP answer must have
    at_least: float | None = None  # bounds of every sample
    at_most: float | None = None
    interval: timedelta = timedelta(minutes=1)
    initial_delay: timedelta = timedelta(0)  # after the ring has begun
    timeout: timedelta = timedelta(seconds=10)
    failure_limit: int = 3  # failures in a row that halt the plan
    inconclusive_limit: int = 4  # answers that say nothing, in a row, that pause it
    error_limit: int = USUAL_ERRORS  # questions without an answer, in a row, that pause it

    def __post_init__(self) -> None:
        address = _split(self.url)
        is_query = self.kind is ProbeKind.PROMETHEUS
        bounds = [one for one in (self.at_least, self.at_most) if one is not None]
        named = 0 < len(self.name) <= 64 and self.name.isprintable()
        problems = {
            "name": "" if named else "1 to 64 printable characters",
            "url": "" if address else "an http or https address without credentials",
            "query": _unless(bool(self.query) == is_query, "for Prometheus, and needed there"),
            "at_least": _unless(
                bool(bounds) == is_query and all(map(math.isfinite, bounds)),
                "at_least or at_most: numbers, for Prometheus, and one is needed there",
            ),
            "contains": _unless(len(self.contains) <= 1000, "up to 1000 characters"),
            "status": _unless(100 <= self.status <= 599, "from 100 to 599"),
            "interval": _unless(5 * _SECONDS <= self.interval <= _DAY, "from 5s to 1d"),
            "initial_delay": _unless(timedelta(0) <= self.initial_delay <= _DAY, "up to 1d"),
            "timeout": _unless(_SECONDS <= self.timeout <= 60 * _SECONDS, "from 1s to 60s"),
            "failure_limit": _unless(1 <= self.failure_limit <= 100, "from 1 to 100"),
            "inconclusive_limit": _unless(1 <= self.inconclusive_limit <= 100, "from 1 to 100"),
            "error_limit": _unless(1 <= self.error_limit <= 100, "from 1 to 100"),
        }
        if found := {f"{at} of probe {self.name!r}": why for at, why in problems.items() if why}:
            raise InputError(found)

    def to_json(self) -> dict[str, Any]:
        """Return the canonical form: every setting, durations as text.

        ``error_limit`` came later and is left out while it is the usual one, so that the hash of a
        plan that was made before it still stands.
        """
        return {
            **{name: getattr(self, name) for name in (*_WORDS, *_COUNTS, *_NUMBERS)},
            **{name: durations.text(getattr(self, name)) for name in _LENGTHS},
            "kind": self.kind.value,
            **({"error_limit": self.error_limit} if self.error_limit != USUAL_ERRORS else {}),
        }

    @property
    def patience(self) -> timedelta:
        """How long the machine waits for any result before it asks a person."""
        return self.interval * (max(self.inconclusive_limit, self.error_limit) + 1)


@dataclass(frozen=True, slots=True)
class Standing:
    """What a probe has said so far, as the machine counts it."""

    at: datetime  # of the last result, or since when one is awaited
    health: Health | None = None  # None: no result yet
    failures: int = 0  # in a row
    inconclusive: int = 0  # in a row
    errors: int = 0  # in a row
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back over HTTP."""

    status: int
    body: bytes


def next_question(probe: Probe, standing: Standing | None, started: datetime) -> datetime:
    """Return when ``probe`` must be asked the next time; its ring began at ``started``."""
    first = started + probe.initial_delay
    if standing is None:
        return first
    if standing.health is None:
        return max(first, standing.at + _SECONDS)  # since then a result is awaited
    return standing.at + probe.interval


def judge(probe: Probe, answer: Answer) -> tuple[Health, str]:
    """Return what ``answer`` says of the service, and the words for it."""
    if probe.kind is ProbeKind.PROMETHEUS:
        return _judge_samples(probe, answer)
    if answer.status != probe.status:
        return Health.FAILED, f"status {answer.status} instead of {probe.status}"
    if probe.contains and probe.contains.encode() not in answer.body:
        return Health.FAILED, f"the answer does not contain {probe.contains!r}"
    return Health.PASSED, f"status {answer.status}"


def address(probe: Probe) -> str:
    """Return what an HTTP GET must ask, without the query of a Prometheus probe."""
    if probe.kind is ProbeKind.PROMETHEUS:
        return f"{probe.url.rstrip('/')}/api/v1/query"
    return probe.url


def _judge_samples(probe: Probe, answer: Answer) -> tuple[Health, str]:
    if answer.status != 200:
        return Health.ERROR, f"Prometheus answered with status {answer.status}"
    try:
        values = _samples(json.loads(answer.body))
    except (ValueError, KeyError, TypeError, IndexError, RecursionError):
        return Health.ERROR, "Prometheus gave no answer that can be read"
    if not values:
        return Health.INCONCLUSIVE, "the query has no samples"
    if any(not math.isfinite(value) for value in values):
        return Health.INCONCLUSIVE, "the query gives no number"
    for value in values:
        if probe.at_least is not None and value < probe.at_least:
            return Health.FAILED, f"{value:g} is less than {probe.at_least:g}"
        if probe.at_most is not None and value > probe.at_most:
            return Health.FAILED, f"{value:g} is more than {probe.at_most:g}"
    said = f"{values[0]:g}" if len(values) == 1 else f"{len(values)} samples"
    return Health.PASSED, f"{said} inside the bounds"


def _samples(document: Any) -> list[float]:
    """Return the numbers of an instant query's answer; raises for anything else.

    Source: Prometheus HTTP API, instant queries: a vector of series, or one scalar.
    """
    if document["status"] != "success":
        raise ValueError(document["status"])
    data = document["data"]
    if data["resultType"] == "scalar":
        return [float(data["result"][1])]
    if data["resultType"] != "vector":
        raise ValueError(data["resultType"])
    return [float(series["value"][1]) for series in data["result"]]


def from_json(document: object) -> Probe:
    """Return the probe that ``document`` describes. Raises `InputError` naming the setting."""
    if not isinstance(document, Mapping):
        raise InputError("a probe is a table of settings with name, kind and url")
    if unknown := sorted(set(document) - set(_READERS)):
        raise InputError({unknown[0]: f"no such probe setting; there are {', '.join(_READERS)}"})
    if missing := [name for name in ("name", "kind", "url") if not document.get(name)]:
        raise InputError({missing[0]: "a probe needs it"})
    values = {}
    for name, value in document.items():
        try:
            values[name] = _READERS[name](value)
        except InputError as error:
            raise InputError({f"{name} of probe {document['name']!r}": str(error)}) from error
    return Probe(**values)


def probes_from_json(documents: object) -> tuple[Probe, ...]:
    """Return the probes of a ring. Raises `InputError`."""
    if not isinstance(documents, list | tuple):
        raise InputError("a list of tables: [[rings.probes]] in TOML")
    probes = tuple(from_json(one) for one in documents)
    names = [probe.name for probe in probes]
    if len(probes) > MOST_PROBES:
        raise InputError(f"a ring has at most {MOST_PROBES} probes")
    if len(set(names)) < len(names):
        raise InputError(f"two probes are called {max(names, key=names.count)!r}")
    return probes


def _split(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return (
            parts.scheme in ("http", "https")
            and bool(parts.hostname)
            and parts.username is None
            and parts.port != 0
            and len(url) <= 2000
            and url.isprintable()
        )
    except ValueError:
        return False


def _unless(holds: bool, why: str) -> str:
    return "" if holds else why


def _read_word(value: object) -> str:
    if not isinstance(value, str):
        raise InputError(f"{value!r} is not a text")
    return value


def _read_count(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise InputError(f"{value!r} is not a whole number")
    return value


def _read_number(value: object) -> float | None:
    if value is None:
        return None
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise InputError(f"{value!r} is not a number")
    return float(value)


def _read_length(value: object) -> timedelta:
    if not isinstance(value, str):
        raise InputError("a duration such as 30s or 5m, in quotes")
    return durations.parse(value)


def _read_kind(value: object) -> ProbeKind:
    try:
        return ProbeKind(str(value))
    except ValueError:
        raise InputError(f"{value!r} is none of {', '.join(ProbeKind)}") from None


_WORDS = ("name", "url", "query", "contains")
_COUNTS = ("status", "failure_limit", "inconclusive_limit")
_NUMBERS = ("at_least", "at_most")
_LENGTHS = ("interval", "initial_delay", "timeout")
_READERS: dict[str, Callable[[object], Any]] = {
    **dict.fromkeys(_WORDS, _read_word),
    "kind": _read_kind,
    **dict.fromkeys((*_COUNTS, "error_limit"), _read_count),
    **dict.fromkeys(_NUMBERS, _read_number),
    **dict.fromkeys(_LENGTHS, _read_length),
}
