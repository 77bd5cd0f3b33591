"""What the repositories of hosts offer over the versions that they are exposed through.

An exposure names its candidate, so that whether a fix can be installed is one comparison with the
fix in any query, and a changed statement needs no scan to be compared again. A host whose
repositories offer something else is worked out anew.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
from sqlalchemy import bindparam, select, update
from sqlalchemy.orm import Session

from patchmgr.db import models
from patchmgr.db.base import table_of
from patchmgr.db.bulk import among
from patchmgr.db.package_sets import MEMBER
from patchmgr.domain.offers import names_its_version
from patchmgr.services.counts import Host, Ints

NOT_REPORTED = -1  # of a candidate, where numbers need one
NONE_NEWER = 0  # reported, and nothing newer is offered

Slot = tuple[str, str, str]  # manager, name, architecture: what a version is a version of


class Candidates:
    """Finds what the repositories of some hosts offer over their package versions."""

    def __init__(self, session: Session, hosts: Iterable[Host]) -> None:
        self._session = session
        self._set_of = {each.id: each.offer_set_id for each in hosts if each.offer_set_id}
        self._offers = _offers(session, set(self._set_of.values())) if self._set_of else {}

    def of(self, pairs: Ints) -> list[int | None]:
        """Return the candidate of each (host, version), as `Exposure.candidate_id` has it."""
        if not self._offers:
            return [None] * len(pairs)
        slots = slots_of(self._session, pairs & 0xFFFFFFFF)
        found: list[int | None] = []
        for pair in pairs.tolist():
            offers = self._offers.get(self._set_of.get(pair >> 32, 0))
            slot = slots[pair & 0xFFFFFFFF]
            found.append(None if offers is None else offers.over(slot))
        return found

    def correct(self, stored: Ints) -> None:
        """Bring open exposures up to date: each an id, host, version, and candidate as stored."""
        if not self._offers and (stored[:, 3] == NOT_REPORTED).all():
            return
        wanted = self.of((stored[:, 1] << 32) | stored[:, 2])
        numbers = np.array([NOT_REPORTED if each is None else each for each in wanted], np.int64)
        wrong = np.flatnonzero(numbers != stored[:, 3]).tolist()
        if wrong:
            exposure = table_of(models.Exposure)
            self._session.connection().execute(
                update(exposure)
                .where(exposure.c.id == bindparam("b_id"))
                .values(candidate_id=bindparam("b_candidate")),
                [{"b_id": int(stored[n, 0]), "b_candidate": wanted[n]} for n in wrong],
            )


class _Offers:
    """One offer set."""

    def __init__(
        self,
        everything: Sequence[str],
        named: Sequence[Sequence[str]],
        by_slot: Mapping[Slot, int],
    ) -> None:
        self._everything = frozenset(everything)
        self._named = frozenset((manager, name) for manager, name in named)
        self._by_slot = by_slot

    def over(self, slot: Slot) -> int | None:
        manager, name, _ = slot
        if found := self._by_slot.get(slot):
            return found
        if names_its_version(name):
            return None  # a newer one has another name
        covered = manager in self._everything or (manager, name) in self._named
        return NONE_NEWER if covered else None


def _offers(session: Session, set_ids: Iterable[int]) -> dict[int | None, _Offers]:
    offer_set, candidate = models.OfferSet, models.Candidate
    rows = session.execute(
        select(offer_set.id, offer_set.everything, offer_set.named, offer_set.members).where(
            among(session, offer_set.id, sorted(set_ids))
        )
    ).all()
    members = {row.id: np.frombuffer(row.members, MEMBER) for row in rows}
    every = np.unique(np.concatenate([*members.values(), np.empty(0, MEMBER)]))
    slots: dict[int, Slot] = {
        number: (manager, name, arch)
        for number, manager, name, arch in session.execute(
            select(candidate.id, candidate.manager, candidate.name, candidate.arch).where(
                among(session, candidate.id, every.tolist())
            )
        )
    }
    return {
        row.id: _Offers(
            row.everything,
            row.named,
            {slots[number]: number for number in members[row.id].tolist()},
        )
        for row in rows
    }


def slots_of(session: Session, versions: npt.NDArray[np.int64]) -> dict[int, Slot]:
    """Return what each version is a version of."""
    row = models.PackageVersion
    query = select(row.id, row.manager, row.name, row.arch)
    return {
        number: (manager, name, arch)
        for number, manager, name, arch in session.execute(
            query.where(among(session, row.id, np.unique(versions).tolist()))
        )
    }
