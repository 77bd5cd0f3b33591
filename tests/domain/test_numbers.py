"""Numbers inside of sort keys."""

from hypothesis import given
from hypothesis import strategies as st

from patchmgr.domain.numbers import counted

NUMBERS = st.integers(min_value=0, max_value=10**80)


def written(number):
    return counted(str(number) if number else "", 2, 10)


@given(NUMBERS, NUMBERS)
def test_texts_sort_as_their_numbers(a, b):
    assert (written(a) < written(b)) == (a < b)


@given(NUMBERS)
def test_a_number_begins_with_a_character_of_its_range(number):
    assert "\x02" <= written(number)[0] <= "\x0a"


def test_a_number_may_be_longer_than_any_count():
    assert counted("9" * 5000, 2, 10) < counted("1" + "0" * 5000, 2, 10)
