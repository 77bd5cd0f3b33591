"""Tokens of machines: one to enrol with, which a machine exchanges for one of its own.

An enrolment token is for one machine, or for several, until it expires; it opens nothing else. A
host's token speaks for that host alone. Both are shown once, kept as SHA-256, and revoked as every
token is (`patchmgr.services.tokens.revoke`).
"""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, func, or_, select, update
from sqlalchemy.orm import Session

from patchmgr.db import models
from patchmgr.db.session import Database
from patchmgr.domain import accounts as rules
from patchmgr.errors import AuthenticationError, InputError, NotFoundError
from patchmgr.services import audit, credentials
from patchmgr.services.sign_ins import ThrottledError

ENROL, HOST = "enrol", "host"  # kinds of tokens
ENROL_PREFIX, HOST_PREFIX = "pme_", "pmh_"
HOURS, MOST_HOURS = 24, 24 * 366
MOST_USES = 1_000_000
LONGEST_ACTOR = 200  # characters of whom the audit names
FAILURES = 30  # of one address within `patchmgr.domain.accounts.FAILURE_WINDOW`


@dataclass(frozen=True, slots=True)
class Speaker:
    """The host whose token was sent: it may report, and nothing else."""

    host_id: int
    hostname: str
    report_digest: bytes | None  # of its last report

    @property
    def name(self) -> str:
        """What the audit names; of a name as long as they can be, as much as stands there."""
        return f"host:{self.hostname}"[:LONGEST_ACTOR]


def create_token(
    db: Database,
    name: str,
    *,
    uses: int = 1,
    hours: int = HOURS,
    host: str = "",
    actor: str,
    now: datetime,
) -> tuple[int, str]:
    """Make an enrolment token for ``uses`` machines; return its id and its key, which is not kept.

    With ``host`` it is for the machine of that host, and says that whatever machine brings it is
    this host: so a reinstalled or replaced one continues. Raises `InputError`, `NotFoundError`.
    """
    problems = {
        "name": None if name.strip() and len(name) <= 100 else "use 1 to 100 characters",
        "uses": None if 1 <= uses <= MOST_USES else f"use 1 to {MOST_USES}",
        "hours": None if 1 <= hours <= MOST_HOURS else f"use 1 to {MOST_HOURS}",
        "host": "a token for one host can be used once" if host and uses > 1 else None,
    }
    if found := {field: why for field, why in problems.items() if why}:
        raise InputError(found)
    with db.writing() as session:
        row, key = _add(
            session,
            kind=ENROL,
            name=name,
            host_id=_host_id(session, host) if host else None,
            uses_left=uses,
            expires_at=now + timedelta(hours=hours),
            actor=actor,
            now=now,
        )
        audit.record(
            session,
            at=now,
            actor=actor,
            action="token.create",
            subject=f"token {row.id}",
            details={"name": name, "kind": ENROL, "uses": uses, "hours": hours, "host": host},
        )
        return row.id, key


def checked(db: Database, key: str, *, address: str, now: datetime) -> models.ApiToken:
    """Return the enrolment token ``key``, if it can be used now.

    Unknown, revoked, expired and used up answer alike. Failures of an address are counted.
    Raises `ThrottledError`, `AuthenticationError`.
    """
    subject = f"enrol:{address}"
    with db.reading() as session:
        tries = session.scalars(
            select(models.LoginAttempt.at).where(models.LoginAttempt.subject == subject)
        ).all()
        row = session.scalar(
            select(models.ApiToken).where(models.ApiToken.token_hash == credentials.digest(key))
        )
    if until := rules.refused_until(tries, FAILURES, now):
        raise ThrottledError(int((until - now).total_seconds()) + 1, "enrolments")
    if row is None or not _is_usable(row, now):
        with db.writing() as session:
            session.execute(
                delete(models.LoginAttempt).where(
                    models.LoginAttempt.at < now - rules.FAILURE_WINDOW
                )
            )
            session.add(models.LoginAttempt(subject=subject, at=now))
            audit.record(
                session, at=now, actor="nobody", action="host.enrol.refuse", subject=address
            )
        raise AuthenticationError(
            "the enrolment token is unknown, used up, expired or revoked; an admin makes another "
            "one: patchmgr tokens enrol NAME"
        )
    return row


def use(session: Session, token: models.ApiToken, *, now: datetime) -> None:
    """Count a use of an enrolment token. Raises `AuthenticationError` when it was the one too many.

    Part of the transaction that enrols: of two machines with the last use, one gets in.
    """
    table = models.ApiToken
    taken = session.execute(
        update(table)
        .where(
            table.id == token.id,
            table.revoked_at.is_(None),
            or_(table.uses_left.is_(None), table.uses_left > 0),
        )
        .values(uses_left=table.uses_left - 1, used_at=now)
        .execution_options(synchronize_session=False)
    )
    if not taken.rowcount:  # type: ignore[attr-defined] # an update's result has one
        raise AuthenticationError("the enrolment token was used up or revoked meanwhile")


def give_host_token(session: Session, host: models.Host, *, actor: str, now: datetime) -> str:
    """Make the token that speaks for ``host``; its earlier ones end."""
    end_tokens(session, host.id, now=now)
    _row, key = _add(
        session,
        kind=HOST,
        name=f"host {host.hostname}"[:200],
        host_id=host.id,
        uses_left=None,
        expires_at=None,
        actor=actor,
        now=now,
    )
    return key


def end_tokens(session: Session, host_id: int, *, now: datetime) -> None:
    """Revoke what speaks for a host, and what could be exchanged for it."""
    token = models.ApiToken
    session.execute(
        update(token)
        .where(token.host_id == host_id, token.revoked_at.is_(None))
        .values(revoked_at=now)
        .execution_options(synchronize_session=False)
    )


def speaker_of(db: Database, key: str) -> Speaker:
    """Return the host that the bearer of ``key`` speaks for. One query.

    Raises `AuthenticationError`.
    """
    host, token = models.Host, models.ApiToken
    with db.reading() as session:
        row = session.execute(
            select(host.id, host.hostname, host.report_digest)
            .join(token, token.host_id == host.id)
            .where(
                token.token_hash == credentials.digest(key),
                token.kind == HOST,
                token.revoked_at.is_(None),
            )
        ).one_or_none()
    if row is None:
        raise AuthenticationError("the host's token is unknown or revoked; enrol the host again")
    return Speaker(*row)


def _add(
    session: Session, *, kind: str, actor: str, now: datetime, **columns: object
) -> tuple[models.ApiToken, str]:
    prefix = ENROL_PREFIX if kind == ENROL else HOST_PREFIX
    key = prefix + secrets.token_urlsafe(32)
    row = models.ApiToken(
        kind=kind,
        role="",
        token_hash=credentials.digest(key),
        created_by=actor[:LONGEST_ACTOR],
        created_at=now,
        used_at=None,
        revoked_at=None,
        **columns,
    )
    session.add(row)
    session.flush()
    return row, key


def _is_usable(row: models.ApiToken, now: datetime) -> bool:
    return (
        row.kind == ENROL
        and row.revoked_at is None
        and (row.uses_left is None or row.uses_left > 0)
        and (row.expires_at is None or now < row.expires_at)
    )


def _host_id(session: Session, name: str) -> int:
    host = models.Host
    found = session.scalar(select(host.id).where(func.lower(host.hostname) == name.lower()))
    if found is None:
        raise NotFoundError("host", name)
    return found
