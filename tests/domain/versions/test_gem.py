"""RubyGems' versions, beside a plain comparison of their segments."""

import re
from itertools import pairwise, zip_longest

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patchmgr.domain.versions import compare, gem
from patchmgr.errors import VersionError

VERSIONS = st.from_regex(
    r"(0|1|01|10)(\.(0|0|00|1|10|a|b|A|rc1|0a0|pre)){0,6}(-(1|0|a|rc-1)(\.(0|x)){0,2})?",
    fullmatch=True,
)


def without_zeros(segments):
    while segments and segments[-1] == 0:
        segments = segments[:-1]
    return segments


def segments(version):
    found = re.findall(r"[0-9]+|[A-Za-z]+", version.replace("-", ".pre."))
    read = [int(text) if text.isdigit() else text for text in found]
    at = next((i for i, segment in enumerate(read) if isinstance(segment, str)), len(read))
    return without_zeros(read[:at]) + without_zeros(read[at:])


def plainly(a, b):
    for x, y in zip_longest(segments(a), segments(b), fillvalue=0):
        if isinstance(x, str) != isinstance(y, str):
            return "<" if isinstance(x, str) else ">"
        if x != y:
            return "<" if x < y else ">"
    return "="


@given(VERSIONS, VERSIONS)
def test_order_is_that_of_a_comparison_segment_by_segment(a, b):
    assert compare("gem", a, b) == plainly(a, b)


@given(VERSIONS, st.sampled_from([".0", ".0.0", ".1", ".a", ".0.a", ".0.1", "-1", "-a"]))
def test_order_is_that_of_a_comparison_where_one_goes_on(version, more):
    try:
        gem.key(version + more)
    except VersionError:
        return
    assert compare("gem", version, version + more) == plainly(version, version + more)


LADDER = [
    "1.a",
    "1.a.0.1",
    "1.a1",
    "1.b.0.a",
    "1.b",
    "1-1",
    "1.pre.2",
    "1",
    "1.0.0.1",
    "1.0.1.a",
    "1.0.1",
]


@pytest.mark.parametrize(("older", "newer"), list(pairwise(LADDER)))
def test_what_is_newer(older, newer):
    assert compare("gem", older, newer) == "<"


@pytest.mark.parametrize(
    ("a", "b"),
    [("1", "1.0.0"), ("1.0.a", "1.a"), ("1.a.0", "1.a"), ("1-a", "1.pre.a"), (" 1\n", "1")],
)
def test_what_is_equal(a, b):
    assert compare("gem", a, b) == "="


# As `Gem::Version.correct?` said of each, but for the empty text.
@pytest.mark.parametrize(
    "text",
    ["", " ", "10a", "1-", "1.0-a..b", "1..2", "v1", "1.0+b", "1.0_1", "1.-a", "1 2", "é", "1.é",
     "1.0\u00a0", "1-.a", "1-a.", "a", ".1", "1."],
)  # fmt: skip
def test_what_rubygems_calls_malformed_is_refused(text):
    with pytest.raises(VersionError, match=re.escape(f"{text!r} is not a gem version")):
        gem.key(text)


@pytest.mark.parametrize("text", ["1.0a", "1\n", "\t1 ", "1-a-", "1--", "1.a-b.c"])
def test_what_rubygems_calls_correct_is_read(text):
    assert gem.key(text)
