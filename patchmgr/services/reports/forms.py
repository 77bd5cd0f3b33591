"""What every format of a report has in common: its parts, and how values are written."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import UTC, date, datetime
from enum import Enum
from pathlib import Path
from typing import ClassVar, Generic, Protocol, TypeVar

from patchmgr.domain.advisories import Severity
from patchmgr.domain.compliance import Dated, HostLine, Judged, RegisterLine, Report, Share
from patchmgr.domain.urgency import Policy, to_json, word_of

_OF_HOST = ("host", "platform", "environment")
_OF_JUDGED = (
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
)
_OF_DATED = ("first_seen", "published", "due", "decided_by", "state", "exception", "reason")
FINDING_COLUMNS = (*_OF_HOST, *_OF_JUDGED, *_OF_DATED)
HOST_COLUMNS = (
    "host",
    "platform",
    "environment",
    "site",
    "owner",
    "verdict",
    "reasons",
    "open_findings",
    "fixable",
    "overdue",
    "excepted",
    "earliest_due",
    "last_report",
)
EXCEPTION_COLUMNS = (
    "exception",
    "scope",
    "reason",
    "owner",
    "recorded_by",
    "approved_by",
    "approved_at",
    "expires_at",
    "findings",
    "hosts",
)
NO_EXCEPTIONS = "None was in force: no exception was applied to any finding of this report."
NO_KEV = (
    "No catalogue of known exploited vulnerabilities was loaded. Whether a finding is exploited "
    "is not known, which is not the same as none being exploited."
)


Part = TypeVar("Part")


class Form(Protocol):
    """One format: it is given each host with its findings, in order, then the whole report."""

    suffix: ClassVar[str]
    main: ClassVar[str]  # the file that ``--out FILE`` gets

    def __init__(self, folder: Path) -> None: ...

    def add(self, line: HostLine, findings: Sequence[Dated]) -> None: ...

    def finish(self, report: Report) -> None: ...


def iso(at: datetime | None) -> str:
    """Return ``at`` as ISO 8601 UTC, with a fraction only if it has one; empty for None."""
    return "" if at is None else at.astimezone(UTC).isoformat().replace("+00:00", "Z")


class Rows(Generic[Part]):
    """Findings as rows of `FINDING_COLUMNS`, in three parts that each repeat over and over.

    ``write`` turns the names and cells of a part into the format's own form, once for each
    distinct part: a fleet has a hundred times more findings than judgements.
    """

    def __init__(self, write: Callable[[Sequence[str], Sequence[str]], Part]) -> None:
        self._write = write
        self._judged: dict[Judged, Part] = {}
        self._dated: dict[tuple[object, ...], Part] = {}

    def of(self, line: HostLine, findings: Iterable[Dated]) -> Iterator[tuple[Part, Part, Part]]:
        """Yield the parts of each finding of a host."""
        host = self._write(_OF_HOST, (line.hostname, line.platform, line.environment))
        for finding in findings:
            judged = finding.judged
            middle = self._judged.get(judged)
            if middle is None:
                middle = self._judged[judged] = self._write(_OF_JUDGED, _judged_cells(judged))
            key = (finding[1:], judged.published, judged.reason)
            end = self._dated.get(key)
            if end is None:
                end = self._dated[key] = self._write(_OF_DATED, _dated_cells(finding))
            yield host, middle, end


def _judged_cells(judged: Judged) -> tuple[str, ...]:
    return (
        judged.manager,
        judged.package,
        judged.arch,
        judged.installed,
        judged.fixed,
        judged.status.value,
        judged.advisory,
        judged.cves,
        judged.severity.word,
        word_of(judged.danger.kev),
    )


def _dated_cells(finding: Dated) -> tuple[str, ...]:
    return (
        iso(finding.first_seen),
        iso(finding.judged.published),
        iso(finding.due),
        finding.row,
        finding.state.value,
        finding.exception,
        finding.judged.reason,
    )


def host_cells(line: HostLine) -> tuple[str | int, ...]:
    """Return the cells of `HOST_COLUMNS`."""
    return (
        line.hostname,
        line.platform,
        line.environment,
        line.site,
        line.owner,
        line.verdict.value,
        "; ".join(line.reasons),
        line.open_findings,
        line.fixable,
        line.overdue,
        line.excepted,
        iso(line.earliest_due),
        iso(line.last_report),
    )


def exception_cells(line: RegisterLine) -> tuple[str | int, ...]:
    """Return the cells of `EXCEPTION_COLUMNS`."""
    made = line.exception
    return (
        made.label,
        made.scope,
        made.reason,
        made.owner,
        made.created_by,
        made.approved_by,
        iso(made.approved_at),
        iso(made.expires_at),
        line.findings,
        line.hosts,
    )


def summary(report: Report) -> list[tuple[str, str, int | None, int | None, str]]:
    """Return the report's numbers as rows: section, measure, value, of how many, percentage."""
    head, cover = report.headline, report.coverage
    shares = [
        ("headline", "compliant", head.compliant),
        ("headline", "not compliant", head.not_compliant),
        ("headline", "judged", head.judged),
        ("headline", "unknown", head.unknown),
        ("headline", "findings overdue", head.overdue),
        ("headline", "findings excepted", head.excepted),
        ("coverage", "reporting", cover.reporting),
        ("coverage", "platform with a feed", cover.with_feed),
        ("coverage", "silent", cover.silent),
        ("coverage", "never reported", cover.never_reported),
        ("coverage", "not scanned", cover.not_scanned),
        ("coverage", "findings undetermined", cover.undetermined),
        *(("sla met", line.severity, line.met) for line in (*report.sla, report.sla_total)),
        ("verification", "tasks verified", report.verification.verified),
    ]
    if report.exploited.catalogue:
        exploited = report.exploited
        shares += [
            ("known exploited", "hosts", exploited.hosts),
            ("known exploited", "findings overdue", exploited.overdue),
            ("known exploited", "findings overdue by CISA's day", exploited.overdue_by_cisa),
        ]
    plain = [
        ("headline", "hosts in scope", head.hosts),
        ("headline", "hosts with a reboot pending", head.reboot_pending),
        ("headline", "open findings", head.open_findings),
        ("headline", "open findings with a fix", head.fixable),
        *(("open findings by state", state, n) for state, n in report.states.items()),
        *(("open findings by severity", word, n) for word, n in report.by_severity.items()),
    ]
    if report.exploited.catalogue:
        plain.append(("known exploited", "open findings", report.exploited.open_findings))
    return [
        *((section, what, n, None, "") for section, what, n in plain),
        *((section, what, share.n, share.of, share.percent) for section, what, share in shares),
    ]


