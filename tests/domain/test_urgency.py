"""Decision tables: which row decides, what cannot be a policy, and when a finding is due."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patchmgr.domain.advisories import Severity
from patchmgr.domain.flaws import Danger
from patchmgr.domain.urgency import (
    INPUTS,
    Clock,
    Decisions,
    Inputs,
    Policy,
    Row,
    Threshold,
    decide,
    due_date,
    from_json,
    thresholds,
    to_json,
)
from patchmgr.domain.urgency_presets import PRESETS
from patchmgr.errors import InputError

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
FRIDAY = MONDAY + timedelta(days=4)

OTHERWISE = Row("otherwise", {}, None, "With the next upgrade")
EXPLOITED = Policy(
    "exploited",
    1,
    (
        Row("exploited-public", {"kev": ("yes",), "exposure": ("public",)}, 3, "3 days"),
        Row("exploited", {"kev": ("yes",)}, 14, "14 days"),
        Row("not-exploited", {"kev": ("no",), "severity": ("critical", "high")}, 30, "30 days"),
        OTHERWISE,
    ),
)


@pytest.mark.parametrize(
    ("severity", "days"),
    [
        (Severity.CRITICAL, 7),
        (Severity.HIGH, 14),
        (Severity.MEDIUM, 30),
        (Severity.LOW, 90),
        (Severity.UNKNOWN, 30),
        (Severity.NEGLIGIBLE, None),
    ],
)
def test_the_severity_preset_gives_each_severity_its_days(severity, days):
    assert decide(PRESETS["severity"], Inputs(severity)).days == days


@pytest.mark.parametrize(
    ("kev", "exposure", "severity", "row"),
    [
        (True, "public", Severity.LOW, "exploited-public"),
        (True, "internal", Severity.LOW, "exploited"),
        (True, "", Severity.LOW, "exploited"),  # exposure not known: not public, not internal
        (False, "public", Severity.HIGH, "not-exploited"),
        (False, "public", Severity.LOW, "otherwise"),
        (None, "public", Severity.CRITICAL, "otherwise"),  # not known is neither yes nor no
    ],
)
def test_the_first_matching_row_decides_and_unknown_matches_no_question(
    kev, exposure, severity, row
):
    assert decide(EXPLOITED, Inputs(severity, Danger(kev=kev), exposure)).id == row


words = st.sampled_from(["", "public", "internal", "prod", "test"])
dangers = st.builds(
    Danger,
    st.sampled_from([None, True, False]),
    st.booleans(),
    st.sampled_from(["", "none", "poc", "active"]),
    st.sampled_from(["", "yes", "no"]),
    st.sampled_from(["", "partial", "total"]),
    st.integers(0, 100),
    st.integers(0, 1000),
)
inputs = st.builds(Inputs, st.sampled_from(Severity), dangers, words, words, words)


def asked_for(column):
    """What a row can ask of a column: words, or a number."""
    if isinstance(column, Threshold):
        numbers = st.integers(1, column.top)
        return numbers.map(lambda n: (f"{n / 10**column.places:.{column.places}f}",))
    known = st.sampled_from(column.words or ("prod", "test", "public"))
    return st.lists(known, min_size=1, max_size=3).map(tuple)


@st.composite
def policies(draw):
    asked = st.fixed_dictionaries(
        {},
        optional={name: asked_for(column) for name, column in INPUTS.items()},
    ).filter(bool)
    days = st.none() | st.integers(0, 3650)
    conditions = draw(st.lists(st.tuples(asked, days), max_size=6))
    rows = [Row(f"row-{n}", when, d, f"{d} days") for n, (when, d) in enumerate(conditions)]
    return Policy("any", draw(st.integers(1, 9)), (*rows, OTHERWISE), draw(st.sampled_from(Clock)))


@given(policies(), inputs)
def test_every_finding_is_decided_by_exactly_one_row_the_first_that_matches(policy, finding):
    decided = decide(policy, finding)

    before = policy.rows[: policy.rows.index(decided)]
    assert decided.matches(finding)
    assert not any(row.matches(finding) for row in before)


@given(policies(), inputs)
def test_what_is_not_known_is_decided_by_a_row_that_does_not_ask_for_it(policy, finding):
    decided = decide(policy, finding)

    assert all(column.read(finding) for name, column in INPUTS.items() if name in decided.when)


@given(st.lists(st.tuples(policies(), inputs), min_size=1, max_size=4))
def test_what_is_remembered_of_decisions_is_what_would_be_decided(cases):
    for policy, _ in cases:
        decisions = Decisions(policy)
        for _ in range(2):
            for _, finding in cases:
                assert decisions.row(finding) == decide(policy, finding)


@given(policies(), policies(), inputs)
def test_a_score_lowered_to_the_highest_threshold_it_reaches_decides_alike(one, other, finding):
    asked = thresholds([one, other])
    lowered = replace(
        finding.danger,
        cvss=max((n for n in asked.cvss if n <= finding.danger.cvss), default=0),
        epss=max((n for n in asked.epss if n <= finding.danger.epss), default=0),
    )

    for policy in (one, other):
        assert decide(policy, replace(finding, danger=lowered)) == decide(policy, finding)


@pytest.mark.parametrize(
    ("asked", "cvss", "decided"),
    [
        ("7", 69, "otherwise"),
        ("7.0", 70, "high"),
        ("7", 100, "high"),
        ("7", 0, "otherwise"),  # no score is known
        ("0.1", 1, "high"),
    ],
)
def test_a_row_asks_for_a_score_of_at_least_a_number(asked, cvss, decided):
    policy = Policy("scored", 1, (Row("high", {"cvss_at_least": (asked,)}, 7, ""), OTHERWISE))

    assert decide(policy, Inputs(Severity.LOW, Danger(cvss=cvss))).id == decided


@given(policies())
def test_a_policy_survives_being_written_and_read(policy):
    assert from_json(to_json(policy)) == policy
    assert to_json(from_json(to_json(policy))) == to_json(policy)


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        ((), "must ask for nothing"),
        ((EXPLOITED.rows[0],), "must ask for nothing"),
        ((OTHERWISE, OTHERWISE), "same id"),
        ((OTHERWISE, Row("again", {}, 7, "")), "never match"),
    ],
)
def test_a_table_that_leaves_findings_undecided_is_no_policy(rows, why):
    with pytest.raises(InputError, match=why):
        Policy("bad", 1, rows)


@pytest.mark.parametrize(
    ("when", "days", "why"),
    [
        ({"colour": ("red",)}, 7, "no such input"),
        ({"severity": ("bad",)}, 7, "is not one of"),
        ({"kev": ("maybe",)}, 7, "is not one of"),
        ({"environment": ()}, 7, "needs words"),
        ({"exposure": ("",)}, 7, "not known cannot be asked"),
        ({"ransomware": ("no",)}, 7, "is not one of yes"),  # nobody knows that it is not used
        ({"cvss_at_least": ("high",)}, 7, "one number above 0 and up to 10, of at most 1 dec"),
        ({"cvss_at_least": ("7", "9")}, 7, "one number"),
        ({"cvss_at_least": ("0",)}, 7, "one number"),
        ({"cvss_at_least": ("10.1",)}, 7, "one number"),
        ({"cvss_at_least": ("7.05",)}, 7, "one number"),
        ({"cvss_at_least": ()}, 7, "one number"),
        ({"epss_at_least": ("1.001",)}, 7, "one number above 0 and up to 1, of at most 3 dec"),
        ({"epss_at_least": ("0.0001",)}, 7, "one number"),
        ({}, -1, "whole number"),
        ({}, 3651, "whole number"),
        ({}, True, "whole number"),
    ],
)
def test_a_row_that_asks_or_answers_nonsense_is_refused(when, days, why):
    with pytest.raises(InputError, match=why):
        Row("bad", when, days, "")


@pytest.mark.parametrize(
    "document",
    [
        {},
        [],
        {**to_json(EXPLOITED), "rows": "none"},
        {**to_json(EXPLOITED), "clock": "never"},
        {**to_json(EXPLOITED), "version": "1"},
        {**to_json(EXPLOITED), "rows": [{}]},
        {**to_json(EXPLOITED), "extra": 1},
        {
            **to_json(EXPLOITED),
            "rows": [{"id": "a", "when": {"kev": "yes"}, "days": 1, "label": ""}],
        },
        {**to_json(EXPLOITED), "rows": [{"id": "a", "when": {}, "days": "1", "label": ""}]},
    ],
)
def test_a_document_that_is_no_policy_is_refused(document):
    with pytest.raises(InputError):
        from_json(document)


@pytest.mark.parametrize(
    ("clock", "published", "first_seen", "start"),
    [
        (Clock.LATER, MONDAY, FRIDAY, FRIDAY),
        (Clock.LATER, FRIDAY, MONDAY, FRIDAY),
        (Clock.PUBLISHED, MONDAY, FRIDAY, MONDAY),
        (Clock.DETECTED, MONDAY, FRIDAY, FRIDAY),
        (Clock.LATER, None, MONDAY, MONDAY),
        (Clock.PUBLISHED, None, MONDAY, MONDAY),
    ],
)
def test_the_clock_starts_where_the_policy_says(clock, published, first_seen, start):
    row = Row("week", {}, 7, "7 days")

    assert due_date(row, published, first_seen, clock) == start + timedelta(days=7)


def test_a_row_without_days_gives_no_due_date():
    assert due_date(OTHERWISE, MONDAY, MONDAY) is None
