"""Why a plan stands still, which hosts made it, and what a person can do about it.

The first step is what usually helps; each says what it leads to. Pages make buttons of the steps,
the command line prints the commands.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from patchmgr.domain.rollout.events import MACHINE
from patchmgr.domain.rollout.gates import is_approved
from patchmgr.domain.rollout.idle import NOTHING_AROUND, Around, coming, waiting
from patchmgr.domain.rollout.model import Ring, Rollout, Signal
from patchmgr.domain.rollout.states import ACTIVE_PLANS, PlanState, RingState, TaskState
from patchmgr.domain.rollout.stop import ACCEPT, RETRY, SKIP, Culprit, Step, Stop

_RETRY_FIRST = Step("retry", "Repair what the hosts say and give them another turn, before the "
                    "signal is let pass.")  # fmt: skip
_ROLL_BACK = Step("roll-back", "Or take the new versions back: these hosts are to have what "
                  "they had.")  # fmt: skip
_HOLD = Step("hold", "If the version itself is bad, hold it: no plan installs it until the hold "
             "ends.")  # fmt: skip
_PASS_HOSTS = Step("acknowledge", "Let it pass: these hosts no longer count against the ring, and "
                   "the plan stops again only when it gets worse.")  # fmt: skip
_PASS_RING = Step("acknowledge", "Let it pass: the ring has then passed by your decision, and the "
                  "next one begins.")  # fmt: skip
_CONSOLES = Step("look", "See on their consoles why the hosts do not come back. One that comes "
                 "back is verified by its next inventory, by itself.")  # fmt: skip
_CANCEL = Step("cancel", "Or cancel the plan: what is installed stays, nothing else begins.")
_CANCEL_NOW = Step("cancel", "Cancel this plan and make a new one: what it says now, nobody has "
                   "approved.")  # fmt: skip

_ADVICE: Mapping[str, tuple[Step, ...]] = {
    "failures": (_RETRY_FIRST, _ROLL_BACK, _HOLD, _PASS_HOSTS, _CANCEL),
    "package": (
        Step("hold", "Hosts agree that this package fails: hold the version, so that no plan "
             "installs it."),
        _RETRY_FIRST,
        _ROLL_BACK,
        _PASS_HOSTS,
        _CANCEL,
    ),
    "reboot": (_CONSOLES, ACCEPT, _PASS_HOSTS, _CANCEL),
    "not_back": (_CONSOLES, RETRY, ACCEPT, _PASS_RING, _CANCEL),
    "withdrawn": (
        Step("look", "Read what the vendor says of the advisory: what it fixed may be broken."),
        Step("cancel", "Cancel the plan, and make a new one without it."),
        Step("acknowledge", "Let it pass: the plan goes on, and stops again when another advisory "
             "is withdrawn."),
    ),
    "failed": (_RETRY_FIRST, _ROLL_BACK, _PASS_RING, SKIP, _CANCEL),
    "inconclusive": (
        Step("look", "Let the hosts report: an inventory that shows the new versions verifies "
             "them, by itself."),
        RETRY,
        ACCEPT,
        _PASS_RING,
        _CANCEL,
    ),
    "waiting": (
        Step("approve", "Have an approver who is not an author approve the ring, then let this "
             "pass."),
        Step("acknowledge", "Let it pass: the ring has its whole time to wait again."),
        SKIP,
        _CANCEL,
    ),
    "content": (
        _CANCEL_NOW,
        Step("look", "Find out who changed it: the audit log has every change that went through "
             "this service, and this one did not."),
    ),
    "probe": (
        Step("look", "See what the probe asks for, and make the service healthy again."),
        Step("acknowledge", "Then let it pass: the probe is asked anew, and counted from the "
             "start."),
        _ROLL_BACK,
        _CANCEL,
    ),
    "hold": (
        Step("cancel", "Cancel the plan, and make a new one: it leaves out what is held."),
        Step("revoke", "If the version is good after all, revoke the hold, then let this pass."),
        Step("acknowledge", "Let it pass: the plan goes on and installs it all the same, and stops "
             "at the next hold."),
    ),
    "person": (
        Step("look", "Ask who stopped it whether the reason is gone."),
        Step("acknowledge", "Let it pass: the plan goes on, until somebody stops it again."),
        _CANCEL,
    ),
}  # fmt: skip
_RESUME = Step("resume", "Resume: hosts whose window is open get their turn at once.")
_OF_RINGS = ("failures", "gate", "waiting")  # kinds of signals whose subject is a ring
_OF_HOSTS = ("retry", "roll-back", "acknowledge-hosts")  # steps that need hosts to take them


def stops(
    rollout: Rollout, culprits: Sequence[Culprit] = (), around: Around = NOTHING_AROUND
) -> tuple[Stop, ...]:
    """Return every reason for which ``rollout`` stands still now; none when it moves."""
    found = [_halted(rollout, signal, culprits, around) for signal in rollout.signals]
    if rollout.state is PlanState.PAUSED:
        found.append(_paused(rollout))
    if rollout.state is PlanState.EXPIRED:
        words = "Make a new plan: it takes what is open by now, and is approved anew."
        found.append(Stop("expired", rollout.reason, rollout.since, (Step("remake", words),)))
    if rollout.state is PlanState.RUNNING:
        found += waiting(rollout, culprits if around.is_grouped else (), around)
    if rollout.state in ACTIVE_PLANS and around.no_scheduler_since is not None:
        found.insert(0, _unscheduled(around.no_scheduler_since))
    return tuple(found)


def commands(plan_id: int, stop: Stop) -> tuple[str, ...]:
    """Return what to type for the steps of ``stop``; "" for those that are not typed."""
    hosts = " ".join(one.host for one in stop.hosts) or "HOST"
    each = " ".join(f"--host {one.host}" for one in stop.hosts) or "--host HOST"
    lines = {
        "retry": f"plans retry {plan_id} {hosts} --reason TEXT",
        "roll-back": f"plans roll-back {plan_id} {hosts} --reason TEXT",
        "acknowledge-hosts": f"plans acknowledge {plan_id} {each} --reason TEXT",
        "acknowledge": f"plans acknowledge {plan_id} --reason TEXT",
        "skip-ring": f"plans skip-ring {plan_id} {stop.ring or 'RING'} --reason TEXT",
        "approve": f"plans approve {plan_id} --ring {stop.ring or 'RING'}",
        "hold": f"holds add {stop.package or 'PACKAGE'} --version VERSION --reason TEXT",
        "resume": f"plans resume {plan_id}",
        "revoke": f"holds revoke {stop.subject or 'ID'} --reason TEXT",
        "end-freeze": f"freezes end {stop.subject or 'NAME'}",
        "schedule": "scheduler",
        "cancel": f"plans cancel {plan_id} --reason TEXT",
    }
    return tuple(
        f"patchmgr {lines[step.command]}" if step.command in lines else "" for step in stop.steps
    )


def _halted(rollout: Rollout, signal: Signal, culprits: Sequence[Culprit], around: Around) -> Stop:
    ring = _ring(rollout, signal)
    hosts = tuple(filter(_causes(signal, ring), culprits))
    kind = _kind(signal, ring, hosts)
    steps = _ADVICE.get(kind, _ADVICE["person"])
    if kind == "not_back":
        kind = "inconclusive"
    if kind == "waiting" and ring and is_approved(rollout, rollout.rings.index(ring)):
        look = "See in the calendar when a window opens and no freeze is in force."
        steps = (Step("look", look + coming(around)), *steps[1:])
    why = signal.why
    if kind == "person" and signal.subject:
        why = f"Halted by {why}"
    if kind == "content" and around.unreadable:
        why += f" (the settings of ring {around.unreadable} cannot be read)"
    return Stop(
        kind,
        why,
        signal.at,
        tuple(one for one in steps if _is_possible(one, hosts)),
        ring=ring.name if ring else "",
        package=_package(signal, hosts),
        hosts=hosts,
        is_halt=True,
        subject=signal.subject,
    )


def _kind(signal: Signal, ring: Ring | None, hosts: Sequence[Culprit]) -> str:
    """Return which advice a signal needs."""
    if signal.kind != "gate":
        return signal.kind
    # Where every host is lost, none has said that it failed.
    if hosts and all(one.state is TaskState.LOST for one in hosts):
        return "not_back" if all(one.not_back for one in hosts) else "inconclusive"
    return "inconclusive" if ring and ring.state is RingState.INCONCLUSIVE else "failed"


def _unscheduled(since: datetime) -> Stop:
    words = (
        "Start it: patchmgr serve has one, or run patchmgr scheduler. Windows, deadlines and "
        "inventories are looked at from then on; patchmgr doctor says what else is wrong."
    )
    why = "No scheduler is running: nothing begins, ends or is verified"
    return Stop("scheduler", why, since, (Step("schedule", words),))


def _is_possible(step: Step, hosts: Sequence[Culprit]) -> bool:
    """Return whether there are hosts to take a step that needs some."""
    if step.command == "roll-back":
        return any(not one.goes_back for one in hosts)
    return bool(hosts) or step.command not in _OF_HOSTS


def _ring(rollout: Rollout, signal: Signal) -> Ring | None:
    """Return the ring that a signal speaks of, if it speaks of one; a probe's is ``ring/probe``."""
    if signal.kind in _OF_RINGS:
        return next((ring for ring in rollout.rings if ring.name == signal.subject), None)
    if signal.kind != "probe":  # a person, a package or a hold may be called as a ring is
        return None
    named = [one for one in rollout.rings if signal.subject.startswith(f"{one.name}/")]
    return max(named, key=lambda ring: len(ring.name), default=None)


