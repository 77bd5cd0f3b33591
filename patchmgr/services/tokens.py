"""Tokens of programs. Those of hosts are `patchmgr.services.enrolment`'s."""

import secrets
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from patchmgr.db import models
from patchmgr.db.session import Database
from patchmgr.domain.accounts import Role
from patchmgr.errors import AuthenticationError, ConflictError, InputError, NotFoundError
from patchmgr.services import approvals, audit, credentials
from patchmgr.services.sign_ins import PRECISION, Viewer

API = "api"  # the kind of tokens that have a role; the others are hosts'
RUNNER = "runner"  # the kind that fetches orders and reports on them, and does nothing else
RUNNER_PREFIX = "pmr_"
PREFIX = "pm_"  # marks our tokens for secret scanners
LONGEST_NAME = 100


def create(
    db: Database, name: str, role: Role, *, actor: str, now: datetime, is_runner: bool = False
) -> tuple[int, str]:
    """Make an API token; return its id and its key, which is not kept. Raises `InputError`.

    One of a runner is an operator's for leases, and opens nothing else.
    """
    if not name.strip() or len(name) > LONGEST_NAME:
        raise InputError({"name": f"use 1 to {LONGEST_NAME} characters"})
    key = (RUNNER_PREFIX if is_runner else PREFIX) + secrets.token_urlsafe(32)
    with db.writing() as session:
        row = models.ApiToken(
            name=name,
            role=role.value,
            token_hash=credentials.digest(key),
            kind=RUNNER if is_runner else API,
            created_by=actor,
            created_at=now,
            used_at=None,
            revoked_at=None,
        )
        session.add(row)
        session.flush()
        audit.record(
            session,
            at=now,
            actor=actor,
            action="token.create",
            subject=f"token {row.id}",
            details={"name": name, "role": role.value} | ({"kind": RUNNER} if is_runner else {}),
        )
        return row.id, key


def create_for(db: Database, name: str, what: str, *, actor: str, now: datetime) -> tuple[int, str]:
    """Make a token for ``what``: a role, or `RUNNER`. Raises `InputError`."""
    is_runner = what == RUNNER
    role = Role.OPERATOR if is_runner else Role(what)
    return create(db, name, role, actor=actor, now=now, is_runner=is_runner)


def revoke(db: Database, token_id: int, *, actor: str, now: datetime) -> None:
    """Make a token useless; what was approved with it and has not begun falls.

    Raises `NotFoundError`, `ConflictError` when it is revoked.
    """
    with db.writing() as session:
        row = session.get(models.ApiToken, token_id)
        if row is None:
            raise NotFoundError("token", token_id)
        if row.revoked_at is not None:
            raise ConflictError(f"token {token_id} is revoked already")
        row.revoked_at = now
        session.flush()
        if row.kind == API and not _has_other(session, row):
            why = f"the token {row.name} was revoked"
            approvals.bar(session, _named(row), None, why=why, actor=actor, now=now)
        audit.record(
            session,
            at=now,
            actor=actor,
            action="token.revoke",
            subject=f"token {token_id}",
            details={"name": row.name},
        )


def authenticate(db: Database, key: str, *, now: datetime) -> Viewer:
    """Return who the bearer of ``key`` is. Raises `AuthenticationError`."""
    with db.reading() as session:
        row = session.scalar(
            select(models.ApiToken).where(models.ApiToken.token_hash == credentials.digest(key))
        )
    if row is None or row.revoked_at is not None or row.kind not in (API, RUNNER):
        raise AuthenticationError("the token is unknown or revoked")
    if row.used_at is None or now - row.used_at > PRECISION:
        with db.writing() as session:
            session.get_one(models.ApiToken, row.id).used_at = now
    if row.kind == RUNNER:
        return Viewer(f"runner:{row.id}", Role(row.role), is_runner=True)
    return Viewer(_named(row), Role(row.role))


def _named(row: models.ApiToken) -> str:
    """Return whom the audit names where a program uses the token."""
    return f"token:{row.name}"


def _has_other(session: Session, row: models.ApiToken) -> bool:
    """Return whether another usable token has the name, and so may have done what it is said of."""
    token = models.ApiToken
    others = select(token.id).where(
        token.name == row.name, token.kind == API, token.revoked_at.is_(None), token.id != row.id
    )
    return session.scalar(others.limit(1)) is not None
