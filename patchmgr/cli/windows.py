"""``patchmgr windows``: when hosts may change."""

from datetime import UTC, timedelta
from pathlib import Path

import click

from patchmgr.cli.acting import acting, as_option
from patchmgr.cli.app import ID, App, pass_app, show_json, show_listing
from patchmgr.cli.calendar_files import dry_run, read_file, show_imported, write_file, zone_option
from patchmgr.db.queries import windows as queries
from patchmgr.domain import durations, rules
from patchmgr.domain.rings import FIELDS
from patchmgr.domain.windows import Window, openings
from patchmgr.errors import InputError
from patchmgr.services import calendar_exports, calendar_files
from patchmgr.services import windows as service

_json = click.option("--json", "as_json", is_flag=True, help="As JSON.")


@click.group()
def windows() -> None:
    """Maintenance windows: recurring times in which hosts may change."""


def length(text: str) -> timedelta:
    return durations.parse(text, "duration")


def wall(field: str, text: str) -> str:
    """Return a time on the wall clock as it is kept. Raises `InputError` naming ``field``."""
    try:
        return rules.wall_text(text)
    except ValueError as error:
        raise InputError({field: f"{text!r} is no day or time; write 2026-12-25T22:00"}) from error


def _times(
    name: str, rrule: tuple[str, ...], duration: str, zone: str, exdate: tuple[str, ...], first: str
) -> Window:
    length_ = length(duration)
    excluded = tuple(sorted({wall("exdate", text) for text in exdate}))
    since = wall("first", first) if first else ""
    one, *others = (Window(name, rule, length_, zone, excluded, since) for rule in rrule)
    if not others:
        return one
    return Window(name, one.rrule, one.duration, one.zone, one.exdates, one.first, tuple(others))


_rrule = click.option(
    "--rrule",
    required=True,
    multiple=True,
    help='RFC 5545, such as "FREQ=WEEKLY;BYDAY=SA;BYHOUR=22"; again for more.',
)
_duration = click.option("--duration", required=True, help="How long it stays open: 4h, 90m, PT4H.")
_zone = click.option("--zone", default="UTC", show_default=True, help="IANA time zone.")
_exdate = click.option(
    "--exdate", multiple=True, help="A day or start, on the wall clock, that does not open it."
)
_first = click.option("--first", default="", help="First start on the wall clock (DTSTART).")


@windows.command()
@click.argument("name")
@_rrule
@_duration
@_zone
@_exdate
@_first
@as_option
@pass_app
def add(
    app: App, name: str, rrule: tuple[str, ...], duration: str, zone: str,
    exdate: tuple[str, ...], first: str, as_name: str | None,
) -> None:  # fmt: skip
    """Add a maintenance window called NAME."""
    window = _times(name, rrule, duration, zone, exdate, first)
    who = acting(app, as_name)
    service.add(app.db, window, actor=who.name, role=who.role, now=app.now)
    click.echo(f"added window {name}")


@windows.command()
@click.argument("name")
@_rrule
@_duration
@_zone
@_exdate
@_first
@as_option
@pass_app
def change(
    app: App, name: str, rrule: tuple[str, ...], duration: str, zone: str,
    exdate: tuple[str, ...], first: str, as_name: str | None,
) -> None:  # fmt: skip
    """Give the window NAME other times. Plans that are made already keep theirs."""
    window = _times(name, rrule, duration, zone, exdate, first)
    who = acting(app, as_name)
    touched = service.change(app.db, window, actor=who.name, role=who.role, now=app.now)
    click.echo(f"changed window {name}" + (f"; {touched.words}" if touched.words else ""))


@windows.command()
@click.argument("name")
@click.option("--force", is_flag=True, help="Also while hosts have it.")
@as_option
@pass_app
def remove(app: App, name: str, force: bool, as_name: str | None) -> None:
    """Remove the window NAME and the rules that assign it. Plans keep their copy."""
    who = acting(app, as_name)
    touched = service.remove(app.db, name, actor=who.name, role=who.role, now=app.now, force=force)
    click.echo(f"removed window {name}" + (f"; {touched.words}" if touched.words else ""))