def _causes(signal: Signal, ring: Ring | None) -> Callable[[Culprit], bool]:
    return {
        "failures": lambda one: one.ring == signal.subject and one.state is not TaskState.LOST,
        "package": lambda one: one.package == signal.subject,
        "reboot": lambda one: one.not_back,
        "gate": lambda one: one.ring == signal.subject,
        "probe": lambda one: ring is not None and one.ring == ring.name,
    }.get(signal.kind, lambda _: False)


def _package(signal: Signal, hosts: Sequence[Culprit]) -> str:
    if signal.kind == "package":
        return signal.subject
    packages = sorted({one.package for one in hosts if one.package})
    return packages[0] if len(packages) == 1 else ""


def _paused(rollout: Rollout) -> Stop:
    if rollout.by == MACHINE:
        look = Step(
            "look",
            "See why the probe tells nothing of the service: its address, its query, or that "
            "nobody asks it.",
        )
        resume = replace(_RESUME, words="Resume: the probe is asked anew, counted from the start.")
        steps: tuple[Step, ...] = (look, resume, _CANCEL)
    else:
        steps = (_RESUME, _CANCEL)
    if rollout.signals:  # it cannot be resumed over them
        steps = tuple(one for one in steps if one.command != "resume")
    return Stop("paused", rollout.reason, rollout.since, steps)
