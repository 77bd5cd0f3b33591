"""What holds for every scheme, whatever its order is."""

import pkgutil
import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patchmgr.domain import versions
from patchmgr.domain.packages import SCHEME_OF_MANAGER
from patchmgr.domain.versions import SCHEMES, compare
from patchmgr.errors import VersionError

LONG = 100_000
SECONDS = 5  # of patience; a loop over all pairs of characters would take minutes

each_scheme = pytest.mark.parametrize("scheme", SCHEMES)

# Pieces of which versions are made, in any scheme and in none.
PIECES = st.lists(
    st.sampled_from(
        ["0", "1", "01", "10", "9" * 12, ".", "-", "_", "+", "~", "^", ":", " ", "a", "Z", "alpha",
         "beta", "pre", "rc", "p", "git", "dev", "post", "final", "ga", "sp", "v", "é", "٣",
         "\u017f", "\x00", "\n", "\ud800", "!", "%", "$"]
    ),
    max_size=12,
).map("".join)  # fmt: skip


def test_every_module_is_a_scheme_in_the_registry():
    assert {module.name for module in pkgutil.iter_modules(versions.__path__)} == set(SCHEMES)


def test_every_manager_has_its_scheme():
    assert set(SCHEME_OF_MANAGER.values()) == set(SCHEMES)


def key_or_refusal(scheme, text):
    try:
        return SCHEMES[scheme](text)
    except VersionError as error:
        return str(error)


@each_scheme
@given(text=st.one_of(PIECES, st.text()))
def test_a_text_has_a_key_or_is_refused(scheme, text):
    assert key_or_refusal(scheme, text)


@each_scheme
@pytest.mark.parametrize("text", ["", " ", "\n", "-", "1 2", "1\x002", "1\n2", "a b"])
def test_what_is_no_version_anywhere_is_refused(scheme, text):
    with pytest.raises(VersionError, match=f"is not a {scheme} version"):
        SCHEMES[scheme](text)


@each_scheme
@pytest.mark.parametrize(
    ("start", "repeated", "end"),
    [
        ("1", "1", ""), ("1", "0", ""), ("", "0", ""), ("1", ".1", ""), ("1", ".0", ""),
        ("1", ".0", ".a"), ("1", ".0", "!"), ("0", "0", "!"), ("1-", "a", ""), ("1-", "a-", ""),
        ("1-", "0", ""), ("1-", "a.", "!"), ("1-a", ".0", "x"), ("1", "-", "1"), ("1", "-1", ""),
        ("1", "_p", ""), ("1", "_p1", "!"), ("1", "~", ""), ("1", "~", "!"), ("1", "^", ""),
        ("1", "a1", ""), ("1.", "a1", "!"), ("1+", "a.", "a"), ("1+", "0", ""), ("a", "a", ""),
        ("1", " ", ""), ("", " ", "1"), ("1", " ", "1"), ("1:", "1", ""), ("1", "0", ":1"),
        ("1", "._", ""), ("1-0", ".0", " "), ("1.a", "_", "1"),
    ],
)  # fmt: skip
def test_a_long_text_does_not_take_long(scheme, start, repeated, end):
    text = start + repeated * (LONG // len(repeated)) + end
    begun = time.perf_counter()

    key_or_refusal(scheme, text)

    assert time.perf_counter() - begun < SECONDS


# pep440 reads numbers with int(), which Python limits to 4,300 digits; nuget's fit into 32 bits.
@pytest.mark.parametrize("scheme", sorted(set(SCHEMES) - {"nuget"}))
@pytest.mark.parametrize("digits", [1, 9, 10, 18, 19, 31, 57, 58, 59, 60, 300, 4000])
def test_numbers_of_any_length_are_numbers(scheme, digits):
    nines, power = "9" * digits, "1" + "0" * digits

    assert compare(scheme, nines, power) == "<"
    assert compare(scheme, f"1.{nines}", f"1.{power}") == "<"
    assert compare(scheme, f"1.{nines}", "1.1") == ">"


@pytest.mark.parametrize("text", ["1" * 5000, "1.0.dev" + "1" * 5000, "1!" + "9" * 5000])
def test_a_number_too_long_for_python_is_refused_and_not_taken_for_old(text):
    with pytest.raises(VersionError, match=re.escape(f"{text!r} is not a pep440 version")):
        SCHEMES["pep440"](text)
