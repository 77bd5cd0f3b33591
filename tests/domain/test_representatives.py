"""Representative hosts: few that see much, and the same ones however they are given."""

from itertools import combinations

import hypothesis.strategies as st
from hypothesis import given

from patchmgr.domain.advisories import Match
from patchmgr.domain.content import Content, coverage, coverage_words, place
from patchmgr.domain.plans import Change
from patchmgr.domain.representatives import choose, sights
from patchmgr.domain.rings import HostFacts, RingSettings

SETS = st.dictionaries(st.integers(1, 30), st.integers(0, 255), max_size=10)


def seen(of, hosts):
    bits = 0
    for host in hosts:
        bits |= of[host]
    return bits


def naive(of, limit, covered=0):
    """Greedy as it is defined: the host that adds most, the lowest number among equals."""
    chosen = []
    while len(chosen) < limit and of:
        best = min(of, key=lambda host: (-(of[host] & ~covered).bit_count(), host))
        if not of[best] & ~covered:
            break
        chosen.append(best)
        covered |= of[best]
    return chosen


@given(SETS, st.integers(0, 6), st.integers(0, 255))
def test_it_is_greedy_and_the_order_makes_no_difference(of, limit, covered):
    expected = naive(of, limit, covered)

    assert choose(of, limit, lambda host: host, covered) == expected
    assert choose(dict(reversed(of.items())), limit, lambda host: host, covered) == expected


@given(SETS, st.integers(1, 4))
def test_it_is_never_worse_than_the_best_by_more_than_the_known_bound(of, limit):
    reached = seen(of, choose(of, limit, lambda host: host)).bit_count()
    best = max(
        (seen(of, some).bit_count() for some in combinations(of, min(limit, len(of)))), default=0
    )

    assert reached >= best * (1 - 1 / 2.718281828) - 1e-9


def change(name, platform="debian:12"):
    return Change(platform, "dpkg", name, "amd64", name, "1", "2", Match.SOURCE)


HOSTS = [
    *(HostFacts(n, f"h{n}", platform="debian:12") for n in range(1, 9)),
    HostFacts(9, "old", platform="debian:11"),
]
CHANGES = {
    change("curl"): [1, 2, 3, 4, 5, 6, 7, 8],
    change("openssl"): [3, 4, 5],
    change("nginx"): [5],
    change("bash", "debian:11"): [9],
}


def test_the_hosts_of_a_representative_ring_see_what_the_fleet_gets():
    rings = (RingSettings("canary", representative=2), RingSettings("rest"))
    places = place(HOSTS, rings, "s", {}, CHANGES)

    assert {host for host, at in places.items() if at.ring == 0} == {5, 9}
    (reached,) = coverage(Content(CHANGES, places, rings, {}, 1), HOSTS)
    assert (reached.hosts, reached.changes, reached.of_changes, reached.percent) == (2, 4, 4, 100)
    assert (reached.platforms, reached.of_platforms) == (2, 2)


def test_a_limit_leaves_some_unseen_and_says_so():
    rings = (RingSettings("canary", representative=1), RingSettings("rest"))
    places = place(HOSTS, rings, "s", {}, CHANGES)
    (reached,) = coverage(Content(CHANGES, places, rings, {}, 1), HOSTS)

    assert (reached.changes, reached.of_changes, reached.percent) == (3, 4, 75)


def test_what_named_hosts_show_need_not_be_shown_twice():
    rings = (RingSettings("canary", hosts=("h5",), representative=5), RingSettings("rest"))
    places = place(HOSTS, rings, "s", {}, CHANGES)

    assert {host for host, at in places.items() if at.ring == 0} == {5, 9}


def test_what_is_said_of_a_later_ring_names_the_hosts_before_it_that_helped():
    rings = (
        RingSettings("a", hosts=("h5",)),
        RingSettings("b", representative=1),
        RingSettings("c"),
    )
    places = place(HOSTS, rings, "s", {}, CHANGES)
    (reached,) = coverage(Content(CHANGES, places, rings, {}, 1), HOSTS)

    assert coverage_words(reached.to_json()) == (
        "1 host, with 1 of the rings before, cover 100 % of 4 changes and 2 of 2 platforms"
    )


def test_hosts_without_changes_or_of_no_further_platform_are_not_taken():
    found = sights({}, {1: "a", 2: "a"})

    assert len(choose(found.of, 5, lambda host: host)) == 1
