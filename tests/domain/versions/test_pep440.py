"""Python's versions, with `packaging` as judge."""

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version

from patchmgr.domain.versions import compare, pep440
from patchmgr.errors import VersionError

VERSIONS = st.from_regex(
    r"v?([01]!)?(0|1|2|10)(\.(0|1|00|10)){0,3}([._-]?(a|b|c|rc|alpha|beta|pre|preview)[.-]?[012]?)?"
    r"(-[01]|[._-]?(post|rev|r)[.]?[01]?)?([._-]?(dev|DEV)[01]?)?(\+(1|01|10|a|ab|A)([._-](0|2|x)){0,2})?",
    fullmatch=True,
)


def packaging_says(a, b):
    left, right = Version(a), Version(b)
    return "<" if left < right else ">" if left > right else "="


@given(VERSIONS, VERSIONS)
def test_order_is_that_of_packaging(a, b):
    assert compare("pep440", a, b) == packaging_says(a, b)


@given(
    VERSIONS, st.sampled_from([".0", ".1", "a1", "rc1", ".post1", ".dev1", "+1", "+a", ".0.0.1"])
)
def test_order_is_that_of_packaging_where_one_goes_on(version, more):
    public = version.partition("+")[0]
    try:
        Version(public + more)
    except ValueError:
        return
    assert compare("pep440", public, public + more) == packaging_says(public, public + more)
    assert compare("pep440", version, public + more) == packaging_says(version, public + more)


LADDER = [
    "0.9-ivysaur", "1.x-alpha", "1.x", "1.x.final", "1.x-final", "1.x-patch", "1.x.patch",
    "0.dev1", "1.0.dev1", "1.0a1.dev1", "1.0a1", "1.0a1.post1", "1.0b1", "1.0rc1",
    "1.0", "1.0+a", "1.0+a.1", "1.0+b", "1.0+1", "1.0+1.a", "1.0+1.1", "1.0+2", "1.0+10",
    "1.0.post1.dev1", "1.0.post1", "1.0.1", "1.1", "1!0.1",
]  # fmt: skip


@pytest.mark.parametrize(("older", "newer"), list(pairwise(LADDER)))
def test_what_is_newer(older, newer):
    assert compare("pep440", older, newer) == "<"


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("1.0", "v1"),
        ("1.0", "1.0.0"),
        ("1.0-1", "1.0.post1"),
        ("1c1", "1.0RC1"),
        ("1.x-alpha", "1.x.alpha"),
        ("1.x--rc", "1.x.c"),
    ],
)
def test_what_is_equal(a, b):
    assert compare("pep440", a, b) == "="


@pytest.mark.parametrize(
    "text",
    ["", "unknown", "french toast", "latest", "dev", "not-a-version", "1.0+", "1.0+a+b", "1.0++",
     "1.0+_x", "1.0+foo&asd", "1.0*", "${version}", "1.0/2", "é1", "1.0+\u017f", "1.0po\u017ft1"],
)  # fmt: skip
def test_what_is_neither_a_version_nor_looks_like_an_old_one_is_refused(text):
    with pytest.raises(VersionError, match=re.escape(f"{text!r} is not a pep440 version")):
        pep440.key(text)
