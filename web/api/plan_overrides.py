"""What people overrule in a rollout, and what a plan would do: rings, single hosts, forecasts."""

import dataclasses
from datetime import UTC, datetime
from typing import Annotated

from flask import Response
from pydantic import BeforeValidator, Field

from patchmgr.domain import durations
from patchmgr.domain.accounts import Role
from patchmgr.domain.simulation.forecast import WhatIf
from patchmgr.errors import InputError
from patchmgr.services import forecasts, going_back
from patchmgr.services import plans as service
from web.api.plan_bodies import ReasonIn, RollBackIn, SimulationQuery, WithdrawRollBackIn
from web.api.plan_shapes import PlanInFull
from web.api.plans import plan_in_full
from web.api.routing import Raw, route, who
from web.api.values import In, Out, Plain, When
from web.context import db, now, session


class SkipRingIn(ReasonIn):
    ring: Plain = Field(min_length=1)


class ForecastQuery(In):
    """What to change for this forecast; nothing is saved."""

    start: Plain = Field("", description="ISO 8601: what if it started then.")
    soak: Plain = Field("", description="What if every ring soaked so long, such as 12h.")
    max_concurrent: int = Field(0, ge=0, le=1_000_000, description="What if so many at a time.")
    window: Plain = Field("", description="What if every host had this window; any for any time.")


class RingForecast(Out):
    """When a ring runs; null is not in sight."""

    name: str
    hosts: int
    starts: When | None
    soaks_from: When | None
    ends: When | None
    last_host: When | None = Field(description="When its last host is verified.")


class LateHost(Out):
    """A host that will not be done when the plan is due."""

    name: str
    ring: str
    window: str | None
    expected: When | None
    earliest: When | None = Field(description="When it could begin, if it came first.")
    reason: str


class LateHosts(Out):
    """How many hosts of a ring are late for one reason."""

    ring: str
    hosts: int
    earliest: When | None = Field(description="When the last of them could begin; null: not seen.")
    reason: str


class Compliance(Out):
    """What is left of the plan's work."""

    after: str = Field(description="Ring; empty is now.")
    hosts: int
    findings: int
    hosts_pct: int
    findings_pct: int


class Forecast(Out):
    """The expected course of a plan, if every host succeeds and takes what is expected."""

    starts: When | None
    ends: When | None
    outcome: str
    rings: list[RingForecast]
    late_hosts: int
    late: Annotated[list[LateHost], BeforeValidator(list)] = Field(description="At most 1,000.")
    late_by: Annotated[list[LateHosts], BeforeValidator(list)] = Field(description="All of them.")


class Beside(Out):
    """A plan to be carried out, not taken into account, and what it has in common with this one."""

    plan: int
    title: str
    state: str
    groups: int
    group: str
    hosts: int


class PlanForecast(Out):
    """A plan's forecast, and what each ring brings."""

    forecast: Forecast
    made_at: When
    due: When | None
    hosts: int
    findings: int
    compliance: list[Compliance]
    beside: list[Beside]


@route(
    "GET",
    "/plans/<int:plan_id>/forecast",
    tag="plans",
    role=Role.VIEWER,
    query=ForecastQuery,
    answer=PlanForecast,
)
def forecast_plan(plan_id: int, query: ForecastQuery) -> object:
    """Tell when each ring will run, who will be late and what each ring brings.

    Without a change to look at, that is the forecast which the service keeps, for a quarter of an
    hour while plan and freezes stay as they are; see `made_at`.
    """
    what_if = WhatIf(
        _instant(query.start),
        durations.parse(query.soak, "soak") if query.soak else None,
        query.max_concurrent or None,
        query.window or None,
    )
    if what_if == WhatIf():
        found, made_at = forecasts.latest(session(), plan_id, now=now())
    else:
        made_at = now()
        found = forecasts.forecast(session(), plan_id, now=made_at, what_if=what_if)
    fields = {one.name: getattr(found, one.name) for one in dataclasses.fields(found)}
    return {**fields, "made_at": made_at}


@route(
    "GET",
    "/plans/<int:plan_id>/simulation",
    tag="plans",
    role=Role.OPERATOR,
    query=SimulationQuery,
    gives=Raw(("application/x-ndjson",), "The event log, an object a line (docs/simulation.md)."),
)
def simulate_plan(plan_id: int, query: SimulationQuery) -> Response:
    """Play what an open plan would do from now on, if every host succeeds; nothing is saved."""
    played = forecasts.played(session(), plan_id, now=now(), seed=query.seed)
    return Response((line.text() for line in played.lines), content_type="application/x-ndjson")


@route(
    "POST",
    "/plans/<int:plan_id>/skip-ring",
    tag="plans",
    role=Role.APPROVER,
    body=SkipRingIn,
    answer=PlanInFull,
)
def skip_ring(plan_id: int, body: SkipRingIn) -> object:
    """Go on without a ring and its evidence."""
    service.skip_ring(db(), plan_id, body.ring, reason=body.reason, **who())
    return plan_in_full(plan_id)


@route(
    "POST",
    "/plans/<int:plan_id>/roll-back",
    tag="plans",
    role=Role.OPERATOR,
    body=RollBackIn,
    answer=PlanInFull,
)
def roll_back_hosts(plan_id: int, body: RollBackIn) -> object:
    """Ask that hosts go back to their old versions.

    Agents and runners are given orders of kind `roll_back`; people export the way back.
    """
    going_back.roll_back(
        db(),
        plan_id,
        body.hosts,
        ring=body.ring,
        everything=body.all,
        reason=body.reason,
        **who(),
    )
    return plan_in_full(plan_id)


@route(
    "POST",
    "/plans/<int:plan_id>/withdraw-roll-back",
    tag="plans",
    role=Role.OPERATOR,
    body=WithdrawRollBackIn,
    answer=PlanInFull,
)
def withdraw_roll_back(plan_id: int, body: WithdrawRollBackIn) -> object:
    """Let hosts keep what they have that were to go back.

    A host named that has begun is refused; of a ring or the plan those that have begun go on.
    """
    going_back.withdraw(
        db(),
        plan_id,
        body.hosts,
        ring=body.ring,
        everything=body.all,
        reason=body.reason,
        **who(),
    )
    return plan_in_full(plan_id)


def _instant(text: str) -> datetime | None:
    if not text:
        return None
    try:
        at = datetime.fromisoformat(text)
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise InputError({"start": f"{text!r} is not an ISO 8601 time"}) from None
