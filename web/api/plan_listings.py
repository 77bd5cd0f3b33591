"""What a plan leaves out and why, and what has happened to it."""

from pydantic import Field

from patchmgr.db.queries import plan_content, plan_progress
from patchmgr.db.queries import plans as queries
from web.api.plan_bodies import ChangeQuery
from web.api.routing import route
from web.api.values import Flag, Out, PageOf, Paging, Plain, When, Words, page
from web.context import now, session


class NotPlanned(Out):
    """What was asked for and is not planned."""

    platform: str
    package: str
    arch: str
    version: str = Field(description="As installed.")
    reason: str = Field(description="Held, covered by an exception, not offered, no fix, ….")
    advisories: Words
    hosts: int


class EventQuery(Paging):
    host: Plain = Field("", description="Only what concerns this host.")
    hosts: Flag = Field(False, description="Also what concerns single hosts.")


class PlanEvent(Out):
    """A line of a plan's history."""

    id: int
    at: When
    by: str
    kind: str
    message: str
    ring: str
    host: str = Field(description="Empty: more than one.")


@route(
    "GET", "/plans/<int:plan_id>/not-planned", tag="plans", query=ChangeQuery,
    answer=PageOf[NotPlanned],
)  # fmt: skip
def list_not_planned(plan_id: int, query: ChangeQuery) -> object:
    """List what was asked for and is not planned, by reason and package."""
    queries.get(session(), plan_id, now=now())
    found = plan_content.exclusions(
        session(), plan_id, search=query.search, limit=query.limit, cursor=query.cursor
    )
    return page(found)


@route(
    "GET", "/plans/<int:plan_id>/events", tag="plans", query=EventQuery, answer=PageOf[PlanEvent]
)  # fmt: skip
def list_events(plan_id: int, query: EventQuery) -> object:
    """List what has happened to a plan, the newest first."""
    queries.get(session(), plan_id, now=now())
    found = plan_progress.events(
        session(),
        plan_id,
        host=query.host,
        tasks=query.hosts,
        limit=query.limit,
        cursor=query.cursor,
    )
    return page(found)
