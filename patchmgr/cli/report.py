"""``patchmgr report``: a host's own listing in."""

import sys
from pathlib import Path

import click

from inventory import intake
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
    "--format",
    "format_",
    type=click.Choice(intake.FORMATS),
    required=True,
    help="The package manager whose listing this is; report for a whole JSON report.",
)
@click.option("--json", "as_json", is_flag=True)
@click.argument("file")
@pass_app
def submit(app: App, host: str, os_: str, format_: str, as_json: bool, file: str) -> None:
    """Store a listing or a whole report from FILE, or from standard input for -."""
    if not host and format_ != intake.REPORT:
        raise click.UsageError("Missing option '--host': only a whole report names its host.")
    text = _text(file)
    try:
        difference = intake.submit_report(
            app.db,
            host=host,
            os=os_,
            format=format_,
            text=text,
            actor=app.actor,
            now=app.now,
        )
    except BadFileError as error:
        where = f"{file}: {error.file}" if format_ == intake.REPORT else file
        raise BadFileError(where, error.rows, error.total) from error
    host = difference.host
    if as_json:
        show_json({"host": host, **difference.summary()})
        return
    state = "unchanged" if difference.unchanged else "stored"
    click.echo(
        f"{host}: {difference.rows} packages {state} (+{difference.added} -{difference.removed})"
    )
    for change in difference.changes:
        if change.details:
            click.echo(f"changed: {', '.join(change.details)}")
    for section, why in difference.unreadable.items():
        click.echo(f"{file}: section {section}: {why}; what it says is not known", err=True)


def _text(file: str) -> str:
    try:
        body = sys.stdin.buffer.read(LARGEST + 1) if file == "-" else Path(file).read_bytes()
    except OSError as error:
        raise InputError({file: error.strerror or str(error)}) from error
    if len(body) > LARGEST:
        raise InputError({file: f"is larger than {LARGEST} bytes"})
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        row = body[: error.start].count(b"\n") + 1
        raise InputError({f"{file}: row {row}": "is not UTF-8"}) from error
