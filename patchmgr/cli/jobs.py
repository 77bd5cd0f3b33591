"""``patchmgr jobs``: what runs by itself, how it went, and running it now."""

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from patchmgr.cli.app import EXIT_REFUSED, App, fail, pass_app, show_json, show_listing
from patchmgr.db.queries import jobs as queries
from patchmgr.db.queries.jobs import RunLine
from patchmgr.errors import NotFoundError
from patchmgr.jobs import leader
from patchmgr.jobs.runner import Runner
from patchmgr.services import jobs as service

if TYPE_CHECKING:
    from patchmgr.jobs.schedule import Job

LOOK = 0.5  # seconds between looks at a run that another process carries out
RUN_COLUMNS = ("id", "job", "trigger", "state", "started", "finished", "summary", "error")


@click.group()
def jobs() -> None:
    """What the service does by itself."""


@jobs.command("list")
@click.option("--json", "as_json", is_flag=True)
@pass_app
def list_(app: App, as_json: bool) -> None:
    """List the jobs, how often each runs, and how it went last."""
    with app.db.reading() as session:
        known = {line.name: line for line in queries.listing(session)}
        last = queries.last_runs(session)
    rows = []
    for job in _scheduled(app):
        run = last.get(job.name)
        rows.append(
            (
                job.name,
                str(job.every),
                known[job.name].next_at if job.name in known else None,
                run.state if run else "never",
                run.started_at if run else None,
                (run.error or run.summary) if run else "",
            )
        )
    show_listing(("job", "every", "next", "last", "started", "outcome"), rows, as_json)


@jobs.command()
@click.argument("name")
@click.option("--json", "as_json", is_flag=True)
@pass_app
def run(app: App, name: str, as_json: bool) -> None:
    """Run the job NAME now and wait for its end: by the service where it runs, else here."""
    job = next((job for job in _scheduled(app) if job.name == name), None)
    if job is None:
        raise NotFoundError("job", name)
    lock = leader.scheduler_lock(app.db)
    if lock.acquire():
        try:
            outcome = _run_here(app, job)
        finally:
            lock.release()
    else:
        outcome = _wait_for(app, service.request(app.db, name, actor=app.actor, now=app.now))
    if as_json:
        show_json(dict(zip(RUN_COLUMNS, _cells(outcome), strict=True)))
    if outcome.state != "succeeded":
        fail(f"job {name} {outcome.state}: {outcome.error}", EXIT_REFUSED)
    elif not as_json:
        click.echo(f"{name}: {outcome.summary or 'nothing to do'}")


@jobs.command()
@click.option("--job", default=None, help="Of this job alone.")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True)
@click.option("--json", "as_json", is_flag=True)
@pass_app
def history(app: App, job: str | None, limit: int, as_json: bool) -> None:
    """List runs, the newest first."""
    with app.db.reading() as session:
        runs = queries.history(session, job=job, limit=limit)
    show_listing(RUN_COLUMNS, [_cells(line) for line in runs], as_json)


def _scheduled(app: App) -> "list[Job]":
    from patchmgr.cli.scheduled import scheduled  # brings every service with it

    return sorted(scheduled(app.db, app.settings, lambda: app.now), key=lambda job: job.name)


def _run_here(app: App, job: "Job") -> RunLine:
    """Run ``job`` in this process, which leads as long as that takes."""
    service.interrupt(app.db, now=app.now)
    run_id = service.request(app.db, job.name, actor=app.actor, now=app.now, known=True)
    Runner(app.db, lambda: app.now, lambda: True).run(job.name, job.run, queued=run_id)
    with app.db.reading() as session:
        return queries.run(session, run_id)


def _wait_for(app: App, run_id: int) -> RunLine:
    pause = threading.Event()
    while True:
        with app.db.reading() as session:
            outcome = queries.run(session, run_id)
        if outcome.state not in ("queued", "running"):
            return outcome
        pause.wait(LOOK)


def _cells(line: RunLine) -> Sequence[object]:
    return (
        line.id,
        line.job,
        line.trigger,
        line.state,
        line.started_at,
        line.finished_at,
        line.summary,
        line.error,
    )
