"""What ``hosts import`` and ``packages import`` share: their options, and what they say."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import click
from sqlalchemy.orm import Session

from inventory import sources
from inventory.csv_header import Reading
from inventory.difference import Difference, Then
from patchmgr.cli.app import App, show_json
from patchmgr.errors import InputError

FILE = click.Path(path_type=Path, dir_okay=False)
GONE_SHOWN = 20
UNFED_SHOWN = 5  # releases
NOT_JUDGED_SHOWN = 3  # rows
Command = TypeVar("Command", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Ask:
    """What the options of an import say."""

    maps: tuple[str, ...]
    preset: str
    encoding: str
    source: str
    save_as: str
    dry_run: bool
    rejects: Path | None
    as_json: bool


_OPTIONS = (
    click.option("--json", "as_json", is_flag=True, help="Print the difference as JSON."),
    click.option(
        "--rejects",
        type=FILE,
        help="Take the good rows; write the bad ones here, each with its reason.",
    ),
    click.option("--dry-run", is_flag=True, help="Print the difference; change nothing."),
    click.option("--encoding", default="", help="Of the file, where it does not show by itself."),
    click.option(
        "--preset",
        default="",
        help="Whose export it is (sources presets); recognised by itself. none: of nobody.",
    ),
    click.option(
        "--save-mapping", "save_as", default="", metavar="NAME", help="Remember how it is read."
    ),
    click.option("--source", default="", metavar="NAME", help="Read it as was saved for NAME."),
    click.option(
        "--map",
        "maps",
        multiple=True,
        metavar="NEW=COL",
        help="Read the file's column NEW as COL; NEW=- leaves it out.",
    ),
    click.argument("file", type=FILE),
)


def options(command: Command) -> Command:
    """Give a command the options that every import of a file has; it gets them as ``ask``."""

    @wraps(command)
    def gathered(*args: Any, **given: Any) -> Any:
        names = Ask.__dataclass_fields__
        ask = Ask(**{name: given.pop(name) for name in names})
        return command(*args, ask=ask, **given)

    wrapped: Any = gathered
    for option in _OPTIONS:
        wrapped = option(wrapped)
    found: Command = wrapped
    return found


def reading(app: App, kind: str, ask: Ask) -> Reading:
    """Return how the file is to be read, with what was saved for its source."""
    how = Reading(_mapping(ask.maps), ask.preset, ask.encoding)
    if ask.source and ask.save_as and ask.source != ask.save_as:
        raise InputError({"--save-mapping": f"is not the source that --source names: {ask.source}"})
    if ask.save_as:
        sources.check_name(ask.save_as)
    if not ask.source:
        return how
    with app.db.reading() as session:
        return sources.reading(session, ask.source, kind, how)


def saving(app: App, kind: str, ask: Ask) -> Then | None:
    """Return what remembers how the file was read, in the transaction that stores what it says."""
    if not ask.save_as:
        return None
    how = reading(app, kind, ask)

    def save(session: Session, difference: Difference) -> None:
        preset = how.preset or (difference.layout.preset if difference.layout else "")
        used = Reading(how.mapping, preset, how.encoding)
        sources.store(session, ask.save_as, kind, used, actor=app.actor, now=app.now)

    return save


def show(difference: Difference, ask: Ask, *, full_export: bool = False) -> None:
    """Print what an import did, or would do."""
    read = difference.layout.said if difference.layout else ""
    if ask.as_json:
        changes = [asdict(change) for change in difference.changes]
        more = {"gone_hosts": difference.gone, "retired_hosts": difference.retired}
        show_json(
            {
                "dry_run": ask.dry_run,
                **difference.summary(),
                "examples": changes,
                "read": read,
                "undetermined_systems": difference.unread,
                "releases_without_feed": difference.unfed,
                "not_judged": difference.not_judged,
                "not_judged_why": difference.not_judged_why,
                **(more if full_export else {}),
            }
        )
        return
    click.echo(read)
    for change in difference.changes:
        click.echo(f"{change.kind}: {change.host}  {'; '.join(change.details)}".rstrip())
    would = "would be " if ask.dry_run else ""
    _show_gone(difference, would)
    click.echo(
        f"{difference.rows} rows; hosts: {difference.new} {would}new, "
        f"{difference.changed} {would}changed, {difference.unchanged} unchanged"
        + (f", {len(difference.gone)} gone" if full_export else "")
        + (
            f"; package versions: +{difference.added} -{difference.removed}"
            if difference.added or difference.removed
            else ""
        )
    )
    if difference.undetermined:
        click.echo(
            f"{difference.undetermined} rows name an operating system that cannot be told, and "
            f"leave the platform as it is: {', '.join(difference.unread[:5])}",
            err=True,
        )
    if difference.without_feed:
        others = len(difference.unfed) - UNFED_SHOWN
        named = ", ".join(difference.unfed[:UNFED_SHOWN]) + (
            f" and {others} more" if others > 0 else ""
        )
        click.echo(
            f"{difference.without_feed} rows name a release that no feed speaks of, on which "
            f"nothing can be judged: {named}; correct it, or see coverage for the feed to sync",
            err=True,
        )
    if difference.not_judged:
        first = "; ".join(difference.not_judged_why[:NOT_JUDGED_SHOWN])
        rest = "; …" if difference.not_judged > NOT_JUDGED_SHOWN else ""
        click.echo(f"{difference.not_judged} rows are left out: {first}{rest}", err=True)
    if difference.rejected:
        where = f" to {ask.rejects}" if ask.rejects is not None and not ask.dry_run else ""
        click.echo(f"{difference.rejected} rows refused{where}", err=True)


def _show_gone(difference: Difference, would: str) -> None:
    retired = set(difference.retired)
    for name in difference.retired:
        click.echo(f"{would}retired: {name}")
    left = [name for name in difference.gone if name not in retired]
    for name in left[:GONE_SHOWN]:
        click.echo(f"gone: {name}  the file does not name it any more")
    if len(left) > GONE_SHOWN:
        click.echo(f"gone: and {len(left) - GONE_SHOWN} more; --json lists them all")
    if left:
        click.echo(
            "nothing is retired unasked: --retire-missing retires them, or hosts retire NAME"
        )


def _mapping(maps: tuple[str, ...]) -> dict[str, str]:
    mapping = {}
    for text in maps:
        left, found, right = text.rpartition("=")
        if not found or not left or not right:
            raise InputError({f"--map {text}": "is not NEW=COLUMN"})
        mapping[left.strip()] = right.strip()
    return mapping
