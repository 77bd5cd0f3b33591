"""Whether a host can install a fix, and whether it waits for a reboot: yes, no, or not reported."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patchmgr.domain.advisories import Match
from patchmgr.domain.facts import (
    Candidate,
    Installable,
    Offered,
    Reboot,
    installable,
    judged_after,
    reboot,
    why_not,
)
from patchmgr.domain.host_facts import NOT_REPORTED, HostFacts, Subscription, words

YES, NO, UNKNOWN = Installable.YES, Installable.NO, Installable.UNKNOWN


def candidate(version, judged="", **more):
    return Candidate("dpkg", "libssl3", "amd64", version, judged, **more)


@pytest.mark.parametrize(
    ("offered", "covered", "match", "verdict"),
    [
        (None, False, Match.BINARY, UNKNOWN),
        (None, True, Match.BINARY, NO),
        (candidate("3"), True, Match.BINARY, YES),
        (candidate("4"), True, Match.BINARY, YES),
        (candidate("2.9"), True, Match.BINARY, NO),
        (candidate("4", "3"), True, Match.SOURCE, YES),
        (candidate("4", "2"), True, Match.SOURCE, NO),
        (candidate("4", ""), True, Match.SOURCE, UNKNOWN),
        (candidate("not a version"), True, Match.BINARY, UNKNOWN),
    ],
)
def test_whether_a_host_can_install_version_3(offered, covered, match, verdict):
    assert installable(offered, "3", match, covered=covered) is verdict


def test_a_fix_that_cannot_be_read_is_not_said_to_be_missing():
    assert installable(candidate("3"), "", Match.BINARY, covered=True) is UNKNOWN


@pytest.mark.parametrize(
    ("installed", "judged", "newer", "then"),
    [
        ("3.0.15-1", "3.0.15-1", "3.0.17-1", "3.0.17-1"),
        ("5.2.15-2+b8", "5.2.15-2", "5.2.15-3+b1", "5.2.15-3"),  # rebuilds
        ("1:4.9-1", "4.9", "1:5.0-1", ""),  # numbered apart from its source
        ("1:4.9-1", "4.9", "1:4.9-1", "4.9"),  # itself
    ],
)
def test_which_version_of_its_source_a_candidate_has(installed, judged, newer, then):
    assert judged_after(installed, judged, newer) == then


@pytest.mark.parametrize(
    ("offered", "match", "why"),
    [
        (None, Match.BINARY, "no repository of the host offers 3"),
        (candidate("2"), Match.BINARY, "no repository of the host offers 3"),
        (
            candidate("2", "2", withheld="3", pin="pin to priority -1"), Match.SOURCE,
            "3 is there, and the host's pin to priority -1 keeps it back",
        ),
        (
            candidate("2", "", withheld="3", pin="pin to priority -1"), Match.SOURCE,
            "no repository of the host offers 3",
        ),
        (
            candidate("1", "1", withheld="2", pin="pin to priority -1"), Match.BINARY,
            "no repository of the host offers 3",
        ),
    ],
)  # fmt: skip
def test_why_it_cannot(offered, match, why):
    assert why_not(offered, "3", match) == why


def test_a_candidate_in_words():
    assert candidate("3", suites=("a", "b"), phased=10).words == (
        "the host's repositories offer 3 from a and b, for 10 % of hosts so far (phased)"
    )


def test_what_is_covered():
    offered = Offered(frozenset({"rpm"}), frozenset({("dpkg", "bash")}))

    assert offered.covers("rpm", "anything")
    assert offered.covers("dpkg", "bash")
    assert not offered.covers("dpkg", "curl")


SAID = st.builds(Reboot, st.sampled_from([True, False, None]), st.just(("why",)))


@given(st.lists(SAID))
def test_one_source_that_asks_for_a_reboot_outweighs_the_others(said):
    pending = [each.pending for each in said]

    found = reboot(said).pending

    if True in pending:
        assert found is True
    else:
        assert found is (False if False in pending else None)


def test_reasons_are_those_of_the_verdict():
    said = [Reboot(False, ("no mark",)), Reboot(True, ("kernel",)), Reboot(None, ("?",))]

    assert reboot(said) == Reboot(True, ("kernel",))
    assert reboot(said[:1]) == Reboot(False, ("no mark",))


FULL = HostFacts(
    reboot=Reboot(True, ("kernel",)),
    kernels=("6.1.0-18-amd64",),
    newest_kernel="6.1.0-18-amd64",
    services=("nginx.service",),
    sessions=(),
    containers=None,
    holds=("bash",),
    version_locks=None,
    modules=("nodejs:18",),
    pro=Subscription(attached=True, services={"esm-infra": "enabled"}),
    unreadable={"apt-policy": "line 1: …"},
)


@pytest.mark.parametrize("facts", [FULL, HostFacts()], ids=["all", "nothing"])
def test_facts_come_back_from_what_is_stored(facts):
    assert HostFacts.from_json(facts.to_json()) == facts


def test_what_was_not_reported_says_so_and_is_not_none():
    assert words(HostFacts())["services to restart"] == NOT_REPORTED
    assert words(HostFacts(services=()))["services to restart"] == "none"
    assert words(HostFacts())["reboot"] == NOT_REPORTED
    assert words(FULL)["reboot"] == "pending: kernel"
    assert words(FULL)["Ubuntu Pro"] == "attached, esm-infra"
