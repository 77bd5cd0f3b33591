"""When a finding must be closed: a policy is a decision table, as data.

    inputs (severity, what is known of the flaws, exposure, environment, criticality)
        -> the first row that matches -> days -> due date

An input that is not known matches only rows that do not ask for it: a finding never gets a longer
or a shorter time from something nobody knows. A table ends with a row that asks for nothing, so
every finding is decided, by exactly one row, whose id is kept with it.

To add an input, give `Inputs` a field and `INPUTS` a line. The presets are in
`patchmgr.domain.urgency_presets`.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from patchmgr.domain.advisories import Severity
from patchmgr.domain.flaws import NOTHING_KNOWN, Danger, Thresholds
from patchmgr.errors import InputError

LONGEST = 3650  # days; a longer time is a mistake, "no due date" is None


class Clock(StrEnum):
    """From when the days of a row count."""

    LATER = "later"  # the later of the advisory's publication and its first detection on the host
    PUBLISHED = "published"
    DETECTED = "detected"


@dataclass(frozen=True, slots=True)
class Inputs:
    """What is known of a finding. None and "" mean not known, which is not "no"."""

    severity: Severity
    danger: Danger = NOTHING_KNOWN  # of the advisory's flaws
    exposure: str = ""  # of the host: "public", "internal"
    environment: str = ""
    criticality: str = ""


@dataclass(frozen=True, slots=True)
class Input:
    """A column of a decision table: how to read it as a word, and which words there are."""

    read: Callable[[Inputs], str]  # "" when not known
    words: tuple[str, ...] = ()  # empty: the organisation's own words

    def matches(self, inputs: Inputs, words: Sequence[str]) -> bool:
        return self.read(inputs) in words

    def problem(self, words: Sequence[str]) -> str:
        """Return why a row cannot ask for ``words``; "" when it can."""
        if not words or "" in words:
            return "needs words; what is not known cannot be asked for"
        unknown = [word for word in words if self.words and word not in self.words]
        return f"{unknown[0]!r} is not one of {', '.join(self.words)}" if unknown else ""


@dataclass(frozen=True, slots=True)
class Threshold:
    """A column that asks for a number, at least: ``"cvss_at_least": ["7.0"]``."""

    read: Callable[[Inputs], int]  # 0 when not known
    top: int  # the highest there is, in units of the last place
    places: int  # decimals

    def matches(self, inputs: Inputs, words: Sequence[str]) -> bool:
        return self.read(inputs) >= self.value(words[0])

    def problem(self, words: Sequence[str]) -> str:
        """Return why a row cannot ask for ``words``; "" when it can."""
        pattern = rf"[0-9]{{1,2}}(\.[0-9]{{1,{self.places}}})?"
        is_one = len(words) == 1 and re.fullmatch(pattern, words[0], re.ASCII)
        if not is_one or not 0 < self.value(words[0]) <= self.top:
            highest = self.top // 10**self.places
            return f"one number above 0 and up to {highest}, of at most {self.places} decimals"
        return ""

    def value(self, word: str) -> int:
        """Return the number that ``word`` is, in units of the last place."""
        scaled: float = float(word) * 10**self.places
        return round(scaled)


def word_of(known: bool | None) -> str:
    """Return "yes" or "no"; "" when it is not known."""
    return "" if known is None else "yes" if known else "no"


INPUTS: dict[str, Input | Threshold] = {
    "severity": Input(lambda inputs: inputs.severity.word, tuple(s.word for s in Severity)),
    "kev": Input(lambda inputs: word_of(inputs.danger.kev), ("yes", "no")),
    "ransomware": Input(lambda inputs: "yes" if inputs.danger.ransomware else "", ("yes",)),
    "exploitation": Input(lambda inputs: inputs.danger.exploitation, ("none", "poc", "active")),
    "automatable": Input(lambda inputs: inputs.danger.automatable, ("yes", "no")),
    "technical_impact": Input(lambda inputs: inputs.danger.impact, ("partial", "total")),
    "cvss_at_least": Threshold(lambda inputs: inputs.danger.cvss, top=100, places=1),
    "epss_at_least": Threshold(lambda inputs: inputs.danger.epss, top=1000, places=3),
    "exposure": Input(lambda inputs: inputs.exposure, ("public", "internal")),
    "environment": Input(lambda inputs: inputs.environment),
    "criticality": Input(lambda inputs: inputs.criticality),
}


@dataclass(frozen=True, slots=True)
class Row:
    """A rule: it matches when each input that it names has one of the words beside it."""

    id: str
    when: Mapping[str, tuple[str, ...]] = field(hash=False)
    days: int | None  # None: no due date, with the next regular upgrade
    label: str

    def __post_init__(self) -> None:
        problems = {
            "id": "needs a name" if not self.id else "",
            "days": "" if _is_days(self.days) else f"a whole number up to {LONGEST}, or none",
        }
        for name, words in self.when.items():
            problems[f"when.{name}"] = _condition_problem(name, words)
        if found := {f"row {self.id!r}, {at}": why for at, why in problems.items() if why}:
            raise InputError(found)

    def matches(self, inputs: Inputs) -> bool:
        """Return whether every input that the row asks for is known and one of its words."""
        return all(INPUTS[name].matches(inputs, words) for name, words in self.when.items())


@dataclass(frozen=True, slots=True)
class Policy:
    """A version of a decision table; made only if every finding is decided by it.

    Raises `InputError` when two rows share an id, when the last row asks for something, or when a
    row stands below one that asks for nothing and so can never match.
    """

    name: str
    version: int
    rows: tuple[Row, ...]
    clock: Clock = Clock.LATER

    def __post_init__(self) -> None:
        ids = [row.id for row in self.rows]
        problems = {
            "name": not self.name and "needs a name",
            "version": self.version < 1 and "counts from 1",
            "rows": (not self.rows or bool(self.rows[-1].when))
            and "the last row must ask for nothing, so that every finding is decided",
            "ids": len(set(ids)) < len(ids) and "two rows have the same id",
            "order": any(not row.when for row in self.rows[:-1])
            and "only the last row may ask for nothing; rows below it would never match",
        }
        if found := {f"policy {self.name!r}, {at}": why for at, why in problems.items() if why}:
            raise InputError(found)


def decide(policy: Policy, inputs: Inputs) -> Row:
    """Return the first row of ``policy`` that matches; there always is one."""
    return next(row for row in policy.rows if row.matches(inputs))


class Decisions:
    """Decides by a policy; inputs that are alike in what it asks for are looked at once."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        names = {name for row in policy.rows for name in row.when}
        self._reads = tuple(INPUTS[name].read for name in sorted(names))
        self._rows: dict[tuple[str | int, ...], Row] = {}

    def row(self, inputs: Inputs) -> Row:
        """Return what `decide` returns."""
        key = tuple(read(inputs) for read in self._reads)
        if key not in self._rows:
            self._rows[key] = decide(self.policy, inputs)
        return self._rows[key]


