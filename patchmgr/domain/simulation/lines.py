"""The event log of a simulation: a line for everything that happens."""

import json
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NamedTuple

from patchmgr.domain.rollout.events import Record
from patchmgr.domain.rollout.states import TaskState

# What the machine writes into a plan's timeline -> what the log calls it.
KINDS = {
    "dispatched": "dispatched",
    "recalled": "recalled",
    "task_running": "started",
    "task_installed": "succeeded",
    "task_failed": "failed",
    "task_timed_out": "timed_out",
    "task_lost": "lost",
    "task_deferred": "deferred",
    "task_queued": "not_begun",
    "task_verified": "verified",
    "task_skipped": "skipped",
    "task_rolled_back": "rolled_back",
    "ring_rolling": "ring_started",
}
# Ends without a try, which the timeline does not say of every host.
UNTRIED = {TaskState.CANCELLED: "host_cancelled", TaskState.SKIPPED: "skipped"}
UNTRIED_SAID = ("task_skipped",)  # nor of none
WORLD_KINDS = ("rebooted", "refused", "ended")  # of the virtual world, not of the machine
AS_THEY_ARE = (
    "proposed", "approval", "approved", "paused", "halted", "cancelled", "superseded", "expired",
    "completed", "completed_with_failures", "signal", "acknowledged", "host_acknowledged",
    "retried", "roll_back", "group_waits", "ring_waiting_gate", "ring_waiting_window",
    "ring_soaking", "ring_passed", "ring_failed", "ring_inconclusive", "ring_skipped",
    "probe_passed", "probe_failed", "probe_inconclusive", "probe_error",
)  # fmt: skip
_TO_AND_FRO = ("dispatched", "recalled")  # of a host: nothing has happened to it
_RING_GETS_ON = ("ring_started", "ring_rolling", "ring_soaking", "ring_passed", "ring_skipped")
REBOOTING = "reboot_pending"
STARTED, RESUMED = "plan_started", "resumed"


class Line(NamedTuple):
    """One event."""

    time: datetime
    plan: str
    ring: str
    host: str
    group: str
    kind: str
    reason: str

    def to_json(self) -> dict[str, Any]:
        return {
            "time": _text(self.time),
            "plan": self.plan,
            "ring": self.ring,
            "host": self.host,
            "group": self.group,
            "kind": self.kind,
            "reason": self.reason,
        }

    def text(self) -> str:
        """Return the line as the event log has it, with its end."""
        return f"{_encode(self.to_json())}\n"


_encode = json.JSONEncoder(ensure_ascii=False).encode


@lru_cache(maxsize=4)  # a thousand hosts begin at one instant
def _text(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def gets_on(line: Line) -> bool:
    """Return whether a host or a ring has got any further by what ``line`` says."""
    return line.kind not in _TO_AND_FRO if line.host else line.kind in _RING_GETS_ON


def kinds_of(record: Record, *, has_started: bool, has_ring_started: bool) -> tuple[str, ...]:
    """Return what the log says for a line of the timeline."""
    match record.kind:
        case "running":
            return (RESUMED if has_started else STARTED,)
        case "task_reboot_pending":
            return ("succeeded", REBOOTING)
        case "ring_rolling" if has_ring_started:
            return ("ring_rolling",)
    return (KINDS.get(record.kind, record.kind),)


ALL_KINDS = (*KINDS.values(), "host_cancelled", *AS_THEY_ARE, *WORLD_KINDS, REBOOTING, STARTED,
             RESUMED, "ring_rolling")  # fmt: skip
