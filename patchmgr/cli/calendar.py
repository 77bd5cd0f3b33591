"""``patchmgr calendar``: what the coming weeks bring."""

from datetime import datetime
from zoneinfo import ZoneInfo

import click

from patchmgr.cli.app import BEGINS, App, pass_app, show_listing
from patchmgr.db.queries import agenda as queries
from patchmgr.db.queries import windows as window_queries
from patchmgr.domain import agenda
from patchmgr.domain.agenda import KINDS, MOST_WEEKS
from patchmgr.domain.rules import zone_exists
from patchmgr.errors import InputError


@click.command()
@click.option("--from", "first", type=BEGINS, help="A day of the first week; today by default.")
@click.option("--weeks", type=click.IntRange(1, MOST_WEEKS), default=2, show_default=True)
@click.option("--zone", default="UTC", show_default=True, help="IANA time zone to show times in.")
@click.option("--show", type=click.Choice(KINDS), multiple=True, help="Only these kinds.")
@click.option("--window", default="", help="Of the windows only this one.")
@click.option("--json", "as_json", is_flag=True, help="As JSON, times in UTC.")
@pass_app
def calendar(
    app: App, first: datetime | None, weeks: int, zone: str, show: tuple[str, ...], window: str,
    as_json: bool,
) -> None:  # fmt: skip
    """List windows, freezes and the rings of approved plans over some weeks."""
    if not zone_exists(zone):
        raise InputError({"zone": f"{zone!r} is no IANA time zone, such as Europe/Berlin"})
    there = ZoneInfo(zone)
    day = first.date() if first else app.now.astimezone(there).date()
    after, before = agenda.span(agenda.monday(day), weeks, zone)
    with app.db.reading() as session:
        lines = window_queries.windows(session, now=app.now)
        found = queries.agenda(session, lines, after, before)
    entries = agenda.chosen(found.entries, show or KINDS, window)
    for number, _ in found.unknown if "ring" in (show or KINDS) else ():
        click.echo(
            f"patchmgr: plan {number} has no forecast yet, so its rings are not listed; "
            f"the scheduler makes it, and patchmgr plans forecast {number} says it now",
            err=True,
        )
    columns = ("starts", "ends", "kind", "name", "detail", "expected", "plan")
    rows = [
        (
            one.starts if as_json else f"{one.starts.astimezone(there):%a %Y-%m-%d %H:%M}",
            one.ends if as_json else f"{one.ends.astimezone(there):%a %Y-%m-%d %H:%M}",
            one.kind,
            one.name,
            one.detail,
            one.is_expected,
            one.plan,
        )
        for one in entries
    ]
    show_listing(columns, rows, as_json)
