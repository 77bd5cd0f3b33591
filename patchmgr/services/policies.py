"""Which decision table gives findings their due dates.

Activating a policy stores it as a new version: the versions, by the time each was made, are the
history of what was asked of the fleet when, which a report for last quarter needs.
"""

from dataclasses import replace
from datetime import datetime

from sqlalchemy import update
from sqlalchemy.orm import Session

from patchmgr.db import models
from patchmgr.db.locks import Lock, wait_for
from patchmgr.db.queries import policies
from patchmgr.db.session import Database
from patchmgr.domain.accounts import Role
from patchmgr.domain.urgency import Policy, to_json
from patchmgr.domain.urgency_presets import PRESETS
from patchmgr.errors import NotFoundError
from patchmgr.services import audit
from patchmgr.services.roles import require

DEFAULT = PRESETS["severity"]
DEFAULT_ID = 0  # while nothing is stored


def active(session: Session) -> tuple[int, Policy]:
    """Return the id and the policy in force; id 0 and the default before one is stored."""
    stored = policies.active(session)
    return (DEFAULT_ID, DEFAULT) if stored is None else (stored.id, stored.policy)


def ensure_default(db: Database, *, now: datetime, actor: str = "patchmgr") -> int:
    """Store the default policy when there is none; return the id of the active one."""
    with db.writing() as session:
        wait_for(session, Lock.POLICIES)
        stored = policies.active(session)
        return _store(session, DEFAULT, actor, now).id if stored is None else stored.id


def activate(db: Database, name: str, *, actor: str, role: Role, now: datetime) -> Policy:
    """Make the last version of ``name``, or the preset of that name, the one in force.

    Does nothing when it already is. Due dates are computed from the table, so they change at
    once, and counts with the next scan. Raises `NotFoundError`, `ForbiddenError`.
    """
    require(role, Role.ADMIN, "putting a policy in force")
    with db.writing() as session:
        wait_for(session, Lock.POLICIES)
        stored = policies.latest(session, name)
        if stored is None and name not in PRESETS:
            raise NotFoundError("policy", name)
        if stored is not None and stored.active:
            return stored.policy
        return _store(session, stored.policy if stored else PRESETS[name], actor, now).policy


def adopt(db: Database, policy: Policy, *, actor: str, now: datetime) -> Policy:
    """Store ``policy`` as the next version of its name, and put it in force.

    What is in force already is returned.
    """
    with db.writing() as session:
        wait_for(session, Lock.POLICIES)
        stored = policies.active(session)
        if stored and replace(policy, version=stored.policy.version) == stored.policy:
            return stored.policy
        return _store(session, policy, actor, now).policy


def _store(session: Session, policy: Policy, actor: str, now: datetime) -> policies.StoredPolicy:
    last = policies.latest(session, policy.name)
    made = replace(policy, version=last.policy.version + 1 if last else 1)
    session.execute(update(models.Policy).values(active=False))
    row = models.Policy(
        name=made.name,
        version=made.version,
        active=True,
        table=to_json(made),
        made_at=now,
        made_by=actor,
    )
    session.add(row)
    session.flush()
    audit.record(
        session,
        at=now,
        actor=actor,
        action="policy.activate",
        subject=f"policy {made.name}",
        details={"version": made.version, "table": row.table},
    )
    return policies.StoredPolicy(row.id, made, True, now, actor)
