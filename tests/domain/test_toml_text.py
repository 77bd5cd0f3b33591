"""TOML text: what is read back is what was written."""

import tomllib

import hypothesis.strategies as st
from hypothesis import given

from patchmgr.domain.toml_text import write

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
PLAIN = st.one_of(
    st.booleans(), st.integers(-(2**53), 2**53), TEXTS, st.floats(allow_nan=False, width=32)
)
INSIDE = st.recursive(
    PLAIN,
    lambda one: st.lists(one, max_size=3) | st.dictionaries(TEXTS, one, max_size=3),
    max_leaves=6,
)
DOCUMENTS = st.dictionaries(TEXTS, INSIDE, max_size=5)


@given(DOCUMENTS)
def test_what_is_written_is_read_back(document):
    assert tomllib.loads(write(document)) == document


def test_tables_and_lists_of_tables_look_like_a_person_wrote_them():
    document = {
        "rings": [{"name": "a", "fields": {"tag": "x"}}, {"name": "b"}],
        "name": "monthly",
        "approval": {"needed": 1},
    }

    assert write(document) == (
        'name = "monthly"\n\n[[rings]]\nname = "a"\nfields = { tag = "x" }\n\n'
        '[[rings]]\nname = "b"\n\n[approval]\nneeded = 1\n'
    )
