"""The work of a plan as files to carry it out by hand."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from patchmgr.db import models
from patchmgr.db.queries import plan_content
from patchmgr.db.session import Database
from patchmgr.domain.accounts import Role
from patchmgr.domain.rollout.signals import CONTENT_CHANGED
from patchmgr.errors import ConflictError, InputError, NotFoundError
from patchmgr.execution import ansible, manual
from patchmgr.services import audit, proof
from patchmgr.services.roles import require

FORMS = ("csv", "ansible", "ansible-zip")


@dataclass(frozen=True, slots=True)
class Exported:
    """A file: its name, its media type, its bytes."""

    name: str
    media_type: str
    body: bytes
    hosts: int


def export(
    db: Database,
    plan_id: int,
    form: str,
    *,
    actor: str,
    role: Role,
    now: datetime,
    whole: bool = False,
    rollback: bool = False,
) -> Exported:
    """Return what may be done now, or with ``whole`` the plan with all its rings, for reading.

    With ``rollback`` return the way back of the hosts that must be rolled back, as CSV.

    ``form`` is one of `FORMS`; "ansible" is one playbook that carries its hosts, "ansible-zip" is
    playbook and inventory apart. Raises `InputError`, `NotFoundError`, `ForbiddenError`, and
    `ConflictError` when the work is not what was approved.
    """
    require(role, Role.VIEWER if whole else Role.OPERATOR, "exporting work")
    if form not in FORMS:
        raise InputError({"format": f"{form!r} is none of {', '.join(FORMS)}"})
    if rollback and form != "csv":
        raise InputError({"format": "the way back is exported as csv"})
    with db.writing() as session:
        if not whole:
            _check_content(session, plan_id, now)
        exported = _file(session, plan_id, form, whole=whole, rollback=rollback)
        audit.record(
            session,
            at=now,
            actor=actor,
            action="plan.export",
            subject=f"plan {plan_id}",
            details={
                "format": form,
                "whole": whole,
                "hosts": exported.hosts,
                **({"rollback": True} if rollback else {}),
            },
        )
    return exported


def _check_content(session: Session, plan_id: int, now: datetime) -> None:
    """Raise `ConflictError` when what would be handed out is not what was approved."""
    plan = session.get(models.Plan, plan_id)
    if plan is None:
        raise NotFoundError("plan", plan_id)
    if proof.stored_hash(session, plan_id, now) != plan.content_hash:
        raise ConflictError(f"plan {plan_id}: {CONTENT_CHANGED}")


def _file(session: Session, plan_id: int, form: str, *, whole: bool, rollback: bool) -> Exported:
    if rollback:
        lines = plan_content.way_back(session, plan_id)
    else:
        lines = plan_content.work(session, plan_id, whole=whole)
    hosts = len({line.host for line in lines})
    stem = f"plan-{plan_id}-rollback" if rollback else f"plan-{plan_id}"
    if form == "csv":
        return Exported(f"{stem}.csv", "text/csv", manual.work_csv(lines).encode(), hosts)
    if form == "ansible":
        body = ansible.playbook(plan_id, lines).encode()
        return Exported(f"{stem}.yml", "application/yaml", body, hosts)
    return Exported(f"{stem}.zip", "application/zip", ansible.archive(plan_id, lines), hosts)
