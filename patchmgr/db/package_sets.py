"""Package sets as they are stored: each by what it differs in from one like it (ADR 0007).

Members are ``package_version`` ids. A set is stored whole, or as the members it has beside those of
a base, which is stored whole, and those of the base that it lacks. Hosts made from one image differ
in a few packages of many, so a fleet is some whole sets and many small differences.

Which set is like another is told by a sketch: the least value of each of a few hashes over the
members (Broder, "On the resemblance and containment of documents", 1997). Two sets agree in about
as many of these as they have members in common.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session, aliased

from patchmgr.db import models
from patchmgr.db.bulk import among

Ids = npt.NDArray[np.uint32]
Flags = npt.NDArray[np.bool_]
Places = npt.NDArray[np.intp]
Pairs = npt.NDArray[np.int64]  # two ids in one number, so that sets of pairs are sets of numbers

MEMBER = np.dtype("<u4")
KEPT = 2_000  # members of sets stored whole that `Bases` remembers: those used last
TOGETHER = 2  # hashes that must agree for two sets to be worth a comparison
_HASHES = np.array(  # odd multipliers, without meaning; stored sketches depend on them
    [
        0x9E3779B1,
        0x85EBCA77,
        0xC2B2AE3D,
        0x27D4EB2F,
        0x165667B1,
        0xD3A2646D,
        0xFD7046C5,
        0xB55A4F09,
    ],
    np.uint32,
)[:, None]

package_set, base = models.PackageSet, aliased(models.PackageSet)
# Columns for `whole`, of a query that outer joins `base` on ``package_set.base_id``.
WHOLE = (package_set.members, package_set.lacks, base.members)


@dataclass(frozen=True, slots=True)
class Form:
    """How a set is stored."""

    members: bytes  # all of them; with a base, only those that the base lacks
    base: int | None = None  # place among the `Bases`
    lacks: bytes = b""  # members of the base that it has not
    sketch: bytes = b""  # of a set stored whole


def pack(ids: Ids) -> bytes:
    """Return distinct ids, in any order, in the stored form."""
    return np.sort(ids).astype(MEMBER).tobytes()


def unpack(packed: bytes) -> Ids:
    """Return the sorted ids of a stored form."""
    return np.frombuffer(packed, dtype=MEMBER)


@dataclass(frozen=True, slots=True)
class Near:
    """A set as it is stored, and the one stored whole that another like it can differ from."""

    members: Ids  # sorted
    base_id: int
    base: Ids

    def form(self, ids: Ids) -> Form | None:
        """Return how to store distinct ``ids`` as a difference; None where that is not small.

        ``base`` of the form is then the id of the set, not a place among `Bases`.
        """
        if not len(self.base):
            return None
        more, lacks = _differences(np.sort(ids), self.base)
        if 4 * (len(more) + len(lacks)) > len(ids):  # half as much as `Bases` would let pass
            return None
        return Form(more.astype(MEMBER).tobytes(), self.base_id, lacks.astype(MEMBER).tobytes())


class Bases:
    """The sets stored whole, to find for a new set the one it is most like."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.ids: list[int] = []  # of stored sets, by place; 0 until it is stored
        self._members: dict[int, Ids] = {}  # by place; of what is not stored yet, and of some more
        self._by_hashes: dict[bytes, int] = {}  # some least values -> the newest set with them
        query = select(package_set.id, package_set.sketch).where(package_set.base_id.is_(None))
        query = query.order_by(package_set.id)
        for number, sketch in session.connection().execute(query).cursor.fetchall():
            self._remember(number, sketch)

    def form(self, ids: Ids) -> Form:
        """Return how to store a set of distinct ``ids``; stored whole, it is a base for others."""
        ids = np.sort(ids)
        sketch = _sketch(ids)
        alike = Counter(self._by_hashes[key] for key in _keys(sketch) if key in self._by_hashes)
        for place, _agreeing in alike.most_common():
            more, lacks = _differences(ids, self._whole(place))
            if 2 * (len(more) + len(lacks)) <= len(ids):
                return Form(more.astype(MEMBER).tobytes(), place, lacks.astype(MEMBER).tobytes())
        self._members[len(self.ids)] = ids
        self._remember(0, sketch)
        return Form(ids.astype(MEMBER).tobytes(), sketch=sketch)

    def stored(self, numbers: Sequence[int]) -> None:
        """Take the ids of the last sets stored whole; their members can be read again now."""
        self.ids[len(self.ids) - len(numbers) :] = numbers
        for place in list(self._members)[:-KEPT]:
            del self._members[place]

    def _remember(self, number: int, sketch: bytes) -> None:
        self._by_hashes.update(dict.fromkeys(_keys(sketch), len(self.ids)))
        self.ids.append(number)

    def _whole(self, place: int) -> Ids:
        found = self._members.pop(place, None)
        if found is None:
            query = select(package_set.members).where(package_set.id == self.ids[place])
            found = unpack(self._session.execute(query).scalar_one())
        self._members[place] = found  # now the one used last
        return found


