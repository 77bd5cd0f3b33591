"""When findings are due: the policy's decision table in SQL, and for one finding at a time."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    SQLColumnExpression,
    and_,
    case,
    false,
    func,
    literal,
    or_,
    select,
)
from sqlalchemy import type_coerce as coerce
from sqlalchemy.orm import Session

from patchmgr.db import models
from patchmgr.db.base import to_micros
from patchmgr.db.queries import policies
from patchmgr.domain import urgency
from patchmgr.domain.advisories import Severity, Status
from patchmgr.domain.flaws import Danger
from patchmgr.domain.urgency import INPUTS, Clock, Decisions, Inputs, Policy, Threshold
from patchmgr.domain.urgency_presets import PRESETS

host, exposure, judgement = models.Host, models.Exposure, models.Judgement
version, advisory = models.PackageVersion, models.Advisory

_DAY = 86_400_000_000  # microseconds


def policy_at(session: Session, at: datetime | None) -> Policy:
    """Return the policy that gives due dates as of ``at``."""
    stored = policies.active(session) if at is None else policies.in_force(session, at)
    return PRESETS["severity"] if stored is None else stored.policy


def due(policy: Policy) -> ColumnElement[int | None]:
    """Return the due date of a finding, in microseconds, as the database computes it.

    The same table as `urgency.decide` reads; a test holds the two equal. What is not known of a
    flaw is "" or 0, or NULL for a judgement without a class, and matches no question.
    """
    known = models.UrgencyClass
    columns: Mapping[str, SQLColumnExpression[Any]] = {
        "kev": known.kev,
        "ransomware": known.ransomware,
        "exploitation": known.exploitation,
        "automatable": known.automatable,
        "technical_impact": known.impact,
        "cvss_at_least": known.cvss,
        "epss_at_least": known.epss,
        "exposure": host.exposure,
        "environment": host.environment,
        "criticality": host.criticality,
    }
    branches = []
    for row in policy.rows:
        asked: list[ColumnElement[bool]] = []
        for name, words in row.when.items():
            column = INPUTS[name]
            if name == "severity":
                numbers = [int(s) for s in Severity if s.word in words]
                asked.append(judgement.severity.in_(numbers))
            elif isinstance(column, Threshold):
                asked.append(columns[name] >= column.value(words[0]))
            else:
                asked.append(columns[name].in_(words))
        days = literal(row.days * _DAY if row.days is not None else None, BigInteger)
        branches.append((and_(True, *asked), days))
    allowed = case(*branches)
    seen, first = coerce(exposure.first_seen, BigInteger), coerce(judgement.first_seen, BigInteger)
    detected = case((seen > first, seen), else_=first)
    published = func.coalesce(coerce(judgement.published, BigInteger), detected)
    start: ColumnElement[int] = detected
    if policy.clock is Clock.PUBLISHED:
        start = published
    elif policy.clock is Clock.LATER:
        start = case((published > detected, published), else_=detected)
    return case((judgement.status == Status.AFFECTED.value, start + allowed))


def may_be_due(policy: Policy, moment: datetime) -> ColumnElement[bool]:
    """Return the condition for judgements of which a finding can be due before ``moment``.

    Whatever the host: by the shortest time that the policy gives their severity, from the earliest
    that it can begin.
    """
    start: ColumnElement[int] = coerce(judgement.first_seen, BigInteger)
    if policy.clock is Clock.PUBLISHED:
        start = func.coalesce(coerce(judgement.published, BigInteger), start)
    soon = []
    for severity in Severity:
        if times := _times(policy, severity):
            latest = to_micros(moment) - min(times) * _DAY
            soon.append(and_(judgement.severity == int(severity), start < latest))
    return or_(false(), *soon)


def earliest(session: Session, policy: Policy, judged: Sequence[ColumnElement[bool]]) -> int | None:
    """Return an instant before which no finding of those judgements is due, in microseconds.

    By the shortest time that the policy gives their severity, from the first that it can begin, as
    `may_be_due` has it. None: none of them is ever due. One query.
    """
    start: ColumnElement[int] = coerce(judgement.first_seen, BigInteger)
    if policy.clock is Clock.PUBLISHED:
        start = func.coalesce(coerce(judgement.published, BigInteger), start)
    query = (
        select(judgement.severity, func.min(start))
        .join(version, version.id == judgement.package_version_id)
        .join(advisory, advisory.id == judgement.advisory_id)
        .where(judgement.until.is_(None), judgement.status == Status.AFFECTED.value, *judged)
        .group_by(judgement.severity)
    )
    return min(
        (
            first + min(times) * _DAY
            for severity, first in session.execute(query)
            if (times := _times(policy, Severity(severity)))
        ),
        default=None,
    )


def _times(policy: Policy, severity: Severity) -> list[int]:
    """Return the days that the policy can give to a finding of a severity."""
    return [
        row.days
        for row in policy.rows
        if row.days is not None and severity.word in row.when.get("severity", severity.word)
    ]


class Dating:
    """Dates findings by a policy, as `due` does in SQL; a test holds the two equal."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self._decisions = Decisions(policy)

    def due(
        self,
        severity: Severity,
        danger: Danger,
        status: str,
        published: datetime | None,
        first_seen: datetime,
        facts: tuple[str, str, str],
    ) -> tuple[datetime | None, str]:
        """Return the due date and the row that set it; only what can be fixed has one."""
        if status != Status.AFFECTED:
            return None, ""
        environment, criticality, exposed = facts
        row = self._decisions.row(Inputs(severity, danger, exposed, environment, criticality))
        return urgency.due_date(row, published, first_seen, self.policy.clock), row.id
