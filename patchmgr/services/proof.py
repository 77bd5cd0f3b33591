"""Whether what is stored of a plan is still what was approved, looked at while it runs.

The whole content is hashed before a plan starts, before each ring, before work is exported, and
now and then in between: the larger the plan, the more seldom. What a matching hash vouches for is
kept in the process: what each host gets, where it stands, and the settings around it. A host that
begins is held against that each time, so no change of its own work can slip between two looks.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from weakref import WeakKeyDictionary

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from patchmgr.db import models
from patchmgr.domain import terms as plan_terms
from patchmgr.domain.content import Content, Place, change_json, window_from_json
from patchmgr.domain.groups import from_json as group_from_json
from patchmgr.domain.leases import digest
from patchmgr.domain.rings import from_json
from patchmgr.errors import PatchmgrError
from patchmgr.services import contents, witnesses

# No hash is called so.
UNREADABLE, CONTRADICTED, UNWITNESSED = "unreadable", "contradicted", "unwitnessed"
NOT_TO_BE_READ = (ValueError, LookupError, TypeError, AttributeError)
MOST_PLANS = 8  # kept in mind for each database
PER_ITEM = timedelta(milliseconds=0.2)  # between two looks; hashing an item takes a thirtieth


@dataclass(frozen=True, slots=True)
class Vouched:
    """What a hash stands for, host by host."""

    content_hash: str
    settings: str  # digest
    hosts: Mapping[int, str]  # digests of what each gets and where it stands
    at: datetime  # of the look
    items: int

    def is_due(self, now: datetime) -> bool:
        """Return whether the whole must be looked at again; a clock set back is no excuse."""
        return not self.at <= now < self.at + self.items * PER_ITEM


_known: WeakKeyDictionary[Engine, dict[int, Vouched]] = WeakKeyDictionary()


def stored_hash(session: Session, plan_id: int, now: datetime) -> str:
    """Return the hash of all that is stored now, and keep in mind what it vouches for.

    What cannot be read any more, or contradicts itself, has a hash that nobody has approved.
    """
    found = _look(session, plan_id, now)
    return found if isinstance(found, str) else found.content_hash


def _look(session: Session, plan_id: int, now: datetime) -> Vouched | str:
    """Return what the stored content vouches for, or the word for content that vouches for none."""
    known = _known.setdefault(session.get_bind().engine, {})
    known.pop(plan_id, None)
    try:
        content = contents.stored(session, plan_id)
        if contents.contradicts(session, plan_id, content):
            return CONTRADICTED
        if not witnesses.agree(session, session.get_one(models.Plan, plan_id)):
            return UNWITNESSED
    except (PatchmgrError, *NOT_TO_BE_READ):
        return UNREADABLE
    found = known[plan_id] = _vouched(content, content.hash, now)
    plans = list(known)  # at once: other threads keep and forget meanwhile
    for oldest in plans[: max(0, len(plans) - MOST_PLANS)]:
        known.pop(oldest, None)
    return found


def is_due(session: Session, plan: models.Plan, now: datetime) -> bool:
    """Return whether nobody here has looked at the whole of ``plan`` for too long."""
    known = _vouches(session, plan)
    return known is None or known.is_due(now)


def is_as_approved(session: Session, plan: models.Plan, host_id: int, now: datetime) -> bool:
    """Return whether what is stored for one host, and around it, is what was approved."""
    known = _vouches(session, plan)
    if known is None or known.is_due(now):
        found = _look(session, plan.id, now)
        if isinstance(found, str) or found.content_hash != plan.content_hash:
            return False
        known = found  # itself: others may have taken its place in mind already
    try:
        return (known.settings, known.hosts.get(host_id)) == (
            digest(_settings(session, plan)),
            _host(session, plan.id, host_id),
        )
    except (PatchmgrError, *NOT_TO_BE_READ):
        return False


def _vouches(session: Session, plan: models.Plan) -> Vouched | None:
    known = _known.get(session.get_bind().engine, {}).get(plan.id)
    return known if known is not None and known.content_hash == plan.content_hash else None


def _vouched(content: Content, content_hash: str, now: datetime) -> Vouched:
    lines: dict[int, list[object]] = {host: [] for host in content.places}
    for change, hosts in content.changes.items():
        line = change_json(change)
        for host in hosts:
            lines.setdefault(host, []).append(line)
    return Vouched(
        content_hash,
        digest(content.settings()),
        {host: _digest(content.places.get(host), found) for host, found in lines.items()},
        now,
        sum(map(len, lines.values())),
    )


def _settings(session: Session, plan: models.Plan) -> dict[str, object]:
    rings = session.scalars(
        select(models.Ring.settings)
        .where(models.Ring.plan_id == plan.id)
        .order_by(models.Ring.position)
    )
    return Content(
        {},
        {},
        tuple(map(from_json, rings)),
        {name: window_from_json(one) for name, one in plan.windows.items()},
        plan.approvals_needed,
        plan_terms.from_json(plan.terms),
        tuple(group_from_json(one) for one in plan.groups),
    ).settings()


def _host(session: Session, plan_id: int, host_id: int) -> str:
    change, item, task, ring = models.PlanChange, models.PlanItem, models.Task, models.Ring
    rows = session.scalars(
        select(change)
        .join(item, item.change_id == change.id)
        .where(item.plan_id == plan_id, item.host_id == host_id)
    )
    position, window = session.execute(
        select(ring.position, task.window)
        .join(ring, ring.id == task.ring_id)
        .where(task.plan_id == plan_id, task.host_id == host_id)
    ).one()
    return _digest(Place(position, window), [change_json(contents.whole_change(r)) for r in rows])


def _digest(place: Place | None, lines: list[object]) -> str:
    at = None if place is None else [place.ring, place.window or ""]
    return digest({"place": at, "lines": sorted(lines, key=repr)})
