"""What a ring must prove before the next one starts, with the values that it has.

All in whole numbers: 2 of 3 is not 67 percent.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from patchmgr.domain.durations import words
from patchmgr.domain.probes import Health
from patchmgr.domain.rings import RingSettings
from patchmgr.domain.rollout.model import Ring, Rollout, Tally
from patchmgr.domain.rollout.states import OVER_RINGS, RingState


@dataclass(frozen=True, slots=True)
class Condition:
    """A line of the gate's checklist, for people: "succeeded", "40 of 41", "95 %", yes or no."""

    name: str
    have: str
    need: str
    holds: bool


def needed_attempts(tally: Tally, settings: RingSettings) -> int:
    """Return how many hosts must have an outcome: the larger of the least number and the share."""
    return max(
        min(settings.min_attempted, tally.hosts), -(-tally.hosts * settings.attempted_pct // 100)
    )


def enough_attempted(tally: Tally, settings: RingSettings) -> bool:
    return tally.attempted >= needed_attempts(tally, settings)


def enough_succeeded(tally: Tally, settings: RingSettings) -> bool:
    # What a person let pass counts for nothing.
    judged = tally.attempted - tally.accepted - tally.lost_accepted
    return tally.succeeded * 100 >= settings.success_pct * judged


def few_failures(tally: Tally, settings: RingSettings) -> bool:
    return tally.failures - tally.accepted <= settings.max_failures


def few_unverified(tally: Tally, settings: RingSettings) -> bool:
    return tally.unverified * 100 <= settings.unverified_pct * tally.attempted


def proven(tally: Tally, settings: RingSettings) -> bool:
    """Return whether the soak may begin: enough tried, enough succeeded, few failed."""
    return (
        enough_attempted(tally, settings)
        and enough_succeeded(tally, settings)
        and few_failures(tally, settings)
    )


def is_approved(rollout: Rollout, position: int) -> bool:
    """Return whether the ring has its own approvals under the present content, or needs none."""
    settings = rollout.rings[position].settings
    return not settings.needs_approval or ring_approvals(rollout, position) >= settings.approvals


def ring_approvals(rollout: Rollout, position: int) -> int:
    """Return how many approvals of its own the ring has under the present content."""
    name = rollout.rings[position].name
    return sum(
        approval.ring == name and approval.content_hash == rollout.content_hash
        for approval in rollout.approvals
    )


def gate(rollout: Rollout, position: int, at: datetime, frozen: str = "") -> tuple[Condition, ...]:
    """Return every condition for leaving the ring at ``position`` and entering the one after it.

    ``frozen`` is why nothing may change now, empty when it may. A gate is open when all hold.
    """
    ring = rollout.rings[position]
    tally, settings = ring.tally, ring.settings
    accepted = f", {tally.accepted} of them accepted" if tally.accepted else ""
    let_pass = tally.accepted + tally.lost_accepted
    uncounted = f", {let_pass} accepted and not counted" if let_pass else ""
    conditions = [
        Condition(
            "attempted",
            f"{tally.attempted} of {tally.hosts}",
            f"{needed_attempts(tally, settings)} ({settings.attempted_pct} %)",
            enough_attempted(tally, settings),
        ),
        Condition(
            "succeeded",
            f"{tally.succeeded} of {tally.attempted}{uncounted}",
            f"{settings.success_pct} %",
            enough_succeeded(tally, settings),
        ),
        Condition(
            "failures",
            f"{tally.failures}{accepted}",
            f"at most {settings.max_failures}",
            few_failures(tally, settings),
        ),
        Condition(
            "unverified",
            f"{tally.unverified} of {tally.attempted}",
            f"at most {settings.unverified_pct} %",
            few_unverified(tally, settings),
        ),
        _soak(rollout, position, at),
        *_probes(ring),
        Condition("halt signals", str(len(rollout.signals)) + " open", "none", not rollout.signals),
        Condition("freeze", frozen or "none", "none", not frozen),
    ]
    following = next_ring(rollout, position)
    if following is not None and rollout.rings[following].settings.needs_approval:
        given = is_approved(rollout, following)
        name = rollout.rings[following].name
        conditions.append(
            Condition("approval", "given" if given else "missing", f"of ring {name}", given)
        )
    return tuple(conditions)


def next_ring(rollout: Rollout, position: int) -> int | None:
    """Return the position of the next ring that has hosts; None after the last."""
    return next(
        (
            later
            for later in range(position + 1, len(rollout.rings))
            if rollout.rings[later].state is not RingState.SKIPPED
        ),
        None,
    )


def _probes(ring: Ring) -> tuple[Condition, ...]:
    if not ring.settings.probes:
        return ()
    names = [probe.name for probe in ring.settings.probes]
    said = {name: ring.probes[name].health if name in ring.probes else None for name in names}
    bad = [f"{name} {health or 'has not answered'}" for name, health in said.items()
           if health is not Health.PASSED]  # fmt: skip
    have = "; ".join(bad) or f"{len(names)} pass"
    return (Condition("probes", have, "all pass", not bad),)


def _soak(rollout: Rollout, position: int, at: datetime) -> Condition:
    ring = rollout.rings[position]
    if ring.soak_until is None or ring.since is None:
        is_none = ring.settings.soak == timedelta(0)
        have = "none" if is_none else "not begun"
        over = is_none or ring.state in OVER_RINGS
        return Condition("soak", have, words(ring.settings.soak), over)
    if ring.state is not RingState.SOAKING:
        return Condition("soak", "over", words(ring.settings.soak), holds=True)
    length = ring.soak_until - ring.since
    return Condition(
        "soak", words(min(at - ring.since, length)), words(length), at >= ring.soak_until
    )


def soak_length(rollout: Rollout, position: int, at: datetime) -> timedelta:
    """Return how long the ring soaks from ``at``: its soak, shortened so that the due date holds.

    Where the rings' soaks together are too long for the time that is left, all are shortened in
    proportion, none below its own minimum. Where even the minimum is too long, or the due date is
    past, nothing is shortened: it would cost safety and save nothing.
    """
    ring = rollout.rings[position].settings
    later = [one.settings for one in rollout.rings[position + 1 :] if one.state not in OVER_RINGS]
    if rollout.due is None or ring.soak == timedelta(0):
        return ring.soak
    work = sum((one.needed_time for one in later), timedelta(0))
    soaks = ring.soak + sum((one.soak for one in later), timedelta(0))
    least = ring.min_soak + sum((one.min_soak for one in later), timedelta(0))
    left = rollout.due - at - work
    if left >= soaks or left < least:
        return ring.soak
    second = timedelta(seconds=1)
    share = (left // second) * (ring.soak // second) // (soaks // second)
    return max(ring.min_soak, timedelta(seconds=share))
