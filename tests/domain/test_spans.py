"""Spans put together cover the same time, and no two of them meet."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from patchmgr.domain.spans import Span, merged

START = datetime(2026, 1, 1, tzinfo=UTC)


def day(number):
    return START + timedelta(days=number)


spans = st.lists(
    st.tuples(st.integers(0, 30), st.integers(0, 6)).map(lambda p: Span(day(p[0]), day(sum(p))))
)


def covered(among, number):
    return any(span.start < day(number) <= span.end for span in among)


@given(spans)
def test_merged_spans_cover_the_same_days_and_lie_apart(given_spans):
    found = merged(given_spans)

    assert [covered(found, n) for n in range(40)] == [covered(given_spans, n) for n in range(40)]
    assert all(before.end < after.start for before, after in pairwise(found))
