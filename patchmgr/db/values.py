"""Stored rows as the domain's values, where more than one reader makes them.

The columns are named once, so that a new one reaches the scan and the explanation alike.
"""

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from patchmgr.db import models
from patchmgr.domain.advisories import Fix, Match, Severity, Status
from patchmgr.domain.matching import Subject

FIX = tuple(each.name for each in fields(Fix))  # columns of a statement
SUBJECT = (  # columns of a package version, as it is judged
    "platform",
    "manager",
    "name",
    "version",
    "judged_source",
    "judged_version",
    "arch",
    "module",
    "origin",
    "source",
)


def fix_of(columns: Sequence[Any]) -> Fix:
    """Return the statement of the columns `FIX`."""
    platform, package, match, status, fixed, introduced, severity, *rest = columns
    return Fix(
        platform,
        package,
        Match(match),
        Status(status),
        fixed,
        introduced,
        Severity(severity),
        *rest,
    )


def fix(row: models.Fix) -> Fix:
    """Return a stored statement."""
    return fix_of([getattr(row, column) for column in FIX])


def subject(row: models.PackageVersion) -> Subject:
    """Return a stored package version as it is judged."""
    return Subject(*(getattr(row, column) for column in SUBJECT))
