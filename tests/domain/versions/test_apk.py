"""Alpine's versions, beside a plain comparison token by token."""

import re
from itertools import pairwise, zip_longest

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patchmgr.domain.versions import apk, compare
from patchmgr.errors import VersionError

VERSIONS = st.from_regex(
    r"(0|1|2|01|10)(\.(0|1|00|01|010|10|2)){0,3}[ab]?"
    r"(_(alpha|beta|pre|rc|cvs|svn|git|hg|p)(0|1|01|20230717)?){0,2}(~(a|ab|0))?(-r(0|1|10))?",
    fullmatch=True,
)
# What follows, from the oldest to the newest: the end, a revision, ... and last one more component.
KINDS = ["early", "end", "-r", "~", "suffix number", "late", "letter", "component"]
EARLY, LATE = ["alpha", "beta", "pre", "rc"], ["cvs", "svn", "git", "hg", "p"]
TOKEN = re.compile(r"\.?([0-9]+)|([a-z])(?![a-z])|_([a-z]+)([0-9]*)|~([0-9a-f]+)|-r([0-9]+)")


def tokens(version):
    """Yield (kind, value) as apk reads them, values made so that Python's order is apk's."""
    for at, found in enumerate(re.finditer(TOKEN, version)):
        digits, letter, suffix, number, commit, revision = found.groups()
        if digits and at == 0:
            yield "component", (1, int(digits), "")
        elif digits:
            yield "component", (0, 0, digits) if digits[0] == "0" else (1, int(digits), "")
        elif letter:
            yield "letter", letter
        elif suffix:
            yield (
                ("early", EARLY.index(suffix)) if suffix in EARLY else ("late", LATE.index(suffix))
            )
            if number:
                yield "suffix number", int(number)
        elif commit:
            yield "~", commit
        else:
            yield "-r", int(revision)


def plainly(a, b):
    for left, right in zip_longest(tokens(a), tokens(b), fillvalue=("end", None)):
        if left != right:
            kinds = KINDS.index(left[0]), KINDS.index(right[0])
            x, y = kinds if left[0] != right[0] else (left[1], right[1])
            return "<" if x < y else ">"
    return "="


@given(VERSIONS, VERSIONS)
def test_order_is_that_of_a_comparison_token_by_token(a, b):
    assert compare("apk", a, b) == plainly(a, b)


@given(VERSIONS, st.sampled_from([".0", "a", "_rc1", "_p", "~ab", "-r1", "0"]))
def test_order_is_that_of_a_comparison_where_one_goes_on(version, more):
    try:
        apk.key(version + more)
    except VersionError:
        return
    assert compare("apk", version, version + more) == plainly(version, version + more)


LADDER = [
    "1.0_alpha", "1.0_alpha1", "1.0_beta", "1.0_pre1_alpha", "1.0_pre1", "1.0_rc1", "1.0",
    "1.0-r0", "1.0-r1", "1.0-r10", "1.0~abc", "1.0~abc-r1", "1.0_cvs", "1.0_svn1", "1.0_git2023",
    "1.0_hg", "1.0_p", "1.0_p0", "1.0_p1", "1.0_p1-r1", "1.0_p2", "1.0_p10", "1.0a",
    "1.0b_rc1", "1.0b", "1.0.0", "1.00", "1.010", "1.02", "1.1",
]  # fmt: skip


@pytest.mark.parametrize(("older", "newer"), list(pairwise(LADDER)))
def test_what_is_newer(older, newer):
    assert compare("apk", older, newer) == "<"


@pytest.mark.parametrize(("a", "b"), [("01.2", "1.2"), ("1_p01", "1_p1"), ("1-r01", "1-r1")])
def test_leading_zeros_count_only_in_later_components(a, b):
    assert compare("apk", a, b) == "="
    assert compare("apk", "1.01", "1.1") == "<"


@pytest.mark.parametrize(
    "text",
    ["", "a", "1.", ".1", "1..2", "1.a", "1bc", "1.0bc", "1A", "1_foo", "23_foo", "1_", "1_alpha.1",
     "1-1", "1-r", "1-r1.2", "1-r1_p1", "1-r1-r2", "1_p1a", "1a1", "1a.1", "1~", "1~xyz", "1~AB",
     "1-r1~ab", "1.0 ", " 1.0", "1.0\n", "v1.0", "1.0-r1-", "1:1.0", "1.0+b", "1.0^1", "٣"],
)  # fmt: skip
def test_invalid_forms_are_refused(text):
    with pytest.raises(VersionError, match=re.escape(f"{text!r} is not a apk version")):
        apk.key(text)
