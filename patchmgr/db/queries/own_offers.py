"""What a host's own repositories offer: its row comes with the host's, the candidates on demand."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from patchmgr.db import models, values
from patchmgr.db.bulk import among
from patchmgr.db.package_sets import MEMBER
from patchmgr.domain.facts import Candidate, Offered

offer_set, candidate = models.OfferSet, models.Candidate

COLUMNS = (offer_set.everything, offer_set.named, offer_set.members)  # for a select


@dataclass(frozen=True, slots=True)
class OwnOffers:
    """Which packages a host's repositories were reported for, and the ids of the candidates."""

    covered: Offered  # without the candidates
    members: list[int] = field(repr=False)


def own(columns: Sequence[Any]) -> OwnOffers | None:
    """Return what the columns `COLUMNS` say; None where a host has reported nothing."""
    everything, named, members = columns
    if members is None:
        return None
    pairs = frozenset((manager, name) for manager, name in named)
    ids = [int(number) for number in np.frombuffer(members, MEMBER)]
    return OwnOffers(Offered(frozenset(everything), pairs), ids)


def candidates(session: Session, offers: OwnOffers, names: Collection[str]) -> list[Candidate]:
    """Return what is offered over the packages called ``names``. One query."""
    query = select(candidate).where(
        candidate.name.in_(sorted(names)), among(session, candidate.id, offers.members)
    )
    return [values.candidate(row) for row in session.scalars(query)]
