"""What of a plan's pages is one viewer's and not another's: what they may do, and why not."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from patchmgr.db.queries.plans import PlanDetail
from patchmgr.domain.accounts import Role
from patchmgr.domain.rollout.states import PlanState
from patchmgr.domain.terms import may_approve, words
from patchmgr.services.sign_ins import Viewer

UNDECIDED = (PlanState.DRAFT, PlanState.PROPOSED, PlanState.APPROVED)


@dataclass(frozen=True, slots=True)
class Rights:
    """Whoever have equal ones see the same of a plan: nothing else tells viewers apart."""

    role: Role
    zone: str
    refused: tuple[tuple[str, str], ...]  # command of the plan's state, and why not by this viewer
    is_author: bool
    loses_approval: bool  # may approve the plan, and no longer may once they edit it
    may_break_glass: bool
    may_review: bool

    def values(self) -> dict[str, Any]:
        """Return what templates know of them."""
        return {
            "why_not": dict(self.refused),
            "is_author": self.is_author,
            "loses_approval": self.loses_approval,
            "may_break_glass": self.may_break_glass,
            "may_review": self.may_review,
        }

    def anybody(self) -> Viewer:
        """Return a viewer who has these rights and is nobody: for what many are shown."""
        return Viewer("", self.role, zone=self.zone)


def rights(plan: PlanDetail, who: Viewer) -> Rights:
    approves = who.role.covers(Role.APPROVER)
    return Rights(
        role=who.role,
        zone=who.zone,
        refused=tuple(_refused(plan, who).items()),
        is_author=who.name in plan.authors,
        loses_approval=approves and who.name not in plan.authors,
        may_break_glass=(
            approves
            and plan.state in UNDECIDED
            and "start" not in plan.commands
            and not plan.signals
        ),
        may_review=approves and _may_review(plan, who),
    )


def _may_review(plan: PlanDetail, who: Viewer) -> bool:
    done = plan.break_glass
    return done is not None and not done.reviewed_by and who.name not in (done.by, *plan.authors)


def _refused(plan: PlanDetail, who: Viewer) -> Mapping[str, str]:
    """Return for each command of the plan's state that this viewer cannot give, why not."""
    found = {}
    for command in plan.commands:
        needed = Role.APPROVER if command in ("approve", "reject") else Role.OPERATOR
        if not who.role.covers(needed):
            found[command] = (
                f"This needs the role {needed.value}; you have the role {who.role.value}."
            )
    if "approve" in plan.commands and "approve" not in found:
        if who.name in plan.authors:
            found["approve"] = (
                "You made, edited or proposed this plan, so somebody else must approve it."
            )
        elif not may_approve(plan.terms.approvers, who.name, who.role.value):
            found["approve"] = f"It asks {words(plan.terms.approvers)}, not you."
        elif _has_approved(plan, who):
            found["approve"] = "You approved this plan; it needs somebody else's approval too."
    return found


def _has_approved(plan: PlanDetail, who: Viewer) -> bool:
    return any(
        one.by == who.name and not one.ring and one.void_at is None and one.decision == "approve"
        for one in plan.approvals
    )
