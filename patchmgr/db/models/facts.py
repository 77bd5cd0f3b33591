"""What hosts say beside their packages: facts, and what their own repositories offer.

Both are content-addressed as package sets are: hosts that say the same share one row.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import LargeBinary, SmallInteger, Text
from sqlalchemy.orm import Mapped, mapped_column

from patchmgr.db.base import Base, Id, Name, Word


class FactSet(Base):
    """Kernels, services to restart, pins and the like, as a host reported them."""

    __tablename__ = "fact_set"

    id: Mapped[Id]
    digest: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)  # SHA-256 of the content
    content: Mapped[dict[str, Any]]  # patchmgr.domain.host_facts, canonical form
    created_at: Mapped[datetime]


class Candidate(Base):
    """What a repository of some host would install over a package; immutable, exists once."""

    __tablename__ = "candidate"

    id: Mapped[Id]
    digest: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)  # of the columns below
    manager: Mapped[Word]
    name: Mapped[Name]
    arch: Mapped[Word]
    version: Mapped[Name]
    judged_version: Mapped[Name]  # of its source; "" when it cannot be told
    version_key: Mapped[bytes | None]  # None: cannot be read
    judged_key: Mapped[bytes | None]
    suites: Mapped[str] = mapped_column(Text)  # separated by spaces
    phased: Mapped[int | None] = mapped_column(SmallInteger)  # percentage of hosts; None: all
    withheld: Mapped[Name]  # a newer version that a pin keeps back
    pin: Mapped[Name]


class OfferSet(Base):
    """What the repositories of a host offer over all that it has installed."""

    __tablename__ = "offer_set"

    id: Mapped[Id]
    digest: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    everything: Mapped[list[str]]  # managers of which every package is covered
    named: Mapped[list[Any]]  # [manager, name] covered beside those
    members: Mapped[bytes]  # ids of candidates, ascending, as little-endian uint32
    created_at: Mapped[datetime]
