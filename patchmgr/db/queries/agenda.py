"""Windows, freezes and the rings of approved work over a span of time."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from patchmgr.db import models
from patchmgr.db.queries import freezes
from patchmgr.db.queries.rollouts import ring_of
from patchmgr.db.queries.windows import WindowLine
from patchmgr.domain.agenda import Entry
from patchmgr.domain.rollout.model import Rollout
from patchmgr.domain.rollout.states import PlanState
from patchmgr.domain.timing import HORIZON, Stage, estimate
from patchmgr.domain.windows import Freeze, from_json, openings

MOST_PLANS = 100
AHEAD = (PlanState.APPROVED, PlanState.RUNNING, PlanState.PAUSED, PlanState.HALTED)

plan, ring, task = models.Plan, models.Ring, models.Task


@dataclass(frozen=True, slots=True)
class PlannedRing:
    """A ring of approved work, and when it is expected to run."""

    plan: int
    title: str
    state: str  # of the plan
    created_at: datetime
    changed_at: datetime
    revision: int
    stage: Stage

    @property
    def words(self) -> str:
        one = self.stage
        hosts = f"{one.hosts:,} host{'' if one.hosts == 1 else 's'}"
        return f"plan {self.plan}, {self.state}; ring {one.name}, {hosts}"


def entries(
    session: Session, lines: Iterable[WindowLine], after: datetime, before: datetime, now: datetime
) -> list[Entry]:
    """Return what lies in a span, of ``lines`` the openings. Four queries."""
    held = freezes.freezes_between(session, min(after, now), max(before, now + HORIZON))
    found = [
        Entry("window", line.window.name, start, end, _whose(line.hosts))
        for line in lines
        for start, end in openings(line.window, after, before)
    ]
    found += [
        Entry("freeze", one.name, one.starts, one.ends, one.reason)
        for one in held
        if one.starts < before and one.ends > after
    ]
    for one in rings_ahead(session, now=now, held=held):
        starts, ends = one.stage.starts, one.stage.ends
        if starts is None or ends is None or starts >= before or ends <= after:
            continue
        name = f"{one.title}: {one.stage.name}"
        found.append(Entry("ring", name, starts, ends, one.words, one.plan, not one.stage.is_real))
    return sorted(found, key=lambda one: (one.starts, one.name))


def rings_ahead(
    session: Session, *, now: datetime, held: list[Freeze] | None = None
) -> list[PlannedRing]:
    """Return the rings of approved work by plan, the newest `MOST_PLANS`. Four queries.

    ``held`` are the freezes from ``now`` until `HORIZON`, where the caller has them.
    """
    states = [state.value for state in AHEAD]
    rows = session.scalars(
        select(plan).where(plan.state.in_(states)).order_by(plan.id.desc()).limit(MOST_PLANS)
    ).all()
    numbers = [row.id for row in rows]
    rings = defaultdict(list)
    for one in session.scalars(
        select(ring).where(ring.plan_id.in_(numbers)).order_by(ring.plan_id, ring.position)
    ):
        rings[one.plan_id].append(one)
    placement = defaultdict(list)
    for number, position, window, hosts in session.execute(
        select(task.plan_id, ring.position, task.window, func.count(task.id))
        .join(ring, ring.id == task.ring_id)
        .where(task.plan_id.in_(numbers))
        .group_by(task.plan_id, ring.position, task.window)
        .order_by(task.plan_id, ring.position, task.window)
    ):
        placement[number].append((position, window, hosts))
    if held is None:
        held = freezes.freezes_between(session, now, now + HORIZON)
    found: list[PlannedRing] = []
    for row in reversed(rows):
        about = (row.id, row.title, row.state, row.created_at, row.changed_at, row.revision)
        stages = _stages(row, rings[row.id], placement[row.id], held, now)
        found += [PlannedRing(*about, stage) for stage in stages]
    return found


def _stages(
    row: models.Plan,
    rings: Iterable[models.Ring],
    placement: list[tuple[int, str | None, int]],
    held: list[Freeze],
    now: datetime,
) -> tuple[Stage, ...]:
    rollout = Rollout(
        tuple(ring_of(one) for one in rings),
        {},
        frozenset(row.authors),
        row.content_hash,
        state=PlanState(row.state),
        due=row.due,
    )
    kept = {name: from_json(one) for name, one in row.windows.items()}
    return estimate(rollout, placement, kept, held, now)


def _whose(hosts: int) -> str:
    if not hosts:
        return "no host has it"
    return f"for {hosts:,} host{'' if hosts == 1 else 's'}"
