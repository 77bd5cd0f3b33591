"""Halt signals: what stops a rollout by itself, and what makes it hold still."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from patchmgr.domain.rollout.events import MACHINE, Recall
from patchmgr.domain.rollout.gates import few_failures
from patchmgr.domain.rollout.model import Signal, Task
from patchmgr.domain.rollout.states import LIVE_TASKS, OPEN_PLANS, PlanState, TaskState
from patchmgr.domain.rollout.work import Work

CONTENT = "content"
CONTENT_CHANGED = "the stored content is not what was approved; do not go on, cancel this plan"
HOSTS_THAT_AGREE = 2  # on a failing package, or on not coming back from a reboot


def review(work: Work, at: datetime) -> None:
    """Raise the signals that the counters give reason for."""
    packages: Counter[str] = Counter()
    lost = 0
    failures: dict[str, int] = {}
    for position, ring in enumerate(work.rings):
        work.clamp_accepted(position)
        tally = work.tally(position)
        packages.update(tally.packages)
        lost += tally.reboots_lost
        failures[ring.name] = tally.failures
        if not few_failures(tally, ring.settings):
            why = (
                f"{_count(tally.failures - tally.accepted, 'failure')} in ring {ring.name}, "
                f"its cap is {ring.settings.max_failures}"
            )
            raise_signal(work, Signal("failures", ring.name, tally.failures, why, at))
    _forget_the_past(work, packages, lost, failures)
    for package, hosts in sorted(packages.items()):
        if hosts >= HOSTS_THAT_AGREE:
            why = f"{package} failed on {hosts} hosts, and {HOSTS_THAT_AGREE} stop the plan"
            raise_signal(work, Signal("package", package, hosts, why, at))
    if lost >= HOSTS_THAT_AGREE:
        why = (
            f"{lost} hosts did not come back from their reboot, "
            f"and {HOSTS_THAT_AGREE} stop the plan"
        )
        raise_signal(work, Signal("reboot", "", lost, why, at))


def raise_signal(work: Work, signal: Signal) -> None:
    """Open ``signal``, unless one of its kind is open or was let pass at that level; and halt."""
    plan = work.plan
    if plan.state not in OPEN_PLANS or plan.acknowledged.get(signal.key, 0) >= signal.level:
        return
    known = next((one for one in plan.signals if one.key == signal.key), None)
    if known is not None and known.level >= signal.level:
        return
    others = tuple(one for one in plan.signals if one is not known)
    work.set_signals((*others, replace(signal, at=known.at) if known else signal))
    work.record(signal.at, "signal", signal.why)
    if known is None:
        work.notify("halted", signal.why)
    if plan.state is PlanState.RUNNING:
        work.move(PlanState.HALTED, signal.at, MACHINE, signal.why)
        recall(work, signal.at, f"halted: {signal.why}")


def content_changed(work: Work, at: datetime) -> None:
    """Stop for content that nobody has approved, however often that is let pass."""
    level = next_level(work, CONTENT, "")
    raise_signal(work, Signal(CONTENT, "", level, CONTENT_CHANGED, at))


def has_other_content(work: Work) -> bool:
    """Return whether the plan stands still because what is stored is not what was approved."""
    return any(signal.kind == CONTENT for signal in work.plan.signals)


def hear_again(work: Work, kind: str, subject: str, hosts: int) -> None:
    """Let a signal count ``hosts`` anew that a person had let pass as something else."""
    levels = dict(work.plan.acknowledged)
    key = f"{kind}:{subject}"
    if key in levels:
        levels[key] = max(0, levels[key] - hosts)
        work.plan = replace(work.plan, acknowledged=levels)


def next_level(work: Work, kind: str, subject: str) -> int:
    """Return a level at which a signal is heard again however often it was let pass."""
    return work.plan.acknowledged.get(f"{kind}:{subject}", 0) + 1


def recall(
    work: Work,
    at: datetime,
    why: str,
    state: TaskState = TaskState.QUEUED,
    by: str = MACHINE,
    *,
    ring: int | None = None,
) -> None:
    """Take back what was handed out and has not begun, of one ring or all; what runs finishes."""
    for task in sorted(work.tasks.values(), key=lambda task: task.host):
        if task.state is TaskState.LEASED and ring in (None, task.ring):
            work.effects.append(Recall(task.host, task.attempt, why))
            work.put(replace(task, state=state, since=at, deadline=None, reason=why))
            name = work.rings[task.ring].name
            work.record(at, "recalled", why, ring=name, host=task.host, by=by)


def watch_groups(work: Work, task: Task, at: datetime) -> None:
    """Say so when a host that ended without success leaves its group nothing to spare."""
    if task.state in LIVE_TASKS or not task.is_unavailable:
        return
    ring = work.rings[task.ring].name
    for key in task.groups:
        if work.groups[key].is_spent:
            why = (
                f"{task.state}: it counts against group {key}, which can spare no other host now, "
                "until it is acknowledged or gets another turn"
            )
            work.record(at, "group_waits", why, ring=ring, host=task.host)
            work.notify("group_waits", why)


def _forget_the_past(
    work: Work, packages: Counter[str], lost: int, failures: Mapping[str, int]
) -> None:
    """Lower what was let pass to what is left of it, so that it is heard of when it returns."""
    levels = dict(work.plan.acknowledged)
    for key, level in work.plan.acknowledged.items():
        kind, _, subject = key.partition(":")
        failed = failures.get(subject, level)
        present = {"package": packages[subject], "reboot": lost, "failures": failed}.get(
            kind, level
        )
        levels[key] = min(level, present)
    if levels != work.plan.acknowledged:
        work.plan = replace(work.plan, acknowledged=levels)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
