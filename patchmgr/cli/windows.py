"""``patchmgr windows`` and ``patchmgr freezes``: when hosts may change, and when nothing may."""

from datetime import datetime

import click

from patchmgr.cli.acting import acting, as_option
from patchmgr.cli.app import AT, BEGINS, App, pass_app, show_listing
from patchmgr.db.queries import windows as queries
from patchmgr.domain import durations
from patchmgr.domain.windows import Freeze, Window
from patchmgr.errors import InputError
from patchmgr.services import windows as service

_json = click.option("--json", "as_json", is_flag=True, help="As JSON.")


@click.group()
def windows() -> None:
    """Maintenance windows: recurring times in which hosts may change."""


@windows.command()
@click.argument("name")
@click.option("--rrule", required=True, help='RFC 5545, such as "FREQ=WEEKLY;BYDAY=SA;BYHOUR=22".')
@click.option("--duration", required=True, help="How long it stays open: 4h, 90m, PT4H.")
@click.option("--zone", default="UTC", show_default=True, help="IANA time zone.")
@as_option
@pass_app
def add(app: App, name: str, rrule: str, duration: str, zone: str, as_name: str | None) -> None:
    """Add a maintenance window called NAME."""
    try:
        length = durations.parse(duration)
    except InputError as error:
        raise InputError({"duration": str(error)}) from error
    window = Window(name, rrule, length, zone)
    who = acting(app, as_name)
    service.add(app.db, window, actor=who.name, role=who.role, now=app.now)
    click.echo(f"added window {name}")


@windows.command("list")
@_json
@pass_app
def list_windows(app: App, as_json: bool) -> None:
    """List maintenance windows, whether they are open and when they open next."""
    with app.db.reading() as session:
        lines = queries.windows(session, now=app.now)
    columns = (
        "name", "rrule", "duration", "zone", "open_until", "next_opens", "next_closes", "hosts",
    )  # fmt: skip
    rows = [
        (
            line.window.name,
            line.window.rrule,
            durations.text(line.window.duration),
            line.window.zone,
            line.open_until,
            line.next[0] if line.next else None,
            line.next[1] if line.next else None,
            line.hosts,
        )
        for line in lines
    ]
    show_listing(columns, rows, as_json)


@click.group()
def freezes() -> None:
    """Freezes: times in which nothing may change."""


@freezes.command("add")
@click.argument("name")
@click.option("--from", "starts", type=BEGINS, required=True, help="Begins (ISO 8601).")
@click.option("--until", "ends", type=AT, required=True, help="Ends (ISO 8601).")
@click.option("--reason", required=True, help="Why nothing may change.")
@as_option
@pass_app
def add_freeze(
    app: App, name: str, starts: datetime, ends: datetime, reason: str, as_name: str | None
) -> None:
    """Add a freeze called NAME."""
    who = acting(app, as_name)
    freeze = Freeze(name, starts, ends, reason)
    service.add_freeze(app.db, freeze, actor=who.name, role=who.role, now=app.now)
    click.echo(f"added freeze {name}")


@freezes.command("list")
@_json
@pass_app
def list_freezes(app: App, as_json: bool) -> None:
    """List freezes, the latest first."""
    with app.db.reading() as session:
        lines = queries.freezes(session, now=app.now)
    columns = ("name", "starts", "ends", "state", "reason", "created_by")
    rows = [
        (
            line.freeze.name,
            line.freeze.starts,
            line.freeze.ends,
            "over" if line.is_over else "in force" if line.in_force else "to come",
            line.freeze.reason,
            line.created_by,
        )
        for line in lines
    ]
    show_listing(columns, rows, as_json)
