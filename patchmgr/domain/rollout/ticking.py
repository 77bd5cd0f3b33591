"""What time does: deadlines pass, windows open and close, rings move on, hosts get their turn.

Level-triggered: a tick looks at how things are, so one more, or one that was missed, changes
nothing about where the rollout arrives.
"""

from dataclasses import replace
from datetime import datetime

from patchmgr.domain.durations import words
from patchmgr.domain.rollout import patience, probing, rolling_back, signals
from patchmgr.domain.rollout.endings import end_waiting
from patchmgr.domain.rollout.events import MACHINE, Dispatch, Recall, Tick
from patchmgr.domain.rollout.fitting import latest_start
from patchmgr.domain.rollout.gates import (
    enough_attempted,
    enough_succeeded,
    few_unverified,
    is_approved,
    needed_attempts,
    proven,
    soak_length,
)
from patchmgr.domain.rollout.model import Ring, Signal, Task, revised
from patchmgr.domain.rollout.states import (
    DISPATCHING_RINGS,
    OVER_RINGS,
    UNSUCCESSFUL,
    WAITING_RINGS,
    WAITING_TASKS,
    PlanState,
    RingState,
    TaskState,
)
from patchmgr.domain.rollout.work import Work

_T = TaskState


def tick(work: Work, event: Tick) -> None:
    """Bring the rollout to where it must be at ``event.at``."""
    plan = work.plan
    if plan.state in (PlanState.PROPOSED, PlanState.APPROVED):
        _expire(work, event.at)
        return
    _check_content(work, event)
    _pass_deadlines(work, event)
    rolling_back.pass_deadlines(work, event)
    signals.review(work, event.at)
    probing.miss_answers(work, event.at)
    for position in range(len(work.rings)):
        # Each step may halt the plan, and then nothing moves any more.
        while work.plan.state is PlanState.RUNNING and _move_ring(work, position, event):
            pass
    rolling_back.hand_out(work, event)  # before what installs: it may be in need of its places
    for position in range(len(work.rings)):
        if work.plan.state is PlanState.RUNNING:
            _dispatch(work, position, event)
    if work.plan.state is PlanState.RUNNING:
        _complete(work, event.at)


# Deadlines


def _expire(work: Work, at: datetime) -> None:
    if work.plan.deadline is not None and at >= work.plan.deadline:
        waited = "approved" if work.plan.state is PlanState.PROPOSED else "started"
        why = f"it was not {waited} in time (by {work.plan.deadline:%Y-%m-%d %H:%M} UTC)"
        work.move(PlanState.EXPIRED, at, MACHINE, why)
        end_waiting(work, at, MACHINE, why)
        work.notify("expired", f"the plan expired: {why}")


def _pass_deadlines(work: Work, event: Tick) -> None:
    for task in sorted(work.tasks.values(), key=lambda task: task.host):
        is_late = task.deadline is not None and event.at >= task.deadline
        if task.state is _T.LEASED:
            _check_lease(work, task, event, is_late=is_late)
        elif is_late and task.state is _T.RUNNING:
            limit = words(work.settings(task).run)
            _end(work, task, _T.TIMED_OUT, event.at, f"no result within {limit}")
        elif is_late and task.state is _T.INSTALLED:
            _end(work, task, _T.LOST, event.at, _unverified(work, task))
        elif is_late and task.state is _T.REBOOT_PENDING:
            not_back = task.seen is None or task.since is None or task.seen <= task.since
            why = "not back from its reboot" if not_back else "its reboot is still pending"
            _end(work, replace(task, not_back=not_back), _T.LOST, event.at, why)


def _check_lease(work: Work, task: Task, event: Tick, *, is_late: bool) -> None:
    """Take back an order that was not begun in time, or that no longer fits before its window ends.

    A window that closed is nobody's fault: the task is deferred to the next one, for as long as its
    ring is patient. Otherwise the host did not answer, and is asked again as often as its ring
    allows.
    """
    can_begin = latest_start(work, task, event) is not None
    if can_begin and not is_late:
        return
    if not can_begin:
        state, misses = _T.DEFERRED, task.misses
        why = f"frozen: {event.frozen}" if event.frozen else "its window closes too soon to begin"
    else:
        misses = task.misses + 1
        state = _T.QUEUED if misses < work.settings(task).max_attempts else _T.TIMED_OUT
        why = f"not begun within {words(work.settings(task).lease)}"
    work.effects.append(Recall(task.host, task.attempt, why))
    _end(work, replace(task, misses=misses), state, event.at, why)


