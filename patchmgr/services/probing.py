"""Health probes of running plans: asked outside of any transaction, their results taken in one."""

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from patchmgr.db import models
from patchmgr.db.queries.rollouts import ring_of
from patchmgr.db.session import Database
from patchmgr.domain import probes
from patchmgr.domain.probes import Answer, Health, Probe, ProbeKind
from patchmgr.domain.rollout.events import ProbeAnswered
from patchmgr.domain.rollout.machine import advance_all
from patchmgr.domain.rollout.states import PROBED_RINGS, PlanState
from patchmgr.errors import PatchmgrError
from patchmgr.feeds.asking import ask
from patchmgr.services.rollout_load import Wanted, load
from patchmgr.services.rollout_store import store

_log = logging.getLogger(__name__)

AT_ONCE = 8  # probes asked at a time
_SECOND = timedelta(seconds=1)

Asker = Callable[[Probe], Answer]


@dataclass(frozen=True, slots=True)
class Probed:
    """What one round did."""

    asked: int
    failed: int
    inconclusive: int


@dataclass(frozen=True, slots=True)
class _Question:
    plan: int
    ring: str
    probe: Probe


def probe(db: Database, *, now: datetime, asker: Asker | None = None) -> Probed:
    """Ask every probe whose time has come, and let the plans' machines count the results.

    Two processes at once may both ask; the second result of an instant says nothing new. A plan
    that cannot take its results does not hold up the others; its tick says why.
    """
    with db.reading() as session:
        questions = _due(session, now)
    if not questions:
        return Probed(0, 0, 0)
    asking = asker or over_http
    with ThreadPoolExecutor(min(AT_ONCE, len(questions))) as pool:
        found = list(pool.map(lambda one: find_out(one.probe, asking), questions))
    for plan_id in sorted({one.plan for one in questions}):
        events = [
            ProbeAnswered(now, one.ring, one.probe.name, health, detail)
            for one, (health, detail) in zip(questions, found, strict=True)
            if one.plan == plan_id
        ]
        try:
            _take(db, plan_id, events, now)
        except Exception:  # noqa: BLE001 -- a fault in one plan must not stop all others
            _log.exception("plan %s cannot take what its probes found", plan_id)
    healths = [health for health, _ in found]
    silent = healths.count(Health.INCONCLUSIVE) + healths.count(Health.ERROR)
    return Probed(len(found), healths.count(Health.FAILED), silent)


def find_out(probe: Probe, asker: Asker) -> tuple[Health, str]:
    """Return what ``probe`` finds; no answer is an error."""
    try:
        return probes.judge(probe, asker(probe))
    except PatchmgrError as error:
        return Health.ERROR, str(error)


def over_http(probe: Probe) -> Answer:
    """Ask what ``probe`` names. Raises `FeedUnreachableError`."""
    is_query = probe.kind is ProbeKind.PROMETHEUS
    reply = ask(
        probes.address(probe),
        params={"query": probe.query} if is_query else None,
        timeout=probe.timeout / _SECOND,
    )
    return Answer(reply.status, reply.body)


def _due(session: Session, now: datetime) -> Sequence[_Question]:
    ring, plan = models.Ring, models.Plan
    rows = session.scalars(
        select(ring)
        .join(plan, plan.id == ring.plan_id)
        .where(plan.state == PlanState.RUNNING.value, ring.state.in_(PROBED_RINGS))
        .order_by(ring.plan_id, ring.position)
    )
    found = []
    for row in rows:
        if "probes" not in row.settings or row.started_at is None:
            continue
        stands = ring_of(row)
        found += [
            _Question(row.plan_id, row.name, one)
            for one in stands.settings.probes
            if probes.next_question(one, stands.probes.get(one.name), row.started_at) <= now
        ]
    return found


def _take(db: Database, plan_id: int, events: Sequence[ProbeAnswered], now: datetime) -> None:
    with db.writing() as session:
        loaded = load(session, plan_id, Wanted(), now)
        after, effects = advance_all(loaded.rollout, events)
        store(session, loaded, after, effects, now)
