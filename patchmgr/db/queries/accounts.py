"""Reads of accounts, sign-ins and tokens; hashes stay in the services."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from patchmgr.db import models
from patchmgr.domain.accounts import Role
from patchmgr.errors import NotFoundError


@dataclass(frozen=True, slots=True)
class Account:
    id: int
    name: str
    role: Role
    theme: str
    zone: str
    created_at: datetime
    disabled_at: datetime | None
    seen_at: datetime | None  # last request of a sign-in that still exists
    sessions: int


@dataclass(frozen=True, slots=True)
class Token:
    id: int
    name: str
    role: Role
    created_by: str
    created_at: datetime
    used_at: datetime | None
    revoked_at: datetime | None
    kind: str = "api"  # or "runner": carries out orders, and nothing else

    @property
    def may(self) -> str:
        """What it may do: a role, or "runner"."""
        return self.kind if self.kind == "runner" else self.role.value


def users(session: Session) -> list[Account]:
    """Return every account by name. One query."""
    found = session.execute(
        select(models.User, func.max(models.UserSession.seen_at), func.count(models.UserSession.id))
        .outerjoin(models.UserSession, models.UserSession.user_id == models.User.id)
        .group_by(models.User.id)
        .order_by(models.User.name)
    )
    return [_account(user, seen, sessions) for user, seen, sessions in found]


def user(session: Session, user_id: int) -> Account | None:
    """Return one account, None when there is none of that id."""
    row = session.get(models.User, user_id)
    return None if row is None else _account(row, None, 0)


def has_users(session: Session) -> bool:
    """Return whether anybody can sign in at all."""
    return session.scalar(select(models.User.id).limit(1)) is not None


def tokens(session: Session) -> list[Token]:
    """Return every token that has a role, usable ones first, then by name. One query."""
    rows = session.scalars(
        select(models.ApiToken)
        .where(models.ApiToken.kind.in_(("api", "runner")))
        .order_by(models.ApiToken.revoked_at.is_not(None), models.ApiToken.name, models.ApiToken.id)
    )
    return [
        Token(
            row.id,
            row.name,
            Role(row.role),
            row.created_by,
            row.created_at,
            row.used_at,
            row.revoked_at,
            row.kind,
        )
        for row in rows
    ]


def token_name(session: Session, token_id: int) -> str:
    """Return the name of a token of any kind. Raises `NotFoundError`."""
    name = session.scalar(select(models.ApiToken.name).where(models.ApiToken.id == token_id))
    if name is None:
        raise NotFoundError("token", token_id)
    return name


def _account(row: models.User, seen_at: datetime | None, sessions: int) -> Account:
    return Account(
        row.id,
        row.name,
        Role(row.role),
        row.theme,
        row.zone,
        row.created_at,
        row.disabled_at,
        seen_at,
        sessions,
    )
