"""Signing in and out, and who is asking."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, func, or_, select
from sqlalchemy.orm import Session

from patchmgr.db import models
from patchmgr.db.locks import Lock, wait_for
from patchmgr.db.session import Database
from patchmgr.domain import accounts as rules
from patchmgr.domain.accounts import Role
from patchmgr.errors import AuthenticationError, PatchmgrError
from patchmgr.services import audit, credentials

UNKNOWN = "unknown name"  # whom the audit names when no account is called what was typed
PRECISION = timedelta(minutes=1)  # to which a sign-in's or token's last use is kept


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
        # What is no account's name may be a password, typed in the wrong field.
        said = UNKNOWN if known is None else known.name
        if wait is not None and not wait[1]:
            audit.record(session, at=now, actor=said, action="session.throttle", subject=address)
    if wait is not None:
        raise ThrottledError(int((wait[0] - now).total_seconds()) + 1)
    decoy = credentials.decoy()
    usable = known is not None and known.disabled_at is None
    matches = credentials.verifies(known.password_hash if known and usable else decoy, password)
    if known is not None and usable and matches:
        is_outdated = credentials.is_outdated(known.password_hash)
        rehashed = credentials.hashed(password) if is_outdated else known.password_hash
        key = secrets.token_urlsafe(32)
        with db.writing() as session:
            if _still_has_password(session, known):
                _start(session, known.id, key, rehashed, name, address, now)
                return key
    with db.writing() as session:
        audit.record(session, at=now, actor=said, action="session.refuse", subject=address)
    raise AuthenticationError("The name or the password is not right.")


def _still_has_password(session: Session, known: models.User) -> bool:
    """Return whether an account is as it was when its password was checked, and hold it so.

    A password that is replaced ends every sign-in: none may begin by it afterwards.
    """
    user = session.get_one(models.User, known.id, with_for_update=True)
    return user.disabled_at is None and user.password_hash == known.password_hash


def _start(
    session: Session, user_id: int, key: str, kept: str, name: str, address: str, now: datetime
) -> None:
    """Store a sign-in, forget the attempts that came before it, and keep the password as it is."""
    attempt = models.LoginAttempt
    of_name = attempt.subject == f"name:{name}"
    this_one = (attempt.subject == f"address:{address}") & (attempt.at == now)
    session.execute(delete(attempt).where(or_(of_name, this_one)))
    session.get_one(models.User, user_id).password_hash = kept
    digest = credentials.digest(key)
    session.add(models.UserSession(token_hash=digest, user_id=user_id, created_at=now, seen_at=now))
    audit.record(session, at=now, actor=name, action="session.start", subject=address)


def viewer_of(
    db: Database, key: str, *, now: datetime, longest: timedelta, idle: timedelta
) -> Viewer | None:
    """Return who the cookie ``key`` signed in; None when it is unknown, too old or was idle."""
    with db.reading() as session:
        found = session.execute(
            select(models.UserSession, models.User)
            .join(models.User)
            .where(models.UserSession.token_hash == credentials.digest(key))
        ).one_or_none()
    if found is None:
        return None
    row, user = found
    is_over = now > row.created_at + longest or now > row.seen_at + idle
    if is_over or user.disabled_at is not None:
        return None
    if now - row.seen_at > max(PRECISION, idle / 10):
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


def _counted(
    session: Session, limits: Mapping[str, int], now: datetime
) -> tuple[datetime, bool] | None:
    """Count an attempt, or return until when none is accepted and whether that was said before.

    A refused attempt is not counted: waiting ends, however often one tries meanwhile.
    """
    wait_for(session, Lock.SIGN_INS)
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
