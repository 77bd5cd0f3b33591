"""The first page: what is stopped, what awaits, what will be late, how things go."""

from datetime import timedelta

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from patchmgr.db.queries import flaws, plan_lists, windows
from patchmgr.db.queries import overview as queries
from patchmgr.db.queries.overview import Point
from patchmgr.db.queries.windows import WindowLine
from patchmgr.domain.accounts import Role
from patchmgr.domain.advisories import Severity
from patchmgr.domain.rollout.states import PlanState
from web import charts
from web.auth import requires
from web.context import now, session

pages = Blueprint("overview", __name__)

SOON = timedelta(days=7)
WORST_FIRST = tuple(severity.word for severity in sorted(Severity, reverse=True))
URGENT = (Severity.CRITICAL.word, Severity.HIGH.word)


@pages.get("/")
@requires(Role.VIEWER)
def index() -> ResponseReturnValue:
    trend = queries.trend(session(), now=now())
    under_way = plan_lists.running(session())
    return render_template(
        "overview/index.html",
        latest=trend[-1] if trend else None,
        week_ago=_week_ago(trend),
        exploited=flaws.exploited(session()) if trend else None,
        soon=queries.due_soon(session(), now=now(), within=SOON) if trend else None,
        stopped=[plan for plan in under_way if plan.state is not PlanState.RUNNING],
        running=[plan for plan in under_way if plan.state is PlanState.RUNNING],
        openings=_openings(),
        unreviewed=plan_lists.unreviewed(session()),
        chart=charts.stacked(
            [(point.at, point.by_severity) for point in trend], WORST_FIRST, "Open findings"
        ),
        sparks={
            "open": charts.spark([point.open_findings for point in trend]),
            "overdue": charts.spark([point.overdue for point in trend]),
            "urgent": charts.spark(
                [sum(point.by_severity.get(word, 0) for word in URGENT) for point in trend]
            ),
            "reporting": charts.spark([point.reporting for point in trend]),
            "compliant": charts.spark(
                [point.compliant / point.judged if point.judged else 0 for point in trend]
            ),
        },
    )


def _openings() -> list[WindowLine]:
    """Return the windows that are open or open soon, the first one first."""
    lines = windows.windows(session(), now=now())
    return sorted(
        (line for line in lines if line.open_until or (line.next and line.next[0] < now() + SOON)),
        key=lambda line: (line.open_until is None, line.next[0] if line.next else now()),
    )


def _week_ago(trend: list[Point]) -> Point | None:
    """Return the point that the tiles compare with: a week before the last one, or nearest."""
    if len(trend) < 2:
        return None
    wanted = trend[-1].at - timedelta(days=7)
    return min(trend[:-1], key=lambda point: abs(point.at - wanted))
