"""Plays a rollout on a virtual fleet: people, hosts and probes act, the machine decides.

The clock jumps to the next instant at which anything can happen. Whatever happens at one instant
happens in this order: people, hosts, probes, then time as such (a tick).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from patchmgr.domain import probes
from patchmgr.domain.probes import Health, Probe
from patchmgr.domain.rollout import patience
from patchmgr.domain.rollout.events import (
    Acknowledge,
    Dispatch,
    Effect,
    Event,
    ProbeAnswered,
    Propose,
    Recall,
    Record,
    Resume,
    Start,
)
from patchmgr.domain.rollout.gates import is_approved
from patchmgr.domain.rollout.machine import advance_all
from patchmgr.domain.rollout.model import Ring, Rollout, Task
from patchmgr.domain.rollout.states import (
    IN_FLIGHT,
    OPEN_PLANS,
    OVER_RINGS,
    PROBED_RINGS,
    PlanState,
    RingState,
)
from patchmgr.domain.simulation.acting import consents, events_of, needs_all_tasks, renewed
from patchmgr.domain.simulation.alike import AlikeLedger
from patchmgr.domain.simulation.behaviour import Behaviour
from patchmgr.domain.simulation.calendar import Calendar
from patchmgr.domain.simulation.ledger import Ledger, rings_moved
from patchmgr.domain.simulation.lines import UNTRIED, UNTRIED_SAID, Line, gets_on, kinds_of
from patchmgr.domain.simulation.scenario import (
    AUTHOR,
    OPERATOR,
    Act,
    PersonActs,
    ProbeSays,
    Scenario,
    draft,
    group_names,
)
from patchmgr.domain.simulation.world import World
from patchmgr.domain.windows import Freeze, Window
from patchmgr.errors import PatchmgrError

PATIENCE = 100  # times that somebody lets pass what stops the plan while no host gets anything


@dataclass(frozen=True, slots=True)
class Setting:
    """What surrounds a rollout while it is played."""

    start: datetime
    windows: Mapping[str, Window]
    freezes: Sequence[Freeze]
    behaviours: Mapping[int, Behaviour]
    seed: int = 0
    people: Sequence[PersonActs] = ()
    answers: Sequence[ProbeSays] = ()
    until: timedelta = timedelta(days=366)
    acknowledge_after: timedelta | None = None
    resume_after: timedelta | None = None
    plan: str = "1"
    names: Mapping[int, str] = field(default_factory=dict)  # hosts
    groups: Mapping[int, str] = field(default_factory=dict)  # hosts -> what the log names
    told: frozenset[str] | None = None  # kinds of lines of hosts that are wanted; None: all
    alike: bool = False  # every host does what its ring expects, and those alike move together


@dataclass(frozen=True, slots=True)
class Played:
    """A simulation that runs as its lines are taken, and what a picture of it needs."""

    lines: Iterator[Line]
    plan: str
    sizes: Mapping[str, int]  # ring -> hosts
    windows: Mapping[str, Sequence[Window]]  # ring -> windows of its hosts
    freezes: Sequence[Freeze]
    due: datetime | None


def simulate(scenario: Scenario, seed: int | None = None) -> Iterator[Line]:
    """Yield what happens when the scenario's plan is proposed, approved and started at its start.

    The same scenario and seed yield the same lines.
    """
    return of_scenario(scenario, seed).lines


def of_scenario(scenario: Scenario, seed: int | None = None) -> Played:
    """Return the simulation of a scenario."""
    rollout = draft(scenario)
    setting = Setting(
        scenario.start,
        scenario.windows,
        scenario.freezes,
        {host.facts.id: host.behaviour for host in scenario.hosts},
        scenario.seed if seed is None else seed,
        scenario.people,
        scenario.answers,
        scenario.until,
        scenario.acknowledge_after,
        scenario.resume_after,
        scenario.plan,
        {host.facts.id: host.facts.hostname for host in scenario.hosts},
        group_names(scenario, rollout),
    )
    return played(rollout, setting)


def played(rollout: Rollout, setting: Setting) -> Played:
    """Return the simulation of ``rollout``, which must have every task."""
    used: dict[int, set[str]] = {}
    for task in rollout.tasks.values():
        if task.window is not None:
            used.setdefault(task.ring, set()).add(task.window)
    return Played(
        Player(rollout, setting).play(),
        setting.plan,
        {ring.name: sum(ring.tally.states.values()) for ring in rollout.rings},
        {
            ring.name: [setting.windows[name] for name in sorted(used.get(position, ()))]
            for position, ring in enumerate(rollout.rings)
        },
        setting.freezes,
        rollout.due,
    )


class Player:
    """One rollout on its way. ``rollout`` must have every task."""

    def __init__(self, rollout: Rollout, setting: Setting) -> None:
        self.at = setting.start
        self._setting = setting
        self._ledger = AlikeLedger(rollout) if setting.alike else Ledger(rollout)
        self._world = World(setting.behaviours, setting.seed)
        self._calendar = Calendar(setting.windows, setting.freezes)
        self._people = sorted(setting.people, key=lambda one: one.at)
        self._numbers = {name: number for number, name in setting.names.items()}
        self._stored = rollout.content_hash
        self._patience = PATIENCE
        self._has_started = rollout.state not in OPEN_PLANS[:3]
        settings = {position: ring.settings for position, ring in enumerate(rollout.rings)}
        in_flight = [task for task in rollout.tasks.values() if task.state in IN_FLIGHT]
        self._world.resume(in_flight, settings, self.at)

    @property
    def rollout(self) -> Rollout:
        """The plan as it is now, without its tasks."""
        return self._ledger.rollout

    @property
    def tasks(self) -> Mapping[int, Task]:
        return self._ledger.tasks

    def play(self) -> Iterator[Line]:
        """Yield what happens until the plan is over or nothing can happen any more."""
        yield from self._begin()
        end = self._setting.start + self._setting.until
        while True:
            yield from self._instant()
            if self.rollout.state not in OPEN_PLANS and not self.rollout.live:
                why = f"the plan is {self.rollout.state}"
                break
            following = self._next()
            if following is None:
                why = f"nothing can happen any more, the plan is {self.rollout.state}"
                break
            if following > end:
                why = f"the simulation is over, the plan is {self.rollout.state}"
                break
            self.at = following
        yield self._line("ended", why)

    # What happens at one instant

    def _begin(self) -> Iterator[Line]:
        """Bring a plan that has not started as far as its start."""
        self._ledger.rollout = renewed(self.rollout, self.at)
        if self.rollout.state is PlanState.DRAFT:
            yield from self._step([Propose(AUTHOR, self.at)])
        if self.rollout.state is PlanState.PROPOSED:
            yield from self._step(consents(self.rollout, self.at))
        if self.rollout.state is PlanState.APPROVED:
            yield from self._step([Start(OPERATOR, self.at, self.rollout.content_hash)])

    def _instant(self) -> Iterator[Line]:
        while self._people and self._people[0].at <= self.at:
            yield from self._act(self._people.pop(0))
        yield from self._decide()
        while True:
            yield from self._hosts()
            yield from self._probes()
            yield from self._tick()
            decided = [*self._approve_rings(), *self._decide()]
            yield from decided
            is_quiet = self._world.next is None or self._world.next > self.at
            if is_quiet and not decided:
                return

    def _hosts(self) -> Iterator[Line]:
        while self._world.next is not None and self._world.next <= self.at:
            deeds = self._world.due(self.at)
            for host in deeds.rebooted:
                ring = self.rollout.rings[self.tasks[host].ring].name
                yield from self._host_lines("rebooted", "", ring, host)
            if deeds.events:
                yield from self._step(deeds.events, {event.host for event in deeds.events})

    def _tick(self) -> Iterator[Line]:
        is_late = any(self._is_past(ring.deadline) for ring in self.rollout.rings)
        tick = self._calendar.tick(self.at, self._stored, is_late=is_late)
        while True:
            hosts = self._ledger.can_change(tick)
            before = self.rollout
            lines, may_follow = self._apply([tick], hosts)
            yield from lines
            self._ledger.give_back(hosts)
            if not (lines and (may_follow or rings_moved(before, self.rollout))):
                return

    def _probes(self) -> Iterator[Line]:
        events = [
            ProbeAnswered(self.at, ring, probe.name, *self._answer(ring, probe))
            for ring, probe, at in self._questions()
            if at <= self.at
        ]
        if events:
            yield from self._step(events)

    def _act(self, act: PersonActs) -> Iterator[Line]:
        if act.act is Act.TAMPER:
            self._stored = f"{self._stored}, changed"
            return
        hosts = {self._numbers[name] for name in act.hosts}
        if needs_all_tasks(act.act):
            hosts |= self._ledger.waiting()
        try:
            yield from self._step(events_of(act, self.at, hosts, self.rollout), hosts)
        except PatchmgrError as error:
            yield self._line("refused", f"{act.act}: {error}")

    def _decide(self) -> Iterator[Line]:
        """Let people do what the setting says that they always do."""
        halted, paused = self._decision_at(PlanState.HALTED), self._decision_at(PlanState.PAUSED)
        if self._is_past(halted) or self._is_past(paused):
            self._patience -= 1
        if halted is not None and halted <= self.at:
            yield from self._step([Acknowledge(OPERATOR, self.at, "looked at")])
        if paused is not None and paused <= self.at:
            if self.rollout.signals:
                yield from self._step([Acknowledge(OPERATOR, self.at, "looked at")])
            yield from self._step([Resume(OPERATOR, self.at, "looked at")])

    def _approve_rings(self) -> Iterator[Line]:
        """Approve a ring that waits for it at once, where the setting has no person do it."""
        plan, setting = self.rollout, self._setting
        for position, ring in enumerate(plan.rings):
            waits = ring.state is RingState.WAITING_GATE and not is_approved(plan, position)
            if waits and not any(
                one.act is Act.APPROVE and one.ring == ring.name for one in setting.people
            ):
                yield from self._step(consents(plan, self.at, ring.name))

    def _decision_at(self, state: PlanState) -> datetime | None:
        halted = state is PlanState.HALTED
        after = self._setting.acknowledge_after if halted else self._setting.resume_after
        plan = self.rollout
        if after is None or plan.state is not state or plan.since is None or not self._patience:
            return None
        return plan.since + after

    # Steps

    def _step(self, events: Sequence[Event], hosts: Iterable[int] = ()) -> list[Line]:
        return self._apply(events, hosts)[0]

    def _apply(self, events: Sequence[Event], hosts: Iterable[int] = ()) -> tuple[list[Line], bool]:
        """Advance by ``events``; a step that stops the plan is made again with every open order."""
        chosen = set(hosts)
        before = self._ledger.load(chosen)
        after, effects = advance_all(before, events)
        if after.state is not before.state and self._ledger.leased - chosen:
            before = self._ledger.load(chosen, leased=True)
            after, effects = advance_all(before, events)
        # Before it is taken: what an order is taken back from parts then.
        lines = [*self._lines(before, effects), *self._turns_lost(before, after, effects)]
        if any(gets_on(line) for line in lines):
            self._patience = PATIENCE
        return lines, self._ledger.take(after)

    def _lines(self, before: Rollout, effects: Iterable[Effect]) -> Iterator[Line]:
        """Hand the orders to the hosts, and yield what is worth a line."""
        started = {ring.name for ring in before.rings if ring.started is not None}
        for effect in effects:
            match effect:
                case Dispatch():
                    ring = self.rollout.rings[self.tasks[effect.host].ring].settings
                    self._world.order(effect, ring, self.at)
                case Recall():
                    self._world.recall(effect)
                case Record():
                    kinds = kinds_of(
                        effect,
                        has_started=self._has_started,
                        has_ring_started=effect.ring in started,
                    )
                    if effect.kind == "running":
                        self._has_started = True
                    for kind in kinds:
                        if effect.host is None:
                            yield self._line(kind, effect.message, ring=effect.ring)
                        else:
                            yield from self._host_lines(
                                kind, effect.message, effect.ring, effect.host
                            )

    def _turns_lost(
        self, before: Rollout, after: Rollout, effects: Iterable[Effect]
    ) -> Iterator[Line]:
        """Yield a line for each host whose turn will not come; the timeline has one for all."""
        said = {one.host for one in effects if isinstance(one, Record) and one.kind in UNTRIED_SAID}
        for host, task in after.tasks.items():
            kind = UNTRIED.get(task.state)
            if kind and task.state is not before.tasks[host].state and host not in said:
                ring = after.rings[task.ring].name
                yield from self._host_lines(kind, task.reason, ring, host)

    def _host_lines(self, kind: str, reason: str, ring: str, host: int) -> Iterator[Line]:
        """Yield a line for each host that the task of ``host`` stands for."""
        setting = self._setting
        if setting.told is not None and kind not in setting.told:
            return
        at, plan, names, groups = self.at, setting.plan, setting.names, setting.groups
        for member in self._ledger.members(host):
            name = names.get(member) or str(member)
            yield Line(at, plan, ring, name, groups.get(member, ""), kind, reason)

    def _line(self, kind: str, reason: str, *, ring: str = "") -> Line:
        return Line(self.at, self._setting.plan, ring, "", "", kind, reason)

    # Time

    def _next(self) -> datetime | None:
        """Return the next instant at which anything can happen; None when nothing can."""
        plan = self.rollout
        found = [
            self._world.next,
            self._ledger.next_deadline,
            plan.deadline,
            self._people[0].at if self._people else None,
            self._decision_at(PlanState.HALTED),
            self._decision_at(PlanState.PAUSED),
            *(at for _, _, at in self._questions()),
        ]
        if plan.state is PlanState.RUNNING:
            for ring in plan.rings:
                found += [ring.soak_until if ring.state is RingState.SOAKING else None]
                found += [ring.deadline, self._patience_ends(ring)]
            if any(ring.tally.live or ring.state not in OVER_RINGS for ring in plan.rings):
                found.append(self._calendar.next_change(self.at))
        later = [at for at in found if at is not None and at > self.at]
        return min(later, default=None)

    def _is_past(self, at: datetime | None) -> bool:
        return at is not None and at <= self.at

    def _patience_ends(self, ring: Ring) -> datetime | None:
        """Return when a ring that waits past its deadline has waited too long, freeze or not."""
        if not self._is_past(ring.deadline):
            return None
        return patience.waits_until(ring, self._calendar.frozen_times(self.at), self.at)

    def _questions(self) -> Iterator[tuple[str, Probe, datetime]]:
        """Yield each probe that is asked now, with when its next question is due."""
        if self.rollout.state is not PlanState.RUNNING:
            return
        for ring in self.rollout.rings:
            if ring.state not in PROBED_RINGS or ring.started is None:
                continue
            for probe in ring.settings.probes:
                yield (
                    ring.name,
                    probe,
                    probes.next_question(probe, ring.probes.get(probe.name), ring.started),
                )

    def _answer(self, ring: str, probe: Probe) -> tuple[Health, str]:
        for one in self._setting.answers:
            is_meant = one.probe == probe.name and one.ring in ("", ring)
            if is_meant and one.since <= self.at < one.until:
                return one.health, one.detail
        return Health.PASSED, ""
