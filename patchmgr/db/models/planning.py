"""What shapes plans before they are made: planning policies, their occasions, held versions."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from patchmgr.db.base import Base, Id, Name, Word


class PackageHold(Base):
    """Package versions that no plan may install: by hand, or because hosts failed on one."""

    __tablename__ = "package_hold"

    id: Mapped[Id]
    platform: Mapped[Name]  # "" for every one
    package: Mapped[Name]  # installed package, or its source
    versions: Mapped[Name]  # patchmgr.domain.holds: "" for every one
    reason: Mapped[str] = mapped_column(Text)
    owner: Mapped[Name]  # who answers for it
    created_by: Mapped[Name]
    created_at: Mapped[datetime]
    confirmed_by: Mapped[Name]  # "" while it is only proposed
    confirmed_at: Mapped[datetime | None]  # in force from then on
    expires_at: Mapped[datetime] = mapped_column(index=True)
    revoked_by: Mapped[Name]
    revoked_at: Mapped[datetime | None]
    revoke_reason: Mapped[str] = mapped_column(Text)
    plan_id: Mapped[int | None] = mapped_column(ForeignKey("plan.id"))  # whose hosts failed on it
    ring: Mapped[Word]


class PlanningPolicy(Base):
    """A version of a policy by which plans are made. Old versions stay."""

    __tablename__ = "planning_policy"
    __table_args__ = (UniqueConstraint("name", "version"),)

    id: Mapped[Id]
    name: Mapped[Name]
    version: Mapped[int]
    document: Mapped[dict[str, Any]]  # patchmgr.domain.planning_policies, canonical form
    made_at: Mapped[datetime]
    made_by: Mapped[Name]


class PlanningOccasion(Base):
    """A policy's schedule came due, once: what came of it."""

    __tablename__ = "planning_occasion"
    __table_args__ = (UniqueConstraint("policy", "occasion"),)

    id: Mapped[Id]
    policy: Mapped[Name]
    occasion: Mapped[datetime]  # when it was due
    at: Mapped[datetime]  # when it was dealt with
    plan_id: Mapped[int | None] = mapped_column(ForeignKey("plan.id"))
    outcome: Mapped[str] = mapped_column(Text)
