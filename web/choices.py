"""Choices of filters: the same words in every list."""

from patchmgr.db.queries import hosts
from patchmgr.domain.advisories import OPEN, Severity
from patchmgr.domain.facts import Installable
from web.context import session
from web.tables import Options

SEVERITIES: Options = (
    ("critical", "Critical"),
    ("high+", "High and above"),
    ("medium+", "Medium and above"),
    ("low+", "Low and above"),
    *((each.word, f"{each.word.capitalize()} only") for each in reversed(list(Severity)[:-1])),
)
AT_LEAST: Options = tuple((value, label) for value, label in SEVERITIES if " only" not in label)
STATUSES: Options = tuple((each.value, each.value.replace("_", " ").capitalize()) for each in OPEN)
INSTALLABLE: Options = (
    (Installable.YES.value, "Offered"),
    (Installable.NO.value, "Not offered"),
    (Installable.UNKNOWN.value, "Not reported"),
)


def of_hosts(*columns: str) -> dict[str, Options]:
    """Return for each of ``columns`` the values that hosts have, as choices. One query."""
    found = hosts.values(session(), *columns)
    return {column: [(value, value) for value in found[column]] for column in columns}


def severity(value: str) -> Severity | None:
    """Return the severity that a choice names; None for an empty one."""
    return Severity[value.removesuffix("+").upper()] if value else None


def exactly(value: str) -> Severity | None:
    """Return the severity of a choice that means this one alone."""
    return None if value.endswith("+") else severity(value)


def at_least(value: str) -> Severity | None:
    """Return the severity of a choice that means this one and above."""
    return severity(value) if value.endswith("+") else None
