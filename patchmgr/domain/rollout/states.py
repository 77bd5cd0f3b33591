"""The states of plans, rings and tasks, and which of them are alike (design.md 4.7)."""

from enum import StrEnum


class PlanState(StrEnum):
    DRAFT = "draft"
    PROPOSED = "proposed"
    APPROVED = "approved"
    RUNNING = "running"
    PAUSED = "paused"  # by a person
    HALTED = "halted"  # by the machine
    COMPLETED = "completed"
    COMPLETED_WITH_FAILURES = "completed_with_failures"
    REJECTED = "rejected"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    SUPERSEDED = "superseded"


class RingState(StrEnum):
    PENDING = "pending"  # an earlier ring has not passed
    WAITING_GATE = "waiting_gate"  # its turn, but a freeze or a missing approval holds it
    WAITING_WINDOW = "waiting_window"
    ROLLING = "rolling"
    SOAKING = "soaking"  # the evidence is there; it must stay healthy
    PASSED = "passed"
    FAILED = "failed"  # too few of its hosts succeeded
    INCONCLUSIVE = "inconclusive"  # too few were reached or verified to say
    SKIPPED = "skipped"


class TaskState(StrEnum):
    QUEUED = "queued"
    LEASED = "leased"  # handed out, not begun
    RUNNING = "running"
    INSTALLED = "installed"  # reported; no inventory shows it yet
    REBOOT_PENDING = "reboot_pending"
    VERIFIED = "verified"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    LOST = "lost"  # installed, and never verified
    DEFERRED = "deferred"  # its window closed before it began
    SKIPPED = "skipped"
    CANCELLED = "cancelled"
    ROLLED_BACK = "rolled_back"


class WentBack(StrEnum):
    """What inventories say of a host that was said to have gone back; its word proves nothing."""

    AWAITED = "awaited"  # none has come since
    CONFIRMED = "confirmed"  # one shows the old versions
    CONTRADICTED = "contradicted"  # one shows what was to be taken back
    UNDETERMINED = "undetermined"  # one shows neither


ACTIVE_PLANS = (PlanState.RUNNING, PlanState.PAUSED, PlanState.HALTED)
# Plans whose hosts can still be judged and taken back, though nothing new is handed out.
ENDED_PLANS = (
    PlanState.COMPLETED_WITH_FAILURES,
    PlanState.COMPLETED,
    PlanState.CANCELLED,
    PlanState.SUPERSEDED,
)
OPEN_PLANS = (PlanState.DRAFT, PlanState.PROPOSED, PlanState.APPROVED, *ACTIVE_PLANS)

WAITING_RINGS = (RingState.WAITING_GATE, RingState.WAITING_WINDOW)
STOPPED_RINGS = (RingState.FAILED, RingState.INCONCLUSIVE)
OVER_RINGS = (RingState.PASSED, RingState.SKIPPED)
# Rings whose tasks may be handed out. A passed ring still owes its last hosts their turn.
DISPATCHING_RINGS = (RingState.ROLLING, RingState.SOAKING, RingState.PASSED)

PROBED_RINGS = (RingState.ROLLING, RingState.SOAKING)  # whose health probes are asked

WAITING_TASKS = (TaskState.QUEUED, TaskState.DEFERRED)
NOT_BEGUN = (*WAITING_TASKS, TaskState.LEASED)
AT_WORK = (TaskState.LEASED, TaskState.RUNNING)  # what ``max_concurrent`` limits
UNVERIFIED = (TaskState.INSTALLED, TaskState.REBOOT_PENDING)
IN_FLIGHT = (*AT_WORK, *UNVERIFIED)
LIVE_TASKS = (*WAITING_TASKS, *IN_FLIGHT)  # all others are final, unless a late result comes
# Hosts that may be down, and count against their groups until they are verified or a person
# acknowledges them.
UNAVAILABLE = (*IN_FLIGHT, TaskState.FAILED, TaskState.TIMED_OUT, TaskState.LOST)
# Hosts that may have something new, which can be taken back.
CHANGED = (
    TaskState.FAILED,
    TaskState.TIMED_OUT,
    TaskState.LOST,
    *UNVERIFIED,
    TaskState.VERIFIED,
)
UNSUCCESSFUL = (TaskState.FAILED, TaskState.TIMED_OUT, TaskState.LOST, TaskState.ROLLED_BACK)
