"""Leases: when a holder of an order may begin, and what is refused.

The rollout's machine decides what becomes of a task; this says, after it has looked at the time,
whether the order that somebody holds is still the one that stands.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from patchmgr.domain.advisories import Match
from patchmgr.domain.rollout.model import Rollout, Task
from patchmgr.domain.rollout.signals import CONTENT
from patchmgr.domain.rollout.states import PlanState, TaskState

HOLD = timedelta(minutes=10)  # an order that was not begun is its holder's for so long
MOST_AT_ONCE = 100  # orders of one answer to a runner


@dataclass(frozen=True, slots=True)
class WorkItem:
    """A package that must change on the host."""

    package: str
    arch: str
    from_version: str
    to_version: str
    match: str  # whether ``to_version`` is the source's or the package's own
    source: str
    manager: str

    def way_back(self) -> "WorkItem":
        """Return what takes it back: to exactly the package's own version that was there."""
        return replace(
            self,
            from_version=self.to_version,
            to_version=self.from_version,
            match=Match.BINARY.value,
        )


@dataclass(frozen=True, slots=True)
class Given:
    """An order that was given out, as far as a decision needs it."""

    attempt: int
    content_hash: str
    work_hash: str
    expires_at: datetime
    run: str = ""  # the process that began; empty: none has


@dataclass(frozen=True, slots=True)
class Claim:
    """What a holder says its order is. ``run`` is one process's own, kept before it begins."""

    attempt: int
    content_hash: str
    run: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why not: ``code`` for programs, ``why`` for people."""

    code: str
    why: str


CHANGED = Refusal("content-changed", "what is stored is not what was approved")


def holder_of_host(host_id: int) -> str:
    return f"host:{host_id}"


def work_hash(work: Sequence[WorkItem]) -> str:
    """Return the SHA-256 of what an order says, whatever its order of lines."""
    lines = sorted(
        [one.manager, one.package, one.arch, one.from_version, one.to_version, one.match,
         one.source]
        for one in work
    )  # fmt: skip
    return digest({"work": lines})


def digest(document: Mapping[str, Any]) -> str:
    """Return the SHA-256 of canonical JSON, hex."""
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def held_until(now: datetime, begin_by: datetime) -> datetime:
    return min(now + HOLD, begin_by)


def false_claim(given: Given, claim: Claim) -> Refusal | None:
    """Return what is not true of a claim; None when all is."""
    if claim.attempt != given.attempt:
        return Refusal("false-claim", f"the lease is of attempt {given.attempt}")
    if claim.content_hash != given.content_hash:
        return Refusal("false-claim", "the lease is of other content")
    return None


def other_run(given: Given, claim: Claim) -> Refusal | None:
    """Return that another process of the same holder began, if one has."""
    if given.run and claim.run != given.run:
        return Refusal("begun-elsewhere", "another run of the same holder began it")
    return None


def cannot_begin(
    rollout: Rollout, task: Task, given: Given, now_work: str, now: datetime
) -> Refusal | None:
    """Return why an order may not be begun now; None when it may.

    ``rollout`` is as a tick of this moment left it, ``now_work`` the hash of what is stored.
    """
    if task.attempt != given.attempt:
        return Refusal("recalled", f"attempt {given.attempt} was taken back")
    if task.state is TaskState.DEFERRED:
        frozen = task.reason.startswith("frozen")
        return Refusal("frozen" if frozen else "window-closed", task.reason)
    if any(signal.kind == CONTENT for signal in rollout.signals):
        return CHANGED
    if rollout.state in _HELD:
        return Refusal(rollout.state.value, rollout.reason or f"the plan is {rollout.state}")
    if task.state is TaskState.QUEUED:
        return Refusal("recalled", task.reason or f"attempt {given.attempt} was taken back")
    if task.state is not TaskState.LEASED:
        return Refusal("over", f"the host's part is {task.state}")
    if rollout.content_hash != given.content_hash or now_work != given.work_hash:
        return CHANGED
    if now >= given.expires_at:
        return Refusal("lease-expired", "the lease expired; ask for another one")
    return None


def cannot_go_back(
    rollout: Rollout, task: Task, given: Given, now_work: str, now: datetime
) -> Refusal | None:
    """Return why an order to go back may not be begun now; None when it may."""
    undo = task.undo
    if any(signal.kind == CONTENT for signal in rollout.signals):
        return CHANGED
    if undo is None or undo.attempt != given.attempt:
        return Refusal("recalled", f"attempt {given.attempt} was taken back")
    if not undo.is_in_hand:
        is_over = undo.until is None
        return Refusal(
            "over" if is_over else "recalled",
            undo.over or f"the host's part is {task.state}" if is_over else "it waits for its turn",
        )
    if rollout.content_hash != given.content_hash or now_work != given.work_hash:
        return CHANGED
    if now >= given.expires_at:
        return Refusal("lease-expired", "the lease expired; ask for another one")
    return None


_HELD = (PlanState.PAUSED, PlanState.HALTED)
