"""``patchmgr report``: a host's own listing in."""

import sys
from pathlib import Path

import click

from inventory import bodies, formats, os_release, submissions
from inventory.difference import Difference
from patchmgr.cli.app import App, pass_app, show_json
from patchmgr.errors import BadFileError, InputError

LARGEST = 256 * 1024 * 1024  # bytes


@click.group()
def report() -> None:
    """Host reports."""


@report.command()
@click.option(
    "--host",
    default="",
    help="Hostname; a new one joins the inventory. A whole report names its own.",
)
@click.option("--os", "os_", default="", metavar="ID:RELEASE", help="Such as debian:12.")
@click.option(
    "--os-release",
    "os_file",
    type=click.Path(),
    metavar="FILE",
    help="The host's /etc/os-release, in place of --os.",
)
@click.option(
    "--format",
    "format_",
    type=click.Choice(formats.FORMATS),
    default=None,
    help="What this is: the listing of a package manager, another tool's document, or a whole "
    "report; recognised when left out.",
)
@click.option("--json", "as_json", is_flag=True)
@click.argument("file")
@pass_app
def submit(
    app: App,
    host: str,
    os_: str,
    os_file: str | None,
    format_: str | None,
    as_json: bool,
    file: str,
) -> None:
    """Store a listing or a whole report from FILE, or from standard input for -."""
    if os_file is not None:
        if os_:
            raise InputError({"--os-release": "says what --os says already; give one of them"})
        os_ = os_release.read(_text(os_file), os_file).system
    text = _text(file)
    try:
        difference = submissions.submit_report(
            app.db,
            host=host,
            os=os_,
            format=format_ or "",
            text=text,
            actor=app.actor,
            now=app.now,
        )
    except BadFileError as error:
        where = f"{file}: {error.file}" if format_ == formats.REPORT else file
        raise BadFileError(where, error.rows, error.total) from error
    host = difference.host
    if as_json:
        said = {
            "format": difference.format,
            "not_judged": difference.not_judged,
            "not_judged_why": difference.not_judged_why,
            "notes": difference.notes,
        }
        show_json({"host": host, **difference.summary(), **said})
        return
    state = "unchanged" if difference.unchanged else "stored"
    click.echo(
        f"{host}: {difference.rows} packages {state} (+{difference.added} -{difference.removed})"
        + ("" if format_ else f", read as {difference.format}")
    )
    for change in difference.changes:
        if change.details:
            click.echo(f"changed: {', '.join(change.details)}")
    for section, why in difference.unreadable.items():
        click.echo(f"{file}: section {section}: {why}; what it says is not known", err=True)
    _say_what_is_missing(difference)


def _say_what_is_missing(difference: Difference) -> None:
    for note in difference.notes:
        click.echo(f"  {note}")
    if difference.not_judged:
        click.echo(f"  not judged: {difference.not_judged}")
    for why in difference.not_judged_why:
        click.echo(f"    {why}")
    more = difference.not_judged - len(difference.not_judged_why)
    if more > 0:
        click.echo(f"    and {more} more")


def _text(file: str) -> str:
    try:
        if file == "-":
            body = sys.stdin.buffer.read(LARGEST + 1)
        else:
            with Path(file).open("rb") as opened:
                body = opened.read(LARGEST + 1)
    except OSError as error:
        raise InputError({file: error.strerror or str(error)}) from error
    return bodies.text(body, most=LARGEST, name=file)
