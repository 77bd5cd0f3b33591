"""Which findings an exception covers, from when until when, and who may decide."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patchmgr.domain.accounts import Role
from patchmgr.domain.exceptions import (
    Exempting,
    InForce,
    Scope,
    State,
    Type,
    approves_itself,
    check_approval,
    check_decision,
)
from patchmgr.errors import ConflictError, ForbiddenError, InputError

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def exempting(number=1, type_=Type.RISK_ACCEPTED, *, days=10, approved=NOON, revoked=None, **scope):
    scope = Scope(**scope or {"advisory": "DSA-1"})
    return Exempting(number, type_, scope, approved, NOON + days * DAY, revoked)


@pytest.mark.parametrize(
    ("scope", "is_about"),
    [
        ({"advisory": "DSA-1"}, True),
        ({"advisory": "DSA-2"}, False),
        ({"package": "libssl3"}, True),
        ({"package": "openssl"}, True),  # its source
        ({"package": "ssl"}, False),
        ({"cve": "CVE-2026-1"}, False),  # the advisory names another one too
        ({"advisory": "DSA-1", "package": "curl"}, False),
        ({"advisory": "DSA-1", "package": "openssl"}, True),
        ({"host": "a"}, True),
        ({"tag": "web"}, True),
    ],
)
def test_a_scope_is_about_a_finding_when_every_part_that_it_names_is(scope, is_about):
    finding = ("libssl3", "openssl", "DSA-1", ("CVE-2026-1", "CVE-2026-2"))

    assert Scope(**scope).is_about(*finding) is is_about


def test_a_cve_covers_the_advisory_that_names_no_other():
    scope = Scope(cve="CVE-2026-1")

    assert scope.is_about("x", "x", "DSA-1", ("CVE-2026-1",))
    assert not scope.is_about("x", "x", "DSA-1", ("CVE-2026-2",))
    assert not scope.is_about("x", "x", "DSA-1", ())


@pytest.mark.parametrize(
    ("scope", "is_on"),
    [
        ({"host": "a"}, True),
        ({"host": "b"}, False),
        ({"tag": "role=web"}, True),
        ({"tag": "web"}, False),
        ({"host": "a", "tag": "role=db"}, False),
        ({"package": "x"}, True),
    ],
)
def test_a_scope_holds_on_a_host_when_name_and_tag_do(scope, is_on):
    assert Scope(**scope).is_on("a", {"role=web", "prod"}) is is_on


def test_a_scope_names_something():
    with pytest.raises(InputError, match="at least one of cve, advisory, package, host, tag"):
        Scope()


def test_a_scope_in_words():
    assert str(Scope(advisory="DSA-1", host="a")) == "advisory DSA-1, host a"


@pytest.mark.parametrize(
    ("facts", "days", "state"),
    [
        ({"approved": None}, 1, State.PROPOSED),
        ({"approved": None}, 10, State.EXPIRED),
        ({}, -1, State.PROPOSED),
        ({}, 0, State.IN_FORCE),
        ({}, 9, State.IN_FORCE),
        ({}, 10, State.EXPIRED),
        ({"revoked": NOON + 3 * DAY}, 2, State.IN_FORCE),
        ({"revoked": NOON + 3 * DAY}, 3, State.REVOKED),
        ({"revoked": NOON + 3 * DAY}, 30, State.REVOKED),
        ({"approved": None, "revoked": NOON + 3 * DAY}, 3, State.REVOKED),
    ],
)
def test_an_exception_is_in_force_from_its_approval_until_it_expires_or_is_revoked(
    facts, days, state
):
    assert exempting(**facts).state(NOON + days * DAY) is state


SCOPES = st.fixed_dictionaries(
    {},
    optional={
        "advisory": st.sampled_from(["A", "B"]),
        "cve": st.sampled_from(["C1", "C2"]),
        "package": st.sampled_from(["x", "y"]),
        "host": st.sampled_from(["h1", "h2"]),
        "tag": st.sampled_from(["t1", "t2"]),
    },
).filter(bool)


@given(
    st.lists(st.tuples(SCOPES, st.integers(-2, 2), st.integers(1, 3)), max_size=6),
    st.sampled_from(["A", "B", "D"]),
    st.sampled_from(["x", "z"]),
    st.sampled_from([("C1",), ("C1", "C2"), ()]),
    st.sets(st.sampled_from(["t1", "t2"])),
)
def test_what_is_found_by_index_is_what_each_exception_says(decisions, ref, package, cves, tags):
    all_of_them = [
        exempting(n, days=days, approved=NOON + begins * DAY, **scope)
        for n, (scope, begins, days) in enumerate(decisions)
    ]
    in_force = InForce(all_of_them, NOON, {7: tags})

    found = in_force.on(7, "h1", in_force.about(package, "y", ref, cves))

    assert list(found) == [
        each
        for each in all_of_them
        if each.state(NOON) is State.IN_FORCE
        and each.scope.is_about(package, "y", ref, cves)
        and each.scope.is_on("h1", tags)
    ]


def test_a_finding_names_an_exception_by_number_and_type():
    assert exempting(12, Type.FALSE_POSITIVE).label == "12 false_positive"


@pytest.mark.parametrize(
    ("change", "field", "why"),
    [
        ({"reason": " "}, "reason", "say why"),
        ({"reason": "x" * 4001}, "reason", "at most 4000"),
        ({"expires_at": NOON}, "expires", "after now"),
        ({"expires_at": NOON + 32 * DAY}, "expires", "risk accepted lasts 30 days at most"),
        (
            {"type_": Type.FALSE_POSITIVE, "expires_at": NOON + 5000 * DAY},
            "expires",
            "3650 days at most",
        ),
        (
            {"type_": Type.FALSE_POSITIVE, "scope": Scope(host="a")},
            "scope",
            "of an advisory or a CVE",
        ),
    ],
)
def test_what_cannot_be_recorded_is_said_at_its_field(change, field, why):
    good = {
        "scope": Scope(advisory="DSA-1"),
        "type_": Type.RISK_ACCEPTED,
        "reason": "no network",
        "expires_at": NOON + 30 * DAY,
    }
    check_decision(**good, now=NOON, longest=30)

    with pytest.raises(InputError) as refused:
        check_decision(**{**good, **change}, now=NOON, longest=30)

    assert why in refused.value.problems[field]


def test_a_false_positive_may_last_for_years():
    check_decision(
        Scope(cve="CVE-2026-1"), Type.FALSE_POSITIVE, "not built", NOON + 3000 * DAY, NOON, 30
    )


@pytest.mark.parametrize("role", list(Role))
def test_who_may_approve_decides_alone_unless_four_eyes_are_asked_for(role):
    alone = approves_itself(role, four_eyes=False)

    assert alone is (role in (Role.APPROVER, Role.ADMIN))
    assert not approves_itself(role, four_eyes=True)


def test_nobody_approves_what_they_proposed():
    proposed = exempting(approved=None)

    check_approval(proposed, "ann", "bob", NOON)
    with pytest.raises(ForbiddenError, match="somebody else"):
        check_approval(proposed, "ann", "ann", NOON)


@pytest.mark.parametrize(
    ("facts", "why"),
    [
        ({}, "in force already"),
        ({"approved": None, "days": 0}, "expired"),
        ({"approved": None, "revoked": NOON}, "revoked"),
    ],
)
def test_only_what_is_proposed_can_be_approved(facts, why):
    with pytest.raises(ConflictError, match=why):
        check_approval(exempting(**facts), "ann", "bob", NOON)
