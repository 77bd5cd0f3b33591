"""NuGet's versions, beside its rules written down plainly."""

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patchmgr.domain.versions import compare, nuget
from patchmgr.errors import VersionError

VERSIONS = st.from_regex(
    r"(0|1|01|10|2147483647)(\.(0|1|01|10)){0,3}"
    r"(-(0|1|10|a|A|ab|rc-1|-1|-0|2147483648|x)(\.(0|2|b|B|9999999999)){0,2})?(\+[a-zA-Z0-9]{1,3})?",
    fullmatch=True,
)
INT32 = range(-(2**31), 2**31)


def order(version):
    core, hyphen, labels = version.partition("+")[0].partition("-")
    numbers = [int(number) for number in core.split(".")]
    numbers += [0] * (4 - len(numbers))
    return (numbers, 0, [label(text) for text in labels.split(".")]) if hyphen else (numbers, 1, [])


def label(text):
    """A number where .NET can read it into an int, else a text without case."""
    if re.fullmatch(r"-?[0-9]+", text) and int(text) in INT32:
        return 0, int(text), ""
    return 1, 0, text.upper()


@given(VERSIONS, VERSIONS)
def test_order_is_that_of_numbers_and_labels(a, b):
    left, right = order(a), order(b)

    assert compare("nuget", a, b) == ("<" if left < right else ">" if left > right else "=")


LADDER = [
    "1.0--2147483648", "1.0--1", "1.0-0", "1.0-1", "1.0-2147483647", "1.0--2147483649",
    "1.0-10000000000", "1.0-2147483648", "1.0-a", "1.0-a.0", "1.0-A.1", "1.0-a.2",
    "1.0-a.10", "1.0-ab", "1.0-b", "1.0", "1.0.0.1", "1.0.1-x", "1.0.1", "1.10", "2",
]  # fmt: skip


@pytest.mark.parametrize(("older", "newer"), list(pairwise(LADDER)))
def test_what_is_newer(older, newer):
    assert compare("nuget", older, newer) == "<"


# The first lines are those that NuGet's own tests call invalid.
@pytest.mark.parametrize(
    "text",
    ["1beta", "$version$", "1.2Av^c", "1.2..", "1.2.3.4.5", "1.2.3.Beta", "So.is.this",
     "1.34.2Alpha", "1.2.3.4This version is full of awesomeness!!", "1.34.2Release Candidate",
     "1.4.7-", "1.4.7-*", "1.4.7+*", "1.4.7-AA.01^", "1.4.7-AA.0A^", "1.4.7-A^A",
     "1.4.7+AA.01^", "", " ", "1.", ".1", "v1.0", "1.0-01", "1.0-a.00", "1.0-a..b", "1.0-a+",
     "1.0+", "1.0+a+b", "2147483648", "1.99999999999", "-1", "1.0-é", "٣.0"],
)  # fmt: skip
def test_what_nuget_does_not_read_is_refused(text):
    with pytest.raises(VersionError, match=re.escape(f"{text!r} is not a nuget version")):
        nuget.key(text)


@pytest.mark.parametrize(
    ("a", "b"), [("  1.022-Beta", "1.22-beta"), ("23.2.3-Alpha  ", "23.2.3-alpha")]
)
def test_space_around_a_version_is_ignored(a, b):
    assert compare("nuget", a, b) == "="
