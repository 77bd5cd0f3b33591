"""Jobs."""

from datetime import timedelta
from typing import Annotated

from pydantic import BeforeValidator, Field

from patchmgr.db.queries import jobs as job_queries
from patchmgr.domain.accounts import Role
from patchmgr.services import jobs
from web.api.routing import actor, route
from web.api.values import Out, When
from web.context import db, now, session

Whole = Annotated[
    int,
    BeforeValidator(
        lambda value: int(value.total_seconds()) if isinstance(value, timedelta) else value
    ),
]


class Run(Out):
    """One run of a job."""

    id: int
    job: str
    trigger: str
    state: str
    started_at: When
    finished_at: When | None
    summary: str
    error: str


class Job(Out):
    """Something that runs by the clock."""

    name: str
    every: Whole = Field(description="seconds")
    next_at: When
    last: Run | None


@route("GET", "/jobs", tag="operations", answer=list[Job])
def list_jobs() -> object:
    """List scheduled jobs, each with its last run."""
    return job_queries.listing(session())


@route("POST", "/jobs/<name>/runs", tag="operations", role=Role.OPERATOR, answer=Run, status=202)
def run_job(name: str) -> object:
    """Ask for a run of a job; the scheduler picks it up.

    A run that waits already is the one answered.
    """
    run_id = jobs.request(db(), name, actor=actor(), now=now())
    return job_queries.run(session(), run_id)
