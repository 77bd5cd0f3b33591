"""What a compliance report is made from, and the words it uses of that."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from patchmgr.domain.advisories import Severity, Status
from patchmgr.domain.flaws import Danger, FlawNote
from patchmgr.domain.lifecycle import Ending
from patchmgr.domain.urgency import Policy

PERIOD = timedelta(days=90)  # before the as-of: what was closed and changed in it is counted
PERIODS = 12  # of the trend


class Verdict(StrEnum):
    COMPLIANT = "compliant"
    NOT_COMPLIANT = "not compliant"
    UNKNOWN = "unknown"


class Contact(StrEnum):
    """Whether a host's inventory can be relied on."""

    REPORTING = "reporting"
    SILENT = "silent"
    NEVER = "never reported"
    UNSCANNED = "not scanned"


class State(StrEnum):
    """How a finding stands towards its due date."""

    OVERDUE = "overdue"
    WITHIN = "within due"
    NO_DUE = "no due date"  # fixable; the policy leaves it to the next regular upgrade
    NO_FIX = "no fix"
    UNDETERMINED = "undetermined"
    EXCEPTED = "excepted"  # whatever it would be otherwise: a recorded decision not to act yet


@dataclass(frozen=True, slots=True)
class Host:
    """A host in scope, as it was known at the as-of."""

    id: int
    hostname: str
    platform: str
    environment: str
    site: str
    owner: str
    criticality: str
    exposure: str
    reboot_pending: bool
    contact: Contact
    last_report: datetime | None = None  # of a silent host
    unsupported: tuple[tuple[str, str], ...] = ()  # kind of blind spot, and the package it is about


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """What an advisory means for a package version; shared by every host that has the version."""

    manager: str
    package: str
    arch: str
    installed: str
    fixed: str
    status: Status
    advisory: str
    cves: str  # separated by spaces
    severity: Severity
    danger: Danger  # of its flaws, as the scan knew it
    first_seen: datetime
    published: datetime | None
    reason: str
    exploited: tuple[FlawNote, ...] = ()  # of its flaws, those in the catalogue


class Open(NamedTuple):
    """A finding: a host has had a judged version since ``exposed``."""

    judged: Judged
    exposed: datetime
    exceptions: tuple[str, ...] = ()  # that cover it, as findings name them, by id

    @property
    def first_seen(self) -> datetime:
        return max(self.exposed, self.judged.first_seen)


class Dated(NamedTuple):
    """A finding with the row of the policy that decided it; due is None when it has no due date."""

    judged: Judged
    first_seen: datetime
    row: str
    due: datetime | None
    state: State
    exception: str = ""  # the first that covers it, as findings name it


class Closed(NamedTuple):
    """A finding that ended in the period, by a change on the host or by the vendor's word."""

    host: Host
    severity: Severity
    danger: Danger
    published: datetime | None
    first_seen: datetime
    closed: datetime
    patched: bool  # the host changed; otherwise the vendor took the statement back
    excepted: bool = False  # an exception covered it then


@dataclass(frozen=True, slots=True)
class FeedState:
    """A feed at the as-of: the revision in use, and whether it was too old to rely on."""

    name: str
    revision: int
    digest: str
    made_at: datetime
    synced_at: datetime  # last looked at with success, changed or not
    advisories: int
    fixes: int
    stale: bool
    notes: int = 0  # about CVEs


@dataclass(frozen=True, slots=True)
class PlatformState:
    """A platform of the fleet, and the feeds that speak of it; none is a blind spot."""

    platform: str
    feeds: tuple[str, ...]
    ending: Ending | None = None  # when its standard support is over


@dataclass(frozen=True, slots=True)
class KevCatalogue:
    name: str
    entries: int
    made_at: datetime


@dataclass(frozen=True, slots=True)
class Approval:
    by: str
    at: datetime
    ring: str  # "" for the whole plan
    decision: str


@dataclass(frozen=True, slots=True)
class PlanDone:
    """A plan of the period: who wrote and approved it, and what came of its tasks."""

    id: int
    title: str
    author: str
    state: str
    content_hash: str
    started: datetime
    finished: datetime | None
    approvals: tuple[Approval, ...]
    tasks: int
    outcomes: Mapping[str, int]  # state of the task at the as-of -> tasks
    in_window: int
    out_of_window: int
    no_window: int  # finished tasks of rings and hosts without a window
    break_glass: str = ""  # how it was started without its approvals, and whether that was reviewed


@dataclass(frozen=True, slots=True)
class Exempted:
    """An exception in force at the as-of."""

    label: str  # as findings name it
    scope: str
    reason: str
    owner: str
    created_by: str
    approved_by: str
    approved_at: datetime
    expires_at: datetime

    @property
    def is_own(self) -> bool:
        """Whether nobody but its author approved it."""
        return self.approved_by == self.created_by


@dataclass(frozen=True, slots=True)
class RegisterLine:
    """An exception, and what it covers; a finding may be covered by several."""

    exception: Exempted
    findings: int
    hosts: int


@dataclass(frozen=True, slots=True)
class Standing:
    """How the fleet stood after a scan, as counted then."""

    at: datetime
    hosts: int
    judged: int
    compliant: int
    open_findings: int
    overdue: int


@dataclass(frozen=True, slots=True)
class Basis:
    """What a report is made from, besides hosts and findings."""

    as_of: datetime
    policy: Policy
    policy_since: datetime | None  # None: the preset, before any was stored
    scanned_at: datetime | None  # the last scan until the as-of
    silent_days: int
    stale_feed_hours: int
    feeds: tuple[FeedState, ...]
    platforms: tuple[PlatformState, ...]
    kev: KevCatalogue | None
    plans: tuple[PlanDone, ...]
    standings: tuple[Standing, ...]  # by time
    packages: int  # package installations in scope
    generator: str
    exceptions: tuple[Exempted, ...] = ()  # by id

    @property
    def period_start(self) -> datetime:
        return self.as_of - PERIOD
