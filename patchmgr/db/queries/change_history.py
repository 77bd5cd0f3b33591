"""What is known of a change from earlier plans: how often it was made here, and how that went.

Only hosts that did not succeed are counted one by one: the others are the rest of those planned.
So a change that went well on 10,000 hosts costs no more than one that went well on ten. How many
there were in each ring must be counted, and is for as many hosts as a page has time for.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, and_, func, or_, select
from sqlalchemy.orm import Session, aliased

from patchmgr.db import models
from patchmgr.db.bulk import in_lists
from patchmgr.domain.rollout.states import LIVE_TASKS, UNSUCCESSFUL, TaskState

_change, _item, _task, _ring = models.PlanChange, models.PlanItem, models.Task, models.Ring
_plan = models.Plan


NAMED = 2  # earlier plans that people are told of where it went well
COUNTED = 50_000  # hosts, of all changes that are asked for, whose rings are counted for a page


@dataclass(frozen=True, slots=True)
class InRing:
    """How a change went in one ring of an earlier plan, in hosts."""

    ring: str
    verified: int
    failed: int


@dataclass(frozen=True, slots=True)
class Earlier:
    """How the same change went in one earlier plan."""

    plan_id: int
    verified: int  # hosts
    failed: int  # hosts without success, but for those where another package is named
    under_way: int  # hosts that are not over yet
    failed_in: tuple[str, ...]  # rings
    rings: tuple[InRing, ...] | None = None  # in their order; None: too many hosts to be counted

    @property
    def words(self) -> str:
        """Return where it succeeded: "plan 12: canary 4, early 40, broad 140"."""
        done = [f"{one.ring} {one.verified:,}" for one in self.rings or () if one.verified]
        return f"plan {self.plan_id}: {', '.join(done) or f'{self.verified:,}'}"


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
        """Return it for people: how often it was made, where, and where it failed.

        "made on 184 hosts before (plan 12: canary 4, early 180), failed on 2 (early of plan 12)".
        """
        if self.is_first:
            return "first time this change is made here"
        said = "never succeeded here"
        if self.verified:
            well = [one.words for one in self.plans if one.verified]
            more = [f"{len(well) - NAMED} more plans"] if len(well) > NAMED else []
            said = f"made on {_hosts(self.verified)} before ({'; '.join(well[:NAMED] + more)})"
        bad = [
            f"{' and '.join(one.failed_in)} of plan {one.plan_id}"
            for one in self.plans
            if one.failed
        ]
        return f"{said}, failed on {self.failed} ({', '.join(bad)})" if bad else said


def of_changes(
    session: Session, plan_id: int, numbers: Sequence[int], *, counted: int | None = COUNTED
) -> dict[int, History]:
    """Return the history of the changes ``numbers`` of a plan, by number. Two queries.

    It is that of the plans that started before this one, whichever was made first. Rings are
    counted for ``counted`` hosts at most, of the smallest changes first; None is all of them.
    """
    others: dict[int, Counter[_Ended]] = defaultdict(Counter)
    known: dict[int, set[_Made]] = defaultdict(set)
    for part in in_lists(sorted(numbers)):
        for number, before, plan, hosts, package, *ended in session.execute(_query(plan_id, part)):
            known[number].add((plan, before, hosts, package))
            if ended[0] is not None:
                state, ring, failed, is_unbegun, count = ended
                if is_unbegun and state == TaskState.TIMED_OUT:
                    state = _UNTRIED
                others[before][state, ring, failed] += count
    spread = _spread(session, {one for made in known.values() for one in made}, counted)
    found: dict[int, History] = {}
    for number in numbers:
        by_plan: dict[int, list[Earlier]] = defaultdict(list)
        for one in sorted(known[number], reverse=True):
            by_plan[one[0]].append(_earlier(one, others[one[1]], spread.get(one[1])))
        found[number] = History(number, tuple(map(_together, by_plan.values())))
    return found


_Made = tuple[int, int, int, str]  # plan, change, hosts, package
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


def _spread(session: Session, made: set[_Made], counted: int | None) -> dict[int, dict[str, int]]:
    """Return change -> ring -> hosts, for as many hosts as may be counted."""
    chosen, sum_of_hosts = [], 0
    for hosts, change in sorted((hosts, change) for _, change, hosts, _ in made):
        sum_of_hosts += hosts
        if counted is not None and sum_of_hosts > counted:
            break
        chosen.append(change)
    found: dict[int, dict[str, int]] = defaultdict(dict)
    for part in in_lists(sorted(chosen)):
        rows = session.execute(
            select(_item.change_id, _ring.name, func.count())
            .join(_task, and_(_item.plan_id == _task.plan_id, _item.host_id == _task.host_id))
            .join(_ring, _ring.id == _task.ring_id)
            .where(_item.change_id.in_(part))
            .group_by(_item.change_id, _ring.position, _ring.name)
            .order_by(_ring.position)
        )
        for change, ring, hosts in rows:
            found[change][ring] = hosts
    return found


def _earlier(made: _Made, others: Counter[_Ended], spread: Mapping[str, int] | None) -> Earlier:
    plan, _, hosts, package = made
    failed = {
        key: count
        for key, count in others.items()
        if key[0] in UNSUCCESSFUL and key[2] in ("", package)
    }
    live = sum(count for (state, _, _), count in others.items() if state in LIVE_TASKS)
    rings = spread and tuple(
        InRing(
            name,
            number - sum(count for (_, ring, _), count in others.items() if ring == name),
            sum(count for (_, ring, _), count in failed.items() if ring == name),
        )
        for name, number in spread.items()
    )
    return Earlier(
        plan,
        hosts - others.total(),
        sum(failed.values()),
        live,
        tuple(sorted({ring for _, ring, _ in failed})),
        rings or None,
    )


def _together(parts: Sequence[Earlier]) -> Earlier:
    """Return what one change came to in a plan that has it of several sources."""
    return Earlier(
        parts[0].plan_id,
        sum(one.verified for one in parts),
        sum(one.failed for one in parts),
        sum(one.under_way for one in parts),
        tuple(sorted({ring for one in parts for ring in one.failed_in})),
        _rings_together([one.rings for one in parts]),
    )


def _rings_together(parts: Sequence[tuple[InRing, ...] | None]) -> tuple[InRing, ...] | None:
    verified: Counter[str] = Counter()
    failed: Counter[str] = Counter()
    for part in parts:
        if part is None:
            return None
        for one in part:
            verified[one.ring] += one.verified
            failed[one.ring] += one.failed
    return tuple(InRing(ring, number, failed[ring]) for ring, number in verified.items())


def _hosts(number: int) -> str:
    return "1 host" if number == 1 else f"{number:,} hosts"
