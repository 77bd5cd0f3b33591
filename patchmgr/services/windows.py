"""Maintenance windows and freezes: add them, and ask what they mean at an instant."""

from datetime import datetime, timedelta

from sqlalchemy import select

from patchmgr.db import models
from patchmgr.db.session import Database
from patchmgr.domain.accounts import Role
from patchmgr.domain.durations import text
from patchmgr.domain.rings import ANY_TIME, OWN_WINDOW
from patchmgr.domain.windows import Freeze, Window
from patchmgr.errors import ConflictError, InputError
from patchmgr.services import audit
from patchmgr.services.roles import require


def add(db: Database, window: Window, *, actor: str, role: Role, now: datetime) -> int:
    """Add a window and return its id. Raises `ConflictError` for a name that is taken."""
    require(role, Role.OPERATOR, "adding a maintenance window")
    if window.name in (OWN_WINDOW, ANY_TIME):
        raise InputError({"name": f"{window.name!r} has a meaning of its own in ring settings"})
    with db.writing() as session:
        taken = select(models.Window.id).where(models.Window.name == window.name)
        if session.scalar(taken):
            raise ConflictError(f"there is a maintenance window {window.name!r} already")
        row = models.Window(
            name=window.name,
            rrule=window.rrule,
            duration=window.duration // timedelta(seconds=1),
            zone=window.zone,
            created_at=now,
        )
        session.add(row)
        session.flush()
        audit.record(
            session,
            at=now,
            actor=actor,
            action="window.add",
            subject=f"window {window.name}",
            details={"rrule": row.rrule, "duration": text(window.duration), "zone": row.zone},
        )
        return row.id


def add_freeze(db: Database, freeze: Freeze, *, actor: str, role: Role, now: datetime) -> int:
    """Add a freeze and return its id; it holds for running plans at their next tick."""
    require(role, Role.OPERATOR, "adding a freeze")
    with db.writing() as session:
        row = models.Freeze(
            name=freeze.name,
            starts=freeze.starts,
            ends=freeze.ends,
            reason=freeze.reason,
            created_by=actor,
            created_at=now,
        )
        session.add(row)
        session.flush()
        audit.record(
            session,
            at=now,
            actor=actor,
            action="freeze.add",
            subject=f"freeze {freeze.name}",
            details={
                "from": freeze.starts.isoformat(),
                "until": freeze.ends.isoformat(),
                "reason": freeze.reason,
            },
        )
        return row.id
