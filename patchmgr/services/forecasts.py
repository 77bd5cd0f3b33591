"""What a stored plan will do: the forecast of its rings, and what it brings."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from patchmgr.db import models
from patchmgr.db.queries.freezes import freezes_between
from patchmgr.db.queries.windows import known_windows
from patchmgr.domain.content import window_from_json
from patchmgr.domain.rollout import rolling_back
from patchmgr.domain.rollout.model import Rollout
from patchmgr.domain.rollout.states import OPEN_PLANS, TaskState
from patchmgr.domain.simulation import forecast as simulated
from patchmgr.domain.simulation.forecast import WhatIf
from patchmgr.domain.simulation.outlook import Compliance, PlanForecast
from patchmgr.domain.simulation.player import Played
from patchmgr.domain.windows import Freeze, Window
from patchmgr.errors import IllegalTransitionError
from patchmgr.services.rollout_load import Wanted, load

FREEZES_AHEAD = timedelta(days=732)  # for those that recur; no plan takes so long
_OVER = (TaskState.VERIFIED, TaskState.SKIPPED)


@dataclass(frozen=True, slots=True)
class _Stage:
    rollout: Rollout
    windows: dict[str, Window]
    freezes: Sequence[Freeze]
    names: dict[int, str]


def forecast(
    session: Session, plan_id: int, *, now: datetime, what_if: WhatIf | None = None
) -> PlanForecast:
    """Return the forecast of an open plan from its present state, changed by ``what_if``.

    Saves nothing. Raises `NotFoundError`, `IllegalTransitionError` for a plan that is over,
    `InputError` for a window that does not exist.
    """
    return _made(session, plan_id, _stage(session, plan_id, now), now, what_if or WhatIf())


def compared(
    session: Session, plan_id: int, *, now: datetime, what_if: WhatIf
) -> tuple[PlanForecast, PlanForecast]:
    """Return the forecast as it is and as ``what_if`` has it, of one instant. As `forecast`."""
    stage = _stage(session, plan_id, now)
    changed = _made(session, plan_id, stage, now, what_if)
    return _made(session, plan_id, stage, now, WhatIf()), changed


def _made(
    session: Session, plan_id: int, stage: _Stage, now: datetime, what_if: WhatIf
) -> PlanForecast:
    rollout = simulated.changed(stage.rollout, stage.windows, what_if)
    begins = now
    if what_if.start is not None and rollout.state in OPEN_PLANS[:3]:
        begins = max(now, what_if.start)
    played = _played(rollout, stage, plan_id, begins)
    made = simulated.forecast(
        rollout,
        played,
        now=begins,
        windows=stage.windows,
        freezes=stage.freezes,
        names=stage.names,
    )
    return PlanForecast(made, rollout.due, *_compliance(session, plan_id, rollout))


def played(session: Session, plan_id: int, *, now: datetime, seed: int = 0) -> Played:
    """Return the simulation of an open plan from its present state, if every host succeeds."""
    stage = _stage(session, plan_id, now)
    return _played(stage.rollout, stage, plan_id, now, seed)


def _played(rollout: Rollout, stage: _Stage, plan_id: int, now: datetime, seed: int = 0) -> Played:
    return simulated.expecting_success(
        rollout,
        now=now,
        windows=stage.windows,
        freezes=stage.freezes,
        names=stage.names,
        plan=str(plan_id),
        seed=seed,
    )


def _stage(session: Session, plan_id: int, now: datetime) -> _Stage:
    loaded = load(session, plan_id, Wanted(everything=True), now, lock=False)
    if loaded.rollout.state not in OPEN_PLANS:
        raise IllegalTransitionError(loaded.rollout.state, "a forecast")
    host, task = models.Host, models.Task
    names = session.execute(
        select(host.id, host.hostname)
        .join(task, task.host_id == host.id)
        .where(task.plan_id == plan_id)
    )
    approved = {name: window_from_json(one) for name, one in loaded.plan.windows.items()}
    return _Stage(
        rolling_back.set_aside(loaded.rollout),
        {**known_windows(session), **approved},
        freezes_between(session, now, now + FREEZES_AHEAD),
        {int(number): str(name) for number, name in names},
    )


def _compliance(
    session: Session, plan_id: int, rollout: Rollout
) -> tuple[int, int, tuple[Compliance, ...]]:
    """Return the plan's hosts and findings, and what is left of them now and after each ring."""
    task, ring, item, change = models.Task, models.Ring, models.PlanItem, models.PlanChange
    worth = {
        number: len(advisories)
        for number, advisories in session.execute(
            select(change.id, change.advisories).where(change.plan_id == plan_id)
        )
    }
    findings: dict[int, list[int]] = {at: [0, 0] for at in range(len(rollout.rings))}
    for position, state, number, count in session.execute(
        select(ring.position, task.state, item.change_id, func.count())
        .select_from(item)
        .join(task, (task.plan_id == item.plan_id) & (task.host_id == item.host_id))
        .join(ring, ring.id == task.ring_id)
        .where(item.plan_id == plan_id)
        .group_by(ring.position, task.state, item.change_id)
    ):
        findings[position][state in _OVER] += count * worth[number]
    hosts = {at: [0, 0] for at in findings}
    for one in rollout.tasks.values():
        hosts[one.ring][one.state in _OVER] += 1
    all_hosts = sum(map(sum, hosts.values()))
    all_findings = sum(map(sum, findings.values()))
    open_hosts = sum(left for left, _ in hosts.values())
    open_findings = sum(left for left, _ in findings.values())
    lines = [_line("", open_hosts, open_findings, all_hosts, all_findings)]
    for position, one_ring in enumerate(rollout.rings):
        open_hosts -= hosts[position][0]
        open_findings -= findings[position][0]
        lines.append(_line(one_ring.name, open_hosts, open_findings, all_hosts, all_findings))
    return all_hosts, all_findings, tuple(lines)


def _line(after: str, hosts: int, findings: int, all_hosts: int, all_findings: int) -> Compliance:
    return Compliance(
        after,
        hosts,
        findings,
        (all_hosts - hosts) * 100 // all_hosts if all_hosts else 100,
        (all_findings - findings) * 100 // all_findings if all_findings else 100,
    )
