"""``patchmgr report``: a host's own listing in."""

import sys
from pathlib import Path

import click

from inventory import intake
from inventory.managers import READERS
from patchmgr.cli.app import App, pass_app, show_json
from patchmgr.errors import BadFileError, InputError

LARGEST = 256 * 1024 * 1024  # bytes


@click.group()
def report() -> None:
    """Host reports."""


@report.command()
@click.option("--host", required=True, help="Hostname; a new one joins the inventory.")
@click.option("--os", "os_", default="", metavar="ID:RELEASE", help="Such as debian:12.")
@click.option(
    "--format",
    "format_",
    type=click.Choice(sorted(READERS)),
    required=True,
    help="The package manager whose listing this is.",
)
@click.option("--json", "as_json", is_flag=True)
@click.argument("file")
@pass_app
def submit(app: App, host: str, os_: str, format_: str, as_json: bool, file: str) -> None:
    """Store a listing from FILE, or from standard input for -."""
    try:
        difference = intake.submit_report(
            app.db,
            host=host,
            os=os_,
            format=format_,
            text=_text(file),
            actor=app.actor,
            now=app.now,
        )
    except BadFileError as error:
        raise BadFileError(file, error.rows, error.total) from error
    if as_json:
        show_json({"host": host, **difference.summary()})
        return
    state = "unchanged" if difference.unchanged else "stored"
    click.echo(
        f"{host}: {difference.rows} packages {state} (+{difference.added} -{difference.removed})"
    )


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
