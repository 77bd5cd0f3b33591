"""The audit log: append-only, and chained, so that a changed or missing entry shows.

Each entry's hash is SHA-256 over the previous entry's hash and its own content as canonical JSON.
"""

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from patchmgr.db import models
from patchmgr.db.base import to_micros
from patchmgr.db.locks import Lock, wait_for


def record(
    session: Session,
    *,
    at: datetime,
    actor: str,
    action: str,
    subject: str,
    details: Mapping[str, Any] | None = None,
) -> None:
    """Append an entry, in the transaction of the act that it describes."""
    wait_for(session, Lock.AUDIT)
    previous = session.scalar(
        select(models.AuditEntry.hash).order_by(models.AuditEntry.id.desc()).limit(1)
    )
    entry = models.AuditEntry(
        at=at,
        actor=actor,
        action=action,
        subject=subject[:200],
        details=dict(details or {}),
        previous=previous or "",
        hash="",
    )
    entry.hash = _hash(entry)
    session.add(entry)
    session.flush()


def of_plan(
    session: Session, verb: str, plan_id: int, actor: str, now: datetime, **details: Any
) -> None:
    """Append what somebody did to a plan."""
    subject = f"plan {plan_id}"
    record(session, at=now, actor=actor, action=f"plan.{verb}", subject=subject, details=details)


def first_broken(session: Session) -> int | None:
    """Return the id of the first entry that does not continue the chain; None when all do."""
    previous = ""
    for entry in session.scalars(select(models.AuditEntry).order_by(models.AuditEntry.id)):
        if entry.previous != previous or entry.hash != _hash(entry):
            return entry.id
        previous = entry.hash
    return None


def is_whole(entry: models.AuditEntry) -> bool:
    """Return whether ``entry`` is as it was written."""
    return entry.hash == _hash(entry)


def _hash(entry: models.AuditEntry) -> str:
    content = [
        entry.previous,
        to_micros(entry.at),
        entry.actor,
        entry.action,
        entry.subject,
        entry.details,
    ]
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()
