"""What was known of a host at an instant, how that differs, and its history step by step."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
from sqlalchemy import BigInteger, func, or_, select, type_coerce
from sqlalchemy.orm import Session

from patchmgr.db import models, package_sets
from patchmgr.db.base import from_micros, to_micros
from patchmgr.db.bulk import among
from patchmgr.db.package_sets import Ids
from patchmgr.db.queries import paging
from patchmgr.db.queries.hosts import PackageLine
from patchmgr.db.queries.paging import Page
from patchmgr.domain.differences import Difference, difference, packages
from patchmgr.errors import NotFoundError

host, fact, history = models.Host, models.HostFact, models.HostPackageSet
package_set, version = models.PackageSet, models.PackageVersion

PAST = ("platform", "environment", "site", "owner", "criticality", "exposure", "reboot_pending")
NOW = (
    *PAST,
    "arch",
    "ring",
    "window",
    "tags",
    "running_kernel",
    "entitlements",
    "held",
)  # of which only `PAST` has a history
NOT_KEPT = {each: each.replace("_", " ") for each in NOW if each not in PAST} | {
    "said": "what a host says of itself beside its packages",
    "offers": "what its repositories offer",
}
"""What is known of now only, in words."""
STEPS = 50  # of a history, on one page


@dataclass(frozen=True, slots=True)
class Known:
    """A host as it was known at ``at``; None: as it is now."""

    id: int
    hostname: str  # as it is called now
    at: datetime | None
    since: datetime | None  # when its packages became what they are here; None: nothing is known
    facts: Mapping[str, str] | None  # None: nothing was known of them then
    installed: Ids = field(repr=False, compare=False)  # ids of package versions

    @property
    def has_packages(self) -> bool:
        return self.since is not None

    @property
    def not_kept(self) -> tuple[str, ...]:
        """What is not kept of how it was then; nothing is missing of now."""
        return () if self.at is None else tuple(NOT_KEPT)


@dataclass(frozen=True, slots=True)
class Step:
    """A time in which a host had one package set, and what it changed."""

    id: int
    since: datetime
    until: datetime | None
    packages: int
    difference: Difference | None  # to the set before; None: the first that is known

    def count(self, kind: str) -> int:
        return len(self.difference.of(kind)) if self.difference else 0


def known(session: Session, name: str, at: datetime | None = None) -> Known:
    """Return what was known of the host called ``name``, in any case, at ``at``.

    Raises `NotFoundError` for a host that nobody knows. At most four queries.
    """
    columns = (host.id, host.hostname, *(getattr(host, each) for each in NOW))
    row = session.execute(select(*columns).where(host.hostname == name)).first()
    if row is None:
        lower = func.lower(host.hostname) == name.lower()
        row = session.execute(select(*columns).where(lower)).first()
    if row is None:
        raise NotFoundError("host", name)
    number, hostname, *values = row
    query = (
        select(history.since, *package_sets.WHOLE)
        .join(package_set, package_set.id == history.package_set_id)
        .outerjoin(package_sets.base, package_sets.base.id == package_set.base_id)
        .where(history.host_id == number, *_then(history, at))
    )
    held = session.execute(query.order_by(history.since.desc(), history.id.desc())).first()
    facts: Mapping[str, str] | None = _facts(NOW, values)
    if at is not None:
        past = select(*(getattr(fact, each) for each in PAST)).where(
            fact.host_id == number, *_then(fact, at)
        )
        then = session.execute(past.order_by(fact.since.desc(), fact.id.desc())).first()
        facts = _facts(PAST, then) if then else None
    return Known(
        number,
        hostname,
        at,
        held[0] if held else None,
        facts,
        package_sets.whole(*held[1:]) if held else package_sets.unpack(b""),
    )


def before(session: Session, after: Known) -> datetime | None:
    """Return when the host got what it had before ``after``; None: nothing is known. One query."""
    if after.since is None:
        return None
    earlier = select(func.max(history.since)).where(
        history.host_id == after.id, history.since < after.since
    )
    return session.scalar(earlier)


@dataclass(frozen=True, slots=True)
class Around:
    """The step of a host's history that it was in at an instant, and those beside it."""

    step: Step | None  # None: nothing was known of its packages
    earlier: datetime | None  # when the step before began
    later: datetime | None  # when its packages changed next


