"""When a finding must be closed: a policy is a decision table, as data.

    inputs (severity, kev, exposure, environment, criticality)
        -> the first row that matches -> days -> due date

An input that is not known matches only rows that do not ask for it: a finding never gets a longer
or a shorter time from something nobody knows. A table ends with a row that asks for nothing, so
every finding is decided, by exactly one row, whose id is kept with it.

To add an input, give `Inputs` a field and `INPUTS` a line. To add a preset, add it to `PRESETS`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from patchmgr.domain.advisories import Severity
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
    kev: bool | None = None  # in a catalogue of known exploited vulnerabilities
    exposure: str = ""  # of the host: "public", "internal"
    environment: str = ""
    criticality: str = ""


@dataclass(frozen=True, slots=True)
class Input:
    """A column of a decision table: how to read it as a word, and which words there are."""

    read: Callable[[Inputs], str]  # "" when not known
    words: tuple[str, ...] = ()  # empty: the organisation's own words


def _kev(inputs: Inputs) -> str:
    return "" if inputs.kev is None else "yes" if inputs.kev else "no"


INPUTS: dict[str, Input] = {
    "severity": Input(lambda inputs: inputs.severity.word, tuple(s.word for s in Severity)),
    "kev": Input(_kev, ("yes", "no")),
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
        return all(INPUTS[name].read(inputs) in words for name, words in self.when.items())


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
    if not words or "" in words:
        return "needs words; what is not known cannot be asked for"
    unknown = [word for word in words if column.words and word not in column.words]
    return f"{unknown[0]!r} is not one of {', '.join(column.words)}" if unknown else ""


def _severity(severity: Severity, days: int, label: str) -> Row:
    return Row(f"severity-{severity.word}", {"severity": (severity.word,)}, days, label)


PRESETS: dict[str, Policy] = {
    "severity": Policy(
        name="severity",
        version=1,
        rows=(
            _severity(Severity.CRITICAL, 7, "Critical: within 7 days"),
            _severity(Severity.HIGH, 14, "High: within 14 days"),
            _severity(Severity.MEDIUM, 30, "Medium: within 30 days"),
            _severity(Severity.LOW, 90, "Low: within 90 days"),
            _severity(Severity.UNKNOWN, 30, "Not rated yet: as medium, within 30 days"),
            Row("otherwise", {}, None, "Negligible: with the next regular upgrade"),
        ),
    ),
}
