"""Accounts, sign-ins and API tokens. Passwords are kept as Argon2id, keys as SHA-256."""

import hashlib
import secrets
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import delete, func, or_, select, text
from sqlalchemy.orm import Session

from patchmgr.db import models
from patchmgr.db.session import Database
from patchmgr.domain import accounts as rules
from patchmgr.domain.accounts import Role
from patchmgr.errors import (
    AuthenticationError,
    ConflictError,
    InputError,
    NotFoundError,
    PatchmgrError,
)
from patchmgr.services import approvals, audit

THEMES = ("auto", "light", "dark")
API = "api"  # the kind of tokens that have a role; the others are `patchmgr.services.enrolment`'s
RUNNER = "runner"  # the kind that fetches orders and reports on them, and does nothing else
RUNNER_PREFIX = "pmr_"
TOKEN_PREFIX = "pm_"  # noqa: S105 -- marks our tokens for secret scanners
_LOCK = 0x7369676E  # any constant: PostgreSQL's advisory lock that counts sign-ins one by one
_TOUCH = timedelta(minutes=1)  # a sign-in's or token's last use is kept to this precision

# OWASP Password Storage Cheat Sheet, Argon2id: m=19456 (19 MiB), t=2, p=1.
_hasher = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
_hashing = threading.BoundedSemaphore(4)  # bounds the memory that sign-ins take together


