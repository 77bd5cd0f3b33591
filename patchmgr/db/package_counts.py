"""How many hosts have each package version and each package, counted from the sets they have."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from patchmgr.db import models
from patchmgr.db.bulk import among, chunks
from patchmgr.db.package_sets import Pairs, Stored

Kind = tuple[str, str, str]  # platform, manager, name

BLOCK = 20_000  # sets looked at together, which bounds the memory of a large fleet

version, package_set = models.PackageVersion, models.PackageSet


@dataclass(slots=True)
class Counts:
    """Hosts by package version and by package, or how they change."""

    versions: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    software: dict[Kind, int] = field(default_factory=lambda: defaultdict(int))
    # What the versions that sets have are called: kind, version. Only where sets were read.
    named: dict[int, tuple[Kind, str]] = field(default_factory=dict)


def weighed(session: Session, weights: Mapping[int, int], *, block: int = BLOCK) -> Counts:
    """Return the sum over sets, each as many times as its weight says.

    Three queries for each ``block`` of sets.
    """
    found = Counts()
    for part in chunks((each for each, weight in sorted(weights.items()) if weight), block):
        stored = Stored(session, among(session, package_set.id, part))
        by_place = np.array([weights[each] for each in stored.ids.tolist()], np.int64)
        named = _named(session, stored)
        kinds, numbers = _numbered(named)
        found.named |= named
        versions, software = stored.sums(by_place, numbers)
        for number in np.flatnonzero(versions).tolist():
            found.versions[number] += int(versions[number])
        for number in np.flatnonzero(software).tolist():
            found.software[kinds[number]] += int(software[number])
    return found


def kinds_of(session: Session, wanted: ColumnElement[bool]) -> dict[int, Kind]:
    """Return the kind of each package version that is wanted. One query."""
    columns = (version.id, version.platform, version.manager, version.name)
    rows = session.connection().execute(select(*columns).where(wanted)).cursor.fetchall()
    return {number: (where, manager, name) for number, where, manager, name in rows}


def _named(session: Session, stored: Stored) -> dict[int, tuple[Kind, str]]:
    """Return what each member of some sets is called. One query."""
    columns = (version.id, version.platform, version.manager, version.name, version.version)
    query = select(*columns).where(among(session, version.id, stored.versions.tolist()))
    rows = session.connection().execute(query).cursor.fetchall()
    return {number: ((where, manager, name), text) for number, where, manager, name, text in rows}


def _numbered(named: Mapping[int, tuple[Kind, str]]) -> tuple[list[Kind], Pairs]:
    """Return the kinds of package versions, and the number of its kind for each version."""
    numbers: dict[Kind, int] = {}
    of_member = np.zeros(1 + max(named, default=0), np.int64)
    for number, (kind, _) in named.items():
        of_member[number] = numbers.setdefault(kind, len(numbers))
    return list(numbers), of_member
