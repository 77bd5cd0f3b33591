"""The virtual hosts: what orders make them do, and when they say so."""

import heapq
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum
from typing import NamedTuple

from patchmgr.domain.rings import RingSettings
from patchmgr.domain.rollout.events import Dispatch, InventorySeen, Outcome, Recall, TaskReported
from patchmgr.domain.rollout.model import Task
from patchmgr.domain.rollout.states import TaskState
from patchmgr.domain.simulation.behaviour import (
    Behaviour,
    Course,
    Dice,
    Span,
    course,
    needs_reboot,
    whole_seconds,
)

_SECOND = timedelta(seconds=1)
_TEN, _FIVE = timedelta(minutes=10), timedelta(minutes=5)
HOST = "host"  # who reports


class _Kind(IntEnum):
    """What a host does next; at one instant the first of these comes first."""

    BEGINS = 0
    ENDS = 1
    IS_BACK = 2
    SENDS_INVENTORY = 3


class _Deed(NamedTuple):  # a tuple: the heap compares them more than anything else
    at: datetime
    kind: _Kind
    host: int
    attempt: int


@dataclass(frozen=True, slots=True)
class Deeds:
    """What hosts did at an instant."""

    events: tuple[TaskReported | InventorySeen, ...] = ()
    rebooted: tuple[int, ...] = ()


class World:
    """Hosts with their behaviour; orders go in, reports and inventories come out in time."""

    def __init__(self, behaviours: Mapping[int, Behaviour], seed: int) -> None:
        self._behaviours = behaviours
        self._dice = Dice(seed)
        self._deeds: list[_Deed] = []
        # Attempt, until when it may begin, and how it goes.
        self._orders: dict[int, tuple[int, datetime, RingSettings, Course]] = {}

    @property
    def next(self) -> datetime | None:
        return self._deeds[0].at if self._deeds else None

    def order(self, order: Dispatch, ring: RingSettings, at: datetime) -> None:
        """Let a host begin, if it does before the order's deadline."""
        behaviour, host = self._behaviours[order.host], order.host
        how = course(behaviour, self._dice, host, order.attempt)
        self._orders[host] = order.attempt, order.deadline, ring, how
        if how is Course.OFFLINE:
            return
        begins = at + self._dice.length(behaviour.begin, host, order.attempt, "begin")
        if behaviour.offline_until is not None:
            begins = max(begins, behaviour.offline_until)
        if begins <= order.deadline:
            self._plan(begins, _Kind.BEGINS, host, order.attempt)

    def recall(self, recalled: Recall) -> None:
        """Keep a host from beginning what it has not begun."""
        self._orders.pop(recalled.host, None)

    def resume(
        self, tasks: Iterable[Task], rings: Mapping[int, RingSettings], at: datetime
    ) -> None:
        """Let hosts go on from where they stand at ``at``."""
        for task in tasks:
            ring, host, attempt = rings[task.ring], task.host, task.attempt
            if task.state is TaskState.LEASED and task.deadline is not None:
                self.order(Dispatch(host, attempt, task.deadline), ring, at)
                continue
            self._orders[host] = attempt, at, ring, self._course(host, attempt)
            if task.state is TaskState.RUNNING:
                ends = (task.begun or at) + self._duration(host, attempt, ring)
                self._plan(max(at, ends), _Kind.ENDS, host, attempt)
            elif task.state is TaskState.INSTALLED:
                self._send_inventory(at, host, attempt)
            elif task.state is TaskState.REBOOT_PENDING:
                back = (task.since or at) + self._reboot(host, attempt, ring)
                self._plan(max(at, back), _Kind.IS_BACK, host, attempt)

    def due(self, at: datetime) -> Deeds:
        """Return what hosts do next up to ``at``, and let them plan what comes after it.

        It is of one kind: who ends, reboots and is back at one instant does so in this order.
        """
        events: list[TaskReported | InventorySeen] = []
        rebooted: list[int] = []
        kind = self._deeds[0].kind if self._deeds else None
        while self._deeds and self._deeds[0].at <= at and self._deeds[0].kind is kind:
            deed = heapq.heappop(self._deeds)
            host, attempt = deed.host, deed.attempt
            order = self._orders.get(host)
            if order is None or order[0] != attempt:
                continue  # taken back before it began
            _, until, ring, how = order
            match deed.kind:
                case _Kind.BEGINS:
                    if at <= until:
                        events.append(self._report(deed, Outcome.RUNNING))
                        self._begin(deed, ring, how)
                case _Kind.ENDS:
                    events.append(self._end(deed, ring, how))
                case _Kind.IS_BACK:
                    rebooted.append(host)
                    self._send_inventory(deed.at, host, attempt)
                case _Kind.SENDS_INVENTORY:
                    is_right = how is not Course.UNVERIFIED
                    events.append(InventorySeen(host, deed.at, is_right, reboot_pending=False))
        return Deeds(tuple(events), tuple(rebooted))

    def _begin(self, deed: _Deed, ring: RingSettings, how: Course) -> None:
        if how is not Course.HANGS:
            ends = deed.at + self._duration(deed.host, deed.attempt, ring)
            self._plan(ends, _Kind.ENDS, deed.host, deed.attempt)

    def _end(self, deed: _Deed, ring: RingSettings, how: Course) -> TaskReported:
        host, attempt, behaviour = deed.host, deed.attempt, self._behaviours[deed.host]
        if how is Course.FAILS:
            return self._report(deed, Outcome.FAILED, package=behaviour.package)
        if how is Course.LOST:
            return self._report(deed, Outcome.INSTALLED, reboot_pending=True)
        if how is Course.SUCCEEDS and needs_reboot(behaviour, self._dice, host, attempt):
            back = deed.at + self._reboot(host, attempt, ring)
            self._plan(back, _Kind.IS_BACK, host, attempt)
            return self._report(deed, Outcome.INSTALLED, reboot_pending=True)
        self._send_inventory(deed.at, host, attempt)
        return self._report(deed, Outcome.INSTALLED)

    def _report(
        self, deed: _Deed, outcome: Outcome, *, package: str = "", reboot_pending: bool = False
    ) -> TaskReported:
        return TaskReported(
            deed.host, deed.at, outcome, HOST, deed.attempt, package, reboot_pending
        )

    def _send_inventory(self, at: datetime, host: int, attempt: int) -> None:
        span = self._behaviours[host].inventory
        later = self._dice.length(span, host, attempt, "inventory")
        # An inventory of the very instant of an order or a reboot says nothing about it.
        later = max(later, _SECOND)
        self._plan(at + later, _Kind.SENDS_INVENTORY, host, attempt)

    def _course(self, host: int, attempt: int) -> Course:
        return course(self._behaviours[host], self._dice, host, attempt)

    def _duration(self, host: int, attempt: int, ring: RingSettings) -> timedelta:
        least = min(_TEN, ring.expected)
        span: Span = self._behaviours[host].duration or (least, least)
        return whole_seconds(self._dice.length(span, host, attempt, "duration"))

    def _reboot(self, host: int, attempt: int, ring: RingSettings) -> timedelta:
        least = min(_FIVE, ring.reboot_reserve)
        span: Span = self._behaviours[host].reboot or (least, least)
        return whole_seconds(self._dice.length(span, host, attempt, "reboot time"))

    def _plan(self, at: datetime, kind: _Kind, host: int, attempt: int) -> None:
        heapq.heappush(self._deeds, _Deed(at, kind, host, attempt))
