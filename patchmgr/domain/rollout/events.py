"""What can happen to a rollout, and what it asks of the world. Instants are aware UTC."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from patchmgr.domain.probes import Health
from patchmgr.domain.rollout.states import WentBack


class Outcome(StrEnum):
    """What a host, or a person for it, can report."""

    RUNNING = "running"
    INSTALLED = "installed"
    FAILED = "failed"
    ROLLED_BACK = "rolled_back"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Propose:
    by: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Approve:
    """``ring`` is empty for the whole plan; ``content_hash`` is what the approver looked at."""

    by: str
    at: datetime
    content_hash: str
    ring: str = ""
    comment: str = ""
    role: str = ""  # of the approver, where the plan says in which one they must be


@dataclass(frozen=True, slots=True)
class BreakGlass:
    """A person starts the plan without its approvals; somebody must look at that afterwards."""

    by: str
    at: datetime
    content_hash: str  # of what is stored now
    reason: str


@dataclass(frozen=True, slots=True)
class Supersede:
    """Another plan, which ``reason`` names, does this one's work."""

    by: str
    at: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class Reject:
    by: str
    at: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class Edited:
    """Rings, groups, windows or terms are others now: the plan has another hash."""

    by: str
    at: datetime
    content_hash: str


@dataclass(frozen=True, slots=True)
class Barred:
    """Who approved may do so no longer: the account was disabled, or has another role."""

    by: str
    at: datetime
    approver: str
    ring: str  # whose approval it was; empty for the whole plan
    why: str


@dataclass(frozen=True, slots=True)
class Start:
    by: str
    at: datetime
    content_hash: str  # of what is stored now


@dataclass(frozen=True, slots=True)
class Pause:
    by: str
    at: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class Resume:
    by: str
    at: datetime
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Cancel:
    by: str
    at: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class Acknowledge:
    """A person has looked at every open halt signal, and says why the rollout may go on."""

    by: str
    at: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class Retry:
    """A person wants hosts that ended without success to get another turn."""

    by: str
    at: datetime
    hosts: tuple[int, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class AcknowledgeHosts:
    """A person has seen that hosts ended without success, and accepts it."""

    by: str
    at: datetime
    hosts: tuple[int, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class RollBack:
    """A person wants the new versions of hosts taken back."""

    by: str
    at: datetime
    hosts: tuple[int, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class WithdrawRollBack:
    """A person no longer wants hosts to go back; of those that have not begun to."""

    by: str
    at: datetime
    hosts: tuple[int, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class SkipRing:
    """A person goes on without a ring."""

    by: str
    at: datetime
    ring: str
    reason: str


@dataclass(frozen=True, slots=True)
class ProbeAnswered:
    """What a health probe of a ring has found."""

    at: datetime
    ring: str
    probe: str
    health: Health
    detail: str = ""


@dataclass(frozen=True, slots=True)
class HaltSignal:
    """Something outside says stop: a person, a probe. ``subject`` says which one."""

    at: datetime
    kind: str
    why: str
    subject: str = ""


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """The vendor took back an advisory that the plan closes."""

    at: datetime
    advisory: str


@dataclass(frozen=True, slots=True)
class Held:
    """A version that the plan has yet to install is known to be bad."""

    at: datetime
    hold: int  # its number
    why: str


@dataclass(frozen=True, slots=True)
class Tick:
    """Time passed. ``windows`` has the windows that are open now, and when each closes."""

    at: datetime
    windows: Mapping[str, datetime] = field(default_factory=dict)
    frozen: str = ""  # why nothing may change now; empty: it may
    frozen_from: datetime | None = None  # when the next freeze begins
    content_hash: str | None = None  # of what is stored now; without it no ring begins
    # When it was frozen up to now, as far back as a ring whose deadline has passed has waited.
    frozen_times: tuple[tuple[datetime, datetime], ...] = ()


@dataclass(frozen=True, slots=True)
class TaskReported:
    """A result. ``attempt`` is None where the report cannot say which one it speaks of."""

    host: int
    at: datetime
    outcome: Outcome
    by: str
    attempt: int | None = None
    package: str = ""  # the one that failed
    reboot_pending: bool = False
    output: str = ""
    is_way_back: bool = False  # it answers an order to go back


@dataclass(frozen=True, slots=True)
class NeverBegun:
    """Who was let begin did not hear so until the work no longer fitted, and has done nothing."""

    host: int
    at: datetime
    by: str
    attempt: int
    is_way_back: bool = False


@dataclass(frozen=True, slots=True)
class InventorySeen:
    """What an inventory of ``at`` shows: ``verified`` is every target version reached."""

    host: int
    at: datetime
    verified: bool
    reboot_pending: bool


@dataclass(frozen=True, slots=True)
class WayBackSeen:
    """What an inventory of ``at`` shows of a host that was said to have gone back."""

    host: int
    at: datetime
    shown: WentBack
    said: str = ""  # the first package that is not what it was, and its version


Event = (
    Propose
    | Approve
    | BreakGlass
    | Supersede
    | Held
    | Reject
    | Edited
    | Barred
    | Start
    | Pause
    | Resume
    | Cancel
    | Acknowledge
    | Retry
    | AcknowledgeHosts
    | RollBack
    | WithdrawRollBack
    | SkipRing
    | ProbeAnswered
    | HaltSignal
    | Withdrawn
    | Tick
    | TaskReported
    | NeverBegun
    | InventorySeen
    | WayBackSeen
)


@dataclass(frozen=True, slots=True)
class Dispatch:
    """Let ``host`` begin its part, or go back, not after ``deadline``."""

    host: int
    attempt: int
    deadline: datetime
    is_way_back: bool = False


@dataclass(frozen=True, slots=True)
class Recall:
    """A host that has not begun must not begin."""

    host: int
    attempt: int
    why: str


@dataclass(frozen=True, slots=True)
class Notify:
    """People must hear of it."""

    kind: str  # "halted", "proposed", "completed", ...
    message: str


@dataclass(frozen=True, slots=True)
class Record:
    """A line of the plan's timeline; ``host`` is None for what concerns more than one."""

    at: datetime
    by: str
    kind: str
    message: str
    ring: str = ""
    host: int | None = None


Effect = Dispatch | Recall | Notify | Record

MACHINE = "patchmgr"  # who did it, where no person did
UNHEARD = "it heard too late that it may begin, and has not begun"  # `NeverBegun`
