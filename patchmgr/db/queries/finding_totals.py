"""How many findings there are: by the counts that scans keep, wherever these can tell."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Select,
    and_,
    exists,
    func,
    literal,
    or_,
    select,
)
from sqlalchemy import type_coerce as coerce
from sqlalchemy.orm import Session

from patchmgr.db import models
from patchmgr.db.queries import installable
from patchmgr.db.queries.finding_due import may_be_due
from patchmgr.db.queries.finding_filters import (
    FindingFilter,
    names_host,
    names_judgement,
    on_hosts,
    on_judgements,
)
from patchmgr.db.queries.finding_lines import Asked, query
from patchmgr.db.queries.instants import held
from patchmgr.domain.advisories import Severity, Status

host, version = models.Host, models.PackageVersion
exposure, judgement = models.Exposure, models.Judgement
advisory, count = models.Advisory, models.HostCount

_SCAN = 60_000_000  # microseconds, within which a scan ends
FEW = 2_000  # package versions up to which asking for each beats reading an index through


def total(session: Session, asked: Asked, versions: list[int] | None) -> int:
    """Return how many findings there are, without making each of them where that can be.

    ``versions`` are those with a judgement that the filter wants; None: it wants any.
    """
    filters, at = asked.filters, asked.at
    if asked.only is not None:
        return _counted(session, query(asked))
    if filters.exception:
        return _total_by_exception(session, asked, versions)
    if filters.installable:
        return _total_by_offers(session, asked)
    known = _known(session, asked) if at is None else _recorded(session, filters, at)
    if known is not None:
        return known
    if filters.overdue:
        return _counted(session, _late(asked))
    if not filters.search:
        return _added(session, _multiplied(filters, at, versions, []))
    # What a search means is said of the host or of the judgement: count both, less their overlap.
    named, said = names_host(filters.search), names_judgement(filters.search)
    plain = replace(filters, search="")
    if not asked.may_name_hosts:
        return _added(session, _multiplied(plain, at, versions, [said]))
    by_host = _kept(plain, [named]) if at is None else None
    if by_host is None:
        by_host = _multiplied(plain, at, None, [], [named])
    if not versions:
        return _added(session, by_host)
    either = _multiplied(plain, at, versions, [said])
    both = _multiplied(plain, at, versions, [said], [named])
    return _added(session, by_host, either, less=both)


def _known(session: Session, asked: Asked) -> int | None:
    """Return how many there are now, where the counts that the scan keeps tell it."""
    filters = asked.filters
    if (kept := _kept(filters, [])) is not None:
        return _added(session, kept)
    if filters != FindingFilter(overdue=True) or not filters.is_settled:
        return None
    due = models.HostDue
    return int(session.scalar(select(func.sum(due.findings)).where(due.due < asked.now)) or 0)


def _added(session: Session, *numbers: Select[Any], less: Select[Any] | None = None) -> int:
    """Return the sum of what some queries count, in one."""
    asked = [*numbers, *([] if less is None else [less])]
    found = session.execute(select(*(each.scalar_subquery() for each in asked))).one()
    counted = [int(each or 0) for each in found]
    return sum(counted) if less is None else sum(counted[:-1]) - counted[-1]


def _total_by_offers(session: Session, asked: Asked) -> int:
    """Return how many findings are as installable as is asked for."""
    filters = asked.filters
    if asked.at is not None:
        return _counted(session, query(asked))
    if filters.overdue:
        return _counted(session, _late(asked))
    where, about = on_hosts(filters), on_judgements(filters)

    def alike(*more: ColumnElement[bool], named: Sequence[ColumnElement[bool]] = ()) -> int:
        found = installable.alike(session, filters.installable, [*where, *named], [*about, *more])
        return installable.total(found)

    if not filters.search:
        return alike()
    named, said = [names_host(filters.search)], names_judgement(filters.search)
    if not asked.may_name_hosts:
        return alike(said)
    return alike(named=named) + alike(said) - alike(said, named=named)


def _late(asked: Asked) -> Select[*tuple[Any, ...]]:
    """Return the query for findings that are overdue, on hosts which can have such."""
    found = query(asked).where(may_be_due(asked.policy, asked.moment))
    return found if asked.at is not None else found.where(host.id.in_(may_have_overdue(asked)))


def _total_by_exception(session: Session, asked: Asked, versions: list[int] | None) -> int:
    """Return how many findings an exception covers; for ``open``, how many none does."""
    filters = asked.filters
    if filters.exception == "open":
        everything = total(session, asked.narrowed(exception=""), versions)
        return everything - total(session, asked.narrowed(exception="excepted"), versions)
    by_host = FindingFilter(
        platform=filters.platform,
        environment=filters.environment,
        host=filters.host,
        exception="excepted",
    )
    found = query(asked)
    if asked.at is None and filters.is_settled:
        if filters == by_host:
            kept = select(func.sum(count.excepted)).join(host, host.id == count.host_id)
            return int(session.scalar(kept.where(*on_hosts(filters))) or 0)
        found = found.where(host.id.in_(with_excepted()))
    return _counted(session, found)


def _recorded(session: Session, filters: FindingFilter, at: datetime) -> int | None:
    """Return what the last scan before ``at`` recorded; None where it does not tell the number.

    It tells that of the fleet, by severity, as long as nothing has changed since: a scan that
    changes something records anew, but a host that retires ends its exposures at once.
    """
    if filters != FindingFilter(
        severity=filters.severity, severity_at_least=filters.severity_at_least
    ):
        return None
    row, run = models.Snapshot, models.ScanRun
    changed = or_(run.counts["versions"].as_integer() > 0, run.counts["hosts"].as_integer() > 0)
    again = exists().where(run.at > row.at, run.at <= at, changed)
    ended = exists().where(exposure.until > row.at, exposure.until <= at)
    # One that retired while the scan ran ended them before it, and was counted all the same.
    recorded, retired = coerce(row.at, BigInteger), coerce(host.retired_at, BigInteger)
    meanwhile = exists().where(retired > recorded - _SCAN, retired <= recorded)
    last = select(row.by_severity, or_(again, ended, meanwhile)).where(row.at <= at)
    found = session.execute(last.order_by(row.at.desc(), row.id.desc()).limit(1)).first()
    if found is None or found[1]:
        return None
    return sum(int(found[0].get(each.word, 0)) for each in _asked(filters))


def _asked(filters: FindingFilter) -> list[Severity]:
    """Return the severities that are asked for."""
    least = filters.severity_at_least or Severity.UNKNOWN
    return [each for each in Severity if filters.severity in (None, each) and each >= least]


def _kept(filters: FindingFilter, named: list[ColumnElement[bool]]) -> Select[Any] | None:
    """Return the query of the counts that the scan keeps; None when they do not tell the number."""
    by_host = FindingFilter(
        platform=filters.platform,
        environment=filters.environment,
        host=filters.host,
        severity=filters.severity,
        severity_at_least=filters.severity_at_least,
    )
    if filters != by_host:
        return _kept_by_status(filters, named)
    wanted = [getattr(count, each.word) for each in _asked(filters)]
    if not wanted:
        return select(literal(0))
    added = sum((func.sum(column) for column in wanted[1:]), func.sum(wanted[0]))
    kept = select(added).join(host, host.id == count.host_id)
    return kept.where(*on_hosts(filters), *named)


def _kept_by_status(filters: FindingFilter, named: list[ColumnElement[bool]]) -> Select[Any] | None:
    by_host = FindingFilter(
        platform=filters.platform, environment=filters.environment, host=filters.host
    )
    if filters != replace(by_host, status=filters.status):
        return None
    columns: Mapping[str, Any] = {
        Status.AFFECTED: count.fixable,
        Status.UNDETERMINED: count.undetermined,
        Status.NO_FIX: count.open_findings - count.fixable - count.undetermined,
    }
    if filters.status not in columns:
        return select(literal(0))
    kept = select(func.sum(columns[filters.status])).join(host, host.id == count.host_id)
    return kept.where(*on_hosts(filters), *named)


def _multiplied(
    filters: FindingFilter,
    at: datetime | None,
    versions: list[int] | None,
    said: list[ColumnElement[bool]],
    named: Sequence[ColumnElement[bool]] = (),
) -> Select[Any]:
    """Return the query that counts findings as hosts x judgements of each package version."""
    exposed = select(exposure.package_version_id, func.count().label("hosts")).where(
        held(exposure, at)
    )
    if conditions := [*on_hosts(filters), *named]:
        # They have many, in the index by version: not one host after the other by its own index.
        exposed = exposed.where((exposure.host_id + 0).in_(select(host.id).where(*conditions)))
    if versions is not None and len(versions) <= FEW:
        exposed = exposed.where(exposure.package_version_id.in_(versions))
    per_version = exposed.group_by(exposure.package_version_id).subquery()
    return (
        select(func.sum(per_version.c.hosts))
        .select_from(per_version)
        .join(version, version.id == per_version.c.package_version_id)
        .join(judgement, and_(judgement.package_version_id == version.id, held(judgement, at)))
        .join(advisory, advisory.id == judgement.advisory_id)
        .where(*on_judgements(filters), *said)
    )


def may_have_overdue(asked: Asked) -> Select[int]:
    """Return the hosts with something overdue; until a scan has counted, those that may have."""
    late = count.earliest_due < asked.now
    maybe = late if asked.filters.is_settled else or_(late, count.excepted > 0)
    return select(count.host_id).where(maybe)


def with_excepted() -> Select[int]:
    """Return the hosts with a finding that an exception covers, as scans have counted."""
    return select(count.host_id).where(count.excepted > 0)


def _counted(session: Session, findings: Select[*tuple[Any, ...]]) -> int:
    return session.scalar(select(func.count()).select_from(findings.subquery())) or 0
