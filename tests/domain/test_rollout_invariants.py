"""What must hold of a rollout whatever happens to it, in whatever order (design.md 4.7)."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from patchmgr.domain.probes import Health, Probe, ProbeKind
from patchmgr.domain.rings import RingSettings
from patchmgr.domain.rollout.events import (
    Acknowledge,
    AcknowledgeHosts,
    Approve,
    Cancel,
    Dispatch,
    Edited,
    HaltSignal,
    InventorySeen,
    NeverBegun,
    Outcome,
    Pause,
    ProbeAnswered,
    Propose,
    Recall,
    Reject,
    Resume,
    Retry,
    RollBack,
    SkipRing,
    Start,
    Supersede,
    TaskReported,
    Tick,
    WayBackSeen,
    Withdrawn,
    WithdrawRollBack,
)
from patchmgr.domain.rollout.machine import advance, awaited_person, deadline_of
from patchmgr.domain.rollout.model import Budget, Ring, Rollout, Tally, Task
from patchmgr.domain.rollout.states import (
    AT_WORK,
    CHANGED,
    IN_FLIGHT,
    LIVE_TASKS,
    NOT_BEGUN,
    OPEN_PLANS,
    OVER_RINGS,
    PlanState,
    TaskState,
    WentBack,
)
from patchmgr.errors import ConflictError, ForbiddenError, InputError, NotFoundError

T0 = datetime(2026, 3, 2, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
PEOPLE = ("ann", "bob", "cid")
HASHES = ("a" * 64, "b" * 64)

SHOP = Probe("shop", ProbeKind.HTTP, "https://shop.example/", interval=4 * HOUR)
LIMITS = {"left": 1, "right": 2, "both": 3}  # group -> hosts that may be unavailable
RINGS = (
    RingSettings("canary", percent=10, max_failures=0, soak=6 * HOUR, min_soak=HOUR,
                 max_concurrent=2, wait=timedelta(days=3), probes=(SHOP,)),
    RingSettings("guarded", percent=10, max_failures=1, needs_approval=True, max_concurrent=1,
                 wait=timedelta(days=3), window="any"),
    RingSettings("broad", max_failures=2, max_concurrent=3, wait=timedelta(days=3)),
)  # fmt: skip
SIZES = (3, 2, 5)


def window_at(at: datetime) -> dict[str, datetime]:
    """A window from 22:00 for four hours, on every second day."""
    for day in (at, at - timedelta(days=1)):
        opens = day.replace(hour=22, minute=0, second=0, microsecond=0)
        if opens.day % 2 == 0 and opens <= at < opens + 4 * HOUR:
            return {"night": opens + 4 * HOUR}
    return {}


def freeze_at(at: datetime) -> tuple[str, datetime | None]:
    """A freeze of 30 hours in every ten days."""
    begins = T0 + ((at - T0) // timedelta(days=10)) * timedelta(days=10) + timedelta(days=4)
    if begins <= at < begins + 30 * HOUR:
        return "change freeze", None
    return "", begins if at < begins else begins + timedelta(days=10)


class Rollouts(RuleBasedStateMachine):
    """Plays random events and judges every effect by rules of its own."""

    @initialize(
        windowed=st.booleans(),
        needed=st.integers(1, 2),
        underway=st.sampled_from([0, 1, 1, 2, 2]),
        by_order=st.sampled_from([True, True, False]),
    )
    def draft(self, windowed: bool, needed: int, underway: int, by_order: bool) -> None:
        tasks: dict[int, Task] = {}
        rings = []
        for position, (ring, size) in enumerate(zip(RINGS, SIZES, strict=True)):
            for _ in range(size):
                host = len(tasks) + 1
                window = "night" if windowed and ring.window == "own" and host % 3 else None
                groups = ("left" if host % 2 else "right", "both") if host != 4 else ()
                after = (host - 2,) if host in (8, 10) else ()
                tasks[host] = Task(host, position, window, since=T0, groups=groups, after=after)
            rings.append(Ring(ring, Tally({TaskState.QUEUED: size})))
        self.rollout = Rollout(
            tuple(rings),
            tasks,
            frozenset({"ann"}),
            HASHES[0],
            needed,
            due=T0 + timedelta(days=6),
            groups={key: Budget(limit) for key, limit in LIMITS.items()},
            orders_ways_back=by_order,
        )
        self.at = T0
        self.handed_out: set[tuple[int, int]] = set()
        self.consents: dict[str, str] = {}  # person -> the content they agreed to
        self.editors = {"ann"}
        if underway:  # most of what can go wrong comes after the start
            self.all_at_once()
        if underway > 1:  # and much of it in the last ring
            self.early_rings_pass()

    def early_rings_pass(self) -> None:
        for _ in range(12):
            if self.rollout.rings[-1].tally.of(*AT_WORK):
                return
            self.approve_ring("cid", "guarded")
            self.all_report(Outcome.INSTALLED)
            self.all_inventories()
            self.probe(Health.PASSED, 1)
            self.time_passes(180)

    def all_at_once(self) -> None:
        self.propose("ann")
        for person in ("bob", "cid"):
            self.approve(person, self.rollout.content_hash)
        self.start(0)
        self.time_passes(1)

    def play(self, event) -> None:
        before = self.rollout
        try:
            self.rollout, effects = advance(before, event)
        except (ConflictError, ForbiddenError, InputError, NotFoundError):
            return
        for effect in effects:
            if isinstance(effect, Dispatch):
                self.judge_dispatch(before, effect, event)
            elif isinstance(effect, Recall):
                assert (effect.host, effect.attempt) in self.handed_out

    def judge_dispatch(self, before: Rollout, effect: Dispatch, event) -> None:
        assert isinstance(event, Tick)
        assert (effect.host, effect.attempt) not in self.handed_out
        self.handed_out.add((effect.host, effect.attempt))
        self.judge_place(before.tasks[effect.host], effect)
        if effect.is_way_back:
            self.judge_way_back(effect)
            return
        assert before.state is PlanState.RUNNING
        assert self.rollout.state is PlanState.RUNNING
        good = {one for one, what in self.consents.items() if what == before.content_hash}
        assert len(good - self.editors) >= before.approvals_needed

        task = self.rollout.tasks[effect.host]
        ring = self.rollout.rings[task.ring]
        assert all(one.state in OVER_RINGS for one in self.rollout.rings[: task.ring])
        if ring.settings.needs_approval:
            assert any(one.ring == ring.name for one in self.rollout.approvals)
        for host in task.after:
            assert self.rollout.tasks[host].state not in NOT_BEGUN

    def judge_way_back(self, effect: Dispatch) -> None:
        """A person asked for it, of a host that may have something new, which nobody altered."""
        task = self.rollout.tasks[effect.host]
        assert task.undo is not None
        assert task.undo.why
        assert task.state in CHANGED
        assert self.rollout.orders_ways_back
        assert not any(signal.kind == "content" for signal in self.rollout.signals)

    def judge_place(self, before: Task, effect: Dispatch) -> None:
        """Nothing is handed out beside windows, freezes, places and groups, whatever it is."""
        task = self.rollout.tasks[effect.host]
        ring = self.rollout.rings[task.ring]
        frozen, frozen_from = freeze_at(self.at)
        assert not frozen
        assert self.at < effect.deadline
        ends = effect.deadline + ring.settings.needed_time
        assert frozen_from is None or ends <= frozen_from
        if task.window is not None:
            assert ends <= window_at(self.at)[task.window]
        at_work = sum(
            one.state in AT_WORK or bool(one.undo and one.undo.is_in_hand)
            for one in self.rollout.tasks.values()
            if one.ring == task.ring
        )
        assert at_work <= ring.settings.max_concurrent
        # A host that is down takes no place of its group; what inventories contradict may be more.
        for key in () if before.is_unavailable else task.groups:
            assert len(self.unavailable(key)) <= LIMITS[key]

    def unavailable(self, group: str) -> list[int]:
        """The hosts of a group that are down, or may be, and that nobody has acknowledged."""
        return [
            task.host
            for task in self.rollout.tasks.values()
            if group in task.groups
            and (
                bool(task.undo and task.undo.is_in_hand)
                or (not task.acknowledged and self.is_down(task))
            )
        ]

    @staticmethod
    def is_down(task: Task) -> bool:
        return task.state in (*IN_FLIGHT, TaskState.FAILED, TaskState.LOST) or (
            task.state is TaskState.TIMED_OUT and bool(task.begun or task.misses)
        )

    def now(self) -> Tick:
        frozen, frozen_from = freeze_at(self.at)
        return Tick(self.at, window_at(self.at), frozen, frozen_from, self.rollout.content_hash)

    @rule(minutes=st.sampled_from([1, 20, 60, 180, 600, 1440, 5000]))
    def time_passes(self, minutes: int) -> None:
        self.at += timedelta(minutes=minutes)
        self.play(self.now())
        again, effects = advance(self.rollout, self.now())
        assert (again, effects) == (self.rollout, ()), "a second tick at once does nothing"

    @rule(by=st.sampled_from(PEOPLE))
    def propose(self, by: str) -> None:
        self.play(Propose(by, self.at))

    @rule(by=st.sampled_from(PEOPLE), content=st.sampled_from(HASHES))
    def approve(self, by: str, content: str) -> None:
        before = self.rollout
        self.play(Approve(by, self.at, content))
        if self.rollout is not before:
            self.consents[by] = content

    @rule(by=st.sampled_from(PEOPLE), ring=st.sampled_from(["canary", "guarded", "none"]))
    def approve_ring(self, by: str, ring: str) -> None:
        self.play(Approve(by, self.at, self.rollout.content_hash, ring))

    @precondition(lambda self: self.rollout.state in OPEN_PLANS[:3])
    @rule(by=st.sampled_from(PEOPLE[:2]), content=st.sampled_from(HASHES))
    def edit(self, by: str, content: str) -> None:
        self.play(Edited(by, self.at, content))
        self.editors.add(by)
        self.consents.clear()

    @rule(content=st.sampled_from([0, 0, 0, 1]))
    def start(self, content: int) -> None:
        wrong = HASHES[1 - HASHES.index(self.rollout.content_hash)]
        self.play(Start("ann", self.at, wrong if content else self.rollout.content_hash))

    @rule(
        host=st.integers(1, sum(SIZES) + 1),
        outcome=st.sampled_from([*Outcome, Outcome.INSTALLED, Outcome.INSTALLED]),
        attempt=st.sampled_from([None, None, 1, 2, 3]),
        reboot=st.booleans(),
        package=st.sampled_from(["", "openssl", "curl"]),
    )
    def report(self, host, outcome, attempt, reboot, package) -> None:
        self.play(TaskReported(host, self.at, outcome, "ann", attempt, package, reboot))

    @rule(outcome=st.sampled_from([Outcome.RUNNING, Outcome.INSTALLED, Outcome.INSTALLED]))
    def all_report(self, outcome: Outcome) -> None:
        for host, task in self.rollout.tasks.items():
            if task.state in AT_WORK:
                self.play(TaskReported(host, self.at, outcome, "ann"))

    @rule(host=st.integers(1, sum(SIZES)))
    def hears_too_late_that_it_may_begin(self, host: int) -> None:
        task = self.rollout.tasks[host]
        going_back = task.undo is not None and task.undo.has_begun
        attempt = task.undo.attempt if going_back else task.attempt
        self.play(NeverBegun(host, self.at, "ann", attempt, is_way_back=going_back))
        after = self.rollout.tasks[host]
        assert not (after.undo and after.undo.has_begun)
        if not going_back:
            assert after.state is not TaskState.RUNNING
            assert after.is_failure == task.is_failure

    @rule(
        host=st.integers(1, sum(SIZES)),
        back=st.integers(0, 300),
        verified=st.booleans(),
        reboot=st.booleans(),
    )
    def inventory(self, host, back, verified, reboot) -> None:
        seen = self.at - timedelta(minutes=back)
        self.play(InventorySeen(host, seen, verified, reboot))

    @rule()
    def all_inventories(self) -> None:
        self.at += timedelta(minutes=1)
        for host, task in self.rollout.tasks.items():
            if task.state in (TaskState.INSTALLED, TaskState.REBOOT_PENDING):
                self.play(InventorySeen(host, self.at, verified=True, reboot_pending=False))

    @rule()
    def pause(self) -> None:
        self.play(Pause("ann", self.at, "wait"))

    @rule()
    def resume(self) -> None:
        self.play(Resume("ann", self.at))

    @rule()
    def acknowledge(self) -> None:
        self.play(Acknowledge("bob", self.at, "seen"))

    @rule(kind=st.sampled_from(["probe", "person"]))
    def halt(self, kind: str) -> None:
        self.play(HaltSignal(self.at, kind, "stop"))

    @rule(advisory=st.sampled_from(["DSA-1", "DSA-2"]))
    def withdraw(self, advisory: str) -> None:
        self.play(Withdrawn(self.at, advisory))

    @rule(host=st.integers(1, sum(SIZES)))
    def retry(self, host: int) -> None:
        self.play(Retry("ann", self.at, (host,), "again"))

    @rule(host=st.integers(1, sum(SIZES)), reason=st.sampled_from(["known", " "]))
    def acknowledge_host(self, host: int, reason: str) -> None:
        self.play(AcknowledgeHosts("ann", self.at, (host,), reason))

    @rule(host=st.integers(1, sum(SIZES)))
    def roll_back(self, host: int) -> None:
        before = self.rollout.tasks[host]
        self.play(RollBack("ann", self.at, (host,), "it is broken"))
        assert self.rollout.tasks[host].state is before.state

    @rule(host=st.integers(1, sum(SIZES)))
    def withdraw_roll_back(self, host: int) -> None:
        before = self.rollout.tasks[host]
        self.play(WithdrawRollBack("ann", self.at, (host,), "it works after all"))
        after = self.rollout.tasks[host]
        assert after.state is before.state
        if before.undo and before.undo.has_begun:
            assert after == before, "what has begun cannot be withdrawn"

    @rule(host=st.integers(1, sum(SIZES)), shown=st.sampled_from(WentBack))
    def shows_whether_it_went_back(self, host: int, shown: WentBack) -> None:
        if shown is WentBack.AWAITED:
            return
        said_so = self.rollout.tasks[host].state is TaskState.ROLLED_BACK
        self.at += timedelta(minutes=1)
        self.play(WayBackSeen(host, self.at, shown, "curl 8"))
        after = self.rollout.tasks[host]
        if said_so and after.went_back is WentBack.CONTRADICTED:
            assert after.state is TaskState.FAILED
            assert not after.acknowledged

    @rule(
        host=st.integers(1, sum(SIZES)),
        outcome=st.sampled_from([*Outcome, Outcome.ROLLED_BACK]),
        late=st.sampled_from([0, 0, 0, 1]),
    )
    def answers_an_order_to_go_back(self, host: int, outcome: Outcome, late: int) -> None:
        task = self.rollout.tasks[host]
        if task.undo is None or task.undo.attempt <= late:
            return
        attempt = task.undo.attempt - late
        self.play(TaskReported(host, self.at, outcome, "ann", attempt, is_way_back=True))
        again = self.rollout
        self.play(TaskReported(host, self.at, outcome, "ann", attempt, is_way_back=True))
        assert self.rollout.tasks[host] == again.tasks[host], "the same again changes nothing"

    @precondition(lambda self: self.rollout.orders_ways_back)
    @rule()
    def go_back(self) -> None:
        """All that have tried are taken back, as far as their turn comes."""
        for host, task in self.rollout.tasks.items():
            if task.state in CHANGED and task.attempt:
                self.roll_back(host)
        self.time_passes(1)
        for host, task in self.rollout.tasks.items():
            if task.undo and task.undo.is_in_hand:
                self.answers_an_order_to_go_back(host, Outcome.RUNNING, 0)

    @rule(health=st.sampled_from(Health), times=st.integers(1, 4))
    def probe(self, health: Health, times: int) -> None:
        """What a probe says, once or until it is enough."""
        for _ in range(times):
            self.at += timedelta(minutes=1)
            self.play(ProbeAnswered(self.at, "canary", "shop", health, "x"))

    @rule(ring=st.sampled_from(["canary", "broad", "none"]))
    @precondition(lambda self: self.at > T0 + timedelta(days=3))
    def skip_ring(self, ring: str) -> None:
        self.play(SkipRing("bob", self.at, ring, "it must go on"))

    @precondition(lambda self: self.at > T0 + timedelta(days=6))
    @rule()
    def supersede(self) -> None:
        self.play(Supersede("bob", self.at, "plan 2 does its work"))

    @precondition(lambda self: self.at > T0 + timedelta(days=4))
    @rule(what=st.sampled_from([Cancel, Reject]))
    def end(self, what) -> None:
        self.play(what("bob", self.at, "no more"))

    @invariant()
    def counters_are_in_line(self) -> None:
        if not hasattr(self, "rollout"):
            return
        for position, ring in enumerate(self.rollout.rings):
            tasks = [task for task in self.rollout.tasks.values() if task.ring == position]
            counted = Counter(task.state for task in tasks)
            unreached = sum(
                task.state is TaskState.TIMED_OUT and task.begun is None for task in tasks
            )
            assert dict(ring.tally.states) == dict(counted)
            assert ring.tally.unreached == unreached
            assert 0 <= ring.tally.accepted <= max(ring.tally.failures, 0)
            lost = [task for task in tasks if task.state is TaskState.LOST]
            assert ring.tally.lost_accepted == sum(task.acknowledged for task in lost)
        for key, budget in self.rollout.groups.items():
            assert budget.unavailable == len(self.unavailable(key))

    @invariant()
    def a_stop_reaches_every_ring(self) -> None:
        if not hasattr(self, "rollout"):
            return
        if self.rollout.signals:
            assert self.rollout.state is not PlanState.RUNNING
        if self.rollout.state is not PlanState.RUNNING:
            assert all(t.state is not TaskState.LEASED for t in self.rollout.tasks.values())

    @invariant()
    def nothing_waits_for_ever(self) -> None:
        if not hasattr(self, "rollout"):
            return
        someone = awaited_person(self.rollout)
        if self.rollout.state is PlanState.RUNNING:
            assert not self.rollout.signals
        elif self.rollout.state in OPEN_PLANS:
            assert someone
        for task in self.rollout.tasks.values():
            if task.state not in LIVE_TASKS or someone:
                continue
            assert deadline_of(self.rollout, task) is not None or self.rollout.state is (
                PlanState.RUNNING
            )

    @invariant()
    def a_way_back_has_an_end(self) -> None:
        if not hasattr(self, "rollout"):
            return
        for task in self.rollout.tasks.values():
            if task.undo is None:
                continue
            assert task.undo.is_in_hand <= (task.undo.until is not None)
            assert task.undo.until is None or self.rollout.orders_ways_back
            assert task.state is not TaskState.ROLLED_BACK or task.undo.until is None

    @invariant()
    def no_word_of_a_roll_back_is_believed_for_ever(self) -> None:
        if not hasattr(self, "rollout"):
            return
        for task in self.rollout.tasks.values():
            if task.state is TaskState.ROLLED_BACK:
                assert task.went_back is not None
            elif task.went_back is not None:
                assert task.state is TaskState.FAILED
            doubted = task.went_back not in (None, WentBack.CONFIRMED)
            assert doubted is (task.proof_after is not None)

    def teardown(self) -> None:
        """Whatever happened: people who only say "go on" and hosts that are silent reach an end."""
        if not hasattr(self, "rollout"):
            return
        for _ in range(900):
            awaited = [one for one in self.rollout.tasks.values() if one.undo and one.undo.until]
            if self.rollout.state not in OPEN_PLANS and self.rollout.live == 0 and not awaited:
                return
            self.at += 4 * HOUR
            match self.rollout.state:
                case PlanState.DRAFT:
                    self.play(Cancel("ann", self.at, "nobody wants it"))
                case PlanState.HALTED | PlanState.APPROVED:
                    self.play(Acknowledge("bob", self.at, "go on"))
                case PlanState.PAUSED:
                    self.play(Acknowledge("bob", self.at, "go on"))
                    self.play(Resume("ann", self.at))
            self.play(ProbeAnswered(self.at, "canary", "shop", Health.PASSED))
            self.approve_ring("cid", "guarded")
            self.approve_ring("bob", "guarded")
            self.play(self.now())
        raise AssertionError(
            f"stuck in {self.rollout.state}: "
            f"{[(r.name, r.state, dict(r.tally.states)) for r in self.rollout.rings]}"
        )


TestRollouts = Rollouts.TestCase
TestRollouts.settings = settings(max_examples=150, stateful_step_count=40)
