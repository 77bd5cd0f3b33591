"""``patchmgr hosts`` and ``patchmgr packages``: inventory in from files, and looked at."""

from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import click

from inventory import host_import, intake
from inventory.intake import Difference
from patchmgr.cli import past, software
from patchmgr.cli.app import AT, App, pass_app, show_json, show_listing, show_table
from patchmgr.cli.host_facts import show_facts
from patchmgr.db.queries import facts as fact_queries
from patchmgr.db.queries import hosts as queries
from patchmgr.db.queries import past as past_queries
from patchmgr.domain.offers import Update
from patchmgr.errors import InputError

FILE = click.Path(path_type=Path, dir_okay=False)
Command = TypeVar("Command", bound=Callable[..., Any])


def _importing(command: Command) -> Command:
    """Give a command the options that every import of a file has."""
    for option in (
        click.option("--json", "as_json", is_flag=True, help="Print the difference as JSON."),
        click.option(
            "--rejects",
            type=FILE,
            help="Take the good rows; write the bad ones here, each with its reason.",
        ),
        click.option("--dry-run", is_flag=True, help="Print the difference; change nothing."),
        click.option(
            "--map",
            "maps",
            multiple=True,
            metavar="NEW=COL",
            help="Read the file's column NEW as COL; NEW=- leaves it out.",
        ),
        click.argument("file", type=FILE),
    ):
        command = option(command)
    return command


@click.group()
def hosts() -> None:
    """Hosts: import, list, show, compare, retire."""


@hosts.command("import")
@_importing
@pass_app
def import_(
    app: App, file: Path, maps: tuple[str, ...], dry_run: bool, rejects: Path | None, as_json: bool
) -> None:
    """Bring in hosts.csv: new hosts join, known ones are updated, none is removed."""
    difference = host_import.import_hosts(
        app.db,
        file,
        actor=app.actor,
        now=app.now,
        mapping=_mapping(maps),
        dry_run=dry_run,
        rejects=rejects,
    )
    _show(difference, dry_run=dry_run, rejects=rejects, as_json=as_json)


@hosts.command("list")
@click.option("--platform", default="", help="Such as debian:12.")
@click.option("--environment", default="")
@click.option("--state", default="", help=f"One of {', '.join(queries.STATES)}.")
@click.option("--retired", is_flag=True, help="The retired hosts instead.")
@click.option("--json", "as_json", is_flag=True)
@pass_app
def list_(
    app: App, platform: str, environment: str, state: str, retired: bool, as_json: bool
) -> None:
    """List hosts with their open findings."""
    filters = queries.HostFilter(
        platform=platform, environment=environment, state=state, retired=retired
    )
    with app.db.reading() as session:
        page = queries.listing(
            session, filters, now=app.now, silent_days=app.settings.silent_days, limit=None
        )
    columns = (
        "hostname",
        "external_id",
        "platform",
        "arch",
        "environment",
        "site",
        "owner",
        "packages",
        "open_findings",
        "fixable",
        "worst",
        "earliest_due",
        "reported_at",
    )
    rows = [
        [line.worst.word if name == "worst" else getattr(line, name) for name in columns]
        for line in page.lines
    ]
    show_listing(columns, rows, as_json)


@hosts.command()
@click.argument("name")
@click.option("--at", type=AT, help="As of this instant (ISO 8601).")
@click.option("--json", "as_json", is_flag=True)
@pass_app
def show(app: App, name: str, at: datetime | None, as_json: bool) -> None:
    """Show one host: its facts, its packages and its history."""
    with app.db.reading() as session:
        if at is not None:
            past.show_then(app, session, name, at, as_json=as_json)
            return
        detail = queries.get(session, name)
        set_id = detail.package_set_id
        packages = queries.packages(session, set_id) if set_id is not None else []
        timeline = past_queries.timeline(session, detail.line.id).lines
        said = fact_queries.of_host(session, detail)
    facts = asdict(detail.line) | {
        "worst": detail.line.worst.word,
        "held": list(detail.held),
        "running_kernel": detail.running_kernel,
        "entitlements": list(detail.entitlements),
    }
    if as_json:
        listed = [past.package_json(each) for each in packages]
        steps = [past.step_json(each) for each in timeline]
        newer = None if said.updates is None else [asdict(each) for each in said.updates]
        told = fact_queries.facts_json(detail, said)
        show_json(
            facts | {"facts": told, "package_versions": listed, "updates": newer, "history": steps}
        )
        return
    past.show_facts(facts)
    show_facts(detail, said)
    click.echo()
    past.show_packages(packages)
    click.echo()
    _show_updates(said.updates)
    click.echo()
    past.show_steps(timeline)


def _show_updates(updates: tuple[Update, ...] | None) -> None:
    if updates is None:
        click.echo("updates: not known; no repository has been read that offers its packages")
        return
    click.echo(f"updates: {len(updates)}")
    if updates:
        show_table(
            ("package", "arch", "installed", "offered", "by", "held", "phased"),
            [
                (u.package, u.arch, u.installed, u.offered, " ".join(u.suites), u.held, _phase(u))
                for u in updates
            ],
        )


def _phase(update: Update) -> str:
    return "" if update.phased is None else f"{update.phased} %"


@hosts.command()
@click.argument("name")
@pass_app
def retire(app: App, name: str) -> None:
    """Take a host out of lists and counts; its history stays."""
    intake.retire(app.db, name, actor=app.actor, now=app.now)
    click.echo(f"{name} is retired")


@click.group()
def packages() -> None:
    """Installed packages: import, list, search."""


@packages.command("import")
@click.option(
    "--mode",
    type=click.Choice(intake.MODES),
    default="snapshot",
    show_default=True,
    help="Replace what each named host has, or add to it.",
)
@_importing
@pass_app
def import_packages(
    app: App,
    file: Path,
    mode: str,
    maps: tuple[str, ...],
    dry_run: bool,
    rejects: Path | None,
    as_json: bool,
) -> None:
    """Bring in packages.csv: what each host that it names has installed."""
    difference = intake.import_packages(
        app.db,
        file,
        actor=app.actor,
        now=app.now,
        mode=mode,
        mapping=_mapping(maps),
        dry_run=dry_run,
        rejects=rejects,
    )
    _show(difference, dry_run=dry_run, rejects=rejects, as_json=as_json)


for group, commands in ((hosts, past.COMMANDS), (packages, software.COMMANDS)):
    for each in commands:
        group.add_command(each)


def _mapping(maps: tuple[str, ...]) -> dict[str, str]:
    mapping = {}
    for text in maps:
        left, found, right = text.partition("=")
        if not found or not left or not right:
            raise InputError({f"--map {text}": "is not NEW=COLUMN"})
        mapping[left.strip()] = right.strip()
    return mapping


def _show(difference: Difference, *, dry_run: bool, rejects: Path | None, as_json: bool) -> None:
    if as_json:
        changes = [asdict(change) for change in difference.changes]
        show_json({"dry_run": dry_run, **difference.summary(), "examples": changes})
        return
    for change in difference.changes:
        click.echo(f"{change.kind}: {change.host}  {'; '.join(change.details)}".rstrip())
    would = "would be " if dry_run else ""
    click.echo(
        f"{difference.rows} rows; hosts: {difference.new} {would}new, "
        f"{difference.changed} {would}changed, {difference.unchanged} unchanged"
        + (
            f"; package versions: +{difference.added} -{difference.removed}"
            if difference.added or difference.removed
            else ""
        )
    )
    if difference.rejected:
        where = f" to {rejects}" if rejects is not None and not dry_run else ""
        click.echo(f"{difference.rejected} rows refused{where}", err=True)