def _differences(ids: Ids, base: Ids) -> tuple[Ids, Ids]:
    """Return the ids that ``base`` lacks, and those that only ``base`` has; both are sorted."""
    at = np.searchsorted(base, ids)
    shared = base[np.minimum(at, len(base) - 1)] == ids
    only = np.ones(len(base), bool)
    only[at[shared]] = False
    return ids[~shared], base[only]


def _keys(sketch: bytes) -> Iterator[bytes]:
    """Yield parts of a sketch by which sets are looked up: several hashes and which they are."""
    width = TOGETHER * MEMBER.itemsize
    for start in range(0, len(sketch), width):
        yield bytes((start,)) + sketch[start : start + width]


def _sketch(ids: Ids) -> bytes:
    if not len(ids):
        return b""
    mixed = (ids.astype(np.uint32) ^ (ids >> 7).astype(np.uint32)) * _HASHES
    return np.asarray(mixed.min(axis=1), MEMBER).tobytes()


def members(session: Session, set_ids: Collection[int]) -> dict[int, Ids]:
    """Return the sorted members of each of the sets."""
    rows = _rows(session, among(session, package_set.id, set_ids))
    bases = _bases(session, rows)
    return {
        number: _united(unpack(more), lacks, None if base_id is None else bases[base_id])
        for number, base_id, more, lacks in rows
    }


def members_of(session: Session, set_id: int | None) -> Ids:
    """Return the sorted members of one set; none for no set. One query."""
    if set_id is None:
        return unpack(b"")
    query = select(*WHOLE).outerjoin(base, base.id == package_set.base_id)
    return whole(*session.execute(query.where(package_set.id == set_id)).one())


def near(session: Session, set_id: int | None) -> Near | None:
    """Return a set with what it is stored as a difference to; None for no set. One query."""
    if set_id is None:
        return None
    query = select(package_set.base_id, *WHOLE).outerjoin(base, base.id == package_set.base_id)
    base_id, more, lacks, of_base = session.execute(query.where(package_set.id == set_id)).one()
    mine = whole(more, lacks, of_base)
    return Near(mine, set_id, mine) if base_id is None else Near(mine, base_id, unpack(of_base))


def whole(more: bytes | None, lacks: bytes | None, of_base: bytes | None) -> Ids:
    """Return the sorted members of the set that the columns `WHOLE` are of; none for no set."""
    return _united(unpack(more or b""), lacks or b"", None if of_base is None else unpack(of_base))


def _united(mine: Ids, lacks: bytes, of_base: Ids | None) -> Ids:
    if of_base is None:
        return mine
    united = np.concatenate([of_base[~np.isin(of_base, unpack(lacks))], mine])
    united.sort()
    return united


def _rows(session: Session, where: ColumnElement[bool], *more: ColumnElement[Any]) -> Sequence[Any]:
    query = select(
        package_set.id, package_set.base_id, package_set.members, package_set.lacks, *more
    ).where(where)
    return session.connection().execute(query).cursor.fetchall()


def _bases(session: Session, rows: Iterable[Any]) -> dict[int, Ids]:
    """Return the members of the bases of ``rows``. One query, unless the rows have them all."""
    ids = {row[1] for row in rows if row[1] is not None}
    bases = {row[0]: unpack(row[2]) for row in rows if row[0] in ids}
    if missing := ids - bases.keys():
        wanted = among(session, package_set.id, missing)
        query = select(package_set.id, package_set.members).where(wanted)
        found = session.connection().execute(query).cursor.fetchall()
        bases |= {number: unpack(packed) for number, packed in found}
    return bases


