"""Machines and the hosts that they are: recognised, enrolled, or refused and shown.

The rules are `patchmgr.domain.identity`'s; here they meet the stored hosts. A machine that may be
another one than the host it looks like changes nothing: it is noted as a conflict
(`inventory.conflicts`), and what a person says of that holds the next time the machine comes.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, or_, select, update
from sqlalchemy.orm import Session

from inventory import conflicts
from inventory.conflicts import TwoMachinesError
from inventory.host_import import NAME_KEPT
from inventory.host_rows import new_host
from patchmgr.db import models
from patchmgr.db.locks import Lock, wait_for
from patchmgr.db.session import Database
from patchmgr.domain.identity import (
    Change,
    Clash,
    Consent,
    Decision,
    Identity,
    Known,
    New,
    Same,
    recognise,
)
from patchmgr.services import audit, enrolment, installations

PAST = 20  # earlier identities of a host that are looked at


@dataclass(frozen=True, slots=True)
class Enrolled:
    """A machine's place in the inventory, and the token it was given."""

    host_id: int
    hostname: str
    token: str


def enrol(db: Database, key: str, said: Identity, *, address: str, now: datetime) -> Enrolled:
    """Exchange the enrolment token ``key`` for a token of the host that the machine is.

    A machine not seen before joins the inventory. Raises `ThrottledError`, `AuthenticationError`,
    `InputError`, and `TwoMachinesError`, after which the token can still be used.
    """
    conflicts.check_name(said.hostname)
    token = enrolment.checked(db, key, address=address, now=now)
    actor = f"token:{token.name}"
    try:
        with db.reporting() as session:
            enrolment.use(session, token, now=now)
            consent = None if token.host_id is None else Consent(same=token.host_id)
            host = recognised(session, said, consent=consent, actor=actor, now=now)
            given = enrolment.give_host_token(session, host, actor=actor, now=now)
            audit.record(
                session,
                at=now,
                actor=actor,
                action="host.enrol",
                subject=f"host {host.hostname}",
                details={"address": address, "token": token.id},
            )
            return Enrolled(host.id, host.hostname, given)
    except TwoMachinesError as error:
        conflicts.note(db, error, now=now)
        raise


def recognised(
    session: Session,
    said: Identity,
    *,
    actor: str,
    now: datetime,
    token_of: int | None = None,
    consent: Consent | None = None,
) -> models.Host:
    """Return the host that a machine is, brought up to what it says. Raises `TwoMachinesError`.

    Part of the transaction that stores what else the machine sent. Only where something about the
    machine has changed, others who change it are waited for.
    """
    conflict = None
    rows = _alike(session, said, token_of)  # held here, so that the one of them is not read again
    decision = recognise(said, _known(session, rows), token_of=token_of, consent=consent)
    if not isinstance(decision, Same) or decision.changes:
        wait_for(session, Lock.IDENTITIES)
        if consent is None and (conflict := conflicts.decided(session, said, token_of)) is not None:
            same = conflict.host_id if conflict.state == "same" else None
            consent = Consent(same, conflict.new_name)
        rows = _alike(session, said, token_of, consent)
        decision = recognise(said, _known(session, rows), token_of=token_of, consent=consent)
    if isinstance(decision, Clash):
        raise TwoMachinesError(said, decision)
    host = _host(session, decision, now)
    if conflict is not None:
        conflict.state = "used"
    if consent is not None and consent.same is not None:
        _settle(session, host.id)
    _take(session, host, said, decision, actor=actor, now=now)
    return host


def _alike(
    session: Session,
    said: Identity,
    token_of: int | None = None,
    consent: Consent | None = None,
) -> list[models.Host]:
    """Return the hosts that ``said`` may be. One query; two for a name that nobody has."""
    host = models.Host
    ids = [each for each in (said.machine_id, said.product_uuid) if each]
    names = {said.hostname, said.hostname.lower()}
    conditions: list[Any] = [host.hostname.in_(names)]
    conditions += [host.machine_id == said.machine_id] if said.machine_id else []
    conditions += [host.product_uuid == said.product_uuid] if said.product_uuid else []
    conditions += [host.external_id.in_([*ids, *(i.upper() for i in ids)])] if ids else []
    wanted = {token_of, consent.same if consent else None} - {None}
    conditions += [host.id.in_(wanted)] if wanted else []
    rows = list(session.scalars(select(host).where(or_(*conditions))))
    if not any(row.hostname.lower() == said.hostname.lower() for row in rows) and not any(
        row.id == token_of and row.reported_name.lower() == said.hostname.lower() for row in rows
    ):  # a new name, which somebody may have in another case
        other_case = select(host).where(func.lower(host.hostname) == said.hostname.lower())
        rows += session.scalars(other_case)
    return rows


