"""People and programs that use the service, and what they did."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, LargeBinary, Text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from patchmgr.db.base import Base, Id, Name, Word


class User(Base):
    __tablename__ = "user_account"

    id: Mapped[Id]
    name: Mapped[Name] = mapped_column(unique=True)
    role: Mapped[Word]  # patchmgr.domain.accounts.Role
    password_hash: Mapped[str] = mapped_column(Text)  # Argon2id
    disabled_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    theme: Mapped[Word]  # "auto", "light", "dark"
    zone: Mapped[Word]  # IANA name; "" for UTC


class UserSession(Base):
    """A signed-in browser; deleting the row signs it out."""

    __tablename__ = "user_session"

    id: Mapped[Id]
    token_hash: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("user_account.id", ondelete="CASCADE"))
    created_at: Mapped[datetime]
    seen_at: Mapped[datetime]

    user: Mapped[User] = relationship(lazy="raise")


class ApiToken(Base):
    """A program's key, stored as a hash and shown once."""

    __tablename__ = "api_token"

    id: Mapped[Id]
    name: Mapped[Name]
    role: Mapped[Word]  # "" for other kinds than "api"
    token_hash: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    created_by: Mapped[Name]
    created_at: Mapped[datetime]
    used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    # "api"; "enrol": exchanged by a machine for one of its own; "host": speaks for that host only.
    kind: Mapped[Word] = mapped_column(server_default="api", index=True)
    host_id: Mapped[int | None] = mapped_column(ForeignKey("host.id"), index=True)
    uses_left: Mapped[int | None]  # None: no limit
    expires_at: Mapped[datetime | None]


class LoginAttempt(Base):
    """A failed sign-in, kept as long as it counts towards throttling."""

    __tablename__ = "login_attempt"
    __table_args__ = (Index("ix_login_attempt_subject_at", "subject", "at"),)

    id: Mapped[Id]
    subject: Mapped[Name]  # user name or client address
    at: Mapped[datetime]


class AuditEntry(Base):
    """Who did what to what: append-only, each entry chained to the one before by its hash."""

    __tablename__ = "audit_entry"

    id: Mapped[Id]
    at: Mapped[datetime] = mapped_column(index=True)
    actor: Mapped[Name]  # user, token or job
    action: Mapped[Word]  # "plan.approve"
    subject: Mapped[Name]  # what it was done to: "plan 42"
    details: Mapped[dict[str, Any]]
    previous: Mapped[Word]  # hex hash of the entry before; "" for the first
    hash: Mapped[Word] = mapped_column(unique=True)
