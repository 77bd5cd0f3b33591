"""What a plan changes on which host, and what it says it cannot."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patchmgr.domain.advisories import Match, Severity, Status
from patchmgr.domain.plans import Change, Evidence, Selection, Statement, unfinished
from patchmgr.domain.proposing import (
    HELD,
    NO_FIX,
    UNDETERMINED,
    VERSION_IN_NAME,
    propose_items,
)


def said(version_id, package, fixed="2-1", **more) -> Statement:
    values = {
        "platform": "debian:12",
        "manager": "dpkg",
        "arch": "amd64",
        "version": "1-1",
        "source": "src",
        "source_version": "1-1",
        "status": Status.AFFECTED,
        "match": Match.SOURCE,
        "advisory": f"CVE-{version_id}",
        "severity": Severity.LOW,
    } | more
    return Statement(version_id=version_id, package=package, fixed=fixed, **values)


def planned(proposal, host=1):
    return {change.package: change.to_version for change in proposal.items.get(host, ())}


def reasons(proposal):
    return {(one.package, one.reason) for one in proposal.excluded}


def test_the_highest_fixed_version_as_the_vendor_orders_it_is_the_target():
    statements = [said(1, "a", fixed, advisory=fixed) for fixed in ("1.9-1", "1.10-1", "1.10~rc-1")]
    proposal = propose_items(statements, {1: [1]})

    assert planned(proposal) == {"a": "1.10-1"}
    (change,) = proposal.items[1]
    assert change.advisories == ("1.10-1", "1.10~rc-1", "1.9-1")


def test_what_was_not_asked_for_is_no_target_but_is_said_to_be_closed():
    statements = [
        said(1, "a", "1.5-1", advisory="asked"),
        said(1, "a", "1.2-1", advisory="closed too", selected=False),
        said(1, "a", "1.9-1", advisory="stays open", selected=False),
    ]
    (change,) = propose_items(statements, {1: [1]}).items[1]

    assert (change.to_version, change.advisories) == ("1.5-1", ("asked", "closed too"))


def test_packages_of_one_source_move_together_even_at_different_versions():
    statements = [
        said(1, "a", "2-1"),
        said(2, "b", "2-1", selected=False),
        said(3, "c", "2-1", selected=False, source_version="2-1"),
        said(4, "other", source="elsewhere", selected=False),
    ]

    assert planned(propose_items(statements, {1: [1, 2, 3, 4]})) == {"a": "2-1", "b": "2-1"}


def test_where_the_vendor_speaks_of_binaries_each_goes_to_its_own_version():
    statements = [
        said(1, "a", "2-1+b1", match=Match.BINARY),
        said(2, "b", "2-1+b2", match=Match.BINARY, selected=False),
    ]

    assert planned(propose_items(statements, {1: [1, 2]})) == {"a": "2-1+b1", "b": "2-1+b2"}


def test_a_host_gets_only_what_it_has():
    proposal = propose_items([said(1, "a"), said(2, "b", source="s2")], {1: [1], 2: [2], 3: []})

    assert (planned(proposal, 1), planned(proposal, 2)) == ({"a": "2-1"}, {"b": "2-1"})
    assert 3 not in proposal.items


def test_what_cannot_be_installed_is_listed_with_the_reason():
    statements = [
        said(1, "a", "", status=Status.NO_FIX),
        said(2, "b", "", status=Status.UNDETERMINED, source="s2"),
        said(3, "linux-image-6.1.0-37-amd64", source="linux"),
    ]
    proposal = propose_items(statements, {1: [1, 2, 3], 2: [1]})

    assert proposal.items == {}
    assert reasons(proposal) == {
        ("a", NO_FIX),
        ("b", UNDETERMINED),
        ("linux-image-6.1.0-37-amd64", VERSION_IN_NAME),
    }
    assert next(n for one, n in proposal.excluded.items() if one.package == "a") == 2


def test_a_held_package_stays_with_all_of_its_source():
    statements = [said(1, "a"), said(2, "b"), said(3, "c", source="s2")]
    exposed = {1: [1, 2, 3], 2: [1, 2, 3]}
    proposal = propose_items(statements, exposed, {1: {"a"}})

    assert (planned(proposal, 1), len(planned(proposal, 2))) == ({"c": "2-1"}, 3)
    assert ("a", HELD) in reasons(proposal)
    assert ("b", f"moves together with a, which is {HELD}") in reasons(proposal)


@pytest.mark.parametrize(
    ("selection", "covered"),
    [
        (Selection(), True),
        (Selection(advisories=("DSA-1",)), True),
        (Selection(advisories=("DSA-2",)), False),
        (Selection(cves=("CVE-1",)), True),
        (Selection(cves=("CVE-2",)), False),
        (Selection(cves=("CVE-2",), advisories=("DSA-1",)), True),
        (Selection(packages=("openssl",)), True),
        (Selection(packages=("curl",)), False),
        (Selection(severity_at_least=Severity.HIGH), True),
        (Selection(severity_at_least=Severity.CRITICAL), False),
        (Selection(packages=("openssl",), cves=("CVE-2",)), False),
        (Selection().only([Severity.LOW]), False),
    ],
)
def test_a_selection(selection, covered):
    assert selection.covers("DSA-1", ("CVE-1",), ("libssl3", "openssl"), Severity.HIGH) is covered


def change(match=Match.SOURCE, to="2-1") -> Change:
    return Change("debian:12", "dpkg", "a", "amd64", "src", "1-1", to, match)


def shown(version="1-1", source_version="1-1", arch="amd64") -> Evidence:
    return Evidence("a", arch, version, "src", source_version)


@pytest.mark.parametrize(
    ("match", "evidence", "done"),
    [
        (Match.SOURCE, [shown("1-1+b9", "2-1")], True),
        (Match.SOURCE, [shown("9-9", "1-1")], False),
        (Match.SOURCE, [shown("3-1", "3-1")], True),
        (Match.BINARY, [shown("2-1", "1-1")], True),
        (Match.BINARY, [shown("1-1", "2-1")], False),
        (Match.SOURCE, [], True),  # gone is no danger
        (Match.SOURCE, [shown(), shown("2-1", "2-1")], False),  # both are there
        (Match.SOURCE, [shown(arch="i386")], True),  # of another architecture: another change
        (Match.SOURCE, [shown("?", "no version")], False),
    ],
)
def test_an_inventory_bears_a_change_out(match, evidence, done):
    assert (unfinished([change(match)], evidence) == ()) is done


@given(st.permutations([said(n, f"p{n}", source=f"s{n % 3}") for n in range(1, 7)]))
def test_the_order_of_what_is_said_makes_no_difference(statements):
    exposed = {1: [1, 2, 3], 2: [6, 5, 4], 3: [1, 6]}
    usual = propose_items(sorted(statements, key=lambda one: one.version_id), exposed)

    assert propose_items(statements, exposed) == usual


def test_versions_that_differ_only_in_their_reported_source_are_one_change():
    statements = [
        said(1, "a", advisory="CVE-A"),
        said(2, "a", advisory="CVE-B", severity=Severity.HIGH, source_version="1-0"),
    ]
    changes = propose_items(statements, {1: [1], 2: [2]}).changes

    ((change, hosts),) = changes.items()
    assert (change.advisories, change.severity) == (("CVE-A", "CVE-B"), Severity.HIGH)
    assert hosts == [1, 2]


# --- what the host's own repositories offer ------------------------------------------------------

MISSING = "no repository of the host offers 2-1"


def test_what_no_repository_of_a_host_offers_is_not_planned_there():
    statements = [said(1, "a"), said(1, "a", "1.5-1", advisory="older")]
    own = {1: {1: frozenset({((1, "CVE-1"), MISSING), ((1, "older"), "")})}}

    proposal = propose_items(statements, {1: [1], 2: [1]}, own=own)

    assert planned(proposal, 1) == {"a": "1.5-1"}
    assert planned(proposal, 2) == {"a": "2-1"}
    assert [(one.reason, one.advisories) for one in proposal.excluded] == [(MISSING, ("CVE-1",))]


def test_a_host_knows_better_than_the_archive_what_it_can_install():
    statements = [said(1, "a", is_offered=False)]
    own = {1: {1: frozenset({((1, "CVE-1"), "")})}}

    proposal = propose_items(statements, {1: [1], 2: [1]}, own=own)

    assert planned(proposal, 1) == {"a": "2-1"}
    assert planned(proposal, 2) == {}
    assert reasons(proposal) == {("a", "no repository offers 2-1")}
