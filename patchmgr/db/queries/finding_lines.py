"""One finding as it is shown: the row that the database gives, and the line made of it."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, or_, select

from patchmgr.db import models
from patchmgr.db.base import to_micros
from patchmgr.db.queries import finding_due, flaws, installable
from patchmgr.db.queries.finding_due import Dating
from patchmgr.db.queries.finding_filters import (
    FindingFilter,
    names_host,
    names_judgement,
    on_exceptions,
    on_hosts,
    on_judgements,
)
from patchmgr.db.queries.instants import held
from patchmgr.domain.advisories import Severity, Status
from patchmgr.domain.facts import NOT_OFFERED, Installable
from patchmgr.domain.packages import release_of
from patchmgr.domain.urgency import Policy, word_of

host, version = models.Host, models.PackageVersion
exposure, judgement = models.Exposure, models.Judgement
advisory, fix, candidate = models.Advisory, models.Fix, models.Candidate


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


@dataclass(frozen=True, slots=True)
class Asked:
    """What findings are asked for, by which instants and policy."""

    filters: FindingFilter
    at: datetime | None  # as of when; None: now
    now: datetime | None  # what overdue is measured by; None: ``at``
    policy: Policy
    # Whether the name of any host has what is searched for; where none has, none need be compared.
    may_name_hosts: bool = True
    only: ColumnElement[bool] | None = None  # on exposures, where it is known which can be meant
    judged: ColumnElement[bool] | None = None  # likewise on judgements: all that the filter wants

    @property
    def moment(self) -> datetime:
        """The instant that overdue is measured by. Raises `ValueError` where there is none."""
        found = self.now or self.at
        if found is None:
            raise ValueError("overdue needs an instant to be measured by")
        return found

    def narrowed(self, **filters: Any) -> "Asked":
        return replace(self, filters=replace(self.filters, **filters))


def query(asked: Asked) -> Select[*tuple[Any, ...]]:
    """Return the query for the rows that `line` reads."""
    at = asked.at
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
        .where(*_conditions(asked))
    )


def _conditions(asked: Asked) -> list[ColumnElement[bool]]:
    filters = asked.filters
    found = on_hosts(filters)
    found += on_judgements(filters) if asked.judged is None else [asked.judged]
    if filters.overdue:
        due = finding_due.due(asked.policy)
        found += [due.is_not(None), due < to_micros(asked.moment)]
    found += on_exceptions(filters)
    if filters.installable:
        found.append(installable.verdict(asked.at) == filters.installable)
    if filters.search and asked.judged is None:
        named = [names_host(filters.search)] if asked.may_name_hosts else []
        found.append(or_(*named, names_judgement(filters.search)))
    if asked.only is not None:
        found.append(asked.only)
    return found


def line(row: Any, dating: Dating) -> FindingLine:
    """Return the finding of a row of `query`."""
    severity, status = Severity(row[10]), row[7]
    first_seen = max(row[11], row[12])
    danger = flaws.danger_of(row[28 : 28 + len(flaws.CLASS)])
    due, due_row = dating.due(severity, danger, status, row[13], first_seen, row[23:26])
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


def _reason(judged: str, fixed: str, verdict: str) -> str:
    missing = NOT_OFFERED.format(fixed) if verdict == Installable.NO else ""
    return "; ".join(filter(None, (judged, missing)))
