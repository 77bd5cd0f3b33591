"""Findings: open exposures joined with open judgements, now or as of any instant.

A finding is what the service had concluded by then: it begins with the scan that found it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, exists, func, or_, select, true, union_all
from sqlalchemy.orm import Session

from patchmgr.db import models
from patchmgr.db.bulk import among
from patchmgr.db.queries import (
    finding_due,
    finding_filters,
    finding_order,
    finding_totals,
    installable,
    paging,
)
from patchmgr.db.queries.finding_due import Dating, policy_at
from patchmgr.db.queries.finding_filters import (
    FindingFilter,
    names_host,
    names_judgement,
    on_hosts,
    on_judgements,
)
from patchmgr.db.queries.finding_lines import Asked, FindingLine, line, query
from patchmgr.db.queries.finding_order import Order, Pace
from patchmgr.db.queries.finding_totals import FEW, may_have_overdue, with_excepted
from patchmgr.db.queries.instants import held
from patchmgr.db.queries.paging import Page
from patchmgr.domain.facts import Installable
from patchmgr.errors import InputError

host, version = models.Host, models.PackageVersion
exposure, judgement = models.Exposure, models.Judgement
advisory, count = models.Advisory, models.HostCount

COMMON = 5  # of some versions, on the average host, so that hardly any host has none
FEW_EXPOSURES = 10_000  # up to which all their findings are sorted rather than walked through
_ORDER = (host.hostname, version.name, advisory.ref, version.id)  # of the CSV


def every(
    session: Session,
    filters: FindingFilter | None = None,
    at: datetime | None = None,
    *,
    now: datetime | None = None,
) -> Iterator[FindingLine]:
    """Yield all findings as of ``at`` (None: now), sorted by host, package, advisory.

    ``now`` is what the end of exceptions is measured by; by default ``at``, else the last scan.
    """
    asked = _asked(session, filters, at, now)
    dating = Dating(asked.policy)
    found = query(asked).order_by(*_ORDER).execution_options(yield_per=5_000)
    for row in session.execute(found):
        yield _excepted(line(row, dating), asked.filters)


def listing(
    session: Session,
    filters: FindingFilter | None = None,
    *,
    at: datetime | None = None,
    now: datetime | None = None,
    sort: str = "host",
    descending: bool = False,
    limit: int = paging.PAGE,
    cursor: str = "",
    total: bool = True,
) -> Page[FindingLine]:
    """Return a page of findings, by default sorted by host, package, advisory.

    ``now`` is what overdue and the end of exceptions are measured by; default ``at``. ``sort`` is
    one of `finding_order.SORTS`; by due date they sort as they are now only. A page costs what it
    shows and not what there is (`finding_order`). Without ``total`` a page that is not all there is
    is not counted (0). Raises `InputError`.
    """
    asked = _asked(session, filters, at, now)
    by = finding_order.order(sort, finding_due.due(asked.policy), is_descending=descending)
    if sort == "due" and at is not None:
        raise InputError({"sort": "by due date only as it is now"})
    last = paging.decode(cursor, len(by.columns)) if cursor else None
    if at is not None and asked.filters.installable in (Installable.YES, Installable.NO):
        return Page((), 0)  # what was on offer then is not remembered
    matching = _matching(session, asked)
    versions = None if matching is None else matching.versions
    counted = None
    if asked.filters.installable and at is None:
        # Counted by what is offered over what: to find few by looking takes all there is.
        asked, counted = _by_offers(session, asked)
    else:
        asked = _narrowed(session, asked, matching)
    page = query(asked).add_columns(*by.columns).order_by(*by.sorted_by).limit(limit + 1)
    if last is not None:
        page = page.where(by.after(last))
    rows: list[Any] = []
    pace = Pace(limit + 1)
    for part in _parts(session, sort, by, asked, matching, last, pace):
        found_there = session.execute(page.where(part)).all()
        rows += found_there
        pace.filled(len(found_there))
        if len(rows) > limit:
            break
    dating = Dating(asked.policy)
    found = tuple(_excepted(line(row, dating), asked.filters) for row in rows[:limit])
    follows = None
    if len(rows) > limit:
        follows = paging.encode(rows[limit - 1][-len(by.columns) :])
    is_all = last is None and follows is None
    if is_all:
        return Page(found, len(found), follows)
    if counted is None and total:
        counted = finding_totals.total(session, asked, versions)
    return Page(found, counted or 0, follows)


def judged_since(session: Session) -> datetime | None:
    """Return when the first scan was; what was open before is not known. None: there was none."""
    return session.scalar(select(func.min(models.ScanRun.at)))


def _asked(
    session: Session, filters: FindingFilter | None, at: datetime | None, now: datetime | None
) -> Asked:
    """Return what is asked for. Raises `NotFoundError` for an unknown exception."""
    heeding = finding_filters.heeding(session, filters or FindingFilter(), at, now)
    asked = Asked(heeding, at, now, policy_at(session, at))
    if not heeding.search:
        return asked
    named = select(host.id).where(names_host(heeding.search)).limit(1)
    return replace(asked, may_name_hosts=session.scalar(named) is not None)


def _by_offers(session: Session, asked: Asked) -> tuple[Asked, int | None]:
    """Return what is asked for, only of the exposures that can be meant where these are few.

    Also their number, where what is offered tells it.
    """
    filters = asked.filters
    about = on_judgements(filters)
    if filters.search and not asked.may_name_hosts:
        about.append(names_judgement(filters.search))
    found = installable.alike(session, filters.installable, on_hosts(filters), about)
    tells = not (filters.search or filters.overdue or filters.exception)
    counted = installable.total(found) if tells else None
    few = installable.few(session, found)
    if few is not None:
        asked = replace(asked, only=among(session, exposure.id, few))
    return asked, counted


def _excepted(found: FindingLine, filters: FindingFilter) -> FindingLine:
    """Return ``found`` with the first exception that covers it."""
    if filters.heeded is None:
        return found
    statement = (found.package_version_id, found.advisory_id)
    names = (found.package, found.source, found.advisory, found.cves)
    by = filters.heeded.covering(found.host_id, found.host, statement, names)
    return replace(found, exception=by[0].label) if by else found


@dataclass(frozen=True, slots=True)
class _Matching:
    """The judgements that a filter wants, by what is said of them."""

    judgements: list[int]
    versions: list[int]  # that they are of
    are_common: bool  # whether about each host has some of them, as far as is known now


def _matching(session: Session, asked: Asked) -> _Matching | None:
    """Return the judgements that the filter wants; None: it wants any."""
    conditions = on_judgements(asked.filters)
    if asked.filters.search:
        conditions.append(names_judgement(asked.filters.search))
    if not conditions:
        return None
    having = models.VersionCount
    fleet = select(func.count()).select_from(count).scalar_subquery()
    rows = session.execute(
        select(judgement.id, version.id, func.coalesce(having.hosts, 0), fleet)
        .join(judgement, judgement.package_version_id == version.id)
        .join(advisory, advisory.id == judgement.advisory_id)
        .outerjoin(having, having.package_version_id == version.id)
        .where(held(judgement, asked.at), *conditions)
    ).all()
    hosts = {row[1]: row[2] for row in rows}
    are_common = bool(rows) and sum(hosts.values()) >= COMMON * rows[0][3]
    return _Matching([row[0] for row in rows], sorted(hosts), are_common)


def _parts(
    session: Session,
    sort: str,
    by: Order,
    asked: Asked,
    matching: _Matching | None,
    last: Sequence[Any] | None,
    pace: Pace,
) -> Iterator[ColumnElement[bool]]:
    """Yield conditions that split the findings that are asked for, in their order."""
    if asked.filters.host or asked.only is not None:
        return iter([true()])  # one host's are few
    if sort == "host":
        hosts = _candidates(asked, matching, each=True)
        start = None if last is None else last[0]
        return finding_order.by_host(session, hosts, start, pace, is_descending=by.is_descending)
    if sort != "due":
        judged = _judged(asked)
        if asked.filters.overdue:
            judged.append(finding_due.may_be_due(asked.policy, asked.moment))
        return finding_order.by_judgement(session, by, judged, last, pace, asked.at)
    earliest = None
    if judged := on_judgements(asked.filters):  # the soonest of all may be none of these
        earliest = finding_due.earliest(session, asked.policy, judged)
    hosts = _candidates(asked, matching, each=matching is not None and matching.are_common)
    return finding_order.by_due(session, by, hosts, last, pace, earliest)


def _narrowed(session: Session, asked: Asked, matching: _Matching | None) -> Asked:
    """Return what is asked for, only of the exposures that can be meant where these are few."""
    filters = asked.filters
    where, named = on_hosts(filters), filters.search and asked.may_name_hosts
    is_wide = not where if matching is None else len(matching.versions) > FEW
    if filters.host or is_wide:
        return asked
    open_then = select(exposure.id).where(held(exposure, asked.at))
    if where:
        open_then = open_then.join(host, host.id == exposure.host_id).where(*where)
    wanted = [open_then]
    if matching is not None:
        wanted = [open_then.where(exposure.package_version_id.in_(matching.versions))]
    if named:
        hosts = select(host.id).where(names_host(filters.search))
        wanted.append(open_then.where(exposure.host_id.in_(hosts)))
    some = (each.limit(FEW_EXPOSURES + 1).subquery() for each in wanted)
    found = set(session.scalars(union_all(*(select(each.c.id) for each in some))))
    if len(found) > FEW_EXPOSURES:
        return asked
    asked = replace(asked, only=among(session, exposure.id, found))
    if matching is None or named:
        return asked
    # What was found is not asked for again: a planner can hardly tell how many that leaves.
    return replace(asked, judged=among(session, judgement.id, matching.judgements))


def _candidates(
    asked: Asked, matching: _Matching | None, *, each: bool
) -> list[ColumnElement[bool]]:
    """Return conditions that leave the hosts which can have such findings.

    ``each`` of them is looked at when its turn comes, or they are found all at once.
    """
    filters, at = asked.filters, asked.at
    conditions = on_hosts(filters)
    if at is None:
        if offering := installable.may_be(filters.installable):
            offered = exists().where(exposure.host_id == host.id, held(exposure, at), *offering)
            conditions += [host.offer_set_id.is_not(None), offered]
        conditions.append(host.id.in_(select(count.host_id).where(count.open_findings > 0)))
        if filters.exception == "excepted" and filters.is_settled:
            conditions.append(host.id.in_(with_excepted()))
        if filters.overdue:
            conditions.append(host.id.in_(may_have_overdue(asked)))
    if matching is not None and len(matching.versions) <= FEW:
        exposed = select(exposure.host_id).where(
            exposure.package_version_id.in_(matching.versions), held(exposure, at)
        )
        through: ColumnElement[bool] = host.id.in_(exposed)
        if each:
            through = paging.any_of(exposed.where(exposure.host_id == host.id))
        named = [names_host(filters.search)] if filters.search and asked.may_name_hosts else []
        conditions.append(or_(through, *named))
    return conditions


def _judged(asked: Asked) -> list[ColumnElement[bool]]:
    """Return conditions that leave the judgements which can make such findings."""
    filters, at = asked.filters, asked.at
    exposed = select(exposure.id).where(
        exposure.package_version_id == version.id,
        held(exposure, at),
        *(installable.may_be(filters.installable) if at is None else ()),
    )
    conditions = [held(judgement, at), paging.any_of(exposed), *on_judgements(filters)]
    if filters.search:
        through = (
            select(exposure.package_version_id)
            .join(host, host.id == exposure.host_id)
            .where(held(exposure, at), names_host(filters.search))
        )
        named = [version.id.in_(through)] if asked.may_name_hosts else []
        conditions.append(or_(*named, names_judgement(filters.search)))
    return conditions