class Stored:
    """Many sets at once, in their stored form: which of them have a member that is flagged."""

    def __init__(
        self, session: Session, where: ColumnElement[bool], *more: ColumnElement[Any]
    ) -> None:
        """Read the sets that ``where`` selects, with the values of ``more`` of each."""
        rows = _rows(session, where, *more)
        self.more = [tuple(row[4:]) for row in rows]  # by place in `ids`
        self.ids = np.array([row[0] for row in rows], np.int64)
        self._bases = _bases(session, rows)
        self._base = np.array([row[1] or 0 for row in rows], np.int64)
        self._more = _joined([row[2] for row in rows])
        self._lacks = _joined([row[3] for row in rows])

    def having(self, flags: Flags) -> tuple[Places, Pairs]:
        """Return (place in ``ids``, member) of every member whose flag is set, in this order."""
        places, found = _hits(self._more, flags)
        of_base = [self._through_base(number, base, flags) for number, base in self._bases.items()]
        shared = np.concatenate([np.empty(0, np.int64), *of_base])
        if len(shared):
            lacked = _paired(*_hits(self._lacks, flags))
            shared = without(shared, np.sort(lacked))
        pairs = np.sort(np.concatenate([shared, _paired(places, found)]))
        return (pairs >> 32).astype(np.intp), pairs & 0xFFFFFFFF

    @property
    def versions(self) -> Ids:
        """Return every member that any of the sets, or its base, has, each once."""
        parts = [self._more[1], self._lacks[1], *self._bases.values()]
        return np.unique(np.concatenate(parts))

    def sums(self, weights: Pairs, kinds: Pairs) -> tuple[Pairs, Pairs]:
        """Return the weight of the sets with a member, by member, and by kind of member.

        ``weights`` are of the sets by place in ``ids``; ``kinds`` are numbers from 0, by member.
        A set counts once for a kind, however many members of the kind it has. What sets have in
        common with a base is added once for all of them.
        """
        more, lacks = _owned(self._more), _owned(self._lacks)
        members = np.zeros(len(kinds), np.int64)
        np.add.at(members, more[1], weights[more[0]])
        np.subtract.at(members, lacks[1], weights[lacks[0]])
        width = int(kinds.max(initial=0)) + 1
        by_kind = np.zeros(width, np.int64)
        change = np.concatenate([np.ones(len(more[0]), int), np.full(len(lacks[0]), -1)])
        touched = np.concatenate([owners * width + kinds[each] for owners, each in (more, lacks)])
        touched, place = np.unique(touched, return_inverse=True)
        change = np.bincount(place, change, len(touched)).astype(np.int64)
        owner, kind = touched // width, touched % width
        base_of = self._base[owner]
        for number, base in {0: unpack(b""), **self._bases}.items():
            weight = weights[self._base == number].sum()
            members[base] += weight
            in_base = np.bincount(kinds[base], minlength=width)
            by_kind += weight * (in_base > 0)
            mine = base_of == number
            before = in_base[kind[mine]]
            gained = (before + change[mine] > 0).astype(np.int64) - (before > 0)
            np.add.at(by_kind, kind[mine], gained * weights[owner[mine]])
        return members, by_kind

    def _through_base(self, number: int, base: Ids, flags: Flags) -> Pairs:
        hits = base[_flag(base, flags)].astype(np.int64)
        if not len(hits):
            return np.empty(0, np.int64)
        owners = np.flatnonzero(self._base == number)
        return _paired(np.repeat(owners, len(hits)), np.tile(hits, len(owners)))


def without(values: Pairs, others: Pairs) -> Pairs:
    """Return ``values`` but for those among ``others``, which are sorted.

    For a few of many it is quicker than numpy's own, which sorts both.
    """
    if not len(others):
        return values
    at = np.searchsorted(others, values)
    found: Pairs = values[others[np.minimum(at, len(others) - 1)] != values]
    return found


Joined = tuple[npt.NDArray[np.int64], Ids]  # where each set's part ends, all parts


def _joined(packed: Sequence[bytes]) -> Joined:
    ends = np.cumsum([len(each) for each in packed], dtype=np.int64) // MEMBER.itemsize
    return ends, unpack(b"".join(packed))


def _hits(joined: Joined, flags: Flags) -> tuple[Places, Pairs]:
    ends, parts = joined
    hits = np.flatnonzero(_flag(parts, flags))
    return np.searchsorted(ends, hits, side="right"), parts[hits].astype(np.int64)


def _owned(joined: Joined) -> tuple[Pairs, Pairs]:
    """Return (place of its set, member) of every part."""
    ends, parts = joined
    lengths = np.diff(ends, prepend=0)
    return np.repeat(np.arange(len(ends)), lengths), parts.astype(np.int64)


def _flag(ids: Ids, flags: Flags) -> Flags:
    """Return the flag of each id; what lies beyond them has none."""
    if not len(flags):
        return np.zeros(len(ids), bool)
    return np.take(flags, ids, mode="clip") & (ids < len(flags))


def _paired(places: Places, found: Pairs) -> Pairs:
    return (places.astype(np.int64) << 32) | found
