"""Machines that were refused, because they may be another host than they look like.

Such a machine is noted (`note`) for a person to see; what they say of it (`resolve`) holds when it
comes again (`decided`).
"""

from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from inventory import hosts_csv
from patchmgr.db import models
from patchmgr.db.session import Database
from patchmgr.domain.identity import (
    Clash,
    Identity,
)
from patchmgr.errors import ConflictError, InputError, NotFoundError
from patchmgr.services import audit

RESOLUTIONS = ("same", "new", "dismissed")
OPEN_OF_A_HOST = 20  # conflicts kept open about one host; who makes more makes no more rows


class TwoMachinesError(ConflictError):
    """A machine may be another one than the host that it looks like."""

    code = "identity-conflict"

    def __init__(self, said: Identity, clash: Clash) -> None:
        super().__init__(
            f"refused: {clash.why}. An admin decides whether it is the same host or a new one "
            "(patchmgr hosts conflicts); a new one has to be enrolled then"
        )
        self.said = said
        self.clash = clash


def note(db: Database, error: TwoMachinesError, *, now: datetime) -> None:
    """Keep a refused machine for a person to see; one row however often it comes."""
    said, clash = error.said, error.clash
    conflict = models.IdentityConflict
    with db.reporting() as session:
        of_host = session.scalars(
            select(conflict)
            .where(conflict.host_id == clash.host_id, conflict.state != "used")
            .order_by(conflict.id.desc())
        ).all()
        row = next((each for each in of_host if each.key == said.key), None)
        if row is None and sum(each.state == "open" for each in of_host) >= OPEN_OF_A_HOST:
            return
        if row is not None:
            row.times += 1
            row.last_at = now
            row.boot_id = said.boot_id
            return
        session.add(
            conflict(
                key=said.key,
                kind=clash.kind.value,
                host_id=clash.host_id,
                hostname=said.hostname,
                machine_id=said.machine_id,
                product_uuid=said.product_uuid,
                boot_id=said.boot_id,
                address=said.addresses[0] if said.addresses else "",
                why=clash.why,
                state="open",
                times=1,
                first_at=now,
                last_at=now,
                new_name="",
                resolved_by="",
                resolved_at=None,
            )
        )
        audit.record(
            session,
            at=now,
            actor="nobody",
            action="host.conflict",
            subject=f"host {session.get_one(models.Host, clash.host_id).hostname}",
            details={"kind": clash.kind.value, "says": said.hostname, "why": clash.why},
        )


def resolve(
    db: Database,
    conflict_id: int,
    resolution: str,
    *,
    new_name: str = "",
    actor: str,
    now: datetime,
) -> None:
    """Record what a person says of a refused machine; it holds when the machine comes again.

    ``same``: it is the known host, and what differs is believed. ``new``: it is a host of its own,
    called ``new_name`` or what it calls itself; it has to be enrolled. ``dismissed``: it stays out.
    Raises `NotFoundError`, `InputError`, `ConflictError`.
    """
    if resolution not in RESOLUTIONS:
        raise InputError({"as": f"{resolution!r} is not one of {', '.join(RESOLUTIONS)}"})
    if new_name and resolution != "new":
        raise InputError({"name": "is for a new host only"})
    if new_name:
        check_name(new_name, "name")
    with db.writing() as session:
        row = session.get(models.IdentityConflict, conflict_id)
        if row is None:
            raise NotFoundError("conflict", conflict_id)
        if row.state != "open":
            raise ConflictError(f"conflict {conflict_id} is resolved already ({row.state})")
        host = session.get_one(models.Host, row.host_id)
        if resolution == "new":
            _check_new(session, row, host, new_name)
        row.state = resolution
        row.new_name = new_name
        row.resolved_by = actor
        row.resolved_at = now
        audit.record(
            session,
            at=now,
            actor=actor,
            action="host.resolve",
            subject=f"host {host.hostname}",
            details={"conflict": conflict_id, "says": row.hostname, "as": resolution}
            | ({"name": new_name} if new_name else {}),
        )


def _check_new(
    session: Session, row: models.IdentityConflict, host: models.Host, new_name: str
) -> None:
    says = (row.hostname.lower(), row.machine_id, row.product_uuid)
    if says == (host.reported_name.lower(), host.machine_id, host.product_uuid):
        raise ConflictError(
            f"both machines say the same of themselves ({host.hostname}), so they could not be "
            "told apart: give one a machine-id and a name of its own, and enrol it"
        )
    name = new_name or row.hostname
    taken = session.scalar(
        select(models.Host.hostname).where(
            func.lower(models.Host.hostname) == name.lower(), models.Host.retired_at.is_(None)
        )
    )
    if taken is not None:
        raise InputError({"name": f"{taken} is a known host; give the new one a name of its own"})


def decided(
    session: Session, said: Identity, token_of: int | None
) -> models.IdentityConflict | None:
    """Return what a person decided of this machine, and has not come to pass yet.

    A host's token speaks for that host alone, whatever was decided: who is another one enrols.
    """
    conflict = models.IdentityConflict
    query = select(conflict).where(conflict.key == said.key)
    if token_of is None:
        query = query.where(conflict.state.in_(("same", "new")))
    else:
        query = query.where(conflict.state == "same", conflict.host_id == token_of)
    return session.scalar(query.order_by(conflict.id.desc()).limit(1))


def check_name(name: str, field: str = "host.hostname") -> None:
    """Refuse a name that no host can have. Raises `InputError`."""
    if (why := hosts_csv.wrong("hostname", name)) is not None:
        raise InputError({field: f"{name[:80]!r} {why}"})
