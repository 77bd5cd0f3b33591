"""A plan's content in its tables: written once, hashed again whenever it must be trusted."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, insert, select
from sqlalchemy.orm import Session

from patchmgr.db import models
from patchmgr.db.queries.plan_content import change_of
from patchmgr.domain import groups
from patchmgr.domain import terms as plan_terms
from patchmgr.domain.advisories import Severity
from patchmgr.domain.content import Content, Place, window_from_json
from patchmgr.domain.groups import Group
from patchmgr.domain.plans import Change, Exclusion
from patchmgr.domain.rings import from_json
from patchmgr.domain.rollout.model import Tally, Task
from patchmgr.domain.rollout.states import TaskState
from patchmgr.services.rollout_store import new_ring, tally_json, task_columns


def write_changes(session: Session, plan_id: int, changes: Mapping[Change, Sequence[int]]) -> None:
    """Write what a plan changes where."""
    rows = [
        models.PlanChange(
            plan_id=plan_id,
            platform=change.platform,
            manager=change.manager,
            package=change.package,
            arch=change.arch,
            source=change.source,
            from_version=change.from_version,
            to_version=change.to_version,
            match=change.match.value,
            advisories=list(change.advisories),
            severity=int(change.severity),
            hosts=len(hosts),
        )
        for change, hosts in changes.items()
    ]
    session.add_all(rows)
    session.flush()
    items = [
        {"plan_id": plan_id, "host_id": host, "change_id": row.id}
        for row, hosts in zip(rows, changes.values(), strict=True)
        for host in hosts
    ]
    if items:
        session.execute(insert(models.PlanItem), items)


def write_exclusions(session: Session, plan_id: int, excluded: Mapping[Exclusion, int]) -> None:
    """Write what was asked for and is not planned."""
    rows = [
        {
            "plan_id": plan_id,
            "platform": one.platform,
            "package": one.package,
            "arch": one.arch,
            "version": one.version,
            "reason": one.reason,
            "advisories": list(one.advisories),
            "hosts": hosts,
        }
        for one, hosts in excluded.items()
    ]
    if rows:
        session.execute(insert(models.PlanExclusion), rows)


def write_places(session: Session, plan_id: int, content: Content, now: datetime) -> None:
    """Write rings and a queued task for each host, in place of what there was."""
    session.execute(delete(models.Task).where(models.Task.plan_id == plan_id))
    member, group = models.PlanGroupHost, models.PlanGroup
    session.execute(delete(member).where(member.plan_id == plan_id))
    session.execute(delete(group).where(group.plan_id == plan_id))
    session.execute(delete(models.Ring).where(models.Ring.plan_id == plan_id))
    session.expire_all()
    rings = [new_ring(plan_id, number, ring) for number, ring in enumerate(content.rings)]
    for position, row in enumerate(rings):
        hosts = sum(at.ring == position for at in content.places.values())
        states = {TaskState.QUEUED.value: hosts} if hosts else {}
        row.tally = tally_json(Tally(states))
    session.add_all(rings)
    session.flush()
    tasks = [
        {
            "plan_id": plan_id,
            "ring_id": rings[at.ring].id,
            "host_id": host,
            "window": at.window,
            **task_columns(Task(host, at.ring, at.window, since=now)),
        }
        for host, at in sorted(content.places.items())
    ]
    session.execute(insert(models.Task), tasks)
    _write_groups(session, plan_id, content)


def _write_groups(session: Session, plan_id: int, content: Content) -> None:
    if not content.gathered:
        return
    rows = [
        models.PlanGroup(
            plan_id=plan_id,
            key=one.key,
            limit=one.limit,
            is_ordered=one.is_ordered,
            unavailable=0,
        )
        for one in content.gathered
    ]
    session.add_all(rows)
    session.flush()
    rings = {host: at.ring for host, at in content.places.items()}
    members = [
        {
            "plan_id": plan_id,
            "group_id": row.id,
            "host_id": host,
            "place": place,
            "after_id": first,
        }
        for row, one in zip(rows, content.gathered, strict=True)
        for place, (host, first) in enumerate(one.sequence(rings))
    ]
    session.execute(insert(models.PlanGroupHost), members)


def write_version(
    session: Session, plan_id: int, content: Content, *, by: str, now: datetime
) -> None:
    """Keep what can be edited as it is under this hash, so that a difference can be shown."""
    session.add(
        models.PlanVersion(
            plan_id=plan_id,
            content_hash=content.hash,
            at=now,
            by=by,
            settings=content.settings(),
        )
    )
    session.flush()


def stored(session: Session, plan_id: int) -> Content:
    """Return a plan's content as it is in the tables now."""
    plan = session.get_one(models.Plan, plan_id)
    change, item, task = models.PlanChange, models.PlanItem, models.Task
    hosts: dict[int, list[int]] = defaultdict(list)
    for change_id, host in session.execute(
        select(item.change_id, item.host_id).where(item.plan_id == plan_id)
    ):
        hosts[change_id].append(host)
    changes: dict[Change, Sequence[int]] = {}
    for row in session.scalars(select(change).where(change.plan_id == plan_id)):
        changes[whole_change(row)] = hosts[row.id]
    rings = session.scalars(
        select(models.Ring).where(models.Ring.plan_id == plan_id).order_by(models.Ring.position)
    ).all()
    position_of = {row.id: row.position for row in rings}
    places = {
        host: Place(position_of[ring_id], window)
        for host, ring_id, window in session.execute(
            select(task.host_id, task.ring_id, task.window).where(task.plan_id == plan_id)
        )
    }
    return Content(
        changes,
        places,
        tuple(from_json(row.settings) for row in rings),
        {name: window_from_json(one) for name, one in plan.windows.items()},
        plan.approvals_needed,
        plan_terms.from_json(plan.terms),
        tuple(groups.from_json(one) for one in plan.groups),
        _gathered(session, plan_id) if plan.groups else (),
    )


