"""Which findings are asked for: the filter of a list, and what it means in SQL.

What a filter asks is said of the host, or of the judgement, or of both; kept apart, so that who
counts or walks findings can ask one without the other.
"""

from dataclasses import dataclass, field, fields, replace
from datetime import datetime

from sqlalchemy import ColumnElement, false, func, literal, or_, select
from sqlalchemy.orm import Session

from patchmgr.db import models
from patchmgr.db.queries import covering, flaws
from patchmgr.db.queries.covering import Heeded
from patchmgr.domain.advisories import Severity
from patchmgr.domain.exceptions import Scope

host, version = models.Host, models.PackageVersion
judgement, advisory = models.Judgement, models.Advisory


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


def heeding(
    session: Session, filters: FindingFilter, at: datetime | None, now: datetime | None
) -> FindingFilter:
    """Return ``filters`` with the exceptions that they heed. Raises `NotFoundError`."""
    heeded = covering.heeded(session, at, now)
    named = filters.exception_id
    scope = None if named is None else covering.scope_of(session, named)
    # What is overdue is open; where there is no exception, everything is.
    is_open = filters.exception == "open" and (filters.overdue or not heeded.in_force.all)
    asked = "" if is_open else filters.exception
    return replace(filters, heeded=heeded, scope=scope, exception=asked)


def on_hosts(filters: FindingFilter) -> list[ColumnElement[bool]]:
    """Return the conditions that only need a finding's host."""
    wanted = {
        host.hostname: filters.host,
        host.platform: filters.platform,
        host.environment: filters.environment,
    }
    found = [column == value for column, value in wanted.items() if value]
    if filters.scope is not None and filters.heeded is not None and filters.heeded.at is not None:
        found += covering.on_hosts(filters.scope, filters.heeded.at)
    return found


def on_judgements(filters: FindingFilter) -> list[ColumnElement[bool]]:
    """Return the conditions that only need a finding's judgement, advisory and version."""
    found = _about(filters)
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


def _about(filters: FindingFilter) -> list[ColumnElement[bool]]:
    """Return the conditions on judgements that the exceptions asked for set."""
    found = [] if filters.scope is None else covering.about_judgements(filters.scope)
    if filters.exception == "excepted" and filters.heeded is not None:
        found += covering.may_be_covered(filters.heeded.in_force)
    return found


def on_exceptions(filters: FindingFilter) -> list[ColumnElement[bool]]:
    """Return the conditions that need a finding's host and its judgement both."""
    heeded = filters.heeded
    if heeded is None or heeded.at is None or not heeded.in_force.all:
        return [false()] if filters.exception == "excepted" else []
    covered = covering.covered(heeded.at)
    if filters.exception == "excepted":
        return [covered] if not filters.overdue else [false()]
    return [~covered] if filters.overdue or filters.exception == "open" else []


def names_host(text: str) -> ColumnElement[bool]:
    """Return the condition for hosts that a search for ``text`` finds."""
    return func.lower(host.hostname).like(f"%{_escaped(text.lower())}%", escape="\\")


def names_judgement(text: str) -> ColumnElement[bool]:
    """Return the condition for judgements that a search for ``text`` finds."""
    like = f"%{_escaped(text.lower())}%"
    return or_(
        *(
            func.lower(column).like(like, escape="\\")
            for column in (version.name, advisory.ref, advisory.cves)
        )
    )


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
