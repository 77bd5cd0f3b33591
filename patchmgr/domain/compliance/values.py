"""What a compliance report says."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime

from patchmgr.domain.compliance.basis import Basis, KevCatalogue, RegisterLine, Standing, Verdict


@dataclass(frozen=True, slots=True)
class Share:
    """``n`` of ``of``. The percentage is rounded down, so that only all is 100 %."""

    n: int
    of: int

    @property
    def permille(self) -> int | None:
        return self.n * 1000 // self.of if self.of else None

    @property
    def percent(self) -> str:
        """Return "86.8 %"; "" of none, which has no percentage."""
        return "" if self.permille is None else f"{self.permille // 10}.{self.permille % 10} %"

    def __str__(self) -> str:
        return f"{self.n:,} of {self.of:,}" + (f" ({self.percent})" if self.of else "")


@dataclass(frozen=True, slots=True)
class HostLine:
    """A host's line of the appendix, with why it is not compliant or not known."""

    hostname: str
    platform: str
    environment: str
    site: str
    owner: str
    verdict: Verdict
    reasons: tuple[str, ...]
    open_findings: int
    fixable: int
    overdue: int
    excepted: int
    earliest_due: datetime | None  # of what no exception covers
    last_report: datetime | None


@dataclass(frozen=True, slots=True)
class Headline:
    hosts: int
    compliant: Share  # of the hosts that could be judged
    not_compliant: Share
    judged: Share  # of the hosts in scope
    unknown: Share
    reboot_pending: int
    open_findings: int
    fixable: int
    overdue: Share  # of the findings that have a due date and are not excepted
    excepted: Share  # of the open findings


@dataclass(frozen=True, slots=True)
class BlindSpot:
    """Something that could not be judged; ``hosts`` says how much of the fleet it concerns."""

    kind: str
    what: str
    hosts: Share
    names: tuple[str, ...] = ()  # of the hosts, the first few


@dataclass(frozen=True, slots=True)
class Coverage:
    reporting: Share  # of the hosts in scope
    with_feed: Share
    silent: Share
    never_reported: Share
    not_scanned: Share
    undetermined: Share  # of the open findings
    undetermined_hosts: Share
    undetermined_reasons: Mapping[str, int]  # reason -> open findings
    blind_spots: tuple[BlindSpot, ...]


@dataclass(frozen=True, slots=True)
class SlaLine:
    """A severity's findings against their due dates; ``met`` is of those that have been decided.

    Decided are those closed in time or late in the period, and those open and overdue. Those
    open within their due date can still go either way.
    """

    severity: str
    open_within: int
    open_overdue: int
    open_no_due: int
    closed_in_time: int
    closed_late: int
    closed_no_due: int
    met: Share


@dataclass(frozen=True, slots=True)
class Duration:
    """Statistics of ``n`` durations, in seconds; None of none. p90 by nearest rank."""

    n: int
    median: int | None
    p90: int | None
    mean: int | None


@dataclass(frozen=True, slots=True)
class PatchTime:
    severity: str
    from_release: Duration
    from_detection: Duration


@dataclass(frozen=True, slots=True)
class ExploitedFlaw:
    """An entry of the catalogue that the fleet has, with its open findings."""

    cve: str
    name: str
    added: date | None
    due: date | None  # CISA's own
    ransomware: bool  # known use in ransomware campaigns
    open_findings: int
    overdue: Share  # by the policy, of those with a due date
    hosts: Share  # of the hosts in scope


@dataclass(frozen=True, slots=True)
class Exploited:
    """Known exploited vulnerabilities; without a catalogue nothing is known, which is not none."""

    catalogue: KevCatalogue | None
    open_findings: int
    overdue: Share  # by the policy, of those with a due date
    overdue_by_cisa: Share  # of those that the catalogue gives a day
    hosts: Share
    flaws: tuple[ExploitedFlaw, ...]  # by CISA's day, the earliest first


@dataclass(frozen=True, slots=True)
class Verification:
    """Of the tasks that ended in the period: a task is done when an inventory has shown it."""

    verified: Share
    failed: int
    other: int
    unfinished: int


@dataclass(frozen=True, slots=True)
class Period:
    """A period of the trend with the last scan in it; None when there was none."""

    ends: datetime
    standing: Standing | None


@dataclass(frozen=True, slots=True)
class Report:
    basis: Basis
    headline: Headline
    coverage: Coverage
    sla: tuple[SlaLine, ...]
    sla_total: SlaLine
    withdrawn: int  # findings that ended by the vendor's word, in no denominator
    patch_times: tuple[PatchTime, ...]
    exploited: Exploited
    verification: Verification
    period_days: int  # of each of the trend's periods
    trend: tuple[Period, ...]
    hosts: tuple[HostLine, ...]
    states: Mapping[str, int]  # state of a finding -> open findings
    by_severity: Mapping[str, int]  # severity -> open findings
    exceptions: tuple[RegisterLine, ...]  # by id
