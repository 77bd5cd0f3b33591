"""``patchmgr freezes``: when nothing may change."""

from datetime import datetime
from pathlib import Path

import click

from patchmgr.cli.acting import acting, as_option
from patchmgr.cli.app import AT, BEGINS, App, pass_app, show_listing
from patchmgr.cli.calendar_files import dry_run, read_file, show_imported, write_file, zone_option
from patchmgr.cli.windows import length, wall
from patchmgr.db.queries import freezes as queries
from patchmgr.db.queries.freezes import FreezeLine
from patchmgr.domain.freezes import RecurringFreeze, Times
from patchmgr.domain.recurrence import in_words
from patchmgr.domain.windows import Freeze
from patchmgr.services import calendar_exports, calendar_files
from patchmgr.services import freezes as service


@click.group()
def freezes() -> None:
    """Freezes: times in which nothing may change."""


@freezes.command()
@click.argument("name")
@click.option("--from", "starts", type=BEGINS, help="Begins (ISO 8601).")
@click.option("--until", "ends", type=AT, help="Ends (ISO 8601).")
@click.option("--rrule", help="Recurs: RFC 5545, in place of --from and --until.")
@click.option("--duration", help="How long it then lasts: 62h; whole days on the wall clock.")
@click.option("--zone", default="UTC", show_default=True, help="Of one that recurs.")
@click.option("--exdate", multiple=True, help="A day or start on which it does not come.")
@click.option("--first", default="", help="First start on the wall clock (DTSTART).")
@click.option("--reason", required=True, help="Why nothing may change.")
@as_option
@pass_app
def add(
    app: App, name: str, starts: datetime | None, ends: datetime | None, rrule: str | None,
    duration: str | None, zone: str, exdate: tuple[str, ...], first: str, reason: str,
    as_name: str | None,
) -> None:  # fmt: skip
    """Add a freeze called NAME: once, or again and again."""
    freeze: Freeze | RecurringFreeze
    if rrule:
        if starts or ends or not duration:
            raise click.UsageError("--rrule needs --duration, and neither --from nor --until")
        excluded = tuple(sorted({wall("exdate", text) for text in exdate}))
        since = wall("first", first) if first else ""
        times = Times(name, rrule, length(duration), zone, excluded, since)
        freeze = RecurringFreeze(times, reason)
    else:
        if starts is None or ends is None or duration:
            raise click.UsageError("needs --from and --until, or --rrule and --duration")
        freeze = Freeze(name, starts, ends, reason)
    who = acting(app, as_name)
    service.add(app.db, freeze, actor=who.name, role=who.role, now=app.now)
    click.echo(f"added freeze {name}")


@freezes.command()
@click.argument("name")
@as_option
@pass_app
def end(app: App, name: str, as_name: str | None) -> None:
    """End the freeze NAME (or with that number) now; one that has not begun is removed."""
    who = acting(app, as_name)
    done = service.end(app.db, name, actor=who.name, role=who.role, now=app.now)
    click.echo(f"{done} freeze {name}")


@freezes.command("list")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@pass_app
def list_freezes(app: App, as_json: bool) -> None:
    """List freezes, the latest first."""
    with app.db.reading() as session:
        lines = queries.freezes(session, now=app.now)
    columns = ("id", "name", "starts", "ends", "state", "recurs", "reason", "created_by")
    rows = [
        (
            line.id,
            line.freeze.name,
            line.freeze.starts,
            line.freeze.ends,
            "over" if line.is_over else "in force" if line.in_force else "to come",
            _recurs(line, as_json=as_json),
            line.freeze.reason,
            line.created_by,
        )
        for line in lines
    ]
    show_listing(columns, rows, as_json)


def _recurs(line: FreezeLine, *, as_json: bool) -> object:
    if line.recurs is None:
        return None if as_json else ""
    times = line.recurs.times
    return times.to_json() if as_json else in_words(times) or times.rrule


@freezes.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@zone_option
@dry_run
@as_option
@pass_app
def import_freezes(app: App, file: Path, zone: str, dry: bool, as_name: str | None) -> None:
    """Import the events of an iCalendar FILE (- for stdin) as freezes."""
    who = acting(app, as_name)
    found = calendar_files.import_freezes(
        app.db, file.name, read_file(file), actor=who.name, role=who.role, now=app.now, zone=zone,
        dry_run=dry,
    )  # fmt: skip
    show_imported("freeze", found, dry=dry)


@freezes.command()
@click.argument("file", type=click.Path(path_type=Path), default="-")
@pass_app
def export(app: App, file: Path) -> None:
    """Write every freeze that is not over as iCalendar to FILE, or to stdout."""
    with app.db.reading() as session:
        write_file(file, calendar_exports.freezes(session, now=app.now))