def contradicts(session: Session, plan_id: int, content: Content) -> bool:
    """Return whether what is kept beside ``content``, for speed or for people, says otherwise."""
    change, ring = models.PlanChange, models.Ring
    item, member = models.PlanItem, models.PlanGroupHost
    names = session.scalars(
        select(ring.name).where(ring.plan_id == plan_id).order_by(ring.position)
    ).all()
    counted = select(func.count()).where(item.change_id == change.id).scalar_subquery()
    is_miscounted = select(change.id).where(change.plan_id == plan_id, change.hosts != counted)
    if [*names] != [one.name for one in content.rings] or session.scalar(is_miscounted.limit(1)):
        return True
    if not content.groups:
        return False
    columns = member.group_id, member.host_id, member.place, member.after_id
    said = {
        tuple(one) for one in session.execute(select(*columns).where(member.plan_id == plan_id))
    }
    row = models.PlanGroup
    numbered = select(row.key, row.id).where(row.plan_id == plan_id)
    numbers = {one.key: one.id for one in session.execute(numbered)}
    rings = {host: at.ring for host, at in content.places.items()}
    return said != {
        (numbers[one.key], host, place, first)
        for one in content.gathered
        for place, (host, first) in enumerate(one.sequence(rings))
    }


def _gathered(session: Session, plan_id: int) -> tuple[Group, ...]:
    row, member = models.PlanGroup, models.PlanGroupHost
    members: dict[int, list[int]] = defaultdict(list)
    for group_id, host in session.execute(
        select(member.group_id, member.host_id)
        .where(member.plan_id == plan_id)
        .order_by(member.group_id, member.place)
    ):
        members[group_id].append(host)
    return tuple(
        Group(one.key, one.limit, tuple(members[one.id]), one.is_ordered)
        for one in session.scalars(select(row).where(row.plan_id == plan_id).order_by(row.key))
    )


def windows_json(content: Content) -> dict[str, Any]:
    return {name: window.to_json() for name, window in content.windows.items()}


def whole_change(row: models.PlanChange) -> Change:
    """Return the domain's change of a row, with its advisories."""
    plain = change_of(row)
    return Change(
        plain.platform,
        plain.manager,
        plain.package,
        plain.arch,
        plain.source,
        plain.from_version,
        plain.to_version,
        plain.match,
        tuple(row.advisories),
        Severity(row.severity),
    )
