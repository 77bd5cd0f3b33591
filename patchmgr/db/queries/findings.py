"""Findings: open exposures joined with open judgements, now or as of any instant.

A finding is what the service had concluded by then: it begins with the scan that found it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Select,
    SQLColumnExpression,
    and_,
    case,
    exists,
    false,
    func,
    literal,
    or_,
    select,
    true,
)
from sqlalchemy import type_coerce as coerce
from sqlalchemy.orm import Session

from patchmgr.db import models
from patchmgr.db.base import to_micros
from patchmgr.db.queries import exceptions, finding_order, flaws, installable, paging, policies
from patchmgr.db.queries.exceptions import Heeded
from patchmgr.db.queries.finding_order import Order
from patchmgr.db.queries.paging import Page
from patchmgr.domain import urgency
from patchmgr.domain.advisories import Severity, Status
from patchmgr.domain.exceptions import Scope
from patchmgr.domain.facts import NOT_OFFERED, Installable
from patchmgr.domain.flaws import Danger
from patchmgr.domain.packages import release_of
from patchmgr.domain.urgency import INPUTS, Clock, Decisions, Inputs, Policy, Threshold, word_of
from patchmgr.domain.urgency_presets import PRESETS
from patchmgr.errors import InputError

host, version = models.Host, models.PackageVersion
exposure, judgement = models.Exposure, models.Judgement
advisory, fix, revision, feed = models.Advisory, models.Fix, models.FeedRevision, models.Feed

count, candidate = models.HostCount, models.Candidate

_DAY = 86_400_000_000  # microseconds
FEW = 2_000  # package versions up to which asking for each beats reading an index through
_ORDER = (host.hostname, version.name, advisory.ref, version.id)  # of the CSV


@dataclass(frozen=True, slots=True)
class FindingFilter:
    """What to list; an empty field does not restrict."""

    host: str = ""
    platform: str = ""
    environment: str = ""
    package: str = ""  # installed binary package, or its source
    advisory: str = ""
    cve: str = ""
    status: str = ""
    severity: Severity | None = None  # exactly this
    severity_at_least: Severity | None = None
    revision: int | None = None  # of advisories that this revision of a feed brought or changed
    kev: str = ""  # "yes", "no": known to be exploited or known not to be listed as such
    overdue: bool = False  # past its due date, and not covered by an exception
    exception: str = ""  # "open": covered by none that is in force; "excepted": by one
    installable: str = ""  # one of `Installable`: whether the host's own repositories offer the fix
    exception_id: int | None = None  # of what this one's scope covers, in force or not
    search: str = ""  # part of host, package, advisory or CVE
    heeded: Heeded | None = field(default=None, compare=False)  # filled in by who reads findings
    scope: Scope | None = None  # of ``exception_id``, filled in likewise

    @property
    def is_empty(self) -> bool:
        asked = (each.name for each in fields(self) if each.compare)
        return all(getattr(self, name) in ("", None, False) for name in asked)

    @property
    def is_settled(self) -> bool:
        """Whether the counts that scans keep heed the exceptions that are in force."""
        return self.heeded is None or self.heeded.settled


@dataclass(frozen=True, slots=True)
class FindingLine:
    """One finding; the fields of the CSV (design.md 5.2) and the rows they come from."""

    host: str
    platform: str
    manager: str
    package: str
    arch: str
    installed: str
    fixed: str
    status: str
    advisory: str
    cves: tuple[str, ...]
    severity: Severity
    kev: bool | None  # None: no catalogue of exploited vulnerabilities is loaded
    first_seen: datetime
    due: datetime | None
    exception: str
    reason: str
    due_row: str  # id of the policy row that set the due date
    source: str
    source_version: str
    match: str
    title: str
    installable: Installable | None  # None: there is no fix to install
    host_id: int
    package_version_id: int
    advisory_id: int
    fix_id: int


CSV_COLUMNS = (
    "host",
    "platform",
    "manager",
    "package",
    "arch",
    "installed",
    "fixed",
    "status",
    "advisory",
    "cves",
    "severity",
    "kev",
    "first_seen",
    "due",
    "exception",
    "reason",
)


def plain(line: FindingLine) -> dict[str, Any]:
    """Return the fields of the CSV as they are written; instants stay instants."""
    row = {name: getattr(line, name) for name in CSV_COLUMNS}
    row["cves"] = " ".join(line.cves)
    row["severity"] = line.severity.word
    row["kev"] = word_of(line.kev)
    return row


def plain_in_full(line: FindingLine) -> dict[str, Any]:
    """Return the fields of the CSV, and those that JSON has beside them."""
    return {**plain(line), "installable": line.installable}


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
    filters = _heeding(session, filters or FindingFilter(), at, now)
    policy = policy_at(session, at)
    query = _query(filters, at, policy, now).order_by(*_ORDER)
    lines = Dating(policy)
    for row in session.execute(query.execution_options(yield_per=5_000)):
        yield _excepted(lines.line(row), filters)


def _heeding(
    session: Session, filters: FindingFilter, at: datetime | None, now: datetime | None
) -> FindingFilter:
    """Return ``filters`` with the exceptions that they heed. Raises `NotFoundError`."""
    heeded = exceptions.heeded(session, at, now)
    named = filters.exception_id
    scope = None if named is None else exceptions.scope_of(session, named)
    # What is overdue is open; where there is no exception, everything is.
    is_open = filters.exception == "open" and (filters.overdue or not heeded.in_force.all)
    asked = "" if is_open else filters.exception
    return replace(filters, heeded=heeded, scope=scope, exception=asked)


def _excepted(line: FindingLine, filters: FindingFilter) -> FindingLine:
    """Return ``line`` with the first exception that covers it."""
    if filters.heeded is None:
        return line
    statement = (line.package_version_id, line.advisory_id)
    names = (line.package, line.source, line.advisory, line.cves)
    by = filters.heeded.covering(line.host_id, line.host, statement, names)
    return replace(line, exception=by[0].label) if by else line


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
) -> Page[FindingLine]:
    """Return a page of findings, by default sorted by host, package, advisory.

    ``now`` is what overdue and the end of exceptions are measured by; default ``at``. ``sort`` is
    one of `finding_order.SORTS`; by due date they sort as they are now only. A page costs what it
    shows and not what there is (`finding_order`). Raises `InputError`.
    """
    filters = _heeding(session, filters or FindingFilter(), at, now)
    policy = policy_at(session, at)
    by = finding_order.order(sort, _due(policy), is_descending=descending)
    last = paging.decode(cursor, len(by.columns)) if cursor else None
    versions = _versions_matching(session, filters, at)
    query = _query(filters, at, policy, now).add_columns(*by.columns)
    query = query.order_by(*by.sorted_by).limit(limit + 1)
    if last is not None:
        query = query.where(by.after(last))
    rows: list[Any] = []
    for part in _parts(session, sort, by, filters, at, policy, now, versions, last):
        rows += session.execute(query.where(part)).all()
        if len(rows) > limit:
            break
    lines = Dating(policy)
    found = tuple(_excepted(lines.line(row), filters) for row in rows[:limit])
    follows = None
    if len(rows) > limit:
        follows = paging.encode(rows[limit - 1][-len(by.columns) :])
    is_all = last is None and follows is None
    total = len(found) if is_all else _total(session, filters, at, policy, now, versions)
    return Page(found, total, follows)


def _versions_matching(
    session: Session, filters: FindingFilter, at: datetime | None
) -> list[int] | None:
    """Return the package versions with a judgement that the filter wants; None: it wants any."""
    conditions = _judgement_conditions(filters)
    if filters.search:
        conditions.append(_search_judgement(filters.search))
    if not conditions:
        return None
    return list(
        session.scalars(
            select(version.id)
            .join(judgement, and_(judgement.package_version_id == version.id, held(judgement, at)))
            .join(advisory, advisory.id == judgement.advisory_id)
            .where(*conditions)
            .distinct()
        )
    )


def _parts(
    session: Session,
    sort: str,
    by: Order,
    filters: FindingFilter,
    at: datetime | None,
    policy: Policy,
    now: datetime | None,
    versions: list[int] | None,
    last: Sequence[Any] | None,
) -> Iterator[ColumnElement[bool]]:
    """Yield conditions that split the findings of ``filters`` in their order."""
    if filters.host:
        return iter([true()])  # one host's are few
    hosts = _candidates(filters, at, now, versions)
    if sort == "host":
        start = None if last is None else last[0]
        return finding_order.by_host(session, hosts, start, is_descending=by.is_descending)
    if sort != "due":
        judged = _judged(filters, at)
        if filters.overdue:
            judged.append(_may_be_due(policy, now or at))
        return finding_order.by_judgement(session, by, judged, last)
    if at is not None:
        raise InputError({"sort": "by due date only as it is now"})
    return finding_order.by_due(session, by, hosts, last)


def _candidates(
    filters: FindingFilter, at: datetime | None, now: datetime | None, versions: list[int] | None
) -> list[ColumnElement[bool]]:
    """Return conditions that leave the hosts which can have such findings."""
    conditions = _host_conditions(filters)
    if at is None:
        if offering := installable.may_be(filters.installable):
            offered = exists().where(exposure.host_id == host.id, held(exposure, at), *offering)
            conditions += [host.offer_set_id.is_not(None), offered]
        conditions.append(host.id.in_(select(count.host_id).where(count.open_findings > 0)))
        if filters.exception == "excepted" and filters.is_settled:
            conditions.append(host.id.in_(_with_excepted()))
        if filters.overdue:
            conditions.append(host.id.in_(_may_have_overdue(filters, now)))
    if versions is not None and len(versions) <= FEW:
        exposed = select(exposure.host_id).where(
            exposure.package_version_id.in_(versions), held(exposure, at)
        )
        through = host.id.in_(exposed)
        conditions.append(or_(through, _search_host(filters.search)) if filters.search else through)
    return conditions


def _judged(filters: FindingFilter, at: datetime | None) -> list[ColumnElement[bool]]:
    """Return conditions that leave the judgements which can make such findings."""
    exposed = exists().where(
        exposure.package_version_id == version.id,
        held(exposure, at),
        *(installable.may_be(filters.installable) if at is None else ()),
    )
    conditions = [held(judgement, at), exposed, *_judgement_conditions(filters)]
    if filters.search:
        through = (
            select(exposure.package_version_id)
            .join(host, host.id == exposure.host_id)
            .where(held(exposure, at), _search_host(filters.search))
        )
        conditions.append(or_(version.id.in_(through), _search_judgement(filters.search)))
    return conditions


def _may_have_overdue(filters: FindingFilter, now: datetime | None) -> Select[int]:
    """Return the hosts with something overdue; until a scan has counted, those that may have."""
    late = count.earliest_due < now
    maybe = late if filters.is_settled else or_(late, count.excepted > 0)
    return select(count.host_id).where(maybe)


def _with_excepted() -> Select[int]:
    return select(count.host_id).where(count.excepted > 0)


def policy_at(session: Session, at: datetime | None) -> Policy:
    """Return the policy that gives due dates as of ``at``."""
    stored = policies.active(session) if at is None else policies.in_force(session, at)
    return PRESETS["severity"] if stored is None else stored.policy


def held(table: Any, at: datetime | None) -> ColumnElement[bool]:
    """Return the condition for rows that held at ``at``."""
    if at is None:
        return table.until.is_(None)  # type: ignore[no-any-return] # a mapped class
    return and_(table.since <= at, or_(table.until.is_(None), table.until > at))


def _query(
    filters: FindingFilter, at: datetime | None, policy: Policy, now: datetime | None = None
) -> Select[*tuple[Any, ...]]:
    return (
        select(
            host.hostname,
            host.platform,
            version.manager,
            version.name,
            version.arch,
            version.version,
            fix.fixed,
            judgement.status,
            advisory.ref,
            advisory.cves,
            judgement.severity,
            exposure.first_seen,
            judgement.first_seen,
            judgement.published,
            judgement.reason,
            version.judged_source,
            version.judged_version,
            fix.match,
            advisory.title,
            host.id,
            version.id,
            advisory.id,
            fix.id,
            host.environment,
            host.criticality,
            host.exposure,
            version.platform,
            installable.verdict(at),
            *flaws.CLASS,
        )
        .select_from(host)
        .join(exposure, and_(exposure.host_id == host.id, held(exposure, at)))
        .join(version, version.id == exposure.package_version_id)
        .join(
            judgement,
            and_(judgement.package_version_id == version.id, held(judgement, at)),
        )
        .join(advisory, advisory.id == judgement.advisory_id)
        .join(fix, fix.id == judgement.fix_id)
        .outerjoin(models.UrgencyClass, models.UrgencyClass.id == judgement.class_id)
        .outerjoin(candidate, candidate.id == exposure.candidate_id)
        .where(*_conditions(filters, at, policy, now))
    )


def _conditions(
    filters: FindingFilter, at: datetime | None, policy: Policy, now: datetime | None
) -> list[ColumnElement[bool]]:
    found = [*_host_conditions(filters), *_judgement_conditions(filters)]
    if filters.overdue:
        moment = now or at
        if moment is None:
            raise ValueError("overdue needs an instant to be measured by")
        due = _due(policy)
        found += [due.is_not(None), due < to_micros(moment)]
    found += _exception_conditions(filters)
    if filters.installable:
        found.append(installable.verdict(at) == filters.installable)
    if filters.search:
        found.append(or_(_search_host(filters.search), _search_judgement(filters.search)))
    return found


def _exception_conditions(filters: FindingFilter) -> list[ColumnElement[bool]]:
    """Return the conditions that need a finding's host and its judgement both."""
    heeded = filters.heeded
    if heeded is None or heeded.at is None or not heeded.in_force.all:
        return [false()] if filters.exception == "excepted" else []
    covered = exceptions.covered(heeded.at)
    if filters.exception == "excepted":
        return [covered] if not filters.overdue else [false()]
    return [~covered] if filters.overdue or filters.exception == "open" else []


