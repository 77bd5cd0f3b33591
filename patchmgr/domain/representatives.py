"""Representative hosts: the few that between them see most of what a plan changes.

Each host is a set of things that it would show to work: the changes it gets, and its platform. A
choice takes the host that adds most, again and again, until nothing is left to add or the limit is
reached: greedy maximum coverage, which no quick method beats by more than a constant (1 - 1/e).
Hosts with equal sets are one candidate, and a candidate is looked at again only when it could win:
what it adds can only shrink (lazy greedy). Of hosts that add the same the first in rank is taken,
so the choice is the same whatever the order in which hosts are given.

Source: Nemhauser, Wolsey, Fisher, Mathematical Programming 14 (1978); Minoux (1978) for laziness.
"""

import heapq
from collections.abc import Callable, Collection, Hashable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Sights:
    """What each host would show, a bit for each change, and above them one for each platform."""

    of: Mapping[int, int]  # host -> bits
    changes: int  # how many bits are changes

    def counts(self, bits: int) -> tuple[int, int]:
        """Return how many changes and how many platforms are in ``bits``."""
        changes = (bits & ((1 << self.changes) - 1)).bit_count()
        return changes, bits.bit_count() - changes

    def union(self, hosts: Collection[int]) -> int:
        bits = 0
        for host in hosts:
            bits |= self.of.get(host, 0)
        return bits


def sights(changes: Mapping[Any, Collection[int]], platforms: Mapping[int, Hashable]) -> Sights:
    """Return what each of the hosts in ``platforms`` would show of ``changes`` (change -> hosts).

    Changes that go to the very same hosts are added to them together.
    """
    together: dict[tuple[int, ...], int] = {}
    for number, hosts in enumerate(changes.values()):
        key = tuple(hosts)
        together[key] = together.get(key, 0) | 1 << number
    of = dict.fromkeys(platforms, 0)
    for hosts, bits in together.items():
        for host in hosts:
            if host in of:
                of[host] |= bits
    order = {name: number for number, name in enumerate(sorted(set(platforms.values()), key=str))}
    for host, name in platforms.items():
        of[host] |= 1 << (len(changes) + order[name])
    return Sights(of, len(changes))


def choose(
    of: Mapping[int, int],
    limit: int,
    rank: Callable[[int], Any],
    covered: int = 0,
) -> list[int]:
    """Return at most ``limit`` of the hosts in ``of``, those first that add most.

    ``covered`` is what others show already. Hosts that would add nothing are not taken.
    """
    first: dict[int, tuple[Any, int]] = {}  # bits -> its host of lowest rank
    for host, bits in of.items():
        place = (rank(host), host)
        if bits not in first or place < first[bits]:
            first[bits] = place
    heap = [(-(bits & ~covered).bit_count(), place, bits) for bits, place in first.items()]
    heapq.heapify(heap)
    chosen: list[int] = []
    while heap and len(chosen) < limit:
        gain, place, bits = heap[0]
        now = -(bits & ~covered).bit_count()
        if now == 0:
            heapq.heappop(heap)
        elif now != gain:
            heapq.heapreplace(heap, (now, place, bits))
        else:
            heapq.heappop(heap)
            chosen.append(place[1])
            covered |= bits
    return chosen
