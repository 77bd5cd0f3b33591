"""What is known of a change from earlier plans: how often it was made here, and how that went.

Only hosts that did not succeed are counted one by one: the others are the rest of those planned.
So a change that went well on 10,000 hosts costs no more than one that went well on ten.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, and_, func, or_, select
from sqlalchemy.orm import Session, aliased

from patchmgr.db import models
from patchmgr.db.bulk import in_lists
from patchmgr.domain.rollout.states import LIVE_TASKS, UNSUCCESSFUL, TaskState

_change, _item, _task, _ring = models.PlanChange, models.PlanItem, models.Task, models.Ring
_plan = models.Plan


@dataclass(frozen=True, slots=True)
class Earlier:
    """How the same change went in one earlier plan."""

    plan_id: int
    verified: int  # hosts
    failed: int  # hosts without success, but for those where another package is named
    under_way: int  # hosts that are not over yet
    failed_in: tuple[str, ...]  # rings


@dataclass(frozen=True, slots=True)
class History:
    """How a change, from one version to another, went before; by plan, the latest first."""

    change_id: int
    plans: tuple[Earlier, ...]

    @property
    def verified(self) -> int:
        return sum(one.verified for one in self.plans)

    @property
    def failed(self) -> int:
        return sum(one.failed for one in self.plans)

    @property
    def is_first(self) -> bool:
        """Whether no host of the fleet is known to have made this change."""
        return self.verified + self.failed == 0

    @property
    def words(self) -> str:
        """Return it for people: "made on 184 hosts before, failed on 2 (early of plan 12)"."""
        if self.is_first:
            return "first time this change is made here"
        said = (
            f"made on {_hosts(self.verified)} before" if self.verified else "never succeeded here"
        )
        bad = [
            f"{' and '.join(one.failed_in)} of plan {one.plan_id}"
            for one in self.plans
            if one.failed
        ]
        return f"{said}, failed on {self.failed} ({', '.join(bad)})" if bad else said


def of_changes(session: Session, plan_id: int, numbers: Sequence[int]) -> dict[int, History]:
    """Return the history of the changes ``numbers`` of a plan, by number. One query.

    It is that of the plans that started before this one, whichever was made first.
    """
    others: dict[int, Counter[_Ended]] = defaultdict(Counter)
    known: dict[int, set[tuple[int, int, int, str]]] = defaultdict(set)
    for part in in_lists(sorted(numbers)):
        for number, before, plan, hosts, package, *ended in session.execute(_query(plan_id, part)):
            known[number].add((plan, before, hosts, package))
            if ended[0] is not None:
                state, ring, failed, is_unbegun, count = ended
                if is_unbegun and state == TaskState.TIMED_OUT:
                    state = _UNTRIED
                others[before][state, ring, failed] += count
    found: dict[int, History] = {}
    for number in numbers:
        by_plan: dict[int, list[Earlier]] = defaultdict(list)
        for plan, before, hosts, package in sorted(known[number], reverse=True):
            by_plan[plan].append(_earlier(plan, hosts, package, others[before]))
        found[number] = History(number, tuple(map(_together, by_plan.values())))
    return found


_Ended = tuple[str, str, str]  # state, ring, the package that failed
_UNTRIED = "untried"  # timed out before it began: that speaks of the host, not of the change


def _query(plan_id: int, numbers: Sequence[int]) -> Select[Any]:
    """Return the same changes of earlier plans, and their hosts that are not verified, counted."""
    now, before = _change, aliased(_change)
    mine, other = aliased(_plan), aliased(_plan)
    is_earlier = or_(
        mine.started_at.is_(None),
        other.started_at < mine.started_at,
        and_(other.started_at == mine.started_at, other.id < mine.id),
    )
    same = [
        getattr(before, name) == getattr(now, name)
        for name in ("package", "platform", "to_version", "from_version", "match", "arch")
    ]
    earlier = (
        select(now.id.label("number"), before.id, before.plan_id, before.hosts, before.package)
        .join(before, and_(before.plan_id != plan_id, *same))
        .join(mine, mine.id == now.plan_id)
        .join(other, other.id == before.plan_id)
        .where(now.plan_id == plan_id, now.id.in_(numbers))
        .where(other.started_at.is_not(None), is_earlier)
        .cte("earlier")
    )
    others = (
        select(
            _item.change_id,
            _task.state,
            _ring.name,
            _task.package.label("failed"),
            _task.begun_at.is_(None).label("is_unbegun"),
            func.count().label("hosts"),
        )
        .select_from(_task)
        .join(_item, and_(_item.plan_id == _task.plan_id, _item.host_id == _task.host_id))
        .join(_ring, _ring.id == _task.ring_id)
        .where(
            _task.plan_id.in_(select(earlier.c.plan_id)),
            _task.state.in_([one.value for one in TaskState if one is not TaskState.VERIFIED]),
            _item.change_id.in_(select(earlier.c.id)),
        )
        .group_by(_item.change_id, _task.state, _ring.name, _task.package, _task.begun_at.is_(None))
        .subquery()
    )
    return select(
        *earlier.c,
        others.c.state,
        others.c.name,
        others.c.failed,
        others.c.is_unbegun,
        others.c.hosts,
    ).outerjoin(others, others.c.change_id == earlier.c.id)


def _earlier(plan: int, hosts: int, package: str, others: Counter[_Ended]) -> Earlier:
    failed = {
        key: count
        for key, count in others.items()
        if key[0] in UNSUCCESSFUL and key[2] in ("", package)
    }
    live = sum(count for (state, _, _), count in others.items() if state in LIVE_TASKS)
    return Earlier(
        plan,
        hosts - others.total(),
        sum(failed.values()),
        live,
        tuple(sorted({ring for _, ring, _ in failed})),
    )


def _together(parts: Sequence[Earlier]) -> Earlier:
    """Return what one change came to in a plan that has it of several sources."""
    return Earlier(
        parts[0].plan_id,
        sum(one.verified for one in parts),
        sum(one.failed for one in parts),
        sum(one.under_way for one in parts),
        tuple(sorted({ring for one in parts for ring in one.failed_in})),
    )


def _hosts(number: int) -> str:
    return "1 host" if number == 1 else f"{number:,} hosts"
