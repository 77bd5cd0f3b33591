"""The hash that an approval signs: of everything in the plan, in whatever order it comes."""

import random
from dataclasses import replace
from datetime import timedelta

import hypothesis.strategies as st
import pytest
from hypothesis import given

from patchmgr.domain.advisories import Match, Severity
from patchmgr.domain.content import Content, Place, difference, place, window_from_json
from patchmgr.domain.groups import GroupSettings
from patchmgr.domain.plans import Change
from patchmgr.domain.probes import Probe, ProbeKind
from patchmgr.domain.rings import HostFacts, RingSettings
from patchmgr.domain.windows import Window
from patchmgr.errors import InputError

OPENSSL = Change("debian:12", "dpkg", "openssl", "amd64", "openssl", "1", "2", Match.SOURCE,
                 ("DSA-1", "DSA-2"), Severity.HIGH)  # fmt: skip
CURL = replace(OPENSSL, package="curl", source="curl")
NIGHT = Window("night", "FREQ=DAILY;BYHOUR=2", timedelta(hours=4), "UTC")
CONTENT = Content(
    {OPENSSL: [1, 2, 3], CURL: [2]},
    {1: Place(0, "night"), 2: Place(1, None), 3: Place(1, "night")},
    (RingSettings("canary", fields={"ring": "canary", "site": "x"}),
     RingSettings("rest")),
    {"night": NIGHT},
    1,
)  # fmt: skip


@given(st.randoms(use_true_random=False))
def test_the_order_of_things_makes_no_difference(order: random.Random):
    def shuffled(mapping):
        items = list(mapping.items())
        order.shuffle(items)
        return dict(items)

    hosts = {change: order.sample(list(h), len(h)) for change, h in CONTENT.changes.items()}
    same = replace(
        CONTENT,
        changes=shuffled(hosts),
        places=shuffled(CONTENT.places),
        rings=(replace(CONTENT.rings[0], fields=shuffled(CONTENT.rings[0].fields)),
               CONTENT.rings[1]),
    )  # fmt: skip

    assert same.hash == CONTENT.hash


OTHERS = {
    "another target": {"changes": {replace(OPENSSL, to_version="3"): [1, 2, 3], CURL: [2]}},
    "a target of another kind": {
        "changes": {replace(OPENSSL, match=Match.BINARY): [1, 2, 3], CURL: [2]}
    },
    "an advisory less": {
        "changes": {replace(OPENSSL, advisories=("DSA-1",)): [1, 2, 3], CURL: [2]}
    },
    "a host less": {"changes": {OPENSSL: [1, 2], CURL: [2]}},
    "a change less": {"changes": {OPENSSL: [1, 2, 3]}},
    "another ring": {"places": {**CONTENT.places, 1: Place(1, "night")}},
    "another window": {"places": {**CONTENT.places, 1: Place(0, None)}},
    "another soak": {"rings": (replace(CONTENT.rings[0], soak=timedelta(1)), CONTENT.rings[1])},
    "rings in another order": {"rings": CONTENT.rings[::-1]},
    "another rule": {"windows": {"night": replace(NIGHT, rrule="FREQ=DAILY;BYHOUR=3")}},
    "another zone": {"windows": {"night": replace(NIGHT, zone="Europe/Berlin")}},
    "fewer approvals": {"approvals_needed": 2},
}


@pytest.mark.parametrize("values", OTHERS.values(), ids=OTHERS)
def test_whatever_changes_changes_the_hash(values):
    assert replace(CONTENT, **values).hash != CONTENT.hash


def test_the_hash_does_not_change_from_one_release_to_the_next():
    """A stored plan must still be startable after an upgrade of the service."""
    assert CONTENT.hash == "9581c08036e3fb280df439d6e6c3d0290cf3e9f2f1ebb41ce83cea1c7292a42f"


def test_a_host_has_its_own_window_unless_its_ring_says_otherwise():
    hosts = [HostFacts(1, "a", window="night"), HostFacts(2, "b")]

    def windows(ring):
        placed = place(hosts, [RingSettings("all", window=ring)], "s", {"night": NIGHT})
        return [placed[n].window for n in (1, 2)]

    assert windows("own") == ["night", None]
    assert windows("any") == [None, None]
    assert windows("night") == ["night", "night"]
    with pytest.raises(InputError, match="there is no maintenance window 'day'"):
        windows("day")


def test_a_window_comes_back_from_its_canonical_form():
    assert window_from_json(NIGHT.to_json()) == NIGHT


def test_the_difference_is_said_in_sentences():
    other = replace(
        CONTENT,
        rings=(
            RingSettings("rest", percent=10, soak=timedelta(hours=2), needs_approval=True),
            RingSettings("last"),
        ),
        windows={},
        approvals_needed=2,
    )

    assert difference(CONTENT.settings(), other.settings()) == (
        "ring canary was removed",
        "ring last was added",
        "ring rest: percent 0 -> 10",
        "ring rest: needs_approval no -> yes",
        "ring rest: soak 0m -> 2h",
        "window night is used no longer",
        "approvals needed 1 -> 2",
    )
    assert difference(CONTENT.settings(), CONTENT.settings()) == ()


def test_probes_and_groups_that_come_and_go_are_said():
    shop = Probe("shop", ProbeKind.HTTP, "https://shop.example/")
    ring = replace(CONTENT.rings[0], probes=(shop,))
    guarded = replace(CONTENT, rings=(ring, *CONTENT.rings[1:]), groups=(GroupSettings("a"),))
    wider = replace(guarded, groups=(GroupSettings("a", max_unavailable=2),))

    assert difference(CONTENT.settings(), guarded.settings()) == (
        f"ring {ring.name}: probes nothing -> shop",
        "group a was added",
    )
    assert difference(guarded.settings(), CONTENT.settings()) == (
        f"ring {ring.name}: probes shop -> nothing",
        "group a was removed",
    )
    assert difference(guarded.settings(), wider.settings()) == ("group a: max_unavailable 1 -> 2",)
    assert len({CONTENT.hash, guarded.hash, wider.hash}) == 3
