"""Who speaks of a lease, and whether what they say of it can be true (docs/execution.md)."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from patchmgr.db import models
from patchmgr.db.session import Database
from patchmgr.domain import leases as rules
from patchmgr.domain.leases import Claim, Given, Refusal
from patchmgr.errors import ConflictError, ForbiddenError, NotFoundError, PatchmgrError
from patchmgr.services import audit
from patchmgr.services.rollout_load import locked

Clock = Callable[[], datetime]
MINUTE = timedelta(minutes=1)
MOST_AUDITED = 10  # refusals of one holder in a minute: a flood must not fill the audit log
_AUDITED = ("false-claim", "begun-elsewhere")  # what a holder that is well never gets


class LeaseRefusedError(ConflictError):
    """A lease is not what its holder takes it for; ``code`` says in which way."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(f"{refusal.why}; do not begin")
        self.code = refusal.code


@contextmanager
def speaking(
    db: Database, key: str, *, holder: str, actor: str, clock: Clock
) -> Iterator[tuple[Session, models.Lease]]:
    """Yield a transaction for one call about a lease, under its plan's lock.

    Who speaks of a lease that is not theirs, or says of it what is not true, is audited in a
    transaction of its own: theirs is rolled back.
    """
    try:
        with db.touching() as session:
            yield session, _locked(session, key, holder)
    except (NotFoundError, ForbiddenError, LeaseRefusedError) as error:
        if not isinstance(error, LeaseRefusedError) or error.code in _AUDITED:
            _note(db, error, actor, clock())
        raise


def _locked(session: Session, key: str, holder: str) -> models.Lease:
    lease = models.Lease
    plan_id = session.scalar(select(lease.plan_id).where(lease.key == key))
    if plan_id is None:
        raise NotFoundError("lease", key[:64])
    locked(session, plan_id)
    found = session.scalars(select(lease).where(lease.key == key)).one()
    if found.holder != holder:
        raise ForbiddenError("this lease is held by another")
    return found


def _note(db: Database, error: PatchmgrError, actor: str, now: datetime) -> None:
    """Audit what an honest holder never says."""
    entry = models.AuditEntry
    with db.touching() as session:
        lately = session.scalar(
            select(func.count()).where(
                entry.at > now - MINUTE, entry.action == "lease.refuse", entry.actor == actor
            )
        )
        if (lately or 0) < MOST_AUDITED:
            audit.record(
                session,
                at=now,
                actor=actor,
                action="lease.refuse",
                subject=actor,
                details={"code": error.code, "why": str(error)},
            )


def check_claim(lease: models.Lease, claim: Claim) -> None:
    """Raise `LeaseRefusedError` where a claim is not true of a lease, or another run's."""
    held = given_with(lease)
    refusal = rules.false_claim(held, claim) or rules.other_run(held, claim)
    if refusal is not None:
        raise LeaseRefusedError(refusal)


def given_with(lease: models.Lease) -> Given:
    """Return what was given with a lease."""
    return Given(lease.attempt, lease.content_hash, lease.work_hash, lease.expires_at, lease.run)
