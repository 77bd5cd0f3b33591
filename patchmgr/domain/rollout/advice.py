"""Why a plan stands still, which hosts made it, and what a person can do about it.

The first step is what usually helps; each says what it leads to. Pages make buttons of the steps,
the command line prints the commands.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from patchmgr.domain.rollout.events import MACHINE
from patchmgr.domain.rollout.gates import is_approved
from patchmgr.domain.rollout.machine import current_ring
from patchmgr.domain.rollout.model import Ring, Rollout, Signal
from patchmgr.domain.rollout.states import (
    AT_WORK,
    UNVERIFIED,
    WAITING_TASKS,
    PlanState,
    RingState,
    TaskState,
)


@dataclass(frozen=True, slots=True)
class Culprit:
    """A host that ended without success, and that nobody has accepted so far."""

    host: str
    ring: str
    state: TaskState
    package: str = ""  # the one that failed
    said: str = ""
    not_back: bool = False  # from its reboot
    goes_back: bool = False  # a person has asked that it be rolled back, and that stands


@dataclass(frozen=True, slots=True)
class Step:
    """Something to do: ``command`` as on the command line, or "look", "wait", "remake"."""

    command: str
    words: str


@dataclass(frozen=True, slots=True)
class Stop:
    """One reason to stand still."""

    kind: str  # of the halt signal, or "paused", "frozen", "approval", "window", "group", "expired"
    why: str
    at: datetime | None  # since when
    steps: tuple[Step, ...]
    ring: str = ""
    package: str = ""
    hosts: tuple[Culprit, ...] = ()  # that it comes from

    @property
    def is_halt(self) -> bool:
        return self.kind in _ADVICE


_RETRY = Step("retry", "Repair what the hosts say, then give them another turn.")
_RETRY_FIRST = Step("retry", "Repair what the hosts say and give them another turn, before the "
                    "signal is let pass.")  # fmt: skip
_ROLL_BACK = Step("roll-back", "Or take the new versions back: these hosts are to have what "
                  "they had.")  # fmt: skip
_HOLD = Step("hold", "If the version itself is bad, hold it: no plan installs it until the hold "
             "ends.")  # fmt: skip
_ACCEPT = Step("acknowledge-hosts", "Accept the hosts as they are: they no longer count against "
               "the ring and its groups.")  # fmt: skip
_PASS = Step("acknowledge", "Let it pass: the plan goes on, and stops again only when it gets "
             "worse.")  # fmt: skip
_PASS_RING = Step("acknowledge", "Let it pass: the ring has then passed by your decision, and the "
                  "next one begins.")  # fmt: skip
_SKIP = Step("skip-ring", "Or go on without this ring: its hosts that wait keep what they have. "
             "It needs an approver.")  # fmt: skip
_CANCEL = Step("cancel", "Or cancel the plan: what is installed stays, nothing else begins.")
_CANCEL_NOW = Step("cancel", "Cancel this plan and make a new one: what it says now, nobody has "
                   "approved.")  # fmt: skip

_ADVICE: Mapping[str, tuple[Step, ...]] = {
    "failures": (_RETRY_FIRST, _ROLL_BACK, _HOLD, _PASS, _CANCEL),
    "package": (
        Step("hold", "Hosts agree that this package fails: hold the version, so that no plan "
             "installs it."),
        _RETRY_FIRST,
        _ROLL_BACK,
        _PASS,
        _CANCEL,
    ),
    "reboot": (
        Step("look", "See on their consoles why the hosts do not come back. One that comes back "
             "is verified by its next inventory, by itself."),
        _ACCEPT,
        _PASS,
        _CANCEL,
    ),
    "withdrawn": (
        Step("look", "Read what the vendor says of the advisory: what it fixed may be broken."),
        Step("cancel", "Cancel the plan, and make a new one without it."),
        _PASS,
    ),
    "failed": (_RETRY_FIRST, _ROLL_BACK, _PASS_RING, _SKIP, _CANCEL),
    "inconclusive": (
        Step("look", "Let the hosts report: an inventory that shows the new versions verifies "
             "them, by itself."),
        _RETRY,
        _ACCEPT,
        _PASS_RING,
        _CANCEL,
    ),
    "waiting": (
        Step("approve", "Have an approver who is not an author approve the ring, then let this "
             "pass."),
        Step("acknowledge", "Let it pass: the ring has its whole time to wait again."),
        _SKIP,
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
        Step("look", "If the version is good after all, revoke the hold."),
        _PASS,
    ),
    "person": (
        Step("look", "Ask who stopped it whether the reason is gone."),
        _PASS,
        _CANCEL,
    ),
}  # fmt: skip
_RESUME = Step("resume", "Resume: hosts whose window is open get their turn at once.")
_OF_HOSTS = ("retry", "roll-back", "acknowledge-hosts")  # steps that need hosts to take them


def stops(
    rollout: Rollout,
    culprits: Sequence[Culprit] = (),
    *,
    frozen: str = "",
    opens: Mapping[str, datetime] | None = None,
    is_grouped: bool = False,
) -> tuple[Stop, ...]:
    """Return every reason for which ``rollout`` stands still now; none when it moves.

    ``frozen`` is why nothing may change now, ``opens`` when each window of its plan opens next,
    ``is_grouped`` whether only some of its hosts may be down at a time.
    """
    found = [_halted(rollout, signal, culprits) for signal in rollout.signals]
    if rollout.state is PlanState.PAUSED:
        found.append(_paused(rollout))
    if rollout.state is PlanState.EXPIRED:
        words = "Make a new plan: it takes what is open by now, and is approved anew."
        found.append(Stop("expired", rollout.reason, rollout.since, (Step("remake", words),)))
    if rollout.state is PlanState.RUNNING:
        found += _waiting(
            rollout, culprits if is_grouped else (), frozen, opens or {}, is_grouped=is_grouped
        )
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
        "cancel": f"plans cancel {plan_id} --reason TEXT",
    }
    return tuple(
        f"patchmgr {lines[step.command]}" if step.command in lines else "" for step in stop.steps
    )


def _halted(rollout: Rollout, signal: Signal, culprits: Sequence[Culprit]) -> Stop:
    ring = next((one for one in rollout.rings if one.name == signal.subject.split("/")[0]), None)
    kind = signal.kind
    if kind == "gate":
        kind = "inconclusive" if ring and ring.state is RingState.INCONCLUSIVE else "failed"
    hosts = tuple(filter(_causes(signal), culprits))
    if kind == "failed" and hosts and all(one.state is TaskState.LOST for one in hosts):
        kind = "inconclusive"  # none of them said that it failed
    steps = _ADVICE.get(kind, _ADVICE["person"])
    if kind == "waiting" and ring and is_approved(rollout, rollout.rings.index(ring)):
        look = Step("look", "See in the calendar when a window opens and no freeze is in force.")
        steps = (look, *steps[1:])
    return Stop(
        kind,
        signal.why,
        signal.at,
        tuple(one for one in steps if _is_possible(one, hosts)),
        ring=ring.name if ring else "",
        package=_package(signal, hosts),
        hosts=hosts,
    )


def _is_possible(step: Step, hosts: Sequence[Culprit]) -> bool:
    """Return whether there are hosts to take a step that needs some."""
    if step.command == "roll-back":
        return any(not one.goes_back for one in hosts)
    return bool(hosts) or step.command not in _OF_HOSTS


def _causes(signal: Signal) -> Callable[[Culprit], bool]:
    return {
        "failures": lambda one: one.ring == signal.subject and one.state is not TaskState.LOST,
        "package": lambda one: one.package == signal.subject,
        "reboot": lambda one: one.not_back,
        "gate": lambda one: one.ring == signal.subject,
        "probe": lambda one: one.ring == signal.subject.split("/")[0],
    }.get(signal.kind, lambda _: False)


def _package(signal: Signal, hosts: Sequence[Culprit]) -> str:
    if signal.kind == "package":
        return signal.subject
    packages = sorted({one.package for one in hosts if one.package})
    return packages[0] if len(packages) == 1 else ""


def _paused(rollout: Rollout) -> Stop:
    if rollout.by == MACHINE:
        look = Step("look", "See why the probe cannot be asked: it says nothing about the service.")
        resume = replace(_RESUME, words="Resume: the probe is asked anew, counted from the start.")
        steps: tuple[Step, ...] = (look, resume, _CANCEL)
    else:
        steps = (_RESUME, _CANCEL)
    if rollout.signals:  # it cannot be resumed over them
        steps = tuple(one for one in steps if one.command != "resume")
    return Stop("paused", rollout.reason, rollout.since, steps)


def _waiting(
    rollout: Rollout,
    culprits: Sequence[Culprit],
    frozen: str,
    opens: Mapping[str, datetime],
    *,
    is_grouped: bool,
) -> list[Stop]:
    """Return what holds the ring whose turn it is."""
    if frozen:
        words = "It goes on by itself when the freeze ends. To go on before, end the freeze."
        return [Stop("frozen", f"Frozen: {frozen}", None, (Step("wait", words),))]
    position = current_ring(rollout)
    if position is None:
        return []
    ring = rollout.rings[position]
    if ring.state is RingState.WAITING_GATE and not is_approved(rollout, position):
        return [_unapproved(ring)]
    if ring.state is RingState.WAITING_WINDOW:
        return [_closed(ring, opens)]
    tally = ring.tally
    if tally.of(*WAITING_TASKS) and not tally.of(*AT_WORK):
        hosts = tuple(one for one in culprits if one.ring == ring.name)
        why = f"Ring {ring.name}: its groups can spare no other host"
        if hosts:
            return [Stop("group", why, None, (_RETRY, _ACCEPT), ring.name, "", hosts)]
        return _unverified(ring) if is_grouped else []
    return []


def _unverified(ring: Ring) -> list[Stop]:
    """Return that hosts wait while others of their groups are not verified yet, if some are not."""
    reboots = ring.tally.of(TaskState.REBOOT_PENDING)
    installed = ring.tally.of(*UNVERIFIED)
    if not installed:
        return []
    count = f"{installed} {'host counts' if installed == 1 else 'hosts count'}"
    why = (
        f"Ring {ring.name}: {count} against the groups until an inventory has verified them, "
        f"{reboots} of them after a reboot"
    )
    steps = (
        Step("wait", "It goes on by itself when they have reported; one that does not in time is "
             "lost, and named here."),
        Step("look", "To go on sooner, reboot those that wait for it and let them report."),
    )  # fmt: skip
    return [Stop("group", why, None, steps, ring.name)]


def _unapproved(ring: Ring) -> Stop:
    words = "An approver who is not an author approves the ring."
    if ring.deadline is not None:
        words += f" Without that the plan halts at {ring.deadline:%Y-%m-%d %H:%M} UTC."
    why = f"Ring {ring.name} waits for an approval of its own"
    return Stop("approval", why, ring.since, (Step("approve", words), _SKIP), ring.name)


def _closed(ring: Ring, opens: Mapping[str, datetime]) -> Stop:
    name = ring.settings.window
    known = [opens[name]] if name in opens else list(opens.values())
    when = f" The next opening is at {min(known):%Y-%m-%d %H:%M} UTC." if known else ""
    words = "It goes on by itself when a window of its hosts opens." + when
    why = f"Ring {ring.name} waits for a window: none is open"
    return Stop("window", why, ring.since, (Step("wait", words),), ring.name)
