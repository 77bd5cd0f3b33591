"""Whether the audit log bears witness to who made a plan and who approved it.

The content has its hash; who consented has none. But each consent is audited in the transaction in
which it is given, and each that fell with its account, in a chain: so a row that was put in or
changed by hand has no such entry, and one that was put back has one too many.
"""

from collections import Counter

from sqlalchemy import select
from sqlalchemy.orm import Session

from patchmgr.db import models
from patchmgr.db.base import to_micros
from patchmgr.domain.rollout.states import PlanState
from patchmgr.services import audit

_MADE = ("plan.create", "plan.edit")
FELL = "plan.approval_fell"  # its account was disabled, or may approve no longer
AUTHOR = "plan.author"  # whoever proposed it, or chose by a policy what the scheduler made


def agree(session: Session, plan: models.Plan) -> bool:
    """Return whether authors, standing approvals and due date are those that were audited."""
    row, version, entry = models.Approval, models.PlanVersion, models.AuditEntry
    event = models.PlanEvent
    standing = session.execute(
        select(row.by, row.at, row.content_hash, row.ring).where(
            row.plan_id == plan.id, row.void_at.is_(None), row.decision == "approve"
        )
    ).all()
    made = session.scalars(select(version.at).where(version.plan_id == plan.id)).all()
    told = session.scalars(
        select(event.at).where(
            event.plan_id == plan.id,
            event.kind.in_([PlanState.PROPOSED.value, "approval_fell"]),
        )
    ).all()
    entries = session.scalars(
        select(entry).where(
            entry.at.in_({plan.created_at, *made, *told, *(one.at for one in standing)}),
            entry.subject == f"plan {plan.id}",
            entry.action.in_([*_MADE, AUTHOR, FELL, "plan.approve"]),
        )
    ).all()
    if not all(map(audit.is_whole, entries)):
        return False
    authors = {one.actor for one in entries if one.action in _MADE}
    chosen = {one.details["author"] for one in entries if one.action == AUTHOR}
    authors |= chosen
    # Releases before did not audit who had written the policy that a plan was made by.
    is_of_before = bool(plan.policy) and not chosen
    given = [one for one in entries if one.action == "plan.approve"]
    heard = Counter(
        (one.actor, one.at, one.details["hash"], one.details.get("ring", "")) for one in given
    )
    due = due_of(plan)
    fell = [one for one in entries if one.action == FELL]
    put_back = any(
        (one.details["by"], one.details["ring"]) == (row.by, row.ring) and one.at > row.at
        for one in fell
        for row in standing
    )
    return (
        bool(authors)
        and not put_back
        and (authors == set(plan.authors) or (is_of_before and authors < set(plan.authors)))
        and Counter(map(tuple, standing)) <= heard
        and all(one.details.get("due", due) == due for one in given)
    )


def due_of(plan: models.Plan) -> int:
    """Return the due date that an approver of ``plan`` sees, as it is audited; 0 is none."""
    return to_micros(plan.due) if plan.due else 0
