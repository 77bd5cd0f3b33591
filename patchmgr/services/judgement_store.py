"""Judgements as they are stored: what no longer holds is closed, what newly does is opened."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, func, insert, select, update
from sqlalchemy.orm import Session

from patchmgr.db import models
from patchmgr.db.base import table_of
from patchmgr.db.bulk import in_lists
from patchmgr.domain.advisories import Severity, Status
from patchmgr.domain.matching import Verdict
from patchmgr.services.statements import ASKED, Statement, Version


@dataclass(frozen=True, slots=True)
class Opened:
    """A judgement that a scan newly made."""

    version_id: int
    severity: Severity
    status: Status
    published: datetime | None
    class_id: int | None


@dataclass(slots=True)
class Judged:
    """What judging changed."""

    versions: int = 0  # looked at
    opened: list[Opened] = field(default_factory=list)
    closed: set[int] = field(default_factory=set)  # versions that lost a judgement

    @property
    def touched(self) -> set[int]:
        """The versions whose judgements are not what they were."""
        return self.closed | {each.version_id for each in self.opened}


@dataclass(frozen=True, slots=True)
class Concluded:
    """What a version is found to have: an advisory, by the statement that decided."""

    statement: Statement
    verdict: Verdict
    severity: Severity
    folded: str  # ids of the other advisories that say the same, separated by spaces

    def stood(self, classes: Mapping[int, int | None]) -> list[Any]:
        """Return what a stored judgement must equal to stand as it is."""
        published = self.statement.about.published
        return [
            self.statement.fix_id,
            self.verdict.status,
            published,
            int(self.severity),
            self.folded,
            classes[self.statement.advisory_id],
        ]


Wanted = Mapping[tuple[int, int], Concluded]  # by (version, advisory)


def store(
    session: Session,
    version_ids: Sequence[int],
    wanted: Wanted,
    classes: Mapping[int, int | None],
    earlier: Mapping[tuple[int, int], datetime],
    now: datetime,
) -> Judged:
    """Close what no longer holds, open what newly does."""
    table = table_of(models.Judgement)
    judged = Judged()
    closing: list[int] = []
    kept: set[tuple[int, int]] = set()
    first_seen = dict(earlier)
    for row_id, version_id, advisory_id, seen, *stood in _open(session, version_ids):
        subject = (version_id, advisory_id)
        new = wanted.get(subject)
        if new is not None and new.stood(classes) == stood:
            kept.add(subject)
            continue
        closing.append(row_id)
        judged.closed.add(version_id)
        first_seen[subject] = seen
    connection = session.connection()
    if closing:
        connection.execute(
            update(table).where(table.c.id == bindparam("b_id")).values(until=now),
            [{"b_id": row_id} for row_id in closing],
        )
    opening = []
    for (version_id, advisory_id), found in wanted.items():
        if (version_id, advisory_id) in kept:
            continue
        fix_id, status, published, severity, folded, class_id = found.stood(classes)
        judged.opened.append(Opened(version_id, found.severity, status, published, class_id))
        opening.append(
            {
                "package_version_id": version_id,
                "advisory_id": advisory_id,
                "fix_id": fix_id,
                "status": status.value,
                "severity": severity,
                "reason": found.verdict.reason,
                "folded": folded,
                # A statement that only changed its words does not restart the clock.
                "first_seen": first_seen.get((version_id, advisory_id), now),
                "published": published,
                "class_id": class_id,
                "since": now,
                "until": None,
            }
        )
    if opening:
        connection.execute(insert(table), opening)
    return judged


def _open(session: Session, version_ids: Sequence[int]) -> Iterator[Any]:
    """Yield the open judgements of the versions."""
    row = models.Judgement
    query = select(
        row.id,
        row.package_version_id,
        row.advisory_id,
        row.first_seen,
        row.fix_id,
        row.status,
        row.published,
        row.severity,
        row.folded,
        row.class_id,
    ).where(row.until.is_(None))
    if len(version_ids) > ASKED:
        wanted = set(version_ids)
        yield from (found for found in session.execute(query) if found[1] in wanted)
        return
    for part in in_lists(version_ids):
        yield from session.execute(query.where(row.package_version_id.in_(part)))


def first_told(session: Session, new: Sequence[Version]) -> dict[tuple[int, int], datetime]:
    """Return since when an advisory spoke of earlier versions of the ``new`` ones' packages.

    By (version, advisory). A host that updates to a version that is vulnerable as well has the
    finding since then, though nobody has seen that version before.
    """
    row, version = models.Judgement, models.PackageVersion
    query = (
        select(version.manager, version.name, row.advisory_id, func.min(row.first_seen))
        .join(version, version.id == row.package_version_id)
        .where(row.until.is_(None))
        .group_by(version.manager, version.name, row.advisory_id)
    )
    names = sorted({each.subject.name for each in new})
    queries = [query.where(version.name.in_(part)) for part in in_lists(names)]
    first: dict[tuple[str, str], list[tuple[int, datetime]]] = defaultdict(list)
    for each in queries if len(names) <= ASKED else [query]:
        for manager, name, advisory_id, seen in session.execute(each):
            first[manager, name].append((advisory_id, seen))
    return {
        (each.id, advisory_id): seen
        for each in new
        for advisory_id, seen in first.get((each.subject.manager, each.subject.name), ())
    }
