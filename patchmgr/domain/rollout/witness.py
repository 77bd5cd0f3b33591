"""What inventories say of hosts that were said to have gone back.

A host's word, or a person's for it, brings its part to `rolled_back`; as with what is installed, it
is believed when an inventory shows it. One that still shows the new versions makes the roll-back a
failure like any other, to be asked for again. Until one shows the old versions, each is looked at.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from patchmgr.domain.plans import Change, Evidence, reached
from patchmgr.domain.rollout import signals
from patchmgr.domain.rollout.entering import enter
from patchmgr.domain.rollout.events import MACHINE, WayBackSeen
from patchmgr.domain.rollout.model import Task, revised
from patchmgr.domain.rollout.states import TaskState, WentBack
from patchmgr.domain.rollout.work import Work
from patchmgr.errors import NotFoundError


def shown_by(changes: Iterable[Change], shown: Iterable[Evidence]) -> tuple[WentBack, str]:
    """Return whether the inventory ``shown`` has what the host had before ``changes``.

    With it the first package that is not as it was: one that has what was to be taken back, or
    anything newer, before one that has neither that nor the old version. A package that is gone
    has not gone back; one that is there in several versions has when the old one is among them.
    """
    found: dict[tuple[str, str], list[Evidence]] = defaultdict(list)
    for one in shown:
        found[one.package, one.arch].append(one)
    answer = (WentBack.CONFIRMED, "")
    for change in changes:
        there = found[change.package, change.arch]
        for one in there:
            if reached(change, one):
                return WentBack.CONTRADICTED, f"{one.package} {one.version}"
        if change.from_version not in [one.version for one in there]:
            what = f"{change.package} {there[0].version}" if there else f"no {change.package}"
            answer = (WentBack.UNDETERMINED, what)
    return answer


def seen(work: Work, event: WayBackSeen) -> None:
    """Hold an inventory against what was said. Raises `NotFoundError`."""
    task = work.tasks.get(event.host)
    if task is None:
        raise NotFoundError("task of host", event.host)
    if task.proof_after is None or event.at <= task.proof_after:
        return
    report = f"the report of {event.at:%Y-%m-%d %H:%M} UTC"
    match event.shown:
        case WentBack.CONFIRMED:
            _confirm(work, task, event.at, f"{report} shows the old versions")
        case WentBack.CONTRADICTED:
            why = f"said rolled back, but {report} still shows {event.said}"
            _contradict(work, task, event.at, why)
        case WentBack.UNDETERMINED:
            why = f"said rolled back, but {report} shows {event.said}, not the old version"
            _note(work, task, event.at, WentBack.UNDETERMINED, why)


def _confirm(work: Work, task: Task, at: datetime, why: str) -> None:
    if task.state is TaskState.ROLLED_BACK:
        known = revised(task, went_back=WentBack.CONFIRMED, proof_after=None, reason=why)
        work.put(known)
    else:
        late = f"late: it has gone back, {why}"
        enter(
            work,
            task,
            TaskState.ROLLED_BACK,
            at,
            late,
            finished=at,
            not_back=False,
            package="",
            went_back=WentBack.CONFIRMED,
        )
    _record(work, task, at, WentBack.CONFIRMED, why)


def _contradict(work: Work, task: Task, at: datetime, why: str) -> None:
    """Take the roll-back for failed; what a person let pass was another thing."""
    if task.state is not TaskState.ROLLED_BACK:
        _note(work, task, at, WentBack.CONTRADICTED, why)
        return
    if work.is_accepted(task):
        work.accept_failures(task.ring, -task.hosts)
        signals.hear_again(work, "failures", work.rings[task.ring].name, task.hosts)
    undo = None if task.undo is None else replace(task.undo, over=why)
    _record(work, task, at, WentBack.CONTRADICTED, why)
    work.notify("roll_back_contradicted", f"a host is not rolled back: {why}")
    enter(
        work,
        revised(task, undo=undo, acknowledged=False),
        TaskState.FAILED,
        at,
        why,
        finished=at,
        went_back=WentBack.CONTRADICTED,
        proof_after=at,
        by=MACHINE,
    )


def _note(work: Work, task: Task, at: datetime, shown: WentBack, why: str) -> None:
    work.put(revised(task, went_back=shown, proof_after=at, reason=why))
    if shown is not task.went_back:
        _record(work, task, at, shown, why)


def _record(work: Work, task: Task, at: datetime, shown: WentBack, why: str) -> None:
    ring = work.rings[task.ring].name
    work.record(at, f"roll_back_{shown.value}", why, ring=ring, host=task.host)
