"""iCalendar files at the command line."""

import sys
from pathlib import Path

import click

from patchmgr.domain.icalendar_lines import LARGEST
from patchmgr.errors import InputError
from patchmgr.services.calendar_files import Imported

zone_option = click.option(
    "--zone", default="", help="Of times without one; else that of the file, else UTC."
)
dry_run = click.option("--dry-run", "dry", is_flag=True, help="Say what would change, no more.")


def read_file(path: Path) -> bytes:
    """Return the bytes of ``path``, - for stdin, and no more than may be. Raises `InputError`."""
    try:
        if str(path) == "-":
            return sys.stdin.buffer.read(LARGEST + 1)
        with path.open("rb") as file:
            return file.read(LARGEST + 1)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from error


def write_file(path: Path, body: bytes) -> None:
    """Write ``body`` to ``path``, - for stdout. Raises `InputError`."""
    if str(path) == "-":
        sys.stdout.buffer.write(body)
        return
    try:
        path.write_bytes(body)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from error


def show_imported(what: str, found: Imported, *, dry: bool) -> None:
    """Say what an import made different, a line for each name."""
    kinds = {"new": found.new, "changed": found.changed, "unchanged": found.unchanged}
    kinds["over"] = found.over
    for kind, names in kinds.items():
        for name in names:
            click.echo(f"{kind} {what} {name}")
    counts = ", ".join(f"{len(names)} {kind}" for kind, names in kinds.items() if names)
    click.echo(f"{'would be: ' if dry else ''}{counts or 'nothing in the file'}")
