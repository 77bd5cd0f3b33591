"""What the inventories say about the hosts of a plan."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from sqlalchemy import BigInteger, Select, exists, func, select, type_coerce
from sqlalchemy.orm import Session, aliased

from patchmgr.db import models
from patchmgr.db.bulk import in_lists
from patchmgr.db.queries import hosts as host_queries
from patchmgr.db.queries.plan_content import change_of
from patchmgr.domain.plans import Change, Evidence, unfinished
from patchmgr.domain.rollout import witness
from patchmgr.domain.rollout.events import InventorySeen, Tick, WayBackSeen
from patchmgr.domain.rollout.model import Rollout, Task
from patchmgr.domain.rollout.states import IN_FLIGHT, WAITING_TASKS, PlanState, TaskState
from patchmgr.domain.terms import Targets

_MAY_STILL_BE_VERIFIED = (TaskState.LOST, TaskState.TIMED_OUT)


def awaiting_evidence(session: Session, plan_id: int) -> list[int]:
    """Return the hosts given up on that have sent an inventory since."""
    task, host = models.Task, models.Host
    known = func.coalesce(
        *(
            type_coerce(column, BigInteger)
            for column in (task.seen_at, task.dispatched_at, task.state_since)
        )
    )
    return list(
        session.scalars(
            select(task.host_id)
            .join(host, host.id == task.host_id)
            .where(
                task.plan_id == plan_id,
                task.state.in_(_MAY_STILL_BE_VERIFIED),
                type_coerce(host.reported_at, BigInteger) > known,
            )
        )
    )


def awaiting_proof() -> Select[int, int]:
    """Select (plan, host) of those said to have gone back that have sent an inventory since.

    Not of hosts that a later plan has changed: what they have now says nothing of this one.
    """
    task, host, later = models.Task, models.Host, aliased(models.Task)
    return (
        select(task.plan_id, task.host_id)
        .join(host, host.id == task.host_id)
        .where(
            task.proof_after.is_not(None),
            type_coerce(host.reported_at, BigInteger) > type_coerce(task.proof_after, BigInteger),
            ~exists().where(
                later.host_id == task.host_id,
                later.plan_id != task.plan_id,
                later.dispatched_at > task.proof_after,
            ),
        )
    )


def said_to_be_back(session: Session, plan_id: int) -> list[int]:
    """Return the hosts of a plan that `awaiting_proof` has."""
    found = awaiting_proof().where(models.Task.plan_id == plan_id)
    return list(session.scalars(found.with_only_columns(models.Task.host_id)))


def seen(
    session: Session,
    plan_id: int,
    rollout: Rollout,
    tick: Tick,
    targets: Targets = Targets.AT_LEAST,
) -> list[InventorySeen | WayBackSeen]:
    """Return what the latest inventory of each loaded host shows, where it is news.

    Hosts that wait are looked at too, when their turn could come: what is there already need not
    be ordered.
    """
    tasks = [task for task in rollout.tasks.values() if _matters(task, rollout, tick)]
    reports = _reports(session, [task.host for task in tasks])
    news = [task.host for task in tasks if _is_news(task, reports.get(task.host))]
    if not news:
        return []
    changes = changes_of(session, plan_id, news)
    shown = _shown(session, news, changes)
    events: list[InventorySeen | WayBackSeen] = []
    for host in news:
        at, reboot_pending = reports[host]
        if rollout.tasks[host].proof_after is not None:
            events.append(WayBackSeen(host, at, *witness.shown_by(changes[host], shown[host])))
            continue
        # Who has a newer version before its turn has nothing to do: nobody is taken back to an
        # older one. What is ordered must then be what was planned.
        waits = rollout.tasks[host].state in WAITING_TASKS
        good = Targets.AT_LEAST if waits else targets
        verified = not unfinished(changes[host], shown[host], good)
        events.append(InventorySeen(host, at, verified, reboot_pending))
    return events


def _shown(
    session: Session, hosts: Sequence[int], changes: Mapping[int, Sequence[Change]]
) -> Mapping[int, list[Evidence]]:
    """Return what the latest inventory of each host has of the packages that ``changes`` names."""
    names = {change.package for found in changes.values() for change in found}
    shown: dict[int, list[Evidence]] = defaultdict(list)
    for one in host_queries.installed(session, hosts, names):
        shown[one.host_id].append(
            Evidence(one.package, one.arch, one.version, one.judged_source, one.judged_version)
        )
    return shown


def changes_of(session: Session, plan_id: int, hosts: Sequence[int]) -> dict[int, list[Change]]:
    """Return what the plan changes on each of ``hosts``."""
    item, row = models.PlanItem, models.PlanChange
    known: dict[int, Change] = {}
    found: dict[int, list[Change]] = {host: [] for host in hosts}
    for part in in_lists(hosts):
        pairs = session.execute(
            select(item.host_id, item.change_id).where(
                item.plan_id == plan_id, item.host_id.in_(part)
            )
        ).all()
        missing = sorted({change for _, change in pairs} - known.keys())
        for some in in_lists(missing):
            for change in session.scalars(select(row).where(row.id.in_(some))):
                known[change.id] = change_of(change)
        for host, change_id in pairs:
            found[host].append(known[change_id])
    return found


def _matters(task: Task, rollout: Rollout, tick: Tick) -> bool:
    if task.state in (*IN_FLIGHT, *_MAY_STILL_BE_VERIFIED) or task.proof_after is not None:
        return True
    is_open = task.window is None or task.window in tick.windows
    return (
        task.state in WAITING_TASKS
        and rollout.state is PlanState.RUNNING
        and is_open
        and not tick.frozen
    )


def _is_news(task: Task, report: tuple[datetime, bool] | None) -> bool:
    if report is None:
        return False
    known = task.proof_after or task.seen or task.dispatched or task.since
    return task.state in WAITING_TASKS or known is None or report[0] > known


def _reports(session: Session, hosts: Collection[int]) -> Mapping[int, tuple[datetime, bool]]:
    """Return when each host's last inventory was taken in, and whether it waits for a reboot."""
    row = models.Host
    found: dict[int, tuple[datetime, bool]] = {}
    for part in in_lists(sorted(hosts)):
        for number, at, reboot_pending in session.execute(
            select(row.id, row.reported_at, row.reboot_pending).where(
                row.id.in_(part), row.reported_at.is_not(None)
            )
        ):
            if at is not None:
                found[number] = (at, reboot_pending)
    return found
