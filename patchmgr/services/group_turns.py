"""Which waiting hosts a tick can hand out where groups say how many of theirs may be down.

Hosts of a group stand in each other's way: of the first hundred that wait, a group may spare two.
So they are looked through in order, a part after the other, each without the groups that those
chosen before have used up, until the ring has its fill.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from sqlalchemy import ColumnElement, exists, select
from sqlalchemy.orm import Session

from patchmgr.db import models
from patchmgr.db.bulk import among

LOOKED_AT = 500  # hosts at a time

_task = models.Task


def picked(
    session: Session,
    plan_id: int,
    waiting: Sequence[ColumnElement[bool]],
    room: int,
    left: dict[str, int],
    taken: Mapping[str, int],
) -> list[int]:
    """Return the first ``room`` of ``waiting`` that their groups can spare all together.

    ``left`` is what groups can still spare, as far as it is known; it is brought up to date.
    ``taken`` is what other plans have of them.
    """
    found: list[int] = []
    used_up: set[int] = set()  # ids of groups
    last = 0
    while len(found) < room:
        query = select(_task.host_id).where(_task.plan_id == plan_id, *waiting)
        if used_up:
            query = query.where(~_is_in(session, used_up))
        part = session.scalars(
            query.where(_task.host_id > last).order_by(_task.host_id).limit(LOOKED_AT)
        ).all()
        if not part:
            break
        groups, ids = _groups(session, plan_id, part, left, taken)
        for host in part:
            if len(found) < room and all(left[key] > 0 for key in groups.get(host, ())):
                found.append(host)
                for key in groups.get(host, ()):
                    left[key] -= 1
        used_up |= {number for key, number in ids.items() if left[key] < 1}
        last = part[-1]
    return found


def _groups(
    session: Session,
    plan_id: int,
    hosts: Sequence[int],
    left: dict[str, int],
    taken: Mapping[str, int],
) -> tuple[dict[int, list[str]], dict[str, int]]:
    """Return the groups of each host, and the ids of these."""
    member, group = models.PlanGroupHost, models.PlanGroup
    groups: dict[int, list[str]] = defaultdict(list)
    ids: dict[str, int] = {}
    for host, key, number, limit, unavailable in session.execute(
        select(member.host_id, group.key, group.id, group.limit, group.unavailable)
        .join(group, group.id == member.group_id)
        .where(member.plan_id == plan_id, among(session, member.host_id, hosts))
    ):
        groups[host].append(key)
        ids[key] = number
        left.setdefault(key, limit - unavailable - taken.get(key, 0))
    return groups, ids


def _is_in(session: Session, groups: set[int]) -> ColumnElement[bool]:
    member = models.PlanGroupHost
    return exists().where(
        member.plan_id == _task.plan_id,
        member.host_id == _task.host_id,
        among(session, member.group_id, sorted(groups)),
    )
