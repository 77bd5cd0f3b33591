"""What a stored plan will do: the forecast of its rings, and what it brings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from patchmgr.db import models
from patchmgr.db.queries import forecasts as queries
from patchmgr.db.queries.forecasts import KeptForecast
from patchmgr.db.queries.freezes import KnownFreezes, known
from patchmgr.db.queries.plans import PlanDetail
from patchmgr.db.queries.windows import known_windows
from patchmgr.domain.content import window_from_json
from patchmgr.domain.rollout.model import Rollout
from patchmgr.domain.rollout.states import OPEN_PLANS, TaskState
from patchmgr.domain.simulation import forecast as simulated
from patchmgr.domain.simulation.forecast import Forecast, WhatIf
from patchmgr.domain.simulation.outlook import Compliance, PlanForecast
from patchmgr.domain.simulation.player import Played
from patchmgr.domain.windows import Freeze, Window
from patchmgr.services.forecast_load import open_plan, with_hosts, without_hosts

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
    stage = _stage(session, plan_id, now)
    made = _made(stage, plan_id, now, what_if or WhatIf())
    hosts, findings, compliance = _compliance(session, plan_id, stage.rollout)
    beside = queries.beside(session, plan_id)
    return PlanForecast(made, stage.rollout.due, hosts, findings, compliance, beside)


def latest(session: Session, plan_id: int, *, now: datetime) -> tuple[PlanForecast, datetime]:
    """Return the forecast of an open plan and when it was made: the kept one while it holds.

    Else it is made. Three queries where it is kept. Raises as `forecast`.
    """
    open_plan(session, plan_id)
    kept = queries.of_plan(session, plan_id)
    if kept is None or not kept.is_current:
        return forecast(session, plan_id, now=now), now
    return replace(kept.made, beside=queries.beside(session, plan_id)), kept.made_at


def compared(
    session: Session,
    plan: PlanDetail,
    windows: Mapping[str, Window],
    *,
    now: datetime,
    what_if: WhatIf,
    kept: KeptForecast | None = None,
) -> tuple[Forecast, Forecast]:
    """Return the forecast as it is and as ``what_if`` has it, of one instant. As `forecast`.

    ``windows`` are all that there are. Where the forecast that is ``kept`` still holds it is the
    one side, and the other is of its instant. One query.
    """
    holds = kept if kept is not None and kept.is_current else None
    now = holds.made_at if holds else now
    stage = _staged(
        session, plan.id, plan.rollout, plan.windows, windows, now, plan.groups, plan.freezes
    )
    changed = _made(stage, plan.id, now, what_if)
    return holds.made.forecast if holds else _made(stage, plan.id, now, WhatIf()), changed


def _made(stage: _Stage, plan_id: int, now: datetime, what_if: WhatIf) -> Forecast:
    rollout = simulated.changed(stage.rollout, stage.windows, what_if)
    begins = now
    if what_if.start is not None and rollout.state in OPEN_PLANS[:3]:
        begins = max(now, what_if.start)
    return simulated.forecast(
        rollout,
        _played(rollout, stage, plan_id, begins, told=simulated.TOLD),
        now=begins,
        windows=stage.windows,
        freezes=stage.freezes,
        names=stage.names,
    )


def played(session: Session, plan_id: int, *, now: datetime, seed: int = 0) -> Played:
    """Return the simulation of an open plan from its present state, if every host succeeds."""
    stage = _stage(session, plan_id, now)
    return _played(stage.rollout, stage, plan_id, now, seed)


def _played(
    rollout: Rollout,
    stage: _Stage,
    plan_id: int,
    now: datetime,
    seed: int = 0,
    told: frozenset[str] | None = None,
) -> Played:
    return simulated.expecting_success(
        rollout,
        now=now,
        windows=stage.windows,
        freezes=stage.freezes,
        names=stage.names,
        plan=str(plan_id),
        seed=seed,
        told=told,
    )


def _stage(session: Session, plan_id: int, now: datetime) -> _Stage:
    plan = open_plan(session, plan_id)
    rollout, windows = without_hosts(session, plan), known_windows(session)
    freezes = known(session, now)
    return _staged(session, plan_id, rollout, plan.windows, windows, now, plan.groups, freezes)


def _staged(
    session: Session,
    plan_id: int,
    rollout: Rollout,
    approved: Mapping[str, Mapping[str, Any]],
    windows: Mapping[str, Window],
    now: datetime,
    groups: Sequence[Mapping[str, Any]],
    freezes: KnownFreezes,
) -> _Stage:
    whole, names = with_hosts(session, plan_id, rollout, is_grouped=bool(groups))
    return _Stage(
        whole,
        {**windows, **{name: window_from_json(one) for name, one in approved.items()}},
        freezes.between(now, now + FREEZES_AHEAD),
        names,
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
    hosts = {}
    for position, one in enumerate(rollout.rings):
        done = one.tally.of(*_OVER)
        hosts[position] = sum(one.tally.states.values()) - done, done
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
