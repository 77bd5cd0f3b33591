"""What a compliance report says, computed from plain values as of an instant.

Every number has its denominator: a `Share` is "n of m", and of none it has no percentage. A host
is counted once:

    unknown         never reported, silent, its platform has no feed, or not scanned yet
    not compliant   a finding is overdue that no exception covers, or a reboot is pending
    compliant       neither

`Counting` is fed host by host and keeps sums, not findings, so a report over half a million
findings needs no more memory than one line a host. docs/reports.md explains every number.
"""

from patchmgr.domain.compliance.basis import (
    PERIOD,
    PERIODS,
    Approval,
    Basis,
    Closed,
    Contact,
    Dated,
    Exempted,
    FeedState,
    Host,
    Judged,
    KevCatalogue,
    Open,
    PlanDone,
    PlatformState,
    RegisterLine,
    Standing,
    State,
    Verdict,
)
from patchmgr.domain.compliance.counting import Counting
from patchmgr.domain.compliance.figures import duration
from patchmgr.domain.compliance.values import (
    BlindSpot,
    Coverage,
    Duration,
    Exploited,
    ExploitedFlaw,
    Headline,
    HostLine,
    PatchTime,
    Period,
    Report,
    Share,
    SlaLine,
    Verification,
)

__all__ = [
    "PERIOD",
    "PERIODS",
    "Approval",
    "Basis",
    "BlindSpot",
    "Closed",
    "Contact",
    "Counting",
    "Coverage",
    "Dated",
    "Duration",
    "Exempted",
    "Exploited",
    "ExploitedFlaw",
    "FeedState",
    "Headline",
    "Host",
    "HostLine",
    "Judged",
    "KevCatalogue",
    "Open",
    "PatchTime",
    "Period",
    "PlanDone",
    "PlatformState",
    "RegisterLine",
    "Report",
    "Share",
    "SlaLine",
    "Standing",
    "State",
    "Verdict",
    "Verification",
    "duration",
]
