"""Documents that people write: read as they stand, or refused with words and in little room."""

import json
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patchmgr.domain import toml_text
from patchmgr.domain.plain_documents import DEPTH, LARGEST_NUMBER, LONGEST, checked, read
from patchmgr.errors import InputError

TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=5)
NUMBERS = st.integers(-LARGEST_NUMBER, LARGEST_NUMBER) | st.floats(
    allow_nan=False, allow_infinity=False
)
VALUES = st.recursive(
    TEXT | NUMBERS | st.booleans(),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(TEXT, inside, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(TEXT, VALUES, max_size=4))
def test_what_was_written_is_read(document):
    assert read(json.dumps(document), "json") == document
    assert read(toml_text.write(document), "toml") == document


@pytest.mark.parametrize(
    ("form", "text", "why"),
    [
        ("json", "[" * 100_000, "nested too deeply"),
        ("json", '{"a":' * (DEPTH + 1) + "1" + "}" * (DEPTH + 1), "nested too deeply"),
        ("toml", "a = " + "[" * 100_000, "nested too deeply"),
        ("toml", "a = " + "{a = " * 100_000, "nested too deeply"),
        ("toml", ".".join("a" * 200_000) + " = 1", "nested too deeply"),
        ("toml", "[" + " . ".join(['"a"'] * 50_000) + "]", "nested too deeply"),
        ("toml", "a = {" + ".".join(["'a'"] * 50_000) + " = 1}", "nested too deeply"),
        ("json", "9" * 1_000_000, "a number in it is too long"),
        ("toml", "a = " + "9" * 1_000_000, "a number in it is too long"),
        ("toml", "a = 0x" + "f" * 5_000, "a: is a number of more than 64 bits"),
        ("json", '{"a": [0, 9223372036854775808]}', "a[1]: is a number of more than 64 bits"),
        ("json", "NaN", "NaN is no number"),
        ("json", "[-Infinity]", "-Infinity is no number"),
        ("json", "1e999", "is no finite number"),
        ("toml", "a = [{b = nan}]", "a[0].b: is no finite number"),
        ("json", r'{"a": "\ud800"}', "a: has a sign that is no text"),
        ("json", r'{"a": {"\udc00": 1}}', "a.?: has a sign that is no text"),
        ("toml", r'a = "\u0000"', "a: has a sign that is no text"),
        ("json", '{"a": 1, "a": 1}', "'a' is given twice"),
        ("toml", "a = 1\na = 1", "cannot be read as toml"),
        ("json", "{", "cannot be read as json"),
        ("json", " " * (LONGEST + 1), "at most"),
    ],
)
def test_what_no_setting_can_be_is_refused_in_little_room(form, text, why):
    tracemalloc.start()
    try:
        with pytest.raises(InputError) as refused:
            read(text, form)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert why in str(refused.value)
    assert len(str(refused.value)) < 300
    assert most < 256 * LONGEST


def test_a_document_that_another_reader_parsed_is_held_to_the_same():
    with pytest.raises(InputError, match="soak: is a number of more than 64 bits"):
        checked({"rings": [], "soak": 2**63})


def test_dots_inside_a_long_text_are_no_names():
    assert read(f'a = "{"We look. We wait. " * 1000}"', "toml") == {
        "a": "We look. We wait. " * 1000
    }