class ThrottledError(PatchmgrError):
    """Too many failed sign-ins; the same call later can succeed."""

    code = "throttled"

    def __init__(self, seconds: int, what: str = "sign-ins") -> None:
        minutes = max(1, -(-seconds // 60))
        super().__init__(
            f"Too many failed {what}. Try again in {minutes} minute{'s' * (minutes > 1)}."
        )
        self.seconds = seconds


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who is asking: a signed-in person or a token."""

    name: str  # what the audit names: "alice", "token:ci"
    role: Role
    user_id: int | None = None
    session_id: int | None = None
    theme: str = "auto"
    zone: str = ""
    is_runner: bool = False  # may fetch orders and report on them, and nothing else

    @property
    def is_person(self) -> bool:
        return self.user_id is not None


def add_user(
    db: Database, name: str, role: Role, password: str, *, actor: str, now: datetime
) -> int:
    """Add an account and return its id. Raises `InputError`, `ConflictError` when it exists."""
    problems = {
        "name": rules.name_problem(name),
        "password": rules.password_problem(password, name),
    }
    _refuse(problems)
    hashed = _hash(password)
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
    hashed = _hash(password)
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
    if not _verify(known, current):
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


def sign_in(db: Database, name: str, password: str, *, address: str, now: datetime) -> str:
    """Start a sign-in and return its secret key, for the browser's cookie.

    Unknown, disabled and mistaken take the same time and answer alike. An attempt is counted
    before its password is checked, so that attempts at the same time cannot pass the limit.
    Raises `ThrottledError`, `AuthenticationError`.
    """
    subjects = {
        f"name:{name}"[:200]: rules.FAILURES_OF_A_NAME,
        f"address:{address}": rules.FAILURES_OF_AN_ADDRESS,
    }
    with db.writing() as session:
        known = session.scalar(select(models.User).where(models.User.name == name))
        wait = _counted(session, subjects, now)
        if wait is not None and not wait[1]:
            audit.record(
                session, at=now, actor=name[:64], action="session.throttle", subject=address
            )
    if wait is not None:
        raise ThrottledError(int((wait[0] - now).total_seconds()) + 1)
    decoy = _decoy()
    usable = known is not None and known.disabled_at is None
    matches = _verify(known.password_hash if known and usable else decoy, password)
    if known is None or not (usable and matches):
        with db.writing() as session:
            audit.record(session, at=now, actor=name[:64], action="session.refuse", subject=address)
        raise AuthenticationError("The name or the password is not right.")
    rehashed = _hash(password) if _hasher.check_needs_rehash(known.password_hash) else None
    key = secrets.token_urlsafe(32)
    with db.writing() as session:
        session.execute(
            delete(models.LoginAttempt).where(
                or_(
                    models.LoginAttempt.subject == f"name:{name}",
                    (models.LoginAttempt.subject == f"address:{address}")
                    & (models.LoginAttempt.at == now),
                )
            )
        )
        if rehashed:
            session.get_one(models.User, known.id).password_hash = rehashed
        session.add(
            models.UserSession(
                token_hash=digest(key), user_id=known.id, created_at=now, seen_at=now
            )
        )
        audit.record(session, at=now, actor=name, action="session.start", subject=address)
    return key


def viewer_of(
    db: Database, key: str, *, now: datetime, longest: timedelta, idle: timedelta
) -> Viewer | None:
    """Return who the cookie ``key`` signed in; None when it is unknown, too old or was idle."""
    with db.reading() as session:
        found = session.execute(
            select(models.UserSession, models.User)
            .join(models.User)
            .where(models.UserSession.token_hash == digest(key))
        ).one_or_none()
    if found is None:
        return None
    row, user = found
    is_over = now > row.created_at + longest or now > row.seen_at + idle
    if is_over or user.disabled_at is not None:
        return None
    if now - row.seen_at > max(_TOUCH, idle / 10):
        with db.writing() as session:
            if stored := session.get(models.UserSession, row.id):
                stored.seen_at = now
    return Viewer(user.name, Role(user.role), user.id, row.id, user.theme, user.zone)


def sign_out(db: Database, viewer: Viewer, *, now: datetime) -> None:
    """End the sign-in of ``viewer``."""
    with db.writing() as session:
        session.execute(
            delete(models.UserSession).where(models.UserSession.id == viewer.session_id)
        )
        audit.record(
            session,
            at=now,
            actor=viewer.name,
            action="session.end",
            subject=f"user {viewer.name}",
        )


def forget_old(db: Database, *, now: datetime, longest: timedelta) -> int:
    """Delete sign-ins past their time and attempts that no longer count; return how many."""
    with db.writing() as session:
        sessions = session.execute(
            delete(models.UserSession)
            .where(models.UserSession.created_at < now - longest)
            .returning(models.UserSession.id)
        ).all()
        attempts = session.execute(
            delete(models.LoginAttempt)
            .where(models.LoginAttempt.at < now - rules.FAILURE_WINDOW)
            .returning(models.LoginAttempt.id)
        ).all()
    return len(sessions) + len(attempts)


def create_token(
    db: Database, name: str, role: Role, *, actor: str, now: datetime, is_runner: bool = False
) -> tuple[int, str]:
    """Make an API token; return its id and its key, which is not kept. Raises `InputError`.

    One of a runner is an operator's for leases, and opens nothing else.
    """
    _refuse({"name": None if name.strip() and len(name) <= 100 else "use 1 to 100 characters"})
    key = (RUNNER_PREFIX if is_runner else TOKEN_PREFIX) + secrets.token_urlsafe(32)
    with db.writing() as session:
        row = models.ApiToken(
            name=name,
            role=role.value,
            token_hash=digest(key),
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


def create_token_for(
    db: Database, name: str, what: str, *, actor: str, now: datetime
) -> tuple[int, str]:
    """Make a token for ``what``: a role, or `RUNNER`. Raises `InputError`."""
    is_runner = what == RUNNER
    role = Role.OPERATOR if is_runner else Role(what)
    return create_token(db, name, role, actor=actor, now=now, is_runner=is_runner)


def revoke_token(db: Database, token_id: int, *, actor: str, now: datetime) -> None:
    """Make a token useless. Raises `NotFoundError`, `ConflictError` when it is revoked."""
    with db.writing() as session:
        row = session.get(models.ApiToken, token_id)
        if row is None:
            raise NotFoundError("token", token_id)
        if row.revoked_at is not None:
            raise ConflictError(f"token {token_id} is revoked already")
        row.revoked_at = now
        audit.record(
            session,
            at=now,
            actor=actor,
            action="token.revoke",
            subject=f"token {token_id}",
            details={"name": row.name},
        )


def authenticate_token(db: Database, key: str, *, now: datetime) -> Viewer:
    """Return who the bearer of ``key`` is. Raises `AuthenticationError`."""
    with db.reading() as session:
        row = session.scalar(
            select(models.ApiToken).where(models.ApiToken.token_hash == digest(key))
        )
    if row is None or row.revoked_at is not None or row.kind not in (API, RUNNER):
        raise AuthenticationError("the token is unknown or revoked")
    if row.used_at is None or now - row.used_at > _TOUCH:
        with db.writing() as session:
            session.get_one(models.ApiToken, row.id).used_at = now
    if row.kind == RUNNER:
        return Viewer(f"runner:{row.id}", Role(row.role), is_runner=True)
    return Viewer(f"token:{row.name}", Role(row.role))


def _counted(
    session: Session, limits: Mapping[str, int], now: datetime
) -> tuple[datetime, bool] | None:
    """Count an attempt, or return until when none is accepted and whether that was said before.

    A refused attempt is not counted: waiting ends, however often one tries meanwhile.
    """
    if session.get_bind().dialect.name == "postgresql":  # SQLite has one writer as it is
        session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
    session.execute(
        delete(models.LoginAttempt).where(models.LoginAttempt.at < now - rules.FAILURE_WINDOW)
    )
    found = session.execute(
        select(models.LoginAttempt.subject, models.LoginAttempt.at).where(
            models.LoginAttempt.subject.in_(limits)
        )
    ).all()
    waits = [
        until
        for subject, limit in limits.items()
        if (
            until := rules.refused_until(
                [at for owner, at in found if owner == subject], limit, now
            )
        )
    ]
    if waits:
        return max(waits), bool(_throttled_lately(session, now))
    session.add_all(models.LoginAttempt(subject=subject, at=now) for subject in limits)
    return None


def _throttled_lately(session: Session, now: datetime) -> int:
    """Return how often throttling was audited of late: a flood must not fill the audit log."""
    return (
        session.scalar(
            select(func.count())
            .select_from(models.AuditEntry)
            .where(
                models.AuditEntry.at > now - timedelta(minutes=1),
                models.AuditEntry.action == "session.throttle",
            )
        )
        or 0
    )


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


def _hash(password: str) -> str:
    with _hashing:
        return _hasher.hash(password)


def _verify(hashed: str, password: str) -> bool:
    try:
        with _hashing:
            return _hasher.verify(hashed, password[: rules.PASSWORD_LONGEST + 1])
    except (VerificationError, InvalidHashError):
        return False


@cache
def _decoy() -> str:
    """Return a hash that nobody knows the password of, so that an unknown name costs the same."""
    return _hash(secrets.token_urlsafe(32))


def digest(key: str) -> bytes:
    """Return what is kept of a key."""
    return hashlib.sha256(key.encode()).digest()
