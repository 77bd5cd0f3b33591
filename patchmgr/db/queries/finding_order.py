"""The orders of a list of findings, and how each is walked so that a page costs what it shows.

Nothing is sorted as a whole: there are hundreds of thousands. Each order has something that there
are few of, and that comes first in it: hosts, judgements, or a host's due dates. These are walked
in growing parts; each part is a condition, the findings of one part all sort before those of the
next, and who lists stops when its page is full.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Select,
    and_,
    case,
    func,
    literal,
    or_,
    select,
)
from sqlalchemy import type_coerce as coerce
from sqlalchemy.orm import Session

from patchmgr.db import models
from patchmgr.db.bulk import among_found
from patchmgr.db.queries import paging
from patchmgr.db.queries.instants import held
from patchmgr.errors import InputError

host, version, due_row = models.Host, models.PackageVersion, models.HostDue
exposure, judgement, advisory = models.Exposure, models.Judgement, models.Advisory

SPARE = 2  # times what a part seems to need, so that the next one is hardly ever needed
NOTHING_YET = 16  # times a part that gave nothing: it tells only that they are few
MOST_PART = 5_000  # hosts, judgements or due dates looked at together
FEWEST = 100  # due dates looked at together
NEVER = 2**62  # sorts after every due date

Conditions = Sequence[ColumnElement[bool]]


@dataclass(frozen=True, slots=True)
class Order:
    """Columns that findings are sorted by, together unique; the first may descend."""

    columns: tuple[Any, ...]
    is_descending: bool = False

    @property
    def descending(self) -> list[bool]:
        return [self.is_descending, *(False for _ in self.columns[1:])]

    @property
    def sorted_by(self) -> list[Any]:
        pairs = zip(self.columns, self.descending, strict=True)
        return [column.desc() if down else column for column, down in pairs]

    def after(self, cursor: Sequence[Any]) -> ColumnElement[bool]:
        """Return the condition for what sorts after ``cursor``. Raises `InputError`."""
        return paging.after(self.columns, cursor, descending=self.descending)

    def from_(self, cursor: Sequence[Any]) -> ColumnElement[bool]:
        """Return the condition for ``cursor`` and what sorts after it. Raises `InputError`."""
        same = (column == value for column, value in zip(self.columns, cursor, strict=True))
        return or_(self.after(cursor), and_(*same))


_BY: dict[str, tuple[Any, ...]] = {
    "host": (host.hostname, version.name, advisory.ref, version.id),
    "package": (version.name, advisory.ref, version.id, host.hostname),
    "advisory": (advisory.ref, version.name, version.id, host.hostname),
    "severity": (judgement.severity, version.name, advisory.ref, version.id, host.hostname),
}
SORTS = (*_BY, "due")


def order(sort: str, due: ColumnElement[int | None], *, is_descending: bool) -> Order:
    """Return the order that ``sort`` names; ``due`` is how a due date is computed.

    By due date only the soonest comes first. Raises `InputError`.
    """
    if sort == "due":
        return Order((_counted(due), *_BY["host"]))
    if sort not in _BY:
        raise InputError({"sort": f"{sort!r} is not one of {', '.join(SORTS)}"})
    return Order(_BY[sort], is_descending)


def _counted(due: ColumnElement[int | None]) -> ColumnElement[int]:
    """Return the due date of a finding if the scan has counted it among its host's, else `NEVER`.

    Another policy, or another fact of a host, changes due dates before the next scan counts them:
    until then such findings come last, rather than nowhere.
    """
    counted = paging.any_of(
        select(literal(1)).where(due_row.host_id == host.id, coerce(due_row.due, BigInteger) == due)
    )
    never = literal(NEVER, BigInteger)
    return case((and_(due.is_not(None), counted), coerce(due, BigInteger)), else_=never)


@dataclass(slots=True)
class Pace:
    """How far a page is, told by who fills it: how much of what is walked it will take."""

    missing: int  # rows that the page still takes
    given: int = 0  # rows of the part before

    def filled(self, rows: int) -> None:
        self.given = rows
        self.missing -= rows

    def after(self, size: int) -> int:
        """Return how large the part after one of ``size`` is to be: each costs two statements."""
        return min(max(size, self._seems(size)), MOST_PART)

    def wish(self, known: int = 0) -> int:
        """Return how many findings the next part is to have, as far as is known beforehand.

        ``known`` is how many the part before was to have; it gave what it gave.
        """
        return max(SPARE * self.missing, self._seems(known))

    def _seems(self, size: int) -> int:
        return SPARE * size * self.missing // self.given if self.given else size * NOTHING_YET


def by_host(
    session: Session,
    conditions: Conditions,
    start: str | None,
    pace: Pace,
    *,
    is_descending: bool = False,
) -> Iterator[ColumnElement[bool]]:
    """Yield the hosts that ``conditions`` leave, from ``start`` on, by their names."""
    query = select(host.id, host.hostname).where(*conditions)
    query = query.order_by(host.hostname.desc() if is_descending else host.hostname)
    if start is not None:
        from_ = host.hostname <= start if is_descending else host.hostname >= start
        query = query.where(from_)
    size, last = 20, None
    while True:
        part = query.limit(size)
        if last is not None:
            part = part.where(host.hostname < last if is_descending else host.hostname > last)
        found = session.execute(part).all()
        if found:
            yield exposure.host_id.in_([number for number, _ in found])
        if len(found) < size:
            return
        size, last = pace.after(size), found[-1][1]


def by_judgement(
    session: Session,
    by: Order,
    conditions: Conditions,
    cursor: Sequence[Any] | None,
    pace: Pace,
    at: datetime | None,
) -> Iterator[ColumnElement[bool]]:
    """Yield the judgements that ``conditions`` leave, from that of ``cursor`` on, in order.

    How many hosts have a package version tells how many findings a judgement can make.
    """
    what = Order(by.columns[:-1], by.is_descending)  # all but the host
    having = models.VersionCount
    query = (
        select(judgement.id, func.coalesce(having.hosts, 1), version.id, *what.columns)
        .join(version, version.id == judgement.package_version_id)
        .join(advisory, advisory.id == judgement.advisory_id)
        .outerjoin(having, having.package_version_id == version.id)
        .where(*conditions)
        .order_by(*what.sorted_by)
        .limit(MOST_PART)
    )
    if cursor is not None:
        query = query.where(what.from_(cursor[:-1]))
    found = session.execute(query).all()
    size = pace.wish()
    while found:
        start = 0
        while start < len(found):
            part = found[start : start + _within([row[1] for row in found[start:]], size)]
            yield and_(
                judgement.id.in_([row[0] for row in part]),
                _exposed_through(session, {row[2] for row in part}, at),
            )
            start += len(part)
            size = pace.wish(sum(row[1] for row in part))
        if len(found) < MOST_PART:
            return
        found = session.execute(query.where(what.after(found[-1][3:]))).all()


def _exposed_through(
    session: Session, versions: Collection[int], at: datetime | None
) -> ColumnElement[bool]:
    """Return the condition for exposures through ``versions``, found before all else is joined."""
    found = select(exposure.id).where(exposure.package_version_id.in_(versions), held(exposure, at))
    return among_found(session, exposure.id, found.correlate(None))


def _within(hosts: Sequence[int], size: int) -> int:
    """Return how many of the first, at least one, have together no more than ``size``."""
    return max(sum(taken <= size for taken in accumulate(hosts)), 1)


def by_due(
    session: Session,
    by: Order,
    conditions: Conditions,
    cursor: Sequence[Any] | None,
    pace: Pace,
    earliest: int | None,
) -> Iterator[ColumnElement[bool]]:
    """Yield due dates of the hosts that ``conditions`` leave, from ``cursor`` on, soonest first.

    None before ``earliest``, in microseconds, is looked at. At the end come the findings that have
    none, by host.
    """
    key = by.columns[0]
    dated = [*conditions]
    if earliest is not None:
        dated.append(coerce(due_row.due, BigInteger) >= earliest)
    due: ColumnElement[int] = coerce(due_row.due, BigInteger)
    at = Order((due, host.hostname))
    if cursor is None or cursor[0] != NEVER:
        query = select(due_row.host_id, due_row.findings, *at.columns)
        query = query.join(host, host.id == due_row.host_id)
        query = query.where(*dated).order_by(*at.sorted_by)
        part = query if cursor is None else query.where(due >= cursor[0], at.from_(cursor[:2]))
        wish = pace.wish()
        size = FEWEST
        while found := session.execute(part.where(_until(part, due, size)).limit(size)).all():
            taken = found[: _within([row[1] for row in found], wish)]
            (_, _, *first), (_, _, *last) = taken[0], taken[-1]
            hosts = exposure.host_id.in_({row[0] for row in taken})
            yield and_(hosts, _between(Order((key, host.hostname)), first, last))
            if len(taken) == len(found) < size:
                break
            many = max(sum(row[1] for row in taken), 1)
            wish = pace.wish(many)
            size = min(max(wish * len(taken) // many, FEWEST), MOST_PART)
            part = query.where(due >= last[0], at.after(last))
    start = cursor[1] if cursor is not None and cursor[0] == NEVER else None
    for part_of_hosts in by_host(session, conditions, start, pace):
        yield and_(part_of_hosts, key == NEVER)


def _until(rows: Select[Any], due: ColumnElement[int], size: int) -> ColumnElement[bool]:
    """Return the condition for ``rows`` until all that are due with the ``size``-th of them.

    Those are found in an index by what is due; only they have to be sorted by host besides.
    """
    last = rows.with_only_columns(due).order_by(None).order_by(due).offset(size - 1).limit(1)
    inner = last.correlate(None).scalar_subquery()
    return due <= func.coalesce(inner, literal(NEVER, BigInteger))


def _between(order: Order, first: Sequence[Any], last: Sequence[Any]) -> ColumnElement[bool]:
    return and_(order.from_(first), ~order.after(last))
