"""Exceptions: recorded decisions not to act yet. Rows stay, so that the past can be told."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, Text
from sqlalchemy.orm import Mapped, mapped_column

from patchmgr.db.base import Base, Id, Name, Word


class FindingException(Base):
    """A decision not to act yet on what its scope covers; "" and None do not restrict."""

    __tablename__ = "finding_exception"
    __table_args__ = (
        Index("ix_finding_exception_scope", "advisory", "package", "cve"),
        Index("ix_finding_exception_expires", "expires_at"),
    )

    id: Mapped[Id]
    type: Mapped[Word]  # patchmgr.domain.exceptions.Type
    cve: Mapped[Word]
    advisory: Mapped[Name]
    package: Mapped[Name]
    host_id: Mapped[int | None] = mapped_column(ForeignKey("host.id"), index=True)
    tag: Mapped[Name]
    reason: Mapped[str] = mapped_column(Text)
    owner: Mapped[Name]  # who answers for it
    created_by: Mapped[Name]
    created_at: Mapped[datetime]
    approved_by: Mapped[Name]  # "" until somebody has
    approved_at: Mapped[datetime | None]  # in force from then on
    expires_at: Mapped[datetime]
    revoked_by: Mapped[Name]
    revoked_at: Mapped[datetime | None]
    revoke_reason: Mapped[str] = mapped_column(Text)
    counted: Mapped[bool]  # whether the counts that scans keep heed it


class HostTag(Base):
    """A host had a tag that an exception names, from when until when, as scans found it."""

    __tablename__ = "host_tag"
    __table_args__ = (Index("ix_host_tag_host_tag", "host_id", "tag"),)

    id: Mapped[Id]
    host_id: Mapped[int] = mapped_column(ForeignKey("host.id"))
    tag: Mapped[Name]
    since: Mapped[datetime]
    until: Mapped[datetime | None]  # exclusive; None: still so