@windows.command()
@click.argument("name")
@click.option("--ring", default="")
@click.option("--environment", default="")
@click.option("--site", default="")
@click.option("--owner", default="")
@click.option("--criticality", default="")
@click.option("--exposure", default="")
@click.option("--platform", default="")
@click.option("--tag", default="", help="A tag that the host has.")
@as_option
@pass_app
def assign(app: App, /, name: str, as_name: str | None, **fields: str) -> None:
    """Give the window NAME to all hosts with these fields that name no window themselves."""
    who = acting(app, as_name)
    wanted = {field: fields[field] for field in FIELDS if fields[field]}
    number = service.assign(app.db, name, wanted, actor=who.name, role=who.role, now=app.now)
    click.echo(f"assigned window {name} by rule {number}")


@windows.command()
@click.argument("rule", type=ID)
@as_option
@pass_app
def unassign(app: App, rule: int, as_name: str | None) -> None:
    """Remove the rule with number RULE, as ``windows rules`` lists it."""
    who = acting(app, as_name)
    removed = service.unassign(app.db, rule, actor=who.name, role=who.role, now=app.now)
    click.echo(f"hosts with {removed.words} do not have window {removed.window} by rule any more")


@windows.command("rules")
@_json
@pass_app
def list_rules(app: App, as_json: bool) -> None:
    """List the rules that give hosts a window."""
    with app.db.reading() as session:
        lines = queries.rules(session)
    if as_json:
        show_json(
            [
                {"id": line.id, "window": line.rule.window, "fields": dict(line.rule.fields),
                 "created_by": line.created_by, "created_at": line.created_at}
                for line in lines
            ]
        )  # fmt: skip
        return
    rows = [(line.id, line.rule.window, line.rule.words, line.created_by) for line in lines]
    show_listing(("id", "window", "hosts", "created_by"), rows, as_json)


@windows.command("list")
@_json
@pass_app
def list_windows(app: App, as_json: bool) -> None:
    """List maintenance windows, whether they are open and when they open next."""
    with app.db.reading() as session:
        lines = queries.windows(session, now=app.now)
    columns = [
        "name", "rrule", "duration", "zone", "open_until", "next_opens", "next_closes", "hosts",
    ]  # fmt: skip
    rows: list[list[object]] = [
        [
            line.window.name,
            line.window.rrule,
            durations.text(line.window.duration),
            line.window.zone,
            line.open_until,
            line.next[0] if line.next else None,
            line.next[1] if line.next else None,
            line.hosts,
        ]
        for line in lines
    ]
    if as_json:
        columns += ["exdates", "first", "also"]
        for row, line in zip(rows, lines, strict=True):
            also = [one.to_json() for one in line.window.also]
            row += [list(line.window.exdates), line.window.first, also]
    show_listing(columns, rows, as_json)


@windows.command("openings")
@click.argument("names", metavar="NAME")
@click.option("--weeks", type=click.IntRange(1, 53), default=4, show_default=True)
@_json
@pass_app
def list_openings(app: App, names: str, weeks: int, as_json: bool) -> None:
    """List when the window NAME opens in the coming weeks; several names separated by ;."""
    with app.db.reading() as session:
        known = queries.known_windows(session)
    if problem := known.complaint(names):
        raise InputError({"NAME": problem})
    found = openings(known[names], app.now, app.now + timedelta(weeks=weeks))
    rows = [(start.astimezone(UTC), end.astimezone(UTC)) for start, end in found]
    show_listing(("opens", "closes"), rows, as_json)


@windows.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@zone_option
@dry_run
@as_option
@pass_app
def import_windows(app: App, file: Path, zone: str, dry: bool, as_name: str | None) -> None:
    """Import the events of an iCalendar FILE (- for stdin); those of one name are one window."""
    who = acting(app, as_name)
    found = calendar_files.import_windows(
        app.db, file.name, read_file(file), actor=who.name, role=who.role, now=app.now, zone=zone,
        dry_run=dry,
    )  # fmt: skip
    show_imported("window", found, dry=dry)


@windows.command()
@click.argument("file", type=click.Path(path_type=Path), default="-")
@pass_app
def export(app: App, file: Path) -> None:
    """Write every window as iCalendar to FILE, or to stdout."""
    with app.db.reading() as session:
        write_file(file, calendar_exports.windows(session, now=app.now))