def provenance(report: Report) -> dict[str, object]:
    """Return what the report was made from, so that it can be made again."""
    basis = report.basis
    return {
        "generator": basis.generator,
        "as_of": iso(basis.as_of),
        "period": {"from": iso(basis.period_start), "to": iso(basis.as_of)},
        "scope": {
            "what": "all hosts that were not retired",
            "hosts": report.headline.hosts,
            "packages": basis.packages,
            "open_findings": report.headline.open_findings,
        },
        "policy": {
            "name": basis.policy.name,
            "version": basis.policy.version,
            "since": iso(basis.policy_since),
            "table": to_json(basis.policy),
        },
        "last_scan": iso(basis.scanned_at),
        "silent_after_days": basis.silent_days,
        "feed_stale_after_hours": basis.stale_feed_hours,
        "feeds": plain(basis.feeds),
        "platforms": plain(basis.platforms),
    }


def document(report: Report) -> dict[str, object]:
    """Return the report as JSON values, without its findings."""
    return {
        "kind": "compliance",
        "provenance": provenance(report),
        "headline": plain(report.headline),
        "coverage": plain(report.coverage),
        "sla": {
            "by_severity": plain(report.sla),
            "all": plain(report.sla_total),
            "ended_by_vendor": report.withdrawn,
        },
        "time_to_patch_seconds": plain(report.patch_times),
        "known_exploited": {
            **_mapping(report.exploited),
            "note": "" if report.exploited.catalogue else NO_KEV,
        },
        "exceptions": {
            "in_force": len(report.exceptions),
            "findings": plain(report.headline.excepted),
            "register": [
                dict(zip(EXCEPTION_COLUMNS, exception_cells(line), strict=True))
                for line in report.exceptions
            ],
            "note": "" if report.exceptions else NO_EXCEPTIONS,
        },
        "changes": plain(report.basis.plans),
        "verification": plain(report.verification),
        "trend": {"period_days": report.period_days, "periods": plain(report.trend)},
        "open_findings": {"by_state": report.states, "by_severity": report.by_severity},
        "hosts": plain(report.hosts),
    }


def _mapping(value: object) -> dict[str, object]:
    return {each.name: plain(getattr(value, each.name)) for each in fields(value)}  # type: ignore[arg-type] # a dataclass


def plain(value: object) -> object:
    """Return ``value`` as JSON has it: values of the domain become objects, instants text."""
    if isinstance(value, Share):
        return {"n": value.n, "of": value.of, "percent": value.percent or None}
    if isinstance(value, Policy):
        return to_json(value)
    if is_dataclass(value):
        return _mapping(value)
    if isinstance(value, datetime):
        return iso(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Severity):
        return value.word
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    return value
