"""Sets stored as differences are the sets that were stored."""

from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import true

from patchmgr.db import models, package_sets
from patchmgr.db.package_sets import Bases, Stored, pack, without

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
IMAGE = list(range(1, 300))


def store(session, *sets):
    """Store each set as the importer does; return their ids and the number stored whole."""
    bases, numbers, whole = Bases(session), [], 0
    for place, ids in enumerate(sets):
        form = bases.form(np.array(sorted(ids), np.uint32))
        row = models.PackageSet(
            digest=place.to_bytes(32),
            members=form.members,
            base_id=None if form.base is None else bases.ids[form.base],
            lacks=form.lacks,
            sketch=form.sketch,
            size=len(ids),
            created_at=NOON,
        )
        session.add(row)
        session.flush()
        if form.base is None:
            bases.stored([row.id])
        numbers.append(row.id)
        whole += form.base is None
    return numbers, whole


def drifted(image, *, without=(), more=()):
    return (set(image) - set(without)) | set(more)


def test_hosts_of_one_image_are_differences_to_the_first(db):
    sets = [drifted(IMAGE, without=[n, n + 1], more=[1000 + n]) for n in range(1, 40)]

    with db.trying() as session:
        numbers, whole = store(session, *sets)
        found = package_sets.members(session, numbers)
        size = sum(len(row.members) + len(row.lacks) for row in session.query(models.PackageSet))

    assert [set(found[number].tolist()) for number in numbers] == sets
    assert whole == 1
    assert size < len(sets) * len(IMAGE) * 4 / 10


def test_what_is_not_alike_is_stored_whole(db):
    sets = [set(range(start, start + 300)) for start in range(1, 3000, 300)]

    with db.trying() as session:
        numbers, whole = store(session, *sets)

        assert whole == len(sets)
        assert package_sets.members_of(session, numbers[3]).tolist() == sorted(sets[3])


def test_the_members_of_no_set_are_none(db):
    with db.reading() as session:
        assert package_sets.members_of(session, None).tolist() == []


member = st.integers(1, 400)
hosts = st.lists(
    st.builds(
        lambda lost, more: drifted(IMAGE, without=lost, more=more),
        st.sets(member, max_size=60),
        st.sets(st.integers(300, 400), max_size=60),
    )
    | st.sets(member, min_size=1, max_size=50),
    min_size=1,
    max_size=8,
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(hosts, st.sets(member, max_size=20), st.integers(0, 420))
def test_the_sets_that_have_a_member_are_found_as_by_looking_at_each(db, sets, wanted, length):
    flags = np.zeros(length, bool)
    flags[[number for number in wanted if number < length]] = True

    with db.trying() as session:
        store(session, *sets)
        stored = Stored(session, true())
        places, members = stored.having(flags)
        found = list(zip(stored.ids[places].tolist(), members.tolist(), strict=True))
        whole = package_sets.members(session, stored.ids.tolist())

    expected = [
        (number, member)
        for number in stored.ids.tolist()
        for member in whole[number].tolist()
        if member < length and flags[member]
    ]
    assert sorted(found) == sorted(expected)
    assert {frozenset(each.tolist()) for each in whole.values()} == set(map(frozenset, sets))


@pytest.mark.parametrize(
    ("values", "others", "left"),
    [([3, 1, 2], [2], [3, 1]), ([1], [], [1]), ([], [1], []), ([5], [1, 2], [5])],
)
def test_without_leaves_the_order(values, others, left):
    assert without(np.array(values, np.int64), np.array(others, np.int64)).tolist() == left


def test_packed_ids_are_sorted():
    assert pack(np.array([3, 1, 2], np.uint32)) == np.array([1, 2, 3], "<u4").tobytes()
