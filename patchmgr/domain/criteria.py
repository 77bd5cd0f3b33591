"""Which findings a plan is for, as far as an advisory and its package decide it.

Everything that one `Criteria` asks for must hold; of several, one is enough. What is not known
does not hold: a flaw without a score reaches no threshold. Only an advisory without a publication
date counts from when it was first seen here, as for due dates.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from typing import Any

from patchmgr.domain.advisories import Kind, Severity
from patchmgr.domain.flaws import Danger, Thresholds
from patchmgr.errors import InputError

LONGEST = 3650  # days
MOST_PATTERNS = 200


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a statement of an advisory about a package version."""

    severity: Severity
    kind: Kind
    names: tuple[str, ...]  # the installed package and its source
    published: datetime | None
    first_seen: datetime
    danger: Danger


@dataclass(frozen=True, slots=True)
class Criteria:
    """Raises `InputError` for a value that cannot be. Package names may have ``*`` and ``?``."""

    severity_at_least: Severity = Severity.UNKNOWN
    kev: bool = False  # only what is known to be exploited
    cvss_at_least: int = 0  # tenths
    epss_at_least: int = 0  # thousandths
    types: tuple[Kind, ...] = ()  # of the advisory
    min_days_since_publication: int = 0
    min_days_open: int = 0  # since it was first seen here
    due_within_days: int | None = None  # on some host; what is overdue is due
    packages: tuple[str, ...] = ()
    except_packages: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        days = {
            name: getattr(self, name) or 0
            for name in ("min_days_since_publication", "min_days_open", "due_within_days")
        }
        problems = {name: f"from 0 to {LONGEST}" for name, n in days.items() if not _fits(n)}
        for name in ("packages", "except_packages"):
            if len(getattr(self, name)) > MOST_PATTERNS:
                problems[name] = f"at most {MOST_PATTERNS}"
        if problems:
            raise InputError(problems)

    @property
    def thresholds(self) -> Thresholds:
        return Thresholds((self.cvss_at_least,), (self.epss_at_least,))

    def admits(self, facts: Facts, now: datetime) -> bool:
        """Return whether a statement is asked for, but for when it is due."""
        published = facts.published or facts.first_seen
        return (
            facts.severity >= self.severity_at_least
            and (not self.kev or facts.danger.kev is True)
            and facts.danger.cvss >= self.cvss_at_least
            and facts.danger.epss >= self.epss_at_least
            and (not self.types or facts.kind in self.types)
            and now - published >= timedelta(days=self.min_days_since_publication)
            and now - facts.first_seen >= timedelta(days=self.min_days_open)
            and (not self.packages or _any(self.packages, facts.names))
            and not _any(self.except_packages, facts.names)
        )

    def is_due(self, due: datetime | None, now: datetime) -> bool:
        """Return whether a finding with this due date is due soon enough."""
        if self.due_within_days is None:
            return True
        return due is not None and due <= now + timedelta(days=self.due_within_days)

    def to_json(self) -> dict[str, Any]:
        """Return the canonical form: only what it asks for."""
        plain = {
            "severity_at_least": self.severity_at_least.word if self.severity_at_least else None,
            "kev": self.kev or None,
            "cvss_at_least": self.cvss_at_least / 10 or None,
            "epss_at_least": self.epss_at_least / 1000 or None,
            "types": [each.value for each in self.types] or None,
            "min_days_since_publication": self.min_days_since_publication or None,
            "min_days_open": self.min_days_open or None,
            "due_within_days": self.due_within_days,
            "packages": list(self.packages) or None,
            "except_packages": list(self.except_packages) or None,
        }
        return {name: value for name, value in plain.items() if value is not None}


NAMES = tuple(each.name for each in fields(Criteria))


def from_json(document: object) -> Criteria:
    """Return the criteria that `to_json` wrote, or a person. Raises `InputError`."""
    if not isinstance(document, Mapping):
        raise InputError({"findings": "a table of criteria"})
    if unknown := sorted(set(document) - set(NAMES)):
        raise InputError({f"findings, {unknown[0]}": f"there are {', '.join(NAMES)}"})
    values: dict[str, Any] = {}
    for name, value in document.items():
        try:
            values[name] = _read(name, value)
        except InputError as error:
            raise InputError({f"findings, {name}": str(error)}) from error
    return Criteria(**values)


def _read(name: str, value: object) -> Any:
    match name:
        case "severity_at_least":
            words = [each.word for each in Severity]
            if value not in words:
                raise InputError(f"one of {', '.join(words)}")
            return Severity[str(value).upper()]
        case "kev":
            if not isinstance(value, bool):
                raise InputError("true or false")
            return value
        case "cvss_at_least":
            return _score(value, 10, 10)
        case "epss_at_least":
            return _score(value, 1, 1000)
        case "types":
            return tuple(Kind(word) for word in _texts(value, {each.value for each in Kind}))
        case "packages" | "except_packages":
            return _texts(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise InputError("a whole number of days")
    return value


def _score(value: object, top: int, scale: int) -> int:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not 0 <= value <= top:  # type: ignore[operator] # it is a number by then
        raise InputError(f"a number from 0 to {top}")
    return round(value * scale)  # type: ignore[operator] # the same


def _texts(value: object, among: Collection[str] = ()) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not all(isinstance(one, str) for one in value):
        raise InputError("a list of words")
    unknown = [one for one in value if not one or (among and one not in among)]
    if unknown:
        known = f"none of {', '.join(sorted(among))}" if among else "not a name"
        raise InputError(f"{unknown[0]!r} is {known}")
    return tuple(value)


def _any(patterns: Collection[str], names: Collection[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns for name in names)


def _fits(days: int) -> bool:
    return 0 <= days <= LONGEST