def _search_host(text: str) -> ColumnElement[bool]:
    return func.lower(host.hostname).like(f"%{_escaped(text.lower())}%", escape="\\")


def _search_judgement(text: str) -> ColumnElement[bool]:
    like = f"%{_escaped(text.lower())}%"
    return or_(
        *(
            func.lower(column).like(like, escape="\\")
            for column in (version.name, advisory.ref, advisory.cves)
        )
    )


def _host_conditions(filters: FindingFilter) -> list[ColumnElement[bool]]:
    wanted = {
        host.hostname: filters.host,
        host.platform: filters.platform,
        host.environment: filters.environment,
    }
    found = [column == value for column, value in wanted.items() if value]
    if filters.scope is not None and filters.heeded is not None and filters.heeded.at is not None:
        found += exceptions.on_hosts(filters.scope, filters.heeded.at)
    return found


def _judgement_conditions(filters: FindingFilter) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if filters.scope is not None:
        found += exceptions.about_judgements(filters.scope)
    if filters.package:
        found.append(or_(version.name == filters.package, version.judged_source == filters.package))
    if filters.advisory:
        found.append(advisory.ref == filters.advisory)
    if filters.cve:
        found.append(
            (literal(" ") + advisory.cves + " ").like(f"% {_escaped(filters.cve)} %", escape="\\")
        )
    if filters.status:
        found.append(judgement.status == filters.status)
    if filters.revision is not None:
        changed = models.AdvisoryChange
        found.append(
            judgement.advisory_id.in_(
                select(changed.advisory_id).where(changed.revision_id == filters.revision)
            )
        )
    if filters.kev:
        found.append(flaws.is_exploited(filters.kev))
    if filters.severity is not None:
        found.append(judgement.severity == int(filters.severity))
    if filters.severity_at_least is not None:
        found.append(judgement.severity >= int(filters.severity_at_least))
    return found


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _due(policy: Policy) -> ColumnElement[int | None]:
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