def _unverified(work: Work, task: Task) -> str:
    if task.seen is None:
        return f"no inventory within {words(work.settings(task).verify)}"
    return f"the inventory of {task.seen:%Y-%m-%d %H:%M} UTC does not show every new version"


def _end(work: Work, task: Task, state: TaskState, at: datetime, why: str) -> None:
    finished = None if state in WAITING_TASKS else at
    work.put(revised(task, state=state, since=at, deadline=None, finished=finished, reason=why))
    ring = work.rings[task.ring].name
    work.record(at, f"task_{state.value}", why, ring=ring, host=task.host)
    signals.watch_groups(work, work.tasks[task.host], at)


# Content


def _check_content(work: Work, event: Tick) -> None:
    """Stop a plan whose stored content, or its approvals', is not that of the plan."""
    if event.content_hash is None or work.plan.state is not PlanState.RUNNING:
        return
    hashes = {one.content_hash for one in work.plan.approvals} | {work.plan.content_hash}
    if hashes != {event.content_hash}:
        signals.content_changed(work, event.at)


# Rings


def _move_ring(work: Work, position: int, event: Tick) -> bool:
    """Bring one ring one state further; return whether it moved and may move again."""
    ring = work.rings[position]
    before = ring.state
    if before in WAITING_RINGS or before in DISPATCHING_RINGS:
        _watch_patience(work, position, event)
    if work.plan.state is not PlanState.RUNNING:
        return False
    match before:
        case RingState.PENDING:
            _begin(work, position, event)
        case RingState.WAITING_GATE:
            _enter_gate(work, position, event)
        case RingState.WAITING_WINDOW:
            _await_window(work, position, event)
        case RingState.ROLLING:
            _judge_rolling(work, position, event)
        case RingState.SOAKING:
            _judge_soaking(work, position, event)
    return work.rings[position].state is not before


def _begin(work: Work, position: int, event: Tick) -> None:
    if all(ring.state in OVER_RINGS for ring in work.rings[:position]):
        settings = work.rings[position].settings
        missing = not is_approved(work.plan, position)
        wait = settings.approval if missing else settings.wait
        why = "it waits for its own approval" if missing else "it is its turn"
        work.move_ring(position, RingState.WAITING_GATE, event.at, why, deadline=event.at + wait)
        if missing:
            work.notify("approval", f"ring {settings.name} waits for an approval of its own")


def _enter_gate(work: Work, position: int, event: Tick) -> None:
    if event.frozen or not is_approved(work.plan, position) or event.content_hash is None:
        return
    deadline = event.at + work.rings[position].settings.wait
    why = "none of its hosts may begin yet"
    work.move_ring(position, RingState.WAITING_WINDOW, event.at, why, deadline=deadline)


def _await_window(work: Work, position: int, event: Tick) -> None:
    waiting = [task for task in _waiting(work, position) if latest_start(work, task, event)]
    if waiting or not work.tally(position).of(*WAITING_TASKS):
        deadline = event.at + work.rings[position].settings.wait
        work.move_ring(position, RingState.ROLLING, event.at, "", deadline=deadline)


def _judge_rolling(work: Work, position: int, event: Tick) -> None:
    ring, tally = work.rings[position], work.tally(position)
    if proven(tally, ring.settings):
        until = event.at + soak_length(work.plan, position, event.at)
        why = f"healthy so far; it must stay so until {until:%Y-%m-%d %H:%M} UTC"
        work.move_ring(position, RingState.SOAKING, event.at, why, deadline=ring.deadline)
        soaking = replace(work.rings[position], soak_until=until)
        work.set_ring(position, soaking)
    elif tally.live == 0:
        _stop_ring(work, position, event.at)


def _judge_soaking(work: Work, position: int, event: Tick) -> None:
    ring, tally = work.rings[position], work.tally(position)
    if not proven(tally, ring.settings):
        why = "it is no longer healthy; its soak begins again when it is"
        work.move_ring(position, RingState.ROLLING, event.at, why, deadline=ring.deadline)
    elif (ring.soak_until is not None and event.at < ring.soak_until) or not probing.all_pass(ring):
        return
    elif few_unverified(tally, ring.settings):
        let_pass = tally.accepted + tally.lost_accepted
        hosts = "1 host" if let_pass == 1 else f"{let_pass} hosts"
        why = f"{hosts} without success let pass" if let_pass else ""
        work.move_ring(position, RingState.PASSED, event.at, why, deadline=ring.deadline)
    elif tally.live == 0:
        _stop_ring(work, position, event.at)


