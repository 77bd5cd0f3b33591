"""Arch Linux's versions, beside vercmp's rules written down plainly."""

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patchmgr.domain.versions import alpm, compare
from patchmgr.errors import VersionError

# Without separators at the end: there vercmp's order is none (see the module).
PART = r"[._]{0,2}(0|1|01|10|a|Z|rc)([._+]{0,2}(0|1|01|10|a|Z|rc)){0,4}"
VERSIONS = st.from_regex(rf"(0:|1:|01:)?{PART}-(1|2|10|1\.1|01)", fullmatch=True)


def segments(part):
    """Split into (separators, digits or letters)."""
    return re.findall(r"([^0-9A-Za-z]*)([0-9]+|[A-Za-z]+)", part)


def plainly(a, b):
    """Compare two parts as vercmp does, segment by segment; -1, 0 or 1."""
    left, right = segments(a), segments(b)
    for (space, x), (gap, y) in zip(left, right, strict=False):
        if len(space) != len(gap):
            return -1 if len(space) < len(gap) else 1
        if x.isdigit() != y.isdigit():
            return 1 if x.isdigit() else -1
        older = int(x) < int(y) if x.isdigit() else x < y
        if older or (int(x) > int(y) if x.isdigit() else x > y):
            return -1 if older else 1
    if len(left) == len(right):
        return 0
    more, fewer = (left, right) if len(left) > len(right) else (right, left)
    space, rest = more[len(fewer)]
    longer = 1 if more is left else -1
    # A word without a separator before it makes older, everything else that is more makes newer.
    return -longer if not space and rest.isalpha() else longer


def whole(a, b):
    for x, y in zip(parts(a), parts(b), strict=True):
        if verdict := plainly(x, y):
            return "<" if verdict < 0 else ">"
    return "="


def parts(version):
    epoch, colon, rest = version.partition(":")
    return (epoch, *rest.rsplit("-", 1)) if colon else ("0", *version.rsplit("-", 1))


@given(VERSIONS, VERSIONS)
def test_order_is_that_of_a_comparison_segment_by_segment(a, b):
    assert compare("alpm", a, b) == whole(a, b)


@given(st.from_regex(PART, fullmatch=True), st.sampled_from(["a", ".a", "1", ".1", "__1", "rc1"]))
def test_order_is_that_of_a_comparison_where_one_goes_on(part, more):
    assert compare("alpm", f"{part}-1", f"{part}{more}-1") == whole(f"{part}-1", f"{part}{more}-1")


LADDER = [
    "1.0A-1", "1.0a-1", "1.0beta-1", "1.0rc1-1", "1.0-1", "1.0-1.1", "1.0-2", "1.0-10",
    "1.0.a-1", "1.0.-1", "1.0.0-1", "1.0.1-1", "1.0..a-1", "1.0..1-1", "1.1-1", "1:0.1-1",
]  # fmt: skip


@pytest.mark.parametrize(("older", "newer"), list(pairwise(LADDER)))
def test_what_is_newer(older, newer):
    assert compare("alpm", older, newer) == "<"


@pytest.mark.parametrize("other", ["1.0-1", "1.0-2.1", "0:1.0-7"])
def test_a_pkgrel_that_only_one_has_is_not_compared_but_keys_have_to_place_it(other):
    assert compare("alpm", "1.0", other) == compare("alpm", other, "1.0") == "="
    assert compare("alpm", "1.0", "1.1-1") == compare("alpm", "0.9-1", "1.0") == "<"
    assert alpm.key("0.9-1") < alpm.key("1.0") < alpm.key(other) < alpm.key("1.1-1")


@pytest.mark.parametrize(
    "text",
    ["", "1:", "-1", "1-", "1-2-3", "a:1-1", "1:2:3-1", "1/2-1", "1<2", "1=2", "1.0 ", "1 0-1",
     "é-1", "1.é-1", ".", "_-1", "1-_"],
)  # fmt: skip
def test_what_no_package_can_have_is_refused(text):
    with pytest.raises(VersionError, match=re.escape(f"{text!r} is not a alpm version")):
        alpm.key(text)