def _may_be_due(policy: Policy, moment: datetime | None) -> ColumnElement[bool]:
    """Return the condition for judgements of which a finding can be due before ``moment``.

    Whatever the host: by the shortest time that the policy gives their severity, from the earliest
    that it can begin.
    """
    if moment is None:
        raise ValueError("overdue needs an instant to be measured by")
    start: ColumnElement[int] = coerce(judgement.first_seen, BigInteger)
    if policy.clock is Clock.PUBLISHED:
        start = func.coalesce(coerce(judgement.published, BigInteger), start)
    soon = []
    for severity in Severity:
        times = [
            row.days
            for row in policy.rows
            if row.days is not None and severity.word in row.when.get("severity", severity.word)
        ]
        if times:
            latest = to_micros(moment) - min(times) * _DAY
            soon.append(and_(judgement.severity == int(severity), start < latest))
    return or_(false(), *soon)


def _total(
    session: Session,
    filters: FindingFilter,
    at: datetime | None,
    policy: Policy,
    now: datetime | None,
    versions: list[int] | None,
) -> int:
    """Return how many findings there are, without making each of them where that can be."""
    if filters.exception:
        return _total_by_exception(session, filters, at, policy, now, versions)
    if filters.installable:
        if at is None and filters == replace(filters, overdue=False, search=""):
            where, about = _host_conditions(filters), _judgement_conditions(filters)
            return installable.total(session, filters.installable, where, about)
        query = _query(filters, at, policy, now)
        return session.scalar(select(func.count()).select_from(query.subquery())) or 0
    if at is None and (kept := _kept(session, filters, [])) is not None:
        return kept
    if at is None and filters == FindingFilter(overdue=True) and filters.is_settled:
        due = models.HostDue
        return int(session.scalar(select(func.sum(due.findings)).where(due.due < now)) or 0)
    if filters.overdue:
        query = _query(filters, at, policy, now)
        if at is None:
            query = query.where(host.id.in_(_may_have_overdue(filters, now)))
        return session.scalar(select(func.count()).select_from(query.subquery())) or 0
    if not filters.search:
        return _multiplied(session, filters, at, versions, [])
    # What a search means is said of the host or of the judgement: count both, less their overlap.
    named, said = _search_host(filters.search), _search_judgement(filters.search)
    plain = replace(filters, search="")
    on_hosts = _kept(session, plain, [named]) if at is None else None
    if on_hosts is None:
        on_hosts = _multiplied(session, plain, at, None, [], [named])
    return (
        on_hosts
        + _multiplied(session, plain, at, versions, [said])
        - _multiplied(session, plain, at, versions, [said], [named])
    )