def _stop_ring(work: Work, position: int, at: datetime) -> None:
    """End a ring that cannot pass any more, and ask a person."""
    ring, tally = work.rings[position], work.tally(position)
    if not enough_attempted(tally, ring.settings):
        needed = needed_attempts(tally, ring.settings)
        state = RingState.INCONCLUSIVE
        why = f"only {tally.attempted} of {tally.hosts} were reached, it needs {needed}"
    elif proven(tally, ring.settings):
        state = RingState.INCONCLUSIVE
        most = ring.settings.unverified_pct
        why = (
            f"{tally.unverified} of {tally.attempted} were never verified, at most {most} % may be"
        )
    else:
        state, why = RingState.FAILED, f"{tally.succeeded} of {tally.attempted} succeeded"
        if not enough_succeeded(tally, ring.settings):
            why += f", it needs {ring.settings.success_pct} %"
    work.move_ring(position, state, at, why)
    level = signals.next_level(work, "gate", ring.name)
    signals.raise_signal(
        work, Signal("gate", ring.name, level, f"ring {ring.name} is {state}: {why}", at)
    )


def _watch_patience(work: Work, position: int, event: Tick) -> None:
    """Do not wait for ever for a window, an approval, or the last hosts of a ring."""
    ring = work.rings[position]
    waits = ring.state in WAITING_RINGS or work.tally(position).of(*WAITING_TASKS)
    if not waits or not patience.is_over(ring, event):
        return
    if ring.state in WAITING_RINGS:
        _ask(work, position, ring, event)
        return
    wait = words(ring.settings.wait)
    for task in _waiting(work, position):
        why = "it was given its order and never began" if task.attempt else "no window opened"
        if group := work.spent_group(task):
            why = f"group {group} could spare no host"
        _end(work, task, _T.TIMED_OUT, event.at, f"{why} within {wait}")


def _ask(work: Work, position: int, ring: Ring, event: Tick) -> None:
    settings = ring.settings
    what, limit = "a window", settings.wait
    if not is_approved(work.plan, position):
        what, limit = "its approval", settings.approval
    elif event.frozen or event.frozen_times:
        what = "a window or the end of a freeze"
    level = signals.next_level(work, "waiting", ring.name)
    why = f"ring {ring.name} has waited too long for {what}, its limit is {words(limit)}"
    signals.raise_signal(work, Signal("waiting", ring.name, level, why, event.at))


# Hosts


def _dispatch(work: Work, position: int, event: Tick) -> None:
    ring = work.rings[position]
    if ring.state not in DISPATCHING_RINGS:
        return
    free = rolling_back.free_places(work, position)
    gets_on = False
    for task in _waiting(work, position):
        latest = latest_start(work, task, event)
        if free < 1:
            break
        if latest is None or not work.is_its_turn(task):
            continue
        attempt = task.attempt + 1
        leased = revised(
            task,
            state=_T.LEASED,
            since=event.at,
            attempt=attempt,
            deadline=latest,
            dispatched=event.at,
            begun=None,
            finished=None,
            seen=None,
            reason="",
        )
        work.put(leased)
        work.effects.append(Dispatch(task.host, attempt, latest))
        message = f"attempt {attempt}, to begin by {latest:%Y-%m-%d %H:%M} UTC"
        work.record(event.at, "dispatched", message, ring=ring.name, host=task.host)
        free -= task.hosts
        # An order that comes again is no progress: else a host that never begins, and whose windows
        # close before its lease ends, would be asked for ever.
        gets_on = gets_on or task.attempt == 0 or ring.deadline is None
    if gets_on:
        deadline = event.at + ring.settings.wait
        work.set_ring(position, replace(work.rings[position], deadline=deadline))


def _waiting(work: Work, position: int) -> list[Task]:
    return sorted(
        (
            task
            for task in work.tasks.values()
            if task.ring == position and task.state in WAITING_TASKS
        ),
        key=lambda task: task.host,
    )


def _complete(work: Work, at: datetime) -> None:
    tallies = [work.tally(position) for position in range(len(work.rings))]
    if any(tally.live for tally in tallies) or any(
        ring.state not in OVER_RINGS for ring in work.rings
    ):
        return
    bad = sum(tally.of(*UNSUCCESSFUL) for tally in tallies)
    verified = sum(tally.of(_T.VERIFIED) for tally in tallies)
    skipped = sum(tally.of(_T.SKIPPED) for tally in tallies)
    counts = {"verified": verified, "skipped": skipped, "without success": bad}
    said = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
    message = f"hosts: {said or 'none'}"
    state = PlanState.COMPLETED_WITH_FAILURES if bad else PlanState.COMPLETED
    work.move(state, at, MACHINE, message)
    work.notify(state.value, message)
