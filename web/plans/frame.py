"""What stands around every page of a plan: its tabs, its dangers, and what may be done to it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from patchmgr.db.queries import forecasts, holds, plan_review
from patchmgr.db.queries.forecasts import KeptForecast
from patchmgr.db.queries.plans import PlanDetail
from patchmgr.domain.advisories import Severity
from patchmgr.domain.content import coverage_words, window_from_json
from patchmgr.domain.holds import Hold
from patchmgr.domain.plans import Change
from patchmgr.domain.rollout.states import ACTIVE_PLANS, OPEN_PLANS, PlanState
from patchmgr.domain.simulation.forecast import RingForecast
from patchmgr.domain.terms import words
from web import risks, timeline
from web.context import now, session, settings, viewer, zone
from web.plans.rights import UNDECIDED, rights

# What is done to hosts that made a plan stop: command of the step -> endpoint and button.
HOST_STEPS = {
    "retry": ("retry", "Another turn"),
    "roll-back": ("roll_back", "Roll back"),
    "acknowledge-hosts": ("accept", "Accept as they are"),
}


@dataclass(frozen=True, slots=True)
class Tab:
    endpoint: str
    label: str
    count: int | None = None


def around(
    plan: PlanDetail,
    here: str,
    found: list[risks.Risk] | None = None,
    held: Sequence[tuple[Change, Hold]] = (),
    kept: KeptForecast | None = None,
) -> dict[str, Any]:
    """Return what stands around every page of a plan; ``held``, ``kept`` where it has asked."""
    return {**for_all(plan, here, found, held, kept), **rights(plan, viewer()).values()}


def for_all(
    plan: PlanDetail,
    here: str,
    found: list[risks.Risk] | None = None,
    held: Sequence[tuple[Change, Hold]] = (),
    kept: KeptForecast | None = None,
) -> dict[str, Any]:
    """Return what of it is the same whoever looks."""
    worst = [risk for risk in found or () if risk.tone == "bad"]
    if found is None and plan.state in UNDECIDED:
        known = kept or forecasts.of_plan(session(), plan.id)
        found = [*risks.worst(plan, known, now()), *risks.held(plan, held)]
        worst = [risk for risk in found if risk.tone == "bad"]
    serious = len(worst) if plan.state in UNDECIDED else 0  # under way only its own page counts
    left = plan.summary.get("excluded", 0) + len(plan.summary.get("left_out", ()))
    tabs = [
        *([Tab("rollout", "Rollout")] if plan.started_at else []),
        Tab("changes", "What changes", plan.summary["changes"]),
        Tab("hosts", "Hosts", plan.summary["hosts"]),
        *([Tab("not_planned", "Not planned", left)] if left else []),
        Tab("why", "Why", plan.summary["advisories"]),
        Tab("times", "Rings and windows", len(plan.rings)),
        *([Tab("forecast", "Forecast")] if plan.state in OPEN_PLANS else []),
        *([Tab("risk_list", "Risks", serious or None)] if plan.state in OPEN_PLANS else []),
        Tab("history", "History"),
    ]
    return {
        "plan": plan,
        "is_over": plan.state not in OPEN_PLANS,
        "worst": Severity[plan.summary["severity"].upper()],
        "tabs": tabs,
        "here": here,
        "worst_risks": worst,
        "rings_to_approve": _rings_to_approve(plan),
        "changed": plan.changed,
        "coverage": [
            f"Ring {one['ring']}: {coverage_words(one)}."
            for one in plan.summary.get("coverage", ())
        ],
        "asked": words(plan.terms.approvers),
        "HOST_STEPS": HOST_STEPS,
    }


def _rings_to_approve(plan: PlanDetail) -> list[str]:
    """Return the rings that need an approval of their own and do not have it."""
    given = {
        one.ring for one in plan.approvals if one.void_at is None and one.decision == "approve"
    }
    is_time = plan.state in (PlanState.APPROVED, *ACTIVE_PLANS)
    return [
        ring.name
        for ring in plan.rings
        if is_time and ring.settings.needs_approval and ring.name not in given
    ]


def picture(plan: PlanDetail, stages: Sequence[RingForecast]) -> timeline.Picture:
    """Return the time line of ``stages``. One query."""
    return timeline.draw(
        stages,
        plan,
        placement=plan_review.placement(session(), plan.id),
        windows={name: window_from_json(one) for name, one in plan.windows.items()},
        freezes=plan.freezes.between(now(), now() + timeline.HORIZON),
        now=now(),
        days=timeline.Days(zone()),
    )


def risks_of(plan: PlanDetail) -> list[risks.Risk]:
    standing = plan_review.standing(
        session(), plan.id, now=now(), silent_days=settings().silent_days
    )
    return risks.of(
        plan,
        standing,
        kept=forecasts.of_plan(session(), plan.id),
        bad=holds.of_plan(session(), plan.id, now(), proposed=True),
        now=now(),
    )