def _total_by_exception(
    session: Session,
    filters: FindingFilter,
    at: datetime | None,
    policy: Policy,
    now: datetime | None,
    versions: list[int] | None,
) -> int:
    """Return how many findings an exception covers; for ``open``, how many none does."""
    if filters.exception == "open":
        excepted = replace(filters, exception="excepted")
        return _total(session, replace(filters, exception=""), at, policy, now, versions) - _total(
            session, excepted, at, policy, now, versions
        )
    on_hosts = FindingFilter(
        platform=filters.platform,
        environment=filters.environment,
        host=filters.host,
        exception="excepted",
    )
    query = _query(filters, at, policy, now)
    if at is None and filters.is_settled:
        if filters == on_hosts:
            kept = select(func.sum(count.excepted)).join(host, host.id == count.host_id)
            return int(session.scalar(kept.where(*_host_conditions(filters))) or 0)
        query = query.where(host.id.in_(_with_excepted()))
    return session.scalar(select(func.count()).select_from(query.subquery())) or 0


def _kept(session: Session, filters: FindingFilter, named: list[ColumnElement[bool]]) -> int | None:
    """Return the number from the counts that the scan keeps; None when they do not tell it."""
    by_host = FindingFilter(
        platform=filters.platform,
        environment=filters.environment,
        host=filters.host,
        severity=filters.severity,
        severity_at_least=filters.severity_at_least,
    )
    if filters != by_host:
        return _kept_by_status(session, filters, named)
    wanted = [
        getattr(count, s.word)
        for s in Severity
        if filters.severity in (None, s) and s >= (filters.severity_at_least or Severity.UNKNOWN)
    ]
    if not wanted:
        return 0
    total = sum((func.sum(column) for column in wanted[1:]), func.sum(wanted[0]))
    query = select(total).join(host, host.id == count.host_id)
    return int(session.scalar(query.where(*_host_conditions(filters), *named)) or 0)


