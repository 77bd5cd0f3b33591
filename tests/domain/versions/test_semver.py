"""Semantic versions, beside the specification's rules written down plainly."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patchmgr.domain.versions import compare, semver
from patchmgr.errors import VersionError

VERSIONS = st.from_regex(
    r"v?(0|1|10)(\.(0|2|10)){0,4}(-(0|1|10|a|A|ab|-|1a|x-y)(\.(0|2|a|b-)){0,2})?(\+[a-z0-9]{1,3})?",
    fullmatch=True,
)


def precedence(version):
    """Sections 9 to 11, as a tuple; any number of components, missing ones being zero."""
    core, hyphen, prerelease = version.removeprefix("v").partition("+")[0].partition("-")
    numbers = [int(number) for number in core.split(".")]
    numbers += [0] * (7 - len(numbers))
    identifiers = [
        (0, int(text), "") if text.isdigit() else (1, 0, text) for text in prerelease.split(".")
    ]
    return (numbers, 0, identifiers) if hyphen else (numbers, 1, [])


@given(VERSIONS, VERSIONS)
def test_order_is_the_specifications_precedence(a, b):
    left, right = precedence(a), precedence(b)

    assert compare("semver", a, b) == ("<" if left < right else ">" if left > right else "=")


@given(VERSIONS)
def test_order_is_the_specifications_precedence_where_one_goes_on(version):
    core = version.partition("+")[0]
    for more in (".0", ".0.1", "-0", "-a", "a", "-"):
        try:
            semver.key(core + more)
        except VersionError:
            continue
        left, right = precedence(core), precedence(core + more)
        assert compare("semver", core, core + more) == (
            "<" if left < right else ">" if left > right else "="
        )


@pytest.mark.parametrize(
    "text",
    ["", "v", "V1.0.0", "vv1", "=1.0.0", "1.", ".1", "1..2", "01.2.3", "1.02.3", "1.2.3-",
     "1.2.3-01", "1.2.3-a..b", "1.2.3-a.", "1.2.3-a_b", "1.2.3+", "1.2.3+a..b", "1.2.3+a+b",
     "1.2.x", "1.2.*", "^1.2.3", "~1.2", "1.2.3 ", " 1.2.3", "1.2.3\n", "latest", "1,2",
     "1.2.3-é", "٣.2.3", "1.2.3a"],
)  # fmt: skip
def test_what_the_specification_does_not_allow_is_refused(text):
    with pytest.raises(VersionError, match=re.escape(f"{text!r} is not a semver version")):
        semver.key(text)
