"""Health probes: failures in a row halt the plan, questions without an answer pause it."""

from dataclasses import replace
from datetime import datetime

from patchmgr.domain.durations import words
from patchmgr.domain.probes import Health, Probe, Standing
from patchmgr.domain.rollout import signals
from patchmgr.domain.rollout.events import MACHINE, ProbeAnswered
from patchmgr.domain.rollout.model import Ring, Signal
from patchmgr.domain.rollout.states import PROBED_RINGS, PlanState
from patchmgr.domain.rollout.work import Work
from patchmgr.errors import NotFoundError


def answered(work: Work, event: ProbeAnswered) -> None:
    """Count what a probe has found; one that comes late, or twice, says nothing new."""
    position = next((i for i, one in enumerate(work.rings) if one.name == event.ring), None)
    if position is None:
        raise NotFoundError("ring", event.ring)
    ring = work.rings[position]
    probe = next((one for one in ring.settings.probes if one.name == event.probe), None)
    if probe is None:
        raise NotFoundError(f"probe of ring {event.ring}", event.probe)
    known = ring.probes.get(probe.name)
    is_asked = work.plan.state is PlanState.RUNNING and ring.state in PROBED_RINGS
    if not is_asked or (known is not None and event.at <= known.at):
        return
    standing = _counted(known or Standing(event.at), event)
    work.set_ring(position, replace(ring, probes={**ring.probes, probe.name: standing}))
    if known is None or known.health is not event.health:
        message = f"{probe.name}: {event.detail}" if event.detail else probe.name
        work.record(event.at, f"probe_{event.health.value}", message, ring=ring.name)
    if standing.failures >= probe.failure_limit:
        subject = f"{ring.name}/{probe.name}"
        level = signals.next_level(work, "probe", subject)
        why = f"probe {probe.name} of ring {ring.name} failed {standing.failures} times"
        why += f" in a row, its limit is {probe.failure_limit}"
        if event.detail:
            why += f": {event.detail}"
        signals.raise_signal(work, Signal("probe", subject, level, why, event.at))
    elif standing.inconclusive >= probe.inconclusive_limit:
        limit = probe.inconclusive_limit
        why = (
            f"was inconclusive {standing.inconclusive} times, its limit is {limit}: {event.detail}"
        )
        _ask(work, ring, probe, event.at, why)
    elif standing.errors >= probe.error_limit:
        limit = probe.error_limit
        why = f"has not answered {standing.errors} times, its limit is {limit}: {event.detail}"
        _ask(work, ring, probe, event.at, why)


def miss_answers(work: Work, at: datetime) -> None:
    """Ask a person when a probe that should have been asked has given no result at all."""
    for ring in work.rings:
        if ring.state not in PROBED_RINGS or ring.started is None:
            continue
        for probe in ring.settings.probes:
            known = ring.probes.get(probe.name)
            first = ring.started + probe.initial_delay
            since = max(known.at, first) if known else first
            if work.plan.state is PlanState.RUNNING and at >= since + probe.patience:
                _ask(work, ring, probe, at, f"gave no result within {words(probe.patience)}")


def all_pass(ring: Ring) -> bool:
    """Return whether every probe of ``ring`` passed when it was asked last."""
    return all(
        probe.name in ring.probes and ring.probes[probe.name].health is Health.PASSED
        for probe in ring.settings.probes
    )


def _counted(known: Standing, event: ProbeAnswered) -> Standing:
    return Standing(
        event.at,
        event.health,
        known.failures + 1 if event.health is Health.FAILED else 0,
        _further(known.inconclusive, event.health, Health.INCONCLUSIVE),
        _further(known.errors, event.health, Health.ERROR),
        event.detail,
    )


def _further(count: int, health: Health, counted: Health) -> int:
    """Return a count of what says nothing: only what says something begins it anew."""
    if health in (Health.PASSED, Health.FAILED):
        return 0
    return count + (health is counted)


def _ask(work: Work, ring: Ring, probe: Probe, at: datetime, why: str) -> None:
    said = f"probe {probe.name} of ring {ring.name} {why}"
    work.move(PlanState.PAUSED, at, MACHINE, said)
    signals.recall(work, at, f"paused: {said}")
    work.notify("paused", said)
