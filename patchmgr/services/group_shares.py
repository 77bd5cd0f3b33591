"""What of a group other plans have taken: two plans must not have two of its hosts down at once.

Groups of one name are one group, in whichever plan: ``cluster=db`` is the cluster, and a plan's own
limit holds for all of its hosts that are down.
"""

from collections.abc import Mapping

from sqlalchemy import ColumnElement, false, func, or_, select
from sqlalchemy.orm import Session

from patchmgr.db import models
from patchmgr.db.bulk import among, in_lists
from patchmgr.db.locks import Lock, wait_for
from patchmgr.domain.rollout.states import ACTIVE_PLANS


def taken_by_others(session: Session, plan_id: int) -> dict[str, int]:
    """Return how many hosts of which groups are down through other plans. One query."""
    group, plan, task = models.PlanGroup, models.Plan, models.Task
    going_back = select(task.plan_id).where(
        task.undo_until.is_not(None), task.undo_given_at.is_not(None)
    )
    is_at_work = or_(plan.live_tasks > 0, plan.id.in_(going_back))
    found = session.execute(
        select(group.key, func.sum(group.unavailable))
        .join(plan, plan.id == group.plan_id)
        .where(
            or_(plan.state.in_([state.value for state in ACTIVE_PLANS]), is_at_work),
            plan.id != plan_id,
            group.unavailable > 0,
        )
        .group_by(group.key)
    )
    return {key: int(hosts) for key, hosts in found}


def is_spent(session: Session, plan_id: int, taken: Mapping[str, int]) -> ColumnElement[bool]:
    """Return whether a `PlanGroup` of the plan can spare no host for what others have ``taken``."""
    group = models.PlanGroup
    spent = [
        number
        for part in in_lists(sorted(taken))
        for number, key, left in session.execute(
            select(group.id, group.key, group.limit - group.unavailable).where(
                group.plan_id == plan_id, group.key.in_(part)
            )
        )
        if left <= taken[key]
    ]
    return among(session, group.id, spent) if spent else false()


def wait_for_turn(session: Session) -> None:
    """Let one transaction at a time spend of groups: two would not see what the other takes."""
    wait_for(session, Lock.GROUPS)
