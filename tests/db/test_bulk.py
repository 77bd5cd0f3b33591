"""Many rows at once."""

from sqlalchemy import select

from patchmgr.db import models
from patchmgr.db.bulk import COPIED, insert_new


def row(number, now):
    return {
        "digest": number.to_bytes(32, "big"),
        "members": b"\\N\t\n\x00",
        "base_id": None,
        "lacks": b"",
        "sketch": b"",
        "size": number,
        "created_at": now,
    }


def test_new_rows_are_stored_in_their_order_and_known_ones_left_as_they_are(db, now):
    first = [row(number, now) for number in range(COPIED)]
    changed = [row(number, now) | {"size": -1} for number in range(COPIED // 2)]
    more = [row(number, now) for number in range(COPIED, COPIED + COPIED // 2)]
    with db.writing() as session:
        insert_new(session, models.PackageSet, first)
        insert_new(session, models.PackageSet, [*changed, *more])

    with db.reading() as session:
        stored = session.scalars(select(models.PackageSet).order_by(models.PackageSet.id)).all()
    assert [each.size for each in stored] == list(range(COPIED + COPIED // 2))
    assert {(each.members, each.created_at, each.base_id) for each in stored} == {
        (b"\\N\t\n\x00", now, None)
    }
