"""Windows, freezes and the rings of approved work over a span of time."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from patchmgr.db import models
from patchmgr.db.queries import forecasts, freezes
from patchmgr.db.queries.windows import WindowLine
from patchmgr.domain.agenda import Entry
from patchmgr.domain.rollout.states import PlanState
from patchmgr.domain.simulation.forecast import RingForecast
from patchmgr.domain.windows import openings

MOST_PLANS = 100
AHEAD = (PlanState.APPROVED, PlanState.RUNNING, PlanState.PAUSED, PlanState.HALTED)

plan = models.Plan


@dataclass(frozen=True, slots=True)
class PlannedRing:
    """A ring of approved work, and when it is expected to run."""

    plan: int
    title: str
    state: str  # of the plan
    created_at: datetime
    changed_at: datetime  # of the plan, or of its forecast
    revision: int
    position: int
    ring: RingForecast
    made_at: datetime  # the forecast

    @property
    def words(self) -> str:
        hosts = f"{self.ring.hosts:,} host{'' if self.ring.hosts == 1 else 's'}"
        return f"plan {self.plan}, {self.state}; ring {self.ring.name}, {hosts}"

    @property
    def is_real(self) -> bool:
        """Whether it has begun, so that its start is what happened."""
        return self.ring.starts is not None and self.ring.starts < self.made_at


@dataclass(frozen=True, slots=True)
class Ahead:
    """The rings of approved work, and the plans of which nobody has worked that out yet."""

    rings: tuple[PlannedRing, ...]
    unknown: tuple[tuple[int, str], ...]  # plan, title


@dataclass(frozen=True, slots=True)
class Agenda:
    """What lies in a span, and the plans whose rings may lie in it too: not forecast yet."""

    entries: list[Entry]
    unknown: tuple[tuple[int, str], ...]


def agenda(
    session: Session, lines: Iterable[WindowLine], after: datetime, before: datetime
) -> Agenda:
    """Return what lies in a span, of ``lines`` the openings. Three queries."""
    found = [
        Entry("window", line.window.name, start, end, _whose(line.hosts))
        for line in lines
        for start, end in openings(line.window, after, before)
    ]
    found += [
        Entry("freeze", one.name, one.starts, one.ends, one.reason)
        for one in freezes.freezes_between(session, after, before)
        if one.starts < before and one.ends > after
    ]
    ahead = rings_ahead(session)
    for one in ahead.rings:
        starts, ends = one.ring.starts, one.ring.ends
        if starts is None or ends is None or starts >= before or ends <= after:
            continue
        name = f"{one.title}: {one.ring.name}"
        found.append(Entry("ring", name, starts, ends, one.words, one.plan, not one.is_real))
    return Agenda(sorted(found, key=lambda one: (one.starts, one.name)), ahead.unknown)


def rings_ahead(session: Session) -> Ahead:
    """Return the rings of approved work by plan, the newest `MOST_PLANS`. Two queries."""
    states = [state.value for state in AHEAD]
    rows = session.scalars(
        select(plan).where(plan.state.in_(states)).order_by(plan.id.desc()).limit(MOST_PLANS)
    ).all()
    kept = forecasts.of_plans(session, [row.id for row in rows])
    found, unknown = [], []
    for row in reversed(rows):
        one = kept.get(row.id)
        if one is None:
            unknown.append((row.id, row.title))
            continue
        changed = max(row.changed_at, one.made_at)
        about = (row.id, row.title, row.state, row.created_at, changed, row.revision)
        found += [
            PlannedRing(*about, position, ring, one.made_at)
            for position, ring in enumerate(one.made.forecast.rings)
        ]
    return Ahead(tuple(found), tuple(unknown))


def _whose(hosts: int) -> str:
    if not hosts:
        return "no host has it"
    return f"for {hosts:,} host{'' if hosts == 1 else 's'}"
