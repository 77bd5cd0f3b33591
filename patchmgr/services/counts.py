"""How each host stands: its open findings by severity and status, and when they fall due.

Kept beside the exposures so that lists and totals cost what they show. Many hosts are counted at
once, over arrays; when judgements are only gained, what they bring is added to what is stored.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from sqlalchemy import (
    BigInteger,
    Update,
    case,
    delete,
    func,
    insert,
    literal,
    select,
    update,
)
from sqlalchemy import type_coerce as coerce
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from patchmgr.db import models
from patchmgr.db.base import from_micros, table_of, to_micros
from patchmgr.db.bulk import among
from patchmgr.domain.advisories import Severity, Status
from patchmgr.domain.exceptions import InForce
from patchmgr.domain.flaws import NOTHING_KNOWN, Danger
from patchmgr.domain.urgency import Clock, Decisions, Inputs, Policy
from patchmgr.services.excepted import Excepted
from patchmgr.services.judgement_store import Opened

NEVER = int(np.iinfo(np.int64).max)  # a due date that no finding has
DAY = 86_400_000_000  # microseconds

# Of a new judgement: when it was published, and its class, 0 for none.
Gain = tuple[Severity, Status, datetime | None, int]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

host = table_of(models.Host)
host_count, host_due = table_of(models.HostCount), table_of(models.HostDue)


class Host(NamedTuple):
    """A host as a scan sees it: one of very many, hence a tuple."""

    id: int
    set_id: int | None
    judged_id: int | None
    retired: bool
    environment: str
    criticality: str
    exposure: str
    running_kernel: str
    offer_set_id: int | None  # what its repositories offer; None: not reported

    @property
    def facts(self) -> tuple[str, str, str]:
        """What the urgency policy asks of it."""
        return self[4:7]


class Calendar:
    """When findings fall due, by the policy in force."""

    def __init__(self, policy: Policy, classes: Mapping[int, Danger]) -> None:
        """Take the policy, and what each class of judgements is; 0 is the class of none."""
        self._policy = policy
        self._decisions = Decisions(policy)
        known = {0: NOTHING_KNOWN, **classes}
        self._classes = [known.get(number, NOTHING_KNOWN) for number in range(max(known) + 1)]
        self._days: dict[tuple[str, str, str], Ints] = {}

    def days(self, facts: tuple[str, str, str]) -> Ints:
        """Return the days for a host of these facts, by class and severity; -1 for no limit."""
        if facts not in self._days:
            environment, criticality, exposed = facts
            rows = [
                [
                    self._decisions.row(Inputs(severity, danger, exposed, environment, criticality))
                    for severity in Severity
                ]
                for danger in self._classes
            ]
            self._days[facts] = np.array(
                [[-1 if row.days is None else row.days for row in each] for each in rows], np.int64
            )
        return self._days[facts]

    def days_of(self, hosts: Sequence["Host"], place: Ints, classes: Ints, severity: Ints) -> Ints:
        """Return the days of findings, each at the ``place`` of its host among ``hosts``."""
        kinds = {facts: number for number, facts in enumerate({each.facts for each in hosts})}
        tables = np.array([self.days(facts) for facts in kinds])
        kind = np.array([kinds[each.facts] for each in hosts], np.int64)
        return tables[kind[place], classes, severity]

    def due(self, days: Ints, fixable: Flags, published: Ints, detected: Ints) -> Ints:
        """Return when findings are due, in microseconds; `NEVER` without a fix or a limit."""
        start = detected
        if self._policy.clock is Clock.LATER:
            start = np.maximum(detected, published)
        elif self._policy.clock is Clock.PUBLISHED:
            start = np.where(published > 0, published, detected)
        return np.where(fixable & (days >= 0), start + days * DAY, NEVER)


class Outlook:
    """The open judgements of every version, side by side in arrays."""

    def __init__(
        self, session: Session, calendar: Calendar, in_force: InForce, now: datetime
    ) -> None:
        self.calendar = calendar
        row = models.Judgement
        columns = (
            row.package_version_id,
            row.severity,
            case(
                (row.status == Status.AFFECTED, 1), (row.status == Status.UNDETERMINED, 2), else_=0
            ),
            func.coalesce(coerce(row.published, BigInteger), 0),
            coerce(row.first_seen, BigInteger),
            func.coalesce(row.class_id, 0),
            row.id,
        )
        query = select(*columns).where(row.until.is_(None)).order_by(row.package_version_id)
        found = fetch(session, query)
        self.version, self.severity, status, self.published, self.first_seen, *rest = found.T
        self.classes, ids = rest
        self.excepted = Excepted(session, in_force, now, ids)
        self.fixable, self.undetermined = status == 1, status == 2
        every = np.arange(1 + (int(self.version[-1]) if len(found) else 0))
        self.start = np.searchsorted(self.version, every)
        self.length = np.searchsorted(self.version, every, side="right") - self.start
        self.judged: Flags = self.length > 0

    def spread(self, versions: Ints) -> tuple[Ints, Ints]:
        """Return, for rows that each have a version, (row, judgement) for every judgement of it."""
        lengths = self.length[versions]
        rows = np.repeat(np.arange(len(versions)), lengths)
        begins = np.cumsum(lengths) - lengths
        return rows, np.arange(len(rows)) - begins[rows] + self.start[versions][rows]


def count(session: Session, hosts: Sequence[Host], rows: Ints, outlook: Outlook) -> None:
    """Store the counts of ``hosts``; ``rows`` are their exposures: host, version, first seen."""
    ids = np.array([each.id for each in hosts], np.int64)
    at, judgement = outlook.spread(rows[:, 1])
    place = np.searchsorted(ids, rows[:, 0])[at]  # index of the host of each finding
    severity = outlook.severity[judgement]
    days = outlook.calendar.days_of(hosts, place, outlook.classes[judgement], severity)
    detected = np.maximum(rows[:, 2][at], outlook.first_seen[judgement])
    fixable = outlook.fixable[judgement]
    due = outlook.calendar.due(days, fixable, outlook.published[judgement], detected)
    excepted = outlook.excepted.among(ids, place, judgement)
    due[excepted] = NEVER
    width = len(Severity)
    by_severity = np.bincount(place * width + severity, minlength=len(ids) * width)
    totals = by_severity.reshape(-1, width)
    worst = np.where(totals > 0, np.arange(width), 0).max(axis=1)
    earliest = np.full(len(ids), NEVER)
    np.minimum.at(earliest, place, due)
    columns = zip(
        ids.tolist(),
        totals.sum(axis=1).tolist(),
        np.bincount(place[fixable], minlength=len(ids)).tolist(),
        np.bincount(place[outlook.undetermined[judgement]], minlength=len(ids)).tolist(),
        worst.tolist(),
        np.bincount(place[excepted], minlength=len(ids)).tolist(),
        earliest.tolist(),
        totals.tolist(),
        strict=True,
    )
    counts = [
        {
            "host_id": host_id,
            "open_findings": found,
            "fixable": can,
            "undetermined": cannot_tell,
            "worst": highest,
            "excepted": left_alone,
            "earliest_due": None if soonest == NEVER else from_micros(soonest),
            **{s.word: n for s, n in zip(Severity, numbers, strict=True)},
        }
        for host_id, found, can, cannot_tell, highest, left_alone, soonest, numbers in columns
    ]
    connection = session.connection()
    for table in (host_count, host_due):
        connection.execute(delete(table).where(among(session, table.c.host_id, ids.tolist())))
    connection.execute(insert(host_count), counts)
    dated = due != NEVER
    instants = _due_rows(ids[place[dated]], due[dated])
    if instants:
        connection.execute(insert(host_due), instants)


def _due_rows(hosts: Ints, due: Ints) -> list[dict[str, Any]]:
    """Return a row for each (host, due) with how many findings it stands for."""
    pairs, numbers = np.unique(np.column_stack([hosts, due]), axis=0, return_counts=True)
    return [
        {"host_id": host_id, "due": from_micros(at), "findings": number}
        for (host_id, at), number in zip(pairs.tolist(), numbers.tolist(), strict=True)
    ]


@dataclass(slots=True)
class _Increment:
    """What new judgements add to the counts of a host that has their versions."""

    columns: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    worst: int = 0
    due: dict[int, int] = field(default_factory=lambda: defaultdict(int))


def increase(
    session: Session,
    hosts: Sequence[tuple[Host, tuple[int, ...]]],
    opened: dict[int, list[Opened]],
    calendar: Calendar,
    now: datetime,
) -> None:
    """Add to the counts of ``hosts``, each with the versions it has of the newly judged ones.

    Hosts that gain the same and have the same facts are counted by one statement for many of them.
    """
    alike: dict[tuple[tuple[str, str, str], tuple[Gain, ...]], list[int]] = defaultdict(list)
    gains = {
        version: tuple(
            (each.severity, each.status, each.published, each.class_id or 0) for each in found
        )
        for version, found in opened.items()
    }
    for each, versions in hosts:
        gained = tuple(gain for version in versions for gain in gains[version])
        alike[each.facts, gained].append(each.id)
    connection = session.connection()
    for (facts, gained), ids in alike.items():
        more = _increment(gained, calendar, facts, now)
        counted = among(session, host_count.c.host_id, ids)
        connection.execute(_add_to_counts(more).where(counted))
        for due, number in more.due.items():
            connection.execute(_add_to_due(session, ids, due, number))


_COUNTED = ("open_findings", "fixable", "undetermined", *(severity.word for severity in Severity))


def _increment(
    gained: Iterable[Gain], calendar: Calendar, facts: tuple[str, str, str], now: datetime
) -> _Increment:
    """Return what ``gained``, all first seen now, add to a host."""
    more = _Increment()
    days = calendar.days(facts)
    detected = np.array([to_micros(now)])
    for severity, status, published, class_id in gained:
        more.columns["open_findings"] += 1
        more.columns[severity.word] += 1
        more.columns["fixable"] += status is Status.AFFECTED
        more.columns["undetermined"] += status is Status.UNDETERMINED
        more.worst = max(more.worst, severity)
        at = calendar.due(
            days[class_id, [severity]],
            np.array([status is Status.AFFECTED]),
            np.array([to_micros(published) if published else 0]),
            detected,
        )[0]
        if at != NEVER:
            more.due[int(at)] += 1
    return more


def _add_to_counts(more: _Increment) -> Update:
    table = host_count.c
    worst, due = literal(more.worst), literal(min(more.due, default=NEVER), BigInteger)
    soonest = coerce(table.earliest_due, BigInteger)
    return update(host_count).values(
        {name: table[name] + more.columns[name] for name in _COUNTED if more.columns[name]}
        | {
            "worst": case((worst > table.worst, worst), else_=table.worst),
            "earliest_due": case((due < func.coalesce(soonest, NEVER), due), else_=soonest),
        }
    )


def _add_to_due(session: Session, ids: Sequence[int], due: int, number: int) -> Any:
    dialect = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
    columns = (host.c.id, literal(due, BigInteger), literal(number))
    chosen = select(*columns).where(among(session, host.c.id, ids))
    statement = dialect.insert(host_due).from_select(["host_id", "due", "findings"], chosen)
    return statement.on_conflict_do_update(
        index_elements=[host_due.c.host_id, host_due.c.due],
        set_={"findings": host_due.c.findings + statement.excluded.findings},
    )


def fetch(session: Session, query: Any) -> Ints:
    """Return the rows of ``query``, all whole numbers, past the result's own row objects."""
    result = session.connection().execute(query)
    width = len(result.keys())
    return np.array(result.cursor.fetchall(), np.int64).reshape(-1, width)