def around(session: Session, then: Known, at: datetime) -> Around:
    """Return where in its history a host was at ``at``. At most three queries."""
    beside = select(
        func.max(history.since).filter(history.since < (then.since or at)),
        func.min(history.since).filter(history.since > at),
    )
    earlier, later = session.execute(beside.where(history.host_id == then.id)).one()
    if then.since is None:
        return Around(None, earlier, later)
    end = paging.encode([to_micros(then.since) + 1, 0])
    steps = timeline(session, then.id, limit=1, cursor=end, total=False).lines
    return Around(steps[0] if steps else None, earlier, later)


def compared(session: Session, before: Known, after: Known) -> Difference:
    """Return how ``after`` differs from ``before``, as far as both are known. One query.

    A side without an inventory has none of the other's packages, as far as anybody knows, and is
    not said to lack them.
    """
    installed = before.installed, after.installed
    if not (before.has_packages and after.has_packages):
        installed = package_sets.unpack(b""), package_sets.unpack(b"")
    lines = _lines(session, np.setxor1d(*installed))
    return difference(
        _among(lines, installed[0]),
        _among(lines, installed[1]),
        before.facts,
        after.facts,
    )


def installed(session: Session, where: Known) -> list[PackageLine]:
    """Return the packages of a host as it was known, by name."""
    found = _lines(session, where.installed).values()
    return sorted(found, key=lambda line: (line.name, line.arch, line.version))


def timeline(
    session: Session, host_id: int, *, limit: int = STEPS, cursor: str = "", total: bool = True
) -> Page[Step]:
    """Return a host's history, the newest first, each step with what it changed.

    Without ``total`` it is not counted (0). At most three queries.
    """
    since = type_coerce(history.since, BigInteger)
    query = (
        select(
            history.id,
            since,
            history.until,
            package_set.size,
            *package_sets.WHOLE,
        )
        .join(package_set, package_set.id == history.package_set_id)
        .outerjoin(package_sets.base, package_sets.base.id == package_set.base_id)
        .where(history.host_id == host_id)
        .order_by(history.since.desc(), history.id.desc())
        .limit(limit + 1)
    )
    if cursor:
        at, number = paging.decode(cursor, 2)
        paging.checked_id(number)
        query = query.where(
            paging.after([since, history.id], [at, number], descending=[True, True])
        )
    rows = session.execute(query).all()
    count = select(func.count()).select_from(history).where(history.host_id == host_id)
    follows = paging.encode([rows[limit - 1][1], rows[limit - 1][0]]) if rows[limit:] else None
    return Page(
        tuple(_steps(session, rows)[:limit]),
        session.scalar(count) or 0 if total else 0,
        follows,
    )


def _steps(session: Session, rows: Iterable[Any]) -> list[Step]:
    """Return the steps of ``rows``, the newest first; each is compared with the one after it."""
    found = [(*row[:4], package_sets.whole(*row[4:])) for row in rows]
    pairs = list(zip(found, [*found, None][1:], strict=True))
    changed = [np.setxor1d(new[4], old[4]) for new, old in pairs if old is not None]
    lines = _lines(session, np.unique(np.concatenate(changed))) if changed else {}
    return [
        Step(
            new[0],
            from_micros(new[1]),
            new[2],
            new[3],
            None
            if old is None
            else Difference(packages(_among(lines, old[4]), _among(lines, new[4]))),
        )
        for new, old in pairs
    ]


def _among(lines: Mapping[int, PackageLine], members: Ids) -> list[PackageLine]:
    """Return those of ``lines`` that are ``members`` of a set."""
    return [lines[number] for number in members.tolist() if number in lines]


def _lines(session: Session, ids: Ids) -> dict[int, PackageLine]:
    if not len(ids):
        return {}
    columns = (version.id, version.manager, version.name, version.version, version.arch)
    query = select(*columns, version.source, version.source_version)
    rows = session.execute(query.where(among(session, version.id, ids.tolist())))
    return {row[0]: PackageLine(*row) for row in rows}


def _then(table: Any, at: datetime | None) -> list[Any]:
    """Return the conditions under which a row held at ``at``; None: now."""
    if at is None:
        return [table.until.is_(None)]
    return [table.since <= at, or_(table.until.is_(None), table.until > at)]


def _facts(names: Iterable[str], values: Iterable[Any]) -> dict[str, str]:
    return {name: _text(value) for name, value in zip(names, values, strict=True)}


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return " ".join(value) if isinstance(value, list) else str(value)
