"""Arch's tracker: what each status means, and how much oddity is forgiven."""

import json

import pytest

from patchmgr.domain.advisories import Match, Severity, Status
from patchmgr.errors import FeedMalformedError
from patchmgr.feeds import FEEDS

ARCH = FEEDS["arch"]
URL = "https://tracker.example/all.json"
GROUP = {"name": "AVG-1", "packages": ["x"], "affected": "1-1", "severity": "High", "issues": []}


def read(*groups):
    return ARCH.read(URL, json.dumps(groups).encode())


@pytest.mark.parametrize(
    ("values", "status", "fixed", "reason"),
    [
        ({"status": "Fixed", "fixed": "1-2"}, Status.AFFECTED, "1-2", ""),
        (
            {"status": "Testing", "fixed": "1-2"},
            Status.AFFECTED,
            "1-2",
            "the fix is still in testing",
        ),
        ({"status": "Vulnerable", "fixed": None}, Status.NO_FIX, "", "no fixed version yet"),
        ({"status": "Not affected", "fixed": None}, Status.NOT_AFFECTED, "", "not affected"),
        (
            {"status": "Unknown"},
            Status.UNDETERMINED,
            "",
            "Arch has not determined whether it is affected",
        ),
        (
            {"status": "Fixed"},
            Status.UNDETERMINED,
            "",
            "the tracker says 'Fixed', without a fixed version",
        ),
        ({"status": "Odd", "fixed": "1-2"}, Status.UNDETERMINED, "", "the tracker says 'Odd'"),
    ],
)
def test_every_status_of_the_tracker_has_one_of_ours(values, status, fixed, reason):
    (advisory,) = read(GROUP | values).advisories
    (fix,) = advisory.fixes

    assert (fix.status, fix.fixed, fix.reason) == (status, fixed, reason)
    assert (fix.platform, fix.match, fix.scheme) == ("arch:rolling", Match.BINARY, "alpm")
    assert (fix.introduced, fix.severity) == ("", Severity.HIGH)


def test_an_odd_group_is_set_aside_and_a_document_of_them_is_refused():
    good = [GROUP | {"name": f"AVG-{n}", "status": "Fixed", "fixed": "1-2"} for n in range(8)]
    odd = [{"name": "AVG-9"}, GROUP | {"name": "x", "status": "Fixed"}]

    page = read(*good, *odd)

    assert [each.where for each in page.set_aside] == ["group 9", "group 10"]
    with pytest.raises(FeedMalformedError, match=r"2 of 7 groups .* such as group 6"):
        read(*good[:5], *odd)


def test_it_is_fetched_only_for_arch():
    assert ARCH.addresses(frozenset({"arch:rolling", "debian:12"})) == ARCH.start
    assert ARCH.addresses(frozenset({"debian:12"})) == ()
