"""Roles, names, passwords, and when sign-in waits."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patchmgr.domain.accounts import (
    FAILURE_WINDOW,
    Role,
    name_problem,
    password_problem,
    refused_until,
)

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.mark.parametrize("name", ["alice", "a.b-c_d@example", "0"])
def test_a_name_may_look_like_an_address(name):
    assert name_problem(name) is None


@pytest.mark.parametrize("name", ["", "Alice", "a b", "a/b", "ä", "x" * 65, "token:ci", "cli:root"])
def test_a_name_cannot_pose_as_a_token_or_as_the_command_line(name):
    assert name_problem(name)


@pytest.mark.parametrize(
    ("password", "problem"),
    [
        ("short", "at least"),
        ("x" * 257, "at most"),
        ("aaaabbbbaaaabbbb", "different"),
        ("alicealicealice", "name"),
        ("a phrase of words", None),
    ],
)
def test_a_password_is_long_and_not_the_name(password, problem):
    found = password_problem(password, "alice")

    assert problem in found if problem else found is None


def test_sign_in_waits_until_the_first_of_the_failures_no_longer_counts():
    failures = [NOW - minutes * MINUTE for minutes in (14, 10, 5)]

    assert refused_until(failures, 3, NOW) == NOW + MINUTE
    assert refused_until(failures, 4, NOW) is None


@given(st.lists(st.integers(0, 3600), max_size=30), st.integers(1, 10))
def test_whoever_waits_as_told_may_try_again(ages, limit):
    failures = [NOW - timedelta(seconds=age) for age in ages]

    until = refused_until(failures, limit, NOW)

    if until is not None:
        assert NOW < until <= NOW + FAILURE_WINDOW
        assert refused_until(failures, limit, until) is None


def test_each_role_covers_itself_and_the_ones_below():
    assert [[role.covers(needed) for needed in Role] for role in Role] == [
        [True, False, False, False],
        [True, True, False, False],
        [True, True, True, False],
        [True, True, True, True],
    ]