def thresholds(policies: Iterable[Policy]) -> Thresholds:
    """Return the scores that any of ``policies`` asks for."""
    asked: dict[str, set[int]] = {"cvss_at_least": set(), "epss_at_least": set()}
    for policy in policies:
        for row in policy.rows:
            for name, values in asked.items():
                column = INPUTS[name]
                if name in row.when and isinstance(column, Threshold):
                    values.add(column.value(row.when[name][0]))
    return Thresholds(*(tuple(sorted(values)) for values in asked.values()))


def due_date(
    row: Row, published: datetime | None, first_seen: datetime, clock: Clock = Clock.LATER
) -> datetime | None:
    """Return when a finding that ``row`` decided must be closed; None when it has no due date.

    ``first_seen`` is when the host was first found to have it. An advisory without a publication
    date counts from there, whatever the clock.
    """
    if row.days is None:
        return None
    return _start(clock, published, first_seen) + timedelta(days=row.days)


def _start(clock: Clock, published: datetime | None, first_seen: datetime) -> datetime:
    if published is None or clock is Clock.DETECTED:
        return first_seen
    return published if clock is Clock.PUBLISHED else max(published, first_seen)


def to_json(policy: Policy) -> dict[str, Any]:
    """Return the canonical form: the same table always gives the same document."""
    return {
        "name": policy.name,
        "version": policy.version,
        "clock": policy.clock.value,
        "rows": [
            {
                "id": row.id,
                "when": {name: list(row.when[name]) for name in sorted(row.when)},
                "days": row.days,
                "label": row.label,
            }
            for row in policy.rows
        ],
    }


def from_json(document: Mapping[str, Any]) -> Policy:
    """Return the policy that `to_json` wrote, or a person. Raises `InputError`."""
    _check_keys("policy", document, {"name", "version", "clock", "rows"})
    rows = document["rows"]
    if not isinstance(rows, list):
        raise InputError({"policy, rows": "a list of rows"})
    if document["clock"] not in set(Clock):
        raise InputError({"policy, clock": f"one of {', '.join(Clock)}"})
    if not isinstance(document["version"], int):
        raise InputError({"policy, version": "a whole number"})
    return Policy(
        name=str(document["name"]),
        version=document["version"],
        rows=tuple(_row(row) for row in rows),
        clock=Clock(document["clock"]),
    )


def _row(document: Any) -> Row:
    _check_keys("row", document, {"id", "when", "days", "label"})
    when = document["when"]
    if not isinstance(when, Mapping) or not all(isinstance(words, list) for words in when.values()):
        raise InputError({f"row {document['id']!r}, when": "names of inputs, each with a list"})
    return Row(
        id=str(document["id"]),
        when={name: tuple(str(word) for word in when[name]) for name in sorted(when)},
        days=document["days"],
        label=str(document["label"]),
    )


def _check_keys(what: str, document: Any, keys: set[str]) -> None:
    if not isinstance(document, Mapping) or set(document) != keys:
        raise InputError({what: f"needs exactly {', '.join(sorted(keys))}"})


def _is_days(days: object) -> bool:
    return days is None or (type(days) is int and 0 <= days <= LONGEST)


def _condition_problem(name: str, words: Sequence[str]) -> str:
    column = INPUTS.get(name)
    if column is None:
        return f"no such input; there are {', '.join(INPUTS)}"
    return column.problem(words)