def _kept_by_status(
    session: Session, filters: FindingFilter, named: list[ColumnElement[bool]]
) -> int | None:
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
        return 0
    query = select(func.sum(columns[filters.status])).join(host, host.id == count.host_id)
    return int(session.scalar(query.where(*_host_conditions(filters), *named)) or 0)


def _multiplied(
    session: Session,
    filters: FindingFilter,
    at: datetime | None,
    versions: list[int] | None,
    said: list[ColumnElement[bool]],
    named: Sequence[ColumnElement[bool]] = (),
) -> int:
    """Return the findings counted as hosts x judgements of each package version."""
    exposed = select(exposure.package_version_id, func.count().label("hosts")).where(
        held(exposure, at)
    )
    if conditions := [*_host_conditions(filters), *named]:
        exposed = exposed.join(host, host.id == exposure.host_id).where(*conditions)
    if versions is not None and len(versions) <= FEW:
        exposed = exposed.where(exposure.package_version_id.in_(versions))
    per_version = exposed.group_by(exposure.package_version_id).subquery()
    query = (
        select(func.sum(per_version.c.hosts))
        .select_from(per_version)
        .join(version, version.id == per_version.c.package_version_id)
        .join(judgement, and_(judgement.package_version_id == version.id, held(judgement, at)))
        .join(advisory, advisory.id == judgement.advisory_id)
        .where(*_judgement_conditions(filters), *said)
    )
    return int(session.scalar(query) or 0)


