"""The accounts of people."""

from collections.abc import Mapping
from datetime import datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from patchmgr.db import models
from patchmgr.db.locks import Lock, wait_for
from patchmgr.db.session import Database
from patchmgr.domain import accounts as rules
from patchmgr.domain.accounts import Role
from patchmgr.errors import ConflictError, InputError, NotFoundError
from patchmgr.services import approvals, audit, credentials

THEMES = ("auto", "light", "dark")


def add_user(
    db: Database, name: str, role: Role, password: str, *, actor: str, now: datetime
) -> int:
    """Add an account and return its id. Raises `InputError`, `ConflictError` when it exists."""
    problems = {
        "name": rules.name_problem(name),
        "password": rules.password_problem(password, name),
    }
    _refuse(problems)
    hashed = credentials.hashed(password)
    with db.writing() as session:
        if session.scalar(select(models.User.id).where(models.User.name == name)):
            raise ConflictError(f"there is a user {name!r} already")
        row = models.User(
            name=name,
            role=role.value,
            password_hash=hashed,
            disabled_at=None,
            created_at=now,
            theme="auto",
            zone="",
        )
        session.add(row)
        session.flush()
        audit.record(
            session,
            at=now,
            actor=actor,
            action="user.add",
            subject=f"user {name}",
            details={"role": role.value},
        )
        return row.id


def set_role(db: Database, name: str, role: Role, *, actor: str, now: datetime) -> None:
    """Give an account another role. Raises `NotFoundError`, `ConflictError` for the last admin."""
    with db.writing() as session:
        wait_for(session, Lock.ADMINS)
        row = _user(session, name)
        before = row.role
        if role is not Role.ADMIN:
            _keep_an_admin(session, row)
        row.role = role.value
        why = f"{name} is {role.value} now"
        approvals.bar(session, name, role, why=why, actor=actor, now=now)
        audit.record(
            session,
            at=now,
            actor=actor,
            action="user.role",
            subject=f"user {name}",
            details={"from": before, "to": role.value},
        )


def disable(db: Database, name: str, *, actor: str, now: datetime) -> None:
    """Bar an account and end its sign-ins. Raises as `set_role`."""
    with db.writing() as session:
        wait_for(session, Lock.ADMINS)
        row = _user(session, name)
        if row.disabled_at is not None:
            raise ConflictError(f"user {name!r} is disabled already")
        _keep_an_admin(session, row)
        row.disabled_at = now
        why = f"the account {name} was disabled"
        approvals.bar(session, name, None, why=why, actor=actor, now=now)
        session.execute(delete(models.UserSession).where(models.UserSession.user_id == row.id))
        audit.record(session, at=now, actor=actor, action="user.disable", subject=f"user {name}")


def enable(db: Database, name: str, *, actor: str, now: datetime) -> None:
    """Let a disabled account sign in again. Raises `NotFoundError`, `ConflictError`."""
    with db.writing() as session:
        row = _user(session, name)
        if row.disabled_at is None:
            raise ConflictError(f"user {name!r} is not disabled")
        row.disabled_at = None
        audit.record(session, at=now, actor=actor, action="user.enable", subject=f"user {name}")


def set_password(db: Database, name: str, password: str, *, actor: str, now: datetime) -> None:
    """Replace a password and end the account's sign-ins. Raises `InputError`, `NotFoundError`."""
    _refuse({"password": rules.password_problem(password, name)})
    hashed = credentials.hashed(password)
    with db.writing() as session:
        row = _user(session, name)
        row.password_hash = hashed
        session.execute(delete(models.UserSession).where(models.UserSession.user_id == row.id))
        audit.record(session, at=now, actor=actor, action="user.password", subject=f"user {name}")


def change_password(
    db: Database, name: str, current: str, password: str, *, actor: str, now: datetime
) -> None:
    """As `set_password`, for one's own account; a wrong ``current`` is an `InputError` too."""
    with db.reading() as session:
        known = _user(session, name).password_hash
    if not credentials.verifies(known, current):
        raise InputError({"current": "this is not your password"})
    set_password(db, name, password, actor=actor, now=now)


def set_preferences(
    db: Database, user_id: int, *, theme: str | None = None, zone: str | None = None
) -> None:
    """Store how an account wants pages shown; None keeps a value. Raises `InputError`."""
    if theme is not None and theme not in THEMES:
        raise InputError({"theme": f"choose one of {', '.join(THEMES)}"})
    if zone:
        try:
            ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise InputError({"zone": "name a zone such as Europe/Vienna"}) from error
    with db.writing() as session:
        row = session.get(models.User, user_id)
        if row is None:
            raise NotFoundError("user", user_id)
        row.theme = theme if theme is not None else row.theme
        row.zone = zone if zone is not None else row.zone


def _refuse(problems: Mapping[str, str | None]) -> None:
    if found := {field: why for field, why in problems.items() if why}:
        raise InputError(found)


def _user(session: Session, name: str) -> models.User:
    row = session.scalar(select(models.User).where(models.User.name == name))
    if row is None:
        raise NotFoundError("user", name)
    return row


def _keep_an_admin(session: Session, row: models.User) -> None:
    others = session.scalar(
        select(func.count())
        .select_from(models.User)
        .where(
            models.User.role == Role.ADMIN.value,
            models.User.disabled_at.is_(None),
            models.User.id != row.id,
        )
    )
    if row.role == Role.ADMIN.value and row.disabled_at is None and not others:
        raise ConflictError(f"{row.name!r} is the last admin; make another one first")
