"""Exceptions in force at an instant, and what they cover.

`covered` says in SQL what `patchmgr.domain.exceptions.Scope` says of values; a test holds the two
equal.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Select,
    and_,
    exists,
    false,
    func,
    literal,
    or_,
    select,
    union_all,
)
from sqlalchemy.orm import Session

from patchmgr.db import models
from patchmgr.db.base import from_micros
from patchmgr.db.bulk import among
from patchmgr.domain.exceptions import Exempting, InForce, Scope, Type
from patchmgr.errors import NotFoundError

row, tagged = models.FindingException, models.HostTag
host, version = models.Host, models.PackageVersion
exposure, judgement, advisory = models.Exposure, models.Judgement, models.Advisory

FEW = 100  # exceptions whose scopes are asked for one by one


@dataclass(slots=True)
class Heeded:
    """The exceptions in force at an instant, as lists heed them."""

    at: datetime | None  # None: before the first scan, when there is nothing to except
    in_force: InForce
    settled: bool  # whether the counts that scans keep heed just these
    _about: dict[tuple[int, int], tuple[Exempting, ...]] = field(default_factory=dict)

    def covering(
        self,
        host_id: int,
        hostname: str,
        statement: tuple[int, int],
        names: tuple[str, str, str, Collection[str]],
    ) -> tuple[Exempting, ...]:
        """Return those that cover a finding; ``statement`` is (package version, advisory) id.

        ``names`` are the package, its source, the advisory and its CVEs.
        """
        if not self.in_force.all:
            return ()
        about = self._about.get(statement)
        if about is None:
            about = self._about[statement] = self.in_force.about(*names)
        return self.in_force.on(host_id, hostname, about) if about else ()


# --- what is in force ----------------------------------------------------------------------------


def heeded(session: Session, at: datetime | None, now: datetime | None = None) -> Heeded:
    """Return the exceptions in force at ``at``, else ``now``, else when the last scan ran.

    One query, and one where any names a tag.
    """
    moment = at or now or session.scalar(select(func.max(models.ScanRun.at)))
    if moment is None:
        return Heeded(None, InForce((), from_micros(0)), settled=True)
    rows = session.execute(with_hostname().where(or_(in_force(moment), row.counted))).all()
    found = [exempting(each, name or "") for each, name in rows]
    counted = {each.id for each, _ in rows if each.counted}
    in_effect = in_force_of(session, found, moment)
    return Heeded(moment, in_effect, settled=counted == {each.id for each in in_effect.all})


def in_force_of(session: Session, exceptions: Iterable[Exempting], at: datetime) -> InForce:
    """Return those of ``exceptions`` that are in force at ``at``, with the tags that they ask for.

    One query, when any names a tag.
    """
    exceptions = tuple(exceptions)
    tags = {each.scope.tag for each in exceptions} - {""}
    return InForce(exceptions, at, _tags(session, tags, at) if tags else None)


def ever(session: Session, at: datetime, since: datetime) -> list[Exempting]:
    """Return the exceptions that were in force at some time after ``since`` and until ``at``."""
    return _read(
        session,
        and_(
            row.approved_at <= at,
            row.expires_at > since,
            or_(row.revoked_at.is_(None), row.revoked_at > since),
        ),
    )


def all_of(session: Session) -> list[Exempting]:
    return _read(session, row.id.is_not(None))


def _read(session: Session, where: ColumnElement[bool]) -> list[Exempting]:
    return [
        exempting(found, name or "")
        for found, name in session.execute(with_hostname().where(where))
    ]


def with_hostname() -> Select[models.FindingException, str]:
    """Return the query for exceptions, each with the name of the host that it is for."""
    return select(row, host.hostname).outerjoin(host, host.id == row.host_id)


def exempting(found: models.FindingException, hostname: str) -> Exempting:
    """Return a stored exception as findings ask for it."""
    return Exempting(
        found.id,
        Type(found.type),
        Scope(found.cve, found.advisory, found.package, hostname, found.tag),
        found.approved_at,
        found.expires_at,
        found.revoked_at,
    )


def _tags(session: Session, tags: Collection[str], at: datetime) -> Mapping[int, set[str]]:
    """Return which of ``tags`` each host had at ``at``."""
    found: dict[int, set[str]] = defaultdict(set)
    query = select(tagged.host_id, tagged.tag).where(tagged.tag.in_(tags), *_held(tagged, at))
    for number, tag in session.execute(query):
        found[number].add(tag)
    return found


def _held(table: Any, at: datetime) -> tuple[ColumnElement[bool], ...]:
    return table.since <= at, or_(table.until.is_(None), table.until > at)


def in_force(at: datetime) -> ColumnElement[bool]:
    """Return the condition for exceptions in force at ``at``."""
    return and_(
        row.approved_at <= at,
        row.expires_at > at,
        or_(row.revoked_at.is_(None), row.revoked_at > at),
    )


# --- what they cover -----------------------------------------------------------------------------


def covered(at: datetime) -> ColumnElement[bool]:
    """Return the condition for findings that an exception in force at ``at`` covers.

    Stands in a query of host, package version and advisory. What a scope does not name is "", so
    a few look-ups by index find the exceptions that can cover a finding, however many there are.
    """
    by = select(row.id).where(
        in_force(at),
        row.advisory.in_(["", advisory.ref]),
        row.package.in_(["", version.name, version.judged_source]),
        or_(row.cve == "", row.cve == advisory.cves),
        or_(row.host_id.is_(None), row.host_id == host.id),
        or_(row.tag == "", _has_tag(row.tag, at)),
    )
    return exists(by.correlate_except(row))


def _has_tag(tag: Any, at: datetime) -> ColumnElement[bool]:
    having = select(tagged.id).where(
        tagged.host_id == host.id, tagged.tag == tag, *_held(tagged, at)
    )
    return exists(having.correlate_except(tagged))


def on_hosts(scope: Scope, at: datetime) -> list[ColumnElement[bool]]:
    """Return the conditions for hosts on which an exception of ``scope`` holds."""
    found: list[ColumnElement[bool]] = []
    if scope.host:
        found.append(host.hostname == scope.host)
    if scope.tag:
        found.append(_has_tag(literal(scope.tag), at))
    return found


def about_judgements(scope: Scope) -> list[ColumnElement[bool]]:
    """Return the conditions for judgements that an exception of ``scope`` is about.

    They stand in a query of package version and advisory.
    """
    found: list[ColumnElement[bool]] = []
    if scope.advisory:
        found.append(advisory.ref == scope.advisory)
    if scope.package:
        found.append(or_(version.name == scope.package, version.judged_source == scope.package))
    if scope.cve:
        found.append(advisory.cves == scope.cve)
    return found


def of_exposures(scope: Scope) -> list[ColumnElement[bool]]:
    """Return the condition for exposures with a finding that ``scope`` is about; none for any."""
    about = about_judgements(scope)
    if not about:
        return []
    judged = (
        select(version.id)
        .join(judgement, judgement.package_version_id == version.id)
        .join(advisory, advisory.id == judgement.advisory_id)
        .where(judgement.until.is_(None), *about)
    )
    return [exposure.package_version_id.in_(judged)]


def may_be_covered(in_force: InForce) -> list[ColumnElement[bool]]:
    """Return conditions that leave the judgements which one of these exceptions is about.

    None where that leaves everything, or there are so many that asking is no quicker.
    """
    about = [about_judgements(each.scope) for each in in_force.all]
    if len(about) > FEW or not all(about):
        return []
    return [or_(false(), *(and_(*each) for each in about))]


def findings_of(session: Session, scopes: Mapping[int, Scope], at: datetime) -> dict[int, int]:
    """Return how many open findings each scope covers now, by id. One query."""
    if not scopes:
        return {}
    counts = [_counting(number, scope, at) for number, scope in scopes.items()]
    rows = session.execute(union_all(*counts))
    return {number: int(findings or 0) for number, findings in rows}


def _counting(number: int, scope: Scope, at: datetime) -> Select[int, Any]:
    """Count as exposed hosts x judgements of each package version."""
    exposed = select(exposure.package_version_id, func.count().label("hosts")).where(
        exposure.until.is_(None)
    )
    if on := on_hosts(scope, at):
        exposed = exposed.join(host, host.id == exposure.host_id).where(*on)
    about = about_judgements(scope)
    exposed = exposed.where(*of_exposures(scope))
    per_version = exposed.group_by(exposure.package_version_id).subquery()
    return (
        select(literal(number), func.sum(per_version.c.hosts))
        .select_from(per_version)
        .join(version, version.id == per_version.c.package_version_id)
        .join(judgement, judgement.package_version_id == version.id)
        .join(advisory, advisory.id == judgement.advisory_id)
        .where(judgement.until.is_(None), *about)
    )


@dataclass(frozen=True, slots=True)
class CoveredFinding:
    """A finding that is left alone, and the first exception that says so."""

    host_id: int
    package_version_id: int
    advisory: str
    label: str  # of the exception


def covered_findings(
    session: Session, versions: Collection[int], now: datetime
) -> list[CoveredFinding]:
    """Return the open findings in ``versions`` that exceptions in force cover. Five queries."""
    heed = heeded(session, None, now)
    if not heed.in_force.all:
        return []
    found = []
    query = (
        select(
            host.id, host.hostname, version.id, version.name, version.judged_source,
            advisory.id, advisory.ref, advisory.cves,
        )
        .select_from(exposure)
        .join(host, host.id == exposure.host_id)
        .join(version, version.id == exposure.package_version_id)
        .join(judgement, judgement.package_version_id == version.id)
        .join(advisory, advisory.id == judgement.advisory_id)
        .where(
            among(session, exposure.package_version_id, versions),
            exposure.until.is_(None),
            judgement.until.is_(None),
            covered(now),
        )
    )  # fmt: skip
    for host_id, name, number, package, source, advisory_id, ref, cves in session.execute(query):
        names = (package, source, ref, cves.split())
        by = heed.covering(host_id, name, (number, advisory_id), names)
        found.append(CoveredFinding(host_id, number, ref, by[0].label))
    return found


def scope_of(session: Session, number: int) -> Scope:
    """Return what an exception is about. Raises `NotFoundError`."""
    found = _read(session, row.id == number)
    if not found:
        raise NotFoundError("exception", number)
    return found[0].scope
