"""Rings: settings valid by construction, and every host in exactly one."""

from collections import Counter
from datetime import timedelta

import hypothesis.strategies as st
import pytest
from hypothesis import given

from patchmgr.domain.rings import (
    DEFAULT_RINGS,
    HostFacts,
    RingSettings,
    assign,
    checked,
    from_json,
    rank,
    series_from_json,
)
from patchmgr.errors import InputError

HOURS = timedelta(hours=1)
BY_PERCENT = (
    RingSettings("canary", percent=5),
    RingSettings("early", percent=25),
    RingSettings("broad"),
)


def fleet(count: int, **facts) -> list[HostFacts]:
    return [HostFacts(n, f"host-{n}", **facts) for n in range(1, count + 1)]


FACTS = st.builds(
    HostFacts,
    id=st.integers(1, 10_000),
    hostname=st.sampled_from(["web-1", "web-2", "db-1"]),
    ring=st.sampled_from(["", "canary", "early", "broad", "other"]),
    environment=st.sampled_from(["", "test", "production"]),
    tags=st.lists(st.sampled_from(["a", "b"]), unique=True).map(tuple),
)
FLEETS = st.lists(FACTS, max_size=60, unique_by=lambda host: host.id)
RINGS = st.sampled_from(
    [
        DEFAULT_RINGS,
        BY_PERCENT,
        (RingSettings("tagged", fields={"tag": "a"}), RingSettings("rest")),
        (RingSettings("named", hosts=("WEB-1",)), RingSettings("half", percent=50),
         RingSettings("test", fields={"environment": "test", "tag": "b"}), RingSettings("rest")),
    ]
)  # fmt: skip


@given(FLEETS, RINGS, st.text(max_size=5))
def test_every_host_is_in_exactly_one_ring_in_whatever_order(hosts, rings, series):
    placed = assign(hosts, rings, series)

    assert set(placed) == {host.id for host in hosts}
    assert set(placed.values()) <= set(range(len(rings)))
    assert assign(hosts[::-1], rings, series) == placed


@given(FLEETS, RINGS)
def test_who_is_named_by_a_field_is_in_that_ring(hosts, rings):
    placed = assign(hosts, rings, "s")
    for host in hosts:
        for position, ring in enumerate(rings):
            if ring.fields and all(host.has(name, value) for name, value in ring.fields.items()):
                assert placed[host.id] <= position
                break


@given(FLEETS, FACTS)
def test_a_host_more_changes_nobodys_rank_and_moves_one_host_a_ring_at_most(hosts, new):
    if new.id in {host.id for host in hosts}:
        return
    before = assign(hosts, BY_PERCENT, "s")
    after = assign([*hosts, new], BY_PERCENT, "s")
    moved = [host.id for host in hosts if before[host.id] != after[host.id]]

    assert len(moved) <= len(BY_PERCENT) - 1


def test_percentages_are_of_those_that_remain_and_rounded_up():
    sizes = Counter(assign(fleet(200), BY_PERCENT, "s").values())

    assert sizes == {0: 10, 1: 48, 2: 142}
    assert Counter(assign(fleet(3), BY_PERCENT, "s").values()) == {0: 1, 1: 1, 2: 1}


def test_the_same_hosts_are_canaries_within_a_series_and_others_in_another():
    def canaries(series):
        return {n for n, ring in assign(fleet(200), BY_PERCENT, series).items() if ring == 0}

    assert canaries("a") == canaries("a") != canaries("b")
    assert rank(1, "a") == rank(1, "a") != rank(1, "b")


def test_hosts_that_say_their_ring_are_in_it_by_default():
    hosts = [*fleet(20), HostFacts(99, "special", ring="canary"), HostFacts(98, "l", ring="broad")]
    placed = assign(hosts, DEFAULT_RINGS, "s")

    assert (placed[99], placed[98]) == (0, 2)


def test_the_defaults_are_the_designs():
    canary, early, broad = DEFAULT_RINGS

    assert (canary.percent, canary.soak, canary.max_failures) == (5, 24 * HOURS, 0)
    assert (early.percent, early.soak) == (25, 48 * HOURS)
    assert broad.soak == 0 * HOURS
    for ring in DEFAULT_RINGS:
        assert (ring.min_attempted, ring.attempted_pct, ring.success_pct) == (3, 90, 95)
        assert ring.unverified_pct == 2


@pytest.mark.parametrize("ring", [*DEFAULT_RINGS, *BY_PERCENT])
def test_a_ring_comes_back_from_its_canonical_form(ring):
    assert from_json(ring.to_json()) == ring
    assert from_json(ring.to_json()).to_json() == ring.to_json()


def test_a_short_description_is_enough():
    (canary, rest) = series_from_json(
        {"rings": [{"name": "canary", "percent": 10, "soak": "8h"}, {"name": "rest"}]}
    )

    assert (canary.soak, canary.min_soak) == (8 * HOURS, 2 * HOURS)
    assert rest == RingSettings("rest")


@pytest.mark.parametrize(
    ("document", "complaint"),
    [
        ({}, "a list of tables"),
        ([], "1 to 20 rings"),
        ([{}], "needs a name"),
        ([{"name": "a"}, {"name": "a"}], "two rings are called 'a'"),
        ([{"name": "a"}, {"name": "b"}], "name its hosts, fields, percent or representative"),
        ([{"name": "a", "sock": "1h"}], "no such ring setting"),
        ([{"name": "a", "soak": 3}], "a duration such as 24h"),
        ([{"name": "a", "soak": "3 weeks"}], "is not a duration"),
        ([{"name": "a", "percent": "5"}], "is not a whole number"),
        ([{"name": "a", "percent": 101}], "from 0 to 100"),
        ([{"name": "a", "success_pct": -1}], "from 0 to 100"),
        ([{"name": "a", "max_concurrent": 0}], "1 or more"),
        ([{"name": "a", "max_concurrent": 2**63}], "1 or more"),
        ([{"name": "a", "hosts": "web-1"}], "a list of hostnames"),
        ([{"name": "a", "fields": {"colour": "red"}}], "is none of ring, environment"),
        ([{"name": "a", "min_soak": "1h"}], "up to the soak"),
        ([{"name": "a", "needs_approval": 1}], "true or false"),
        ([3], "a table of settings"),
    ],
)
def test_a_ring_that_cannot_be_is_refused_with_what_is_wrong(document, complaint):
    with pytest.raises(InputError, match=complaint):
        series_from_json(document)


def test_only_the_last_ring_takes_who_is_left():
    with pytest.raises(InputError):
        checked([RingSettings("nobody"), RingSettings("rest")])
