"""Taking hosts out of the inventory, never unasked; their history stays."""

from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from patchmgr.db import models
from patchmgr.db.session import Database
from patchmgr.errors import NotFoundError
from patchmgr.services import audit, enrolment, exposures, installations


def retire(db: Database, name: str, *, actor: str, now: datetime) -> None:
    """Take a host out of every list and count; its history stays. Raises `NotFoundError`."""
    with db.writing(alone=True) as session:
        row = session.scalar(
            select(models.Host).where(
                func.lower(models.Host.hostname) == name.lower(), models.Host.retired_at.is_(None)
            )
        )
        if row is None:
            raise NotFoundError("host", name)
        retire_host(session, row, actor=actor, now=now)


def retire_host(session: Session, row: models.Host, *, actor: str, now: datetime) -> None:
    """Retire a host inside the transaction that decided it."""
    row.retired_at = now
    row.judged_set_id = None
    row.updated_at = now
    exposures.close_all(session, row.id, now)
    enrolment.end_tokens(session, row.id, now=now)
    installations.count(session, [row.id])
    audit.record(session, at=now, actor=actor, action="host.retire", subject=f"host {row.hostname}")
