"""``patchmgr hosts`` and ``patchmgr packages``: inventory in from files, and looked at."""

from dataclasses import asdict
from datetime import datetime
from pathlib import Path

import click

from inventory import conflicts as refused
from inventory import host_import, package_import, retirement
from patchmgr.cli import imports, past, software
from patchmgr.cli.app import AT, ID, App, pass_app, show_json, show_listing, show_table
from patchmgr.cli.host_facts import show_facts
from patchmgr.db.queries import facts as fact_queries
from patchmgr.db.queries import hosts as queries
from patchmgr.db.queries import identity
from patchmgr.db.queries import past as past_queries
from patchmgr.domain.offers import Update
from patchmgr.errors import InputError

CONFLICT = ("id", "kind", "says", "why", "times", "last_at", "address", "remedy")


@click.group()
def hosts() -> None:
    """Hosts: import, list, show, compare, retire, and who is which."""


@hosts.command("import")
@click.option(
    "--full-export",
    is_flag=True,
    help="The source names all its hosts: list those that it no longer does.",
)
@click.option("--retire-missing", is_flag=True, help="Retire the hosts that a full export lacks.")
@imports.options
@pass_app
def import_(
    app: App,
    file: Path,
    ask: imports.Ask,
    *,
    full_export: bool,
    retire_missing: bool,
) -> None:
    """Bring in hosts.csv: new hosts join, known ones are updated, none is removed unasked."""
    if retire_missing and not full_export:
        why = "needs --full-export: only a file that names all hosts of its source can lack one"
        raise InputError({"--retire-missing": why})
    difference = host_import.import_hosts(
        app.db,
        file,
        actor=app.actor,
        now=app.now,
        how=imports.reading(app, "hosts", ask),
        dry_run=ask.dry_run,
        rejects=ask.rejects,
        source=ask.source or ask.save_as,
        full_export=full_export,
        retire=host_import.EVERYTHING if retire_missing else (),
        then=imports.saving(app, "hosts", ask),
    )
    imports.show(difference, ask, full_export=full_export)


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
        "not_judged": detail.not_judged,
        "has_feed": detail.has_feed,
    }
    if as_json:
        listed = [past.package_json(each) for each in packages]
        steps = [past.step_json(each) for each in timeline]
        newer = None if said.updates is None else [asdict(each) for each in said.updates]
        told = fact_queries.facts_json(detail, said)
        why = {of: first for of, (_, first) in detail.not_judged_of.items()}
        more = {"facts": told, "not_judged_why": why, "package_versions": listed}
        unclear = [
            {name: getattr(each, name) for name in CONFLICT} for each in detail.machine.conflicts
        ]
        show_json(facts | more | {"conflicts": unclear, "updates": newer, "history": steps})
        return
    past.show_facts(facts)
    for each in detail.machine.conflicts:
        click.echo(f"conflict {each.id}: {each.says}, refused {each.times} times: {each.why}")
        click.echo(f"  {each.remedy}")
    for of, (count, first) in detail.not_judged_of.items():
        for each in first:
            click.echo(f"  not judged of {of}: {each}")
        if count > len(first):
            click.echo(f"  not judged of {of}: and {count - len(first)} more")
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
            ("package", "arch", "installed", "offered", "by", "held", "caution"),
            [
                (u.package, u.arch, u.installed, u.offered, " ".join(u.suites), u.held, u.caution)
                for u in updates
            ],
        )


@hosts.command()
@click.argument("name")
@pass_app
def retire(app: App, name: str) -> None:
    """Take a host out of lists and counts; its history stays."""
    retirement.retire(app.db, name, actor=app.actor, now=app.now)
    click.echo(f"{name} is retired")


@hosts.command()
@click.option("--all", "also_old", is_flag=True, help="Those that are resolved as well.")
@click.option("--json", "as_json", is_flag=True)
@pass_app
def conflicts(app: App, also_old: bool, as_json: bool) -> None:
    """List machines that were refused, because they may be another host than they look like."""
    with app.db.reading() as session:
        found = identity.conflicts(session, only_open=not also_old)
    columns = (
        *("id", "host", "says", "kind", "state", "times", "last_at", "address"),
        *(("machine_id", "product_uuid", "boot_id") if as_json else ()),
        "why",
        *(("remedy",) if as_json else ()),
    )
    show_listing(columns, [[getattr(each, name) for name in columns] for each in found], as_json)


@hosts.command()
@click.argument("conflict_id", metavar="ID", type=ID)
@click.option(
    "--as",
    "resolution",
    type=click.Choice(refused.RESOLUTIONS),
    required=True,
    help="The known host; a host of its own; or neither: it stays out.",
)
@click.option("--name", default="", help="Of the new host, if not what it calls itself.")
@pass_app
def resolve(app: App, conflict_id: int, resolution: str, name: str) -> None:
    """Say which host the refused machine of conflict ID is; it holds when it comes again."""
    refused.resolve(app.db, conflict_id, resolution, new_name=name, actor=app.actor, now=app.now)
    click.echo(f"conflict {conflict_id} is resolved: {resolution}")


@click.group()
def packages() -> None:
    """Installed packages: import, list, search."""


@packages.command("import")
@click.option(
    "--mode",
    type=click.Choice(package_import.MODES),
    default="snapshot",
    show_default=True,
    help="Replace what each named host has, or add to it.",
)
@imports.options
@pass_app
def import_packages(app: App, file: Path, ask: imports.Ask, *, mode: str) -> None:
    """Bring in packages.csv: what each host that it names has installed."""
    difference = package_import.import_packages(
        app.db,
        file,
        actor=app.actor,
        now=app.now,
        mode=mode,
        how=imports.reading(app, "packages", ask),
        dry_run=ask.dry_run,
        rejects=ask.rejects,
        then=imports.saving(app, "packages", ask),
    )
    imports.show(difference, ask)


for group, commands in ((hosts, past.COMMANDS), (packages, software.COMMANDS)):
    for each in commands:
        group.add_command(each)