def _known(session: Session, rows: Sequence[models.Host]) -> list[Known]:
    """Return what is known of hosts. One query, for what they said before."""
    past = _past(session, [row.id for row in rows])
    return [
        Known(
            row.id,
            row.hostname,
            row.reported_name,
            row.external_id or "",
            row.machine_id,
            row.product_uuid,
            row.boot_id,
            row.retired_at is not None,
            tuple(past.get(row.id, ())),
        )
        for row in sorted(rows, key=lambda row: row.id)
    ]


def _past(session: Session, host_ids: Iterable[int]) -> dict[int, list[Identity]]:
    before = models.HostIdentity
    rows = session.execute(
        select(
            before.host_id,
            before.hostname,
            before.machine_id,
            before.product_uuid,
            before.boot_id,
        )
        .where(before.host_id.in_(list(host_ids)), before.settled.is_(False))
        .order_by(before.id.desc())
        .limit(PAST * 4)
    )
    found: dict[int, list[Identity]] = {}
    for host_id, hostname, machine_id, product_uuid, boot_id in rows:
        said = Identity(hostname, machine_id, product_uuid, boot_id)
        found.setdefault(host_id, []).append(said)
    return {host_id: past[:PAST] for host_id, past in found.items()}


def _settle(session: Session, host_id: int) -> None:
    """Let what a host's machine was before not count as another machine any more."""
    before = models.HostIdentity
    session.execute(
        update(before)
        .where(before.host_id == host_id)
        .values(settled=True)
        .execution_options(synchronize_session=False)
    )


def _host(session: Session, decision: Decision, now: datetime) -> models.Host:
    if isinstance(decision, Same):
        # As it is once no other report of it is being stored: the difference is to that.
        one_at_a_time = {"key_share": True}
        host = session.get_one(
            models.Host, decision.host_id, with_for_update=one_at_a_time, populate_existing=True
        )
        if decision.hostname != host.hostname:
            _vacate(session, decision.hostname, decision.host_id)
        return host
    assert isinstance(decision, New)  # noqa: S101 -- a clash was raised before
    _vacate(session, decision.hostname, 0)
    host = new_host(decision.hostname, now)
    session.add(host)
    session.flush()
    return host


def _vacate(session: Session, name: str, host_id: int) -> None:
    """Free a name that a retired host still has, as an import of hosts does."""
    host = models.Host
    retired = session.scalars(
        select(host).where(
            func.lower(host.hostname) == name.lower(),
            host.id != host_id,
            host.retired_at.is_not(None),
        )
    ).all()
    for row in retired:
        row.hostname = f"{row.hostname[:NAME_KEPT]}~{row.id}"
    session.flush()


def _take(
    session: Session,
    host: models.Host,
    said: Identity,
    decision: Decision,
    *,
    actor: str,
    now: datetime,
) -> None:
    """Store what a host's machine says of itself, and what of it is new."""
    changes = decision.changes if isinstance(decision, Same) else (Change.JOINED,)
    name_before = host.hostname
    if isinstance(decision, Same) and decision.hostname != host.hostname:
        host.hostname = decision.hostname
    address = said.addresses[0] if said.addresses else ""
    host.first_address = host.first_address or address
    host.last_address = address or host.last_address
    for name in ("machine_id", "product_uuid", "boot_id"):
        if value := getattr(said, name):
            setattr(host, name, value)
    if not changes:
        return
    host.reported_name = said.hostname
    host.updated_at = now
    if Change.RETURNED in changes:
        host.retired_at = None
        host.judged_set_id = None
        installations.count(session, [host.id])
    session.add(
        models.HostIdentity(
            host_id=host.id,
            hostname=said.hostname,
            machine_id=said.machine_id,
            product_uuid=said.product_uuid,
            boot_id=said.boot_id,
            since=now,
            changes=[change.value for change in changes],
            settled=False,
        )
    )
    session.flush()
    if told := [change for change in changes if change is not Change.REBOOTED]:
        audit.record(
            session,
            at=now,
            actor=actor,
            action="host.identity",
            subject=f"host {host.hostname}",
            details={"changes": [change.value for change in told]}
            | ({"was": name_before} if name_before != host.hostname else {}),
        )