def _reason(judged: str, fixed: str, verdict: str) -> str:
    missing = NOT_OFFERED.format(fixed) if verdict == Installable.NO else ""
    return "; ".join(filter(None, (judged, missing)))


class Dating:
    """Dates findings by a policy."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self._decisions = Decisions(policy)

    def line(self, row: Any) -> FindingLine:
        severity, status = Severity(row[10]), row[7]
        first_seen = max(row[11], row[12])
        danger = flaws.danger_of(row[28 : 28 + len(flaws.CLASS)])
        due, due_row = self.due(severity, danger, status, row[13], first_seen, row[23:26])
        return FindingLine(
            host=row[0],
            platform=release_of(row[26]),
            manager=row[2],
            package=row[3],
            arch=row[4],
            installed=row[5],
            fixed=row[6] if status == Status.AFFECTED else "",
            status=status,
            advisory=row[8],
            cves=tuple(row[9].split()),
            severity=severity,
            kev=danger.kev,
            first_seen=first_seen,
            due=due,
            exception="",
            reason=_reason(row[14], row[6], row[27]),
            due_row=due_row,
            source=row[15],
            source_version=row[16],
            match=row[17],
            title=row[18],
            installable=Installable(row[27]) if row[27] else None,
            host_id=row[19],
            package_version_id=row[20],
            advisory_id=row[21],
            fix_id=row[22],
        )

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
