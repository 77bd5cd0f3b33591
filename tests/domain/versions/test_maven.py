"""Maven's versions, beside its specification's lists compared plainly."""

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patchmgr.domain.versions import compare, maven
from patchmgr.errors import VersionError

# The forms of Maven's that are in order: a number first, and lists where words are.
VERSIONS = st.from_regex(
    r"(0|1|01|10)(\.(0|1|00|10)){0,3}([-.]?(alpha|a|B|beta|m|milestone|rc|CR|snapshot|ga|Final|release"
    r"|sp|foo|x)|-[012])?([-.]?[0-2]){0,1}(-SNAPSHOT|-1|-foo)?",
    fullmatch=True,
).filter(lambda version: not re.search(r"\.[A-Za-z]+[-.]", version))

QUALIFIERS = ["alpha", "beta", "milestone", "rc", "snapshot", "", "sp"]
NAMES = {"ga": "", "final": "", "release": "", "cr": "rc"}


def tree(version):
    """The nested lists of a version: numbers, texts, and lists as the last element."""
    text = re.sub(r"(?<=[0-9])(?=[a-z])", "-", version.lower())
    text = re.sub(r"(?<![a-z])([abm])(?=[0-9])", r"\1!", text)
    text = re.sub(r"(?<=[a-z!])(?=[0-9])", "-", text)
    text = re.sub(r"\.([a-z]+!?)(?=-[0-9]|$)", r"-\1", text)
    lists = [[read(item) for item in part.split(".")] for part in text.split("-")]
    nested = []
    for items in reversed(lists):
        while items and items[-1] in (0, ""):
            items.pop()
        nested = [*items, nested] if nested else items
    return nested


def read(item):
    if item.isdigit():
        return int(item)
    item = {"a!": "alpha", "b!": "beta", "m!": "milestone"}.get(item, item)
    return NAMES.get(item, item)


def rank(text):
    return (QUALIFIERS.index(text), "") if text in QUALIFIERS else (len(QUALIFIERS), text)


def sign(x, y):
    return (x > y) - (x < y)


def plainly(x, y):
    """Compare two elements, None being what is missing; -1, 0 or 1."""
    if x is None and y is None:
        return 0
    if x is None:
        return -plainly(y, None)
    if isinstance(x, list):
        if y is None:
            return next(filter(None, (plainly(item, None) for item in x)), 0)
        if isinstance(y, list):
            length = max(len(x), len(y))
            pairs = zip(x + [None] * (length - len(x)), y + [None] * (length - len(y)), strict=True)
            return next(filter(None, (plainly(a, b) for a, b in pairs)), 0)
        return 1 if isinstance(y, str) else -1
    if isinstance(x, int):
        return sign(x, y or 0) if y is None or isinstance(y, int) else 1
    if y is None or isinstance(y, str):
        return sign(rank(x), rank(y or ""))
    return -1


@given(VERSIONS, VERSIONS)
def test_order_is_that_of_a_comparison_of_lists(a, b):
    verdict = plainly(tree(a), tree(b))

    assert compare("maven", a, b) == ("<" if verdict < 0 else ">" if verdict else "=")


LADDER = [
    "1-alpha-1", "1-alpha2", "1-beta", "1-m1", "1-rc1-SNAPSHOT", "1-cr1", "1-rc-2", "1-SNAPSHOT",
    "1", "1-sp", "1-sp-1", "1-abc", "1-jre", "1-xyz", "1-1", "1-2", "1.0.1-SNAPSHOT", "1.0.1",
    "1.1-alpha", "1.1", "1.10", "2-alpha",
]  # fmt: skip


# Words between dots stand in the list itself, not in one of their own; each pair as Maven has it.
DOTTED = [
    "1.alpha.1", "1.ga.alpha.1", "1-alpha", "1-snapshot", "1.0.alpha.1", "1.0.0.alpha.1", "1",
    "1.ga.1", "1.sp.1", "1.foo.1", "1-sp", "1-foo", "1-1", "1.0.sp.1", "1.0.1", "1.1",
]  # fmt: skip


@pytest.mark.parametrize(("older", "newer"), [*pairwise(LADDER), *pairwise(DOTTED)])
def test_what_is_newer(older, newer):
    assert compare("maven", older, newer) == "<"


@pytest.mark.parametrize(
    "same",
    [("1", "1.0", "1.0.0", "1-ga", "1.Final", "1.0-RELEASE", "1.0.0-0"),
     ("1-a1", "1-alpha-1", "1alpha1"),
     ("1-rc1", "1.CR1", "1.0.0.RC1"), ("1-xyz", "1-XYZ"), ("1.0.1", "1.0.01"), ("1--1", "1-0-1"),
     (".1", "0.1"), ("-1", "0-1")],
)  # fmt: skip
def test_what_is_equal(same):
    assert {compare("maven", same[0], other) for other in same} == {"="}


@pytest.mark.parametrize(
    ("version", "release", "later"),
    [("1.0.rc.1", "1", "1-1"), ("10.SNAPSHOT", "10", "10.snapshot_-1")],
)
def test_where_mavens_order_goes_in_circles_the_comparison_with_the_release_holds(
    version, release, later
):
    assert compare("maven", version, release) == "<"
    assert compare("maven", release, later) == "<"
    assert compare("maven", version, later) == "<"


@pytest.mark.parametrize(
    "text",
    ["", " 1", "1 ", "1/2", "1\\2", "1:2", '1"2', "1<2", "1>2", "1|2", "1?", "1.*", "[1,2)",
     "${version}", "1é", "1\x7f", "1\n"],
)  # fmt: skip
def test_what_maven_allows_in_no_version_is_refused(text):
    with pytest.raises(VersionError, match=re.escape(f"{text!r} is not a maven version")):
        maven.key(text)
